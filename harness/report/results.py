"""The runs of a results folder, and the published numbers that stand beside them."""

from __future__ import annotations

import sysconfig
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import yaml

from harness.errors import IncompleteError, UsageError
from harness.store import read_json


@dataclass(frozen=True, slots=True)
class Run:
    """One finished run: its folder, manifest and summary; `label` stands for the name where several have the same."""

    folder: Path
    manifest: Mapping[str, Any]
    summary: Mapping[str, Any]
    label: str = ""

    @property
    def name(self) -> str:
        """Return the subject's display name."""
        return self.label or str(self.summary["subject"]["name"])

    @property
    def own_max_tokens(self) -> int | None:
        """Return the tokens that the model's own entry allowed for an answer; None where it was allowed what the tasks allow all."""
        budget = self.summary["subject"]["identity"].get("own_max_tokens")
        return None if budget is None else int(budget)

    def trained_on(self, suite: str) -> bool:
        """Tell whether the subject is known to have been trained on a suite."""
        return suite in self.summary["subject"].get("trained_on", [])


@dataclass(frozen=True, slots=True)
class Unfinished:
    """A run that has no summary yet, and why it is left out."""

    folder: Path
    reason: str


def told_apart(runs: Sequence[Run]) -> list[Run]:
    """Return the runs, each with a label of its own: the end of the folder's name stands behind the name where two are called alike."""
    counts = Counter(run.name for run in runs)
    return [r if counts[r.name] == 1 else replace(r, label=f"{r.name} ({r.folder.name[-6:]})") for r in runs]


def load(output: Path) -> tuple[list[Run], list[Unfinished]]:
    """Return the finished runs of a results folder, oldest first, and the ones that are left out.

    Raises UsageError when there is no run at all.
    """
    folders = sorted(
        path.parent for path in (output / "runs").glob("*/manifest.json") if ".old-" not in path.parent.name
    )
    if not folders:
        others = sorted(path.name for path in (output / "runs").glob("*/"))
        why = f" (without manifest.json a folder is no run: {', '.join(others[:3])})" if others else ""
        raise UsageError(f"no runs in {output / 'runs'}{why}. Make one: tcm-eval run --model guess --tasks tcm_core")
    runs, left = [], []
    for folder in folders:
        try:
            manifest = read_json(folder / "manifest.json")
            runs.append(Run(folder, manifest, read_json(folder / "summary.json")))
        except IncompleteError:
            left.append(Unfinished(folder, "unfinished: run its command again"))
        except UsageError as error:
            left.append(Unfinished(folder, str(error).replace(f"{folder}/", "")))  # what names it says where it lies
    runs.sort(key=lambda run: str(run.manifest.get("created", "")))
    return runs, left


def notes_on(runs: Sequence[Run], left: Sequence[Unfinished]) -> list[str]:
    """Return a line for each run that is left out, and for each that is shown though its records are not whole."""
    way_out = "bring the file back from a copy, for it cannot be scored again without"
    damaged = [f"{run.folder}: {wrong}; {way_out}" for run in runs if (wrong := records_wrong(run))]
    return [*(f"left out: {one.folder}: {one.reason}" for one in left), *damaged]


def records_wrong(run: Run) -> str:
    """Return what can be seen to be wrong with the records of a finished run, "" when nothing can.

    Lines are looked at from outside and counted, not read: a million take half a second.
    """
    path = run.folder / "records.jsonl"
    if not path.is_file():
        return "its records.jsonl is gone"
    whole = 0
    with path.open("rb") as file:
        for line in file:
            if not line.endswith(b"\n"):
                break
            if not (line.startswith(b"{") and line.endswith(b"}\n")):
                return f"its records.jsonl is damaged (line {whole + 1})"
            whole += 1
    needed = 0
    for task, metrics in run.summary["tasks"].items():
        counts = metrics[run.manifest["tasks"][task]["headline"]]["counts"]
        needed += sum(counts.values()) - counts["failed"]
    return f"its records.jsonl holds {whole:,} of at least {needed:,} answers" if whole < needed else ""


def load_run(folder: Path) -> Run:
    """Return one finished run; raise UsageError or IncompleteError."""
    if not (folder / "manifest.json").is_file():
        raise UsageError(f"{folder} is no run folder: it has no manifest.json")
    return Run(folder, read_json(folder / "manifest.json"), read_json(folder / "summary.json"))


@dataclass(frozen=True, slots=True)
class Published:
    """One model's numbers from a publication. `how` is `published` (stated in print) or `digitised` (read off a figure)."""

    model: str
    suite: str
    metric: str
    values: Mapping[str, float]
    how: Mapping[str, str]
    source: str
    trained_on: bool
    note: str


def published_root() -> Path:
    """Return the folder of published numbers: the checkout's, or the installed one."""
    beside = Path(__file__).resolve().parents[2] / "results" / "published"
    return beside if beside.is_dir() else Path(sysconfig.get_path("data")) / "share" / "tcm-eval" / "published"


def published(root: Path) -> list[Published]:
    """Return all published numbers below `root`, in file order."""
    rows: list[Published] = []
    for file in sorted(root.glob("*.yaml")):
        loaded = yaml.safe_load(file.read_text("utf-8"))
        for table in loaded["tables"]:
            rows += [_published_row(table, model, row) for model, row in table["rows"].items()]
    return rows


def _published_row(table: Mapping[str, Any], model: str, row: Mapping[str, Any]) -> Published:
    columns: Sequence[str] = table["columns"]
    values = {name: value for name, value in zip(columns, row["values"], strict=True) if value is not None}
    stated = set(row.get("published", []))
    return Published(
        model=model,
        suite=table["suite"],
        metric=table["metric"],
        values=values,
        how={name: "published" if name in stated or table["how"] == "published" else "digitised" for name in values},
        source=table["source"],
        trained_on=bool(row.get("trained_on", False)),
        note=str(row.get("note", "")),
    )
