"""One side of a comparison: the scores of a run, from its folder or from a small baseline file that a repository keeps."""

from __future__ import annotations

from pathlib import Path

from harness.baseline.files import from_file, write
from harness.baseline.ids import differences, refuse_different
from harness.baseline.keep import set_baseline, side_text, update_baseline
from harness.baseline.runs import from_run
from harness.baseline.sides import Column, InvalidRun, Place, Side, TaskScores
from harness.errors import UsageError, unknown

__all__ = [
    "Column",
    "InvalidRun",
    "Place",
    "Side",
    "TaskScores",
    "differences",
    "find",
    "from_file",
    "from_run",
    "load",
    "refuse_different",
    "set_baseline",
    "side_text",
    "update_baseline",
    "write",
]


def find(text: str, output: Path) -> Path:
    """Return the run folder or baseline file that `text` means: a path, or a run's name below `output`; raise UsageError."""
    for path in (Path(text), output / "runs" / text):
        if path.exists():
            return path
    if text.endswith(".json"):
        raise UsageError(f"baseline {text} does not exist. Make one: tcm-eval baseline set RUN {text}")
    runs = [path.parent.name for path in (output / "runs").glob("*/manifest.json")]
    raise unknown("run", text, runs, "Give a run's folder, its name, or a baseline file.")


def load(path: Path) -> Side:
    """Return the side at `path`, a run's folder or a baseline file.

    Raises UsageError for what is neither, IncompleteError for an unfinished run, InvalidRun for contradicting files.
    """
    return from_run(path) if path.is_dir() else from_file(path)
