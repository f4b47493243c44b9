"""The rows of a tcm_core task as its file holds them, with the ids of the facts that each asks about."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from harness.errors import UsageError
from harness.rows import rows
from harness.specs import TaskSpec
from harness.suites import Catalogue

SUITE = "tcm_core"
Row = Mapping[str, Any]


def task_of(catalogue: Catalogue, name: str) -> TaskSpec:
    """Return the task's specification; raise UsageError when the suite has no such task."""
    found = [task for task in catalogue.tasks(SUITE) if task.id == f"{SUITE}/{name}"]
    if not found:
        raise UsageError(f"the suite {SUITE} has no task '{name}'")
    return found[0]


def read(catalogue: Catalogue, name: str, split: str) -> list[Row]:
    """Return the task's rows of one split, in file order."""
    task = task_of(catalogue, name)
    return [row for path in catalogue.data_files(task) for _, row in rows(path) if row["split"] == split]


def facts_of(row: Row) -> tuple[str, ...]:
    """Return the ids of the facts that the question asks about; none for a hand-written one."""
    return tuple(row.get("facts", ()))
