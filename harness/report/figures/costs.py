"""Scores and what they took -> the numbers behind a figure: tokens, and money where a price is known."""

from __future__ import annotations

from collections.abc import Sequence

from harness.report.figures.numbers import (
    COST,
    TOKENS,
    Note,
    Numbers,
    Point,
    Row,
    alike,
    has_suite,
    headline,
    labels,
    left_out,
    marks,
    ordered,
    overall,
    point_of,
    run_row,
)
from harness.report.results import Run

PER = 1000
"""Costs are of so many answers: of one they would be hard to read."""


def by_tokens(runs: Sequence[Run], suite: str) -> Numbers | None:
    """Return one metric beside the output tokens per answer; None with fewer than two runs whose providers told tokens."""
    return _scatter(runs, suite, {str(run.folder): _tokens(run) for run in runs})


def by_cost(runs: Sequence[Run], suite: str) -> Numbers | None:
    """Return one metric beside the cost of 1,000 answers, a column a currency; runs without a price by their tokens.

    None with fewer than two runs, and where no run has a price.
    """
    found = {str(run.folder): _cost(run) or _tokens(run) for run in runs}
    numbers = _scatter(runs, suite, found)
    return numbers if numbers and any(column.startswith(COST) for column in numbers.columns) else None


def _tokens(run: Run) -> tuple[str, Point] | None:
    usage = run.summary["usage"]
    if not (usage["tokens_out"] and usage["calls"]):
        return None
    return TOKENS, Point(usage["tokens_out"] / usage["calls"], n=usage["calls"])


def _cost(run: Run) -> tuple[str, Point] | None:
    """Return the cost of 1,000 answers; None without a price, and for a price of nothing, which has no place on the axis."""
    usage = run.summary["usage"]
    if not (usage.get("cost") and usage["calls"]):
        return None
    return f"{COST}{usage['price']['currency']}", Point(PER * usage["cost"] / usage["calls"], n=usage["calls"])


def _scatter(runs: Sequence[Run], suite: str, found: dict[str, tuple[str, Point] | None]) -> Numbers | None:
    mine = [run for run in runs if has_suite(run, suite)]
    metric = headline(mine, suite)
    if metric is None:
        return None
    same, left = alike(mine, suite, metric)
    rows: list[Row] = []
    silent = []
    for run in same:
        score, taken = point_of(overall(run, suite, metric)["micro"]), found[str(run.folder)]
        if score and taken:
            rows.append(run_row(run, {metric: score, taken[0]: taken[1]}, runs, suite))
        else:
            silent.append(labels(runs)[str(run.folder)])
    if len(rows) < 2:
        return None
    taken_by = {name for row in rows for name in row.points if name != metric}
    columns = [metric, *sorted(taken_by - {TOKENS}), *sorted(taken_by & {TOKENS})]
    notes: list[Note] = [("priced", {})] if taken_by - {TOKENS} else []
    notes.append(("usage", {}))
    notes += [("silent", {"models": "; ".join(silent)})] if silent else []
    best_first = ordered(rows, [metric])
    notes += [*left_out(left, runs, metric), *marks(best_first, [], suite, runs)]
    return Numbers(suite, metric, columns, best_first, notes)
