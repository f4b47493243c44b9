"""One side of a comparison: the scores of a run, from its folder or from a small baseline file that a repository keeps."""

from __future__ import annotations

from pathlib import Path

from harness.baseline.files import from_file, write
from harness.baseline.ids import differences, refuse_different
from harness.baseline.keep import set_baseline, side_text, update_baseline
from harness.baseline.runs import from_run
from harness.baseline.sides import Column, InvalidRun, Place, Side, TaskScores
from harness.errors import UsageError, unknown
from harness.store import read_json

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
    """Return the run folder or baseline file that `text` means; raise UsageError.

    It is a path, the name of a run's folder below `output`, or a model's name as tables show it, where just one finished run has it.
    """
    for path in (Path(text), output / "runs" / text):
        if path.exists():
            return path
    if text.endswith(".json"):
        raise UsageError(f"baseline {text} does not exist. Make one: tcm-eval baseline set RUN {text}")
    folders = sorted(path.parent for path in (output / "runs").glob("*/manifest.json"))
    models = {folder: _model(folder) for folder in folders if ".old-" not in folder.name}
    called = [folder for folder, model in models.items() if text in (model, f"{model} ({folder.name[-6:]})")]
    called = [folder for folder in called if (folder / "summary.json").is_file()] or called
    if len(called) == 1:
        return called[0]
    if called:
        listed = "".join(f"\n  {folder.name}" for folder in called)
        raise UsageError(f"'{text}' is the name of {len(called)} runs in {output / 'runs'}. Say which one:{listed}")
    known = {*(folder.name for folder in folders), *filter(None, models.values())}
    where = f"Looked in {output / 'runs'}. Give a run's folder, its name, its model's name, or a baseline file."
    raise unknown("run", text, known, where)


def _model(folder: Path) -> str:
    """Return the name of the model that a run asked, "" where its manifest cannot be read: then its folder alone names it."""
    try:
        return str(read_json(folder / "manifest.json")["subject"]["name"])
    except (UsageError, KeyError, TypeError):
        return ""


def load(path: Path) -> Side:
    """Return the side at `path`, a run's folder or a baseline file.

    Raises UsageError for what is neither, IncompleteError for an unfinished run, InvalidRun for contradicting files.
    """
    return from_run(path) if path.is_dir() else from_file(path)
