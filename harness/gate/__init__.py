"""A candidate against a baseline: verdict, exit code and reports."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from harness.baseline import InvalidRun, Side, load
from harness.errors import IncompleteError
from harness.gate.changed import Changed, worst_changed
from harness.gate.decide import Check, Outcome, Policy, Verdict, alike, check_spec, decide
from harness.gate.junit import as_junit
from harness.gate.spec import GateSpec, read_spec
from harness.gate.words import as_json, as_markdown, as_text
from harness.store import write_lines

__all__ = [
    "Changed",
    "Check",
    "GateSpec",
    "Outcome",
    "Policy",
    "Verdict",
    "as_json",
    "as_junit",
    "as_markdown",
    "as_text",
    "check_spec",
    "counterpart",
    "decide",
    "judge",
    "read_spec",
    "refuse_early",
    "write_reports",
]


def judge(baseline: Side, candidate: Path, spec: GateSpec, policy: Policy = None) -> tuple[Outcome, list[Changed]]:
    """Return the outcome for a candidate's run folder (or baseline file), and the answers that lost most.

    An unfinished or contradicting candidate is an outcome too (invalid), so that reports are written for it. Raises
    UsageError for wrong input, as `decide` does.
    """
    check_spec(baseline, spec)
    try:
        side = load(candidate)
        outcome = decide(baseline, side, spec, policy)
    except (IncompleteError, InvalidRun) as error:
        broken = Check("run", candidate.name, "the run", Verdict.INVALID, str(error))
        return Outcome(Verdict.INVALID, [broken], baseline, candidate.name, candidate.name, spec.alpha), []
    return outcome, worst_changed(outcome.checks, baseline, side)


def refuse_early(baseline: Side, spec: GateSpec, asked: Mapping[str, Mapping[str, str]]) -> None:
    """Raise UsageError when a run that asks these comparison ids (task -> metric -> id) could not be gated anyway."""
    alike(baseline, asked, check_spec(baseline, spec))


def counterpart(baseline: Side, runs: Sequence[tuple[Path, Mapping[str, Any]]]) -> Path:
    """Return the folder of the run, of one model's (folder, summary) pairs, that was prompted as the baseline was.

    A model with a prompt of its own has two runs, one with the common prompt and one with its own.
    """
    own = baseline.identity.get("own_prompt") is not None
    alike = [folder for folder, summary in runs if ("own_prompt" in summary["subject"]["identity"]) == own]
    return alike[0] if alike else runs[0][0]


def write_reports(
    outcome: Outcome,
    changed: Sequence[Changed],
    *,
    junit: Path | None = None,
    markdown: Path | None = None,
    json: Path | None = None,
) -> None:
    """Write the reports that were asked for; raise StorageError when one cannot be written."""
    for path, make in ((junit, as_junit), (markdown, as_markdown), (json, as_json)):
        if path is not None:
            write_lines(path, [make(outcome, changed).encode("utf-8", "replace")])
