"""The outcome as terminal text, as Markdown for a job's summary, and as JSON."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from harness.compare import signed, unpaired_notes
from harness.compare.words import effect_json
from harness.gate.changed import Changed
from harness.gate.decide import Check, Outcome, Verdict
from harness.store import SCHEMA
from harness.tables import code_markdown, for_markdown, printable, shortened

LENGTH = 400
"""Characters of a question or an answer that are shown."""

_SIGNS = {Verdict.PASS: "✓", Verdict.REGRESSION: "✗", Verdict.INVALID: "!", Verdict.INCONCLUSIVE: "?"}


def headline(outcome: Outcome) -> str:
    """Return the verdict in one sentence."""
    verdict, required = outcome.verdict, [check for check in outcome.checks if check.required]
    names = ", ".join(dict.fromkeys(f"{check.task} {check.what}" for check in _telling(outcome)))
    who = f"{outcome.candidate} ({outcome.run}) against {outcome.baseline.name} ({outcome.baseline.run})"
    tail = f": {names}" if names else f": every one of {len(required)} checks passed" if len(required) > 1 else ""
    return f"Gate: {verdict.words} (exit code {verdict.exit_code}). {who}{tail}."


def _telling(outcome: Outcome) -> list[Check]:
    """Return the required checks that made the verdict what it is; none when it is pass."""
    if outcome.verdict is Verdict.PASS:
        return []
    made = {Verdict.REGRESSION: Verdict.REGRESSION, Verdict.INVALID: Verdict.INVALID}
    return outcome.of(made.get(outcome.verdict, Verdict.INCONCLUSIVE))


def notes(outcome: Outcome) -> list[str]:
    """Return in what the two runs were not alike, and what is left out of the comparison and why; every reason once."""
    found = [note for check in outcome.checks if check.effect is not None for note in unpaired_notes(check.effect)]
    return list(dict.fromkeys([*outcome.notes, *found]))


def as_text(outcome: Outcome) -> str:
    """Return the outcome for a terminal."""
    lines = [headline(outcome)]
    lines += [f"  {_SIGNS[check.verdict]} {_label(check)}{check.text}" for check in outcome.checks]
    lines += [f"  {note}" for note in notes(outcome)]
    return "\n".join(printable(line) for line in lines)


def _label(check: Check) -> str:
    return f"{check.verdict.words}: " if check.required else f"not required, {check.verdict.words}: "


def as_markdown(outcome: Outcome, changed: Sequence[Changed]) -> str:
    """Return the outcome for `$GITHUB_STEP_SUMMARY` or a GitLab note, with the worst answers that changed."""
    differences = [check for check in outcome.checks if check.effect is not None]
    others = [check for check in outcome.checks if check.effect is None]
    blocks = [f"## {for_markdown(headline(outcome))}"]
    if differences:
        head = (
            "| task | metric | baseline | candidate | difference | bounds | margin | won / lost / tied | n | verdict |"
        )
        rule = "| --- | --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | --- |"
        blocks.append("\n".join([head, rule, *(_row(check) for check in differences)]))
    said = [f"{_SIGNS[check.verdict]} {_label(check)}{check.text}" for check in [*differences, *others]]
    said += notes(outcome)
    blocks.append("\n".join(f"- {for_markdown(line)}" for line in said))
    if changed:
        blocks.append("### Answers that lost most")
        blocks += [_lost(one) for one in changed]
    return "\n\n".join(blocks) + "\n"


def _row(check: Check) -> str:
    effect = check.effect
    if effect is None:
        raise ValueError("only differences stand in the table")
    found = effect.found
    bounds = "–" if found.lower is None or found.upper is None else f"{signed(found.lower)} to {signed(found.upper)}"
    counted = "–" if found.won is None else f"{found.won} / {found.lost} / {found.tied}"
    cells = [
        check.task,
        check.what,
        f"{found.baseline:.3f}",
        f"{found.candidate:.3f}",
        signed(found.effect),
        bounds,
        f"{check.margin:g}",
        counted,
        str(found.n),
        f"{_SIGNS[check.verdict]} {_label(check).removesuffix(': ')}",
    ]
    return "| " + " | ".join(for_markdown(cell) for cell in cells) + " |"


def _lost(one: Changed) -> str:
    texts = [("question", one.question), ("baseline", one.baseline), ("candidate", one.candidate)]
    lines = [f"**{for_markdown(one.task)}, {for_markdown(one.place)}**: {for_markdown(one.metric)} {_change(one)}", ""]
    lines += [f"- {name}: {code_markdown(shortened(text, LENGTH))}" for name, text in texts]
    return "\n".join(lines)


def _change(one: Changed) -> str:
    of = f" (means of {one.rotations} rotations; these are the answers of the one that lost most)"
    return f"{one.before:.3f} → {one.after:.3f}{of if one.rotations > 1 else ''}"


def as_json(outcome: Outcome, changed: Sequence[Changed]) -> str:
    """Return the outcome for another program; texts stand there whole, with control characters escaped."""
    base = outcome.baseline
    value: dict[str, Any] = {
        "schema": SCHEMA,
        "verdict": outcome.verdict.name.lower(),
        "exit_code": outcome.verdict.exit_code,
        "sentence": printable(headline(outcome)),
        "alpha": outcome.alpha,
        "baseline": {"name": base.name, "run": base.run},
        "candidate": {"name": outcome.candidate, "run": outcome.run},
        "checks": [_check_json(check, outcome) for check in outcome.checks],
        "notes": [printable(note) for note in notes(outcome)],
        "changed": [
            {
                "task": one.task,
                "metric": one.metric,
                "sample": one.place,
                "before": one.before,
                "after": one.after,
                "question": one.question,
                "baseline": one.baseline,
                "candidate": one.candidate,
                "rotations": one.rotations,
            }
            for one in changed
        ],
    }
    return json.dumps(value, ensure_ascii=False, indent=1) + "\n"


def _check_json(check: Check, outcome: Outcome) -> dict[str, Any]:
    row: dict[str, Any] = {
        "kind": check.kind,
        "task": check.task,
        "what": check.what,
        "required": check.required,
        "verdict": check.verdict.name.lower(),
        "text": printable(check.text),
    }
    if check.effect is not None:
        row |= {"margin": check.margin, "needed": check.needed}
        row["effect"] = effect_json(check.effect, outcome.baseline.name, outcome.candidate)
    return row
