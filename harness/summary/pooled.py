"""Scores pooled over a run's tasks: by discipline, over all of them, and by the values of each tag."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from harness.summary.columns import Column, merged
from harness.summary.estimates import macro_of, row_of
from harness.types import DISCIPLINES

Columns = Mapping[tuple[str, str], Column]
"""Columns by (task, metric)."""

Ids = Mapping[tuple[str, str], str]
"""Comparison ids by (task, metric)."""


def by_discipline(found: Columns, ids: Ids) -> tuple[dict[str, dict[str, Any]], dict[str, dict[str, Any]]]:
    """Return each metric by discipline, pooled over the run's tasks, and its micro and macro means over disciplines."""
    import numpy as np

    disciplines: dict[str, dict[str, Any]] = {}
    overall: dict[str, dict[str, Any]] = {}
    for metric, mine in _by_metric(found):
        pool = merged([column for _, column in mine])
        codes = np.frombuffer(pool.disciplines, dtype=np.int8)
        for code, name in enumerate(DISCIPLINES):
            keep = codes == code
            if keep.any():
                tasks = [t for t, column in mine if code in column.disciplines]
                disciplines.setdefault(name, {})[metric] = row_of(
                    pool, _joint_id([ids[t, metric] for t in tasks], name), keep
                )
        whole = _joint_id([ids[t, metric] for t, _ in mine], "all")
        overall[metric] = {"micro": row_of(pool, whole), "macro": macro_of(pool, whole)}
    return {name: disciplines[name] for name in DISCIPLINES if name in disciplines}, overall


def by_tag(found: Columns, ids: Ids) -> dict[str, dict[str, dict[str, Any]]]:
    """Return each metric by the values of each tag, pooled over tasks; only tags that have two values or more."""
    import numpy as np

    tags: dict[str, dict[str, dict[str, Any]]] = {}
    for metric, mine in _by_metric(found):
        pool = merged([column for _, column in mine])
        for tag, labels in pool.tags.items():
            for label in sorted(labels):
                keep = np.zeros(len(pool.values), dtype=bool)
                keep[np.frombuffer(labels[label], dtype=np.uintc)] = True
                tasks = [task for task, column in mine if label in column.tags.get(tag, {})]
                row = row_of(pool, _joint_id([ids[t, metric] for t in tasks], f"{tag}={label}"), keep)
                tags.setdefault(tag, {}).setdefault(label, {})[metric] = row
    return {tag: labels for tag, labels in tags.items() if len(labels) > 1}


def _by_metric(found: Columns) -> Iterator[tuple[str, list[tuple[str, Column]]]]:
    """Yield each metric with the tasks that it scores and their columns."""
    for metric in dict.fromkeys(name for _, name in found):
        yield metric, [(task, column) for (task, name), column in found.items() if name == metric]


def _joint_id(ids: Sequence[str], what: str) -> str:
    """Return the comparison id of a number pooled over several tasks: equal only when all of theirs are equal."""
    if len(ids) == 1 and what == "all":
        return ids[0]
    digest = hashlib.sha256("\n".join(sorted(ids)).encode()).hexdigest()[:12]
    return f"pooled:{what}|tasks:{len(ids)}|ids:{digest}"
