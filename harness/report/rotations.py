"""Runs -> the leaderboard's table of rotations: how steady answers are and whether a letter draws them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from harness.report.results import Run
from harness.tables import Cell, Table


def by_rotation(suite: str, runs: Sequence[Run], way: str) -> Table | None:
    """Return consistency, the share right in all rotations and the position bias by task; None when nothing was rotated.

    The details of a cell hold the surplus of each letter, the level of chance, and the questions that were asked once.
    """
    rotated = [(run, _entries(run, suite)) for run in runs]
    tasks = sorted({task for _, entries in rotated for task in entries})
    if not tasks:
        return None
    names = ["same in all", "right in all", "position bias"]
    columns = [f"{task.partition('/')[2]} {name}" for task in tasks for name in names]
    rows = []
    for run, entries in rotated:
        if entries:
            rows.append((run.name, [cell for task in tasks for cell in _cells(entries.get(task))]))
    once = max(sum(entry["asked_once"] for entry in entries.values()) for _, entries in rotated)
    notes = [
        "same in all: the same option is chosen in every rotation of a question; right in all: it is the right one in each.",
        "position bias: the share of answers that would have to move to another letter; above 0 by chance too, so look at the interval.",
    ]
    notes += (
        [f"{once} questions with an option that speaks of others were asked once and are not in here."] if once else []
    )
    return Table(f"{suite} — rotations of the options{way}", columns, rows, notes)


def _entries(run: Run, suite: str) -> dict[str, Mapping[str, Any]]:
    found = run.summary.get("position", {}).items()
    return {task: entry for task, entry in found if task.partition("/")[0] == suite and entry["rotations"] > 1}


def _cells(entry: Mapping[str, Any] | None) -> list[Cell]:
    if entry is None:
        return [Cell(), Cell(), Cell()]
    cells = []
    for name in ("consistent", "right_in_all", "bias"):
        row = entry[name]
        detail = {key: row[key] for key in ("se", "n", "n_groups", "noise") if key in row}
        if name == "bias":
            detail |= {key: entry[key] for key in ("rotations", "asked_once", "places")}
        cells.append(Cell(row["mean"], row["low"], row["high"], detail=detail))
    return cells
