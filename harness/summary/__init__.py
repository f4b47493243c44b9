"""Scores -> `summary.json`: estimates with intervals, counts by status, and the comparison id of every number."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from harness.store import SCHEMA
from harness.summary.columns import MOST_LABELS, Column, columns, merged
from harness.summary.estimates import once_each, row_of
from harness.summary.pooled import by_discipline, by_tag
from harness.types import Score

__all__ = ["MOST_LABELS", "Column", "merged", "of", "once_each"]


def of(manifest: Mapping[str, Any], scores: Iterable[Score], extra: Mapping[str, Any]) -> dict[str, Any]:
    """Return the summary of a run as it is written to `summary.json`."""
    found = columns(scores)
    ids = {(task, metric): cid for task, info in manifest["tasks"].items() for metric, cid in info["metrics"].items()}
    tasks: dict[str, dict[str, Any]] = {}
    for (task, metric), column in found.items():
        tasks.setdefault(task, {})[metric] = row_of(column, ids[task, metric])
    disciplines, overall = by_discipline(found, ids)
    suites: dict[str, dict[str, Any]] = {}
    names = list(dict.fromkeys(_suite(task) for task, _ in found))
    for suite in names:
        mine = {key: column for key, column in found.items() if _suite(key[0]) == suite}
        pooled = (disciplines, overall) if len(names) == 1 else by_discipline(mine, ids)
        suites[suite] = dict(zip(("disciplines", "overall"), pooled, strict=True))
        if tags := by_tag(mine, ids):
            suites[suite]["tags"] = tags
    return {
        "schema": SCHEMA,
        "run": manifest["run"],
        "subject": manifest["subject"],
        "complete": all(not _missing(c) for metrics in tasks.values() for c in metrics.values()),
        "tasks": tasks,
        "disciplines": disciplines,
        "overall": overall,
        "suites": suites,
        **extra,
    }


def _suite(task: str) -> str:
    return task.partition("/")[0]


def _missing(row: Mapping[str, Any]) -> int:
    return int(row["counts"]["failed"]) + int(row["counts"]["unscored"])
