"""What experiment trackers are told of a run: numbers by name, settings, and the run's files without the machine's folders."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from harness.report.export.staging import plain_name
from harness.report.results import Run
from harness.report.site.build import PRIVATE
from harness.store import read_lines
from harness.tables import plain_json, printable

PROJECT = "tcm-eval"
FILES = ("manifest.json", "summary.json", "scores.jsonl", "records.jsonl")
JUDGED = "judge.jsonl"
"""What judges said, in the folder of a judged run."""

COUNTED = ("ok", "unparsed", "truncated", "refused", "failed", "unscored")


def digest(run: Run) -> str:
    """Return 8 hex digits of a run and its numbers: an export of equal ones is the same export."""
    return hashlib.sha256(plain_json([run.folder.name, dict(run.summary)]).encode()).hexdigest()[:8]


def numbers(run: Run) -> dict[str, float]:
    """Return the run's numbers by name: `task/metric` with its error and interval, `overall/…`, `usage/…`; missing ones are left out."""
    found: dict[str, float | None] = {}
    for task, metrics in run.summary["tasks"].items():
        for metric, row in metrics.items():
            found |= _estimate(f"{task}/{metric}", row)
            found |= {f"{task}/{metric}/{status}": row["counts"][status] for status in COUNTED}
    for metric, kinds in run.summary["overall"].items():
        for kind, row in kinds.items():
            if row:
                found |= _estimate(f"overall/{metric}/{kind}", row)
    found |= {f"usage/{name}": value for name, value in run.summary.get("usage", {}).items()}
    return {name: float(value) for name, value in found.items() if isinstance(value, int | float)}


def _estimate(name: str, row: Mapping[str, Any]) -> dict[str, float | None]:
    return {name: row["mean"], f"{name}/se": row["se"], f"{name}/low_95": row["low"], f"{name}/high_95": row["high"]}


def settings(run: Run) -> dict[str, Any]:
    """Return who was asked what and how: identity, selection, style, and for each task its version, data, prompt and sampling."""
    manifest = {name: value for name, value in run.manifest.items() if name not in PRIVATE and name != "schema"}
    subject = {**run.summary["subject"], "name": plain_name(run)}
    return {**manifest, "subject": subject, "complete": bool(run.summary["complete"])}


def flat(value: Any, name: str = "") -> dict[str, str]:
    """Return nested settings as texts by dotted name."""
    if isinstance(value, Mapping):
        return {
            key: text for inner, one in value.items() for key, text in flat(one, f"{name}.{inner}".strip(".")).items()
        }
    return {name: printable(value if isinstance(value, str) else plain_json(value))}


def check_lines(runs: Sequence[Run]) -> None:
    """Raise UsageError for a damaged line in a run's files, which are handed on as they are."""
    for run in runs:
        for name in files_of(run)[2:]:
            for _ in read_lines(run.folder / name):
                pass


def files_of(run: Run) -> tuple[str, ...]:
    """Return the names of a run's files: four, and the judges' replies once it was judged."""
    return (*FILES, JUDGED) if (run.folder / JUDGED).exists() else FILES


def copy_files(run: Run, folder: Path) -> list[Path]:
    """Copy the run's files into a folder, the manifest without the folders of this machine; return the copies."""
    folder.mkdir(parents=True, exist_ok=True)
    manifest = {name: value for name, value in run.manifest.items() if name not in PRIVATE}
    (folder / FILES[0]).write_text(plain_json(manifest, indent=1) + "\n", "utf-8")
    names = files_of(run)
    for name in names[1:]:
        shutil.copyfile(run.folder / name, folder / name)
    return [folder / name for name in names]
