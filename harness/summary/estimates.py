"""What a column of scores comes to: a mean with its interval, the counts by status, and a row of `summary.json`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from harness.registry import get_metric
from harness.summary.columns import CODES, Column
from harness.types import Estimate


def row_of(column: Column, comparison_id: str, keep: Any = None) -> dict[str, Any]:
    """Return an estimate as it stands in a summary, with the level of guessing where the metric knows one."""
    import numpy as np

    row = asdict(estimate(column, comparison_id, keep))
    levels = np.frombuffer(column.chance, dtype=np.float64)
    levels = levels[~np.isnan(levels) if keep is None else keep & ~np.isnan(levels)]
    if len(levels):
        row["chance"] = float(levels.mean())
    return row


def macro_of(pool: Column, comparison_id: str) -> dict[str, Any] | None:
    """Return the mean over disciplines, each counting once; None with fewer than two disciplines or for corpus metrics."""
    import numpy as np

    from harness import stats

    metric = get_metric(pool.metric)
    values = np.frombuffer(pool.values, dtype=np.float64)
    codes = np.frombuffer(pool.disciplines, dtype=np.int8)
    there = (codes >= 0) & ~np.isnan(values)
    if metric.combine is not None or len(np.unique(codes[there])) < 2:
        return None
    each, groups, strata = _each_question(pool, there, values, np.frombuffer(pool.groups, dtype=np.uint64), codes)
    found = stats.estimate(each, groups, strata=strata, bounds=metric.range)
    row = {name: _number(getattr(found, name)) for name in ("mean", "se", "low", "high")}
    return {
        **row,
        "level": found.level,
        "n": found.n,
        "n_groups": found.n_groups,
        "disciplines": len(np.unique(strata)),
        "comparison_id": f"macro|{comparison_id}",
    }


def estimate(column: Column, comparison_id: str, keep: Any = None) -> Estimate:
    """Return the estimate of one column, or of the rows that the boolean array `keep` of shape (n,) selects.

    The mean is over all answered samples: unparsed, truncated and refused ones count as they were valued (0 unless a cut text
    earned something); failed and unscored ones are left out and counted. A question that was asked in several rotations counts once,
    with the mean over them; `counts` counts every answer.
    """
    import numpy as np

    from harness import stats

    values = np.frombuffer(column.values, dtype=np.float64)
    status = np.frombuffer(column.status, dtype=np.uint8)
    groups = np.frombuffer(column.groups, dtype=np.uint64)
    chosen = np.ones(len(values), dtype=bool) if keep is None else keep
    tally = np.bincount(status[chosen], minlength=len(CODES))
    counts: dict[str, int] = {name: int(tally[code]) for name, code in CODES.items()}
    there = chosen & ~np.isnan(values)
    if not there.any():
        return Estimate(None, None, None, None, 0.95, 0, 0, counts, None, comparison_id)
    metric = get_metric(column.metric)
    parsed = there & (status == CODES["ok"])
    if metric.combine is not None:
        table = np.column_stack([np.frombuffer(column.parts[name], dtype=np.float64) for name in metric.parts])
        found = stats.bootstrap(table[there], metric.combine, groups[there])
        mean_parsed = float(metric.combine(table[parsed].sum(axis=0, keepdims=True))[0]) if parsed.any() else None
    else:
        found = stats.estimate(*_each_question(column, there, values, groups), bounds=metric.range)
        mean_parsed = float(_each_question(column, parsed, values)[0].mean()) if parsed.any() else None
    return Estimate(
        _number(found.mean),
        _number(found.se),
        _number(found.low),
        _number(found.high),
        found.level,
        int(found.n),
        int(found.n_groups),
        counts,
        mean_parsed,
        comparison_id,
    )


def _each_question(column: Column, keep: Any, values: Any, *labels: Any) -> list[Any]:
    """Return the kept values, a mean for the rotations of each question, and each question's labels; arrays of one length."""
    import numpy as np

    if not column.rotated:
        whole = bool(keep.all())  # a copy of a million numbers is not for nothing
        return [one if whole else one[keep] for one in (values, *labels)]
    questions = np.frombuffer(column.questions, dtype=np.uint32)[keep]
    return once_each(questions, [values[keep]], [one[keep] for one in labels])


def once_each(questions: Any, values: Sequence[Any], labels: Sequence[Any]) -> list[Any]:
    """Return a row for each question instead of one for each rotation: means of the values, the first of the labels; shapes (n,)."""
    import numpy as np

    _, first, places = np.unique(questions, return_index=True, return_inverse=True)
    counts = np.bincount(places)
    return [*(np.bincount(places, weights=one) / counts for one in values), *(one[first] for one in labels)]


def _number(value: float | None) -> float | None:
    return None if value is None else float(value)
