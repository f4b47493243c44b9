"""Scores -> `summary.json`: estimates with intervals, counts by status, and the comparison id of every number."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from harness.store import SCHEMA
from harness.summary.columns import MOST_LABELS, Column, columns, merged
from harness.summary.estimates import row_of
from harness.summary.pooled import by_discipline, by_tag
from harness.types import Score

__all__ = ["MOST_LABELS", "Column", "cost", "merged", "of"]


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


def cost(usage: Mapping[str, Any], price: Mapping[str, Any] | None) -> dict[str, Any]:
    """Return what all answers cost at a price per million tokens, and that price; nothing where no price is known.

    The cost is None where the provider told no tokens. Adopted answers are priced too: it is what the answers are worth. What came
    through a batch interface cost half.
    """
    if price is None:
        return {}
    told = usage["tokens_in"] and usage["tokens_out"]
    spent = (usage["tokens_in"] * price["input"] + usage["tokens_out"] * price["output"]) / 1e6
    halved = usage.get("batch_tokens_in", 0) * price["input"] + usage.get("batch_tokens_out", 0) * price["output"]
    return {"cost": spent - halved / 2e6 if told else None, "price": dict(price)}
