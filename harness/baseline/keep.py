"""The baseline file's three commands: set, show and update. Each returns what it has to say."""

from __future__ import annotations

from pathlib import Path

from harness.baseline.files import from_file, write
from harness.baseline.ids import differences
from harness.baseline.runs import from_run
from harness.baseline.sides import Column, Side, TaskScores
from harness.errors import IncompleteError, UsageError
from harness.registry import get_metric
from harness.tables import Cell, Table, render, terminal_width
from harness.types import STATUSES


def set_baseline(run: Path, file: Path) -> str:
    """Write a new baseline file; raise UsageError when there is one, IncompleteError when the run has unanswered questions."""
    if file.exists():
        raise UsageError(f"{file} exists already. To replace it: tcm-eval baseline update {run} {file}")
    side = _whole(run)
    write(file, side)
    return f"{side_text(side)}\n{_written(file)}"


def update_baseline(run: Path, file: Path) -> str:
    """Replace a baseline file, and say how its numbers change; raise as `set_baseline`, and UsageError when there is none."""
    if not file.is_file():
        raise UsageError(f"{file} does not exist. To make it: tcm-eval baseline set {run} {file}")
    side = _whole(run)
    try:
        old, trouble = from_file(file), ""
    except UsageError as error:
        old, trouble = None, f"The old file could not be read, so nothing is compared: {error}\n"
    write(file, side)
    changes = side_text(side) if old is None else _changes(old, side)
    return f"{trouble}{changes}\n{_written(file)}"


def _whole(run: Path) -> Side:
    side = from_run(run)
    for task in side.tasks.values():
        for column in task.columns.values():
            lacking = sum(status in ("failed", "unscored") for status in column.status)
            if lacking:
                raise IncompleteError(
                    f"{run}: {task.task} lacks {lacking} of {len(column.values)} scores of {column.metric} "
                    "(failed or unscored). Run its command again: a baseline is a whole run."
                )
    return side


def _written(file: Path) -> str:
    return f"Wrote {file} ({file.stat().st_size:,} bytes). Commit it beside gate.yaml."


def side_text(side: Side) -> str:
    """Return a table of what a side holds: a line a task and metric, with its mean and its answers by status."""
    rows = []
    for task in side.tasks.values():
        for column in task.columns.values():
            counts = {status: list(column.status).count(status) for status in STATUSES}
            said = ", ".join(f"{n} {status}" for status, n in counts.items() if n)
            cells = [
                Cell(mean(task, column)),
                Cell(text=str(len(column.values))),
                Cell(text=str(len(set(task.clusters)))),
            ]
            rows.append((f"{task.task} {column.metric}", [*cells, Cell(text=said)]))
    title = f"{side.name} ({side.run}), {side.created}"
    notes = [f"{name}: {value}" for name, value in side.identity.items()]
    table = Table(title, ["mean", "answers", "clusters", "by status"], rows, notes, of="task and metric")
    return render([table], "table", width=terminal_width(120))


def mean(task: TaskScores, column: Column) -> float | None:
    """Return the mean of one of a task's columns, or the corpus value; None when nothing was scored.

    As in a summary, a question that was asked in several rotations counts once, with the mean over them.
    """
    there = [row for row, value in enumerate(column.values) if value is not None]
    metric = get_metric(column.metric)
    if not there:
        return None
    if metric.combine is not None:
        import numpy as np

        sums = np.array([[sum(column.parts[part][row] for row in there) for part in metric.parts]])
        return float(metric.combine(sums)[0])
    questions: dict[tuple[str, int], list[float]] = {}
    for (sample, repeat, _), value in zip(task.places, column.values, strict=True):
        if value is not None:
            questions.setdefault((sample, repeat), []).append(value)
    return sum(sum(values) / len(values) for values in questions.values()) / len(questions)


def _changes(old: Side, new: Side) -> str:
    rows, notes = [], []
    for name, task in new.tasks.items():
        before = old.tasks.get(name)
        for metric, column in task.columns.items():
            known = before.columns.get(metric) if before else None
            was = mean(before, known) if before and known else None
            rows.append((f"{name} {metric}", [Cell(was), Cell(mean(task, column))]))
            differs = differences(known.comparison_id, column.comparison_id) if known else []
            if differs:
                notes.append(f"asked otherwise than before: {name} {metric}: {', '.join(differs)}")
    notes += [f"no longer in the baseline: {name}" for name in old.tasks if name not in new.tasks]
    title = f"{new.name} ({new.run}) in place of {old.name} ({old.run})"
    return render(
        [Table(title, ["before", "now"], rows, notes, of="task and metric")], "table", width=terminal_width(120)
    )
