"""Paths that a user names -> the finished runs there."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from harness.report.results import Run, Unfinished, load, load_run, notes_on


def chosen(paths: Sequence[Path]) -> tuple[list[Run], list[str]]:
    """Return the runs of the named run folders and results folders, each once, and a note on each that was left out or is not whole.

    A run that is named itself and has no summary raises IncompleteError; one within a results folder is left out. Raises
    UsageError for a folder that is neither.
    """
    found: dict[Path, Run] = {}
    unfinished: list[Unfinished] = []
    for path in paths:
        if (path / "runs").is_dir() and not (path / "manifest.json").is_file():
            runs, left = load(path)
            found |= {run.folder.resolve(): run for run in runs}
            unfinished += left
        else:
            found[path.resolve()] = load_run(path)
    named = list(found.values())
    return named, notes_on(named, unfinished)
