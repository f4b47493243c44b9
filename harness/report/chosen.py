"""Paths that a user names -> the finished runs there."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from harness.report.results import Run, load, load_run


def chosen(paths: Sequence[Path]) -> tuple[list[Run], list[str]]:
    """Return the runs of the named run folders and results folders, each once, and a note on each that was left out.

    A run that is named itself and has no summary raises IncompleteError; one within a results folder is left out. Raises
    UsageError for a folder that is neither.
    """
    found: dict[Path, Run] = {}
    notes = []
    for path in paths:
        if (path / "runs").is_dir() and not (path / "manifest.json").is_file():
            runs, left = load(path)
            found |= {run.folder.resolve(): run for run in runs}
            notes += [f"left out: {run.folder}: {run.reason}" for run in left]
        else:
            found[path.resolve()] = load_run(path)
    return list(found.values()), notes
