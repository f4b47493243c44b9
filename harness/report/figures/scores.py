"""Scores -> the numbers behind a figure: by metric, by discipline, and by the labels that data give their questions."""

from __future__ import annotations

from collections.abc import Sequence

from harness.report.figures.numbers import (
    FIGURE_3,
    MEAN,
    Note,
    Numbers,
    Point,
    absent,
    alike,
    has_suite,
    headline,
    labels,
    left_out,
    marks,
    ordered,
    origin_of,
    overall,
    point_of,
    published_row,
    run_row,
    without,
)
from harness.report.results import Published, Run
from harness.types import DISCIPLINES


def by_metric(runs: Sequence[Run], published: Sequence[Published], suite: str) -> Numbers | None:
    """Return Ladder-Score and Exact Match by model (the paper's Figure 3); None when there is neither."""
    points: dict[str, dict[str, Point]] = {}
    notes: list[Note] = []
    for metric in FIGURE_3:
        mine, left = alike(runs, suite, metric)
        for run in mine:
            point = point_of(overall(run, suite, metric)["micro"])
            if point:
                points.setdefault(str(run.folder), {})[metric] = point
        notes += left_out(left, runs, metric)
    rows = [run_row(run, points[str(run.folder)], runs, suite) for run in runs if str(run.folder) in points]
    theirs: dict[str, dict[str, Point]] = {}
    for one in published:
        if one.suite == suite and one.metric in FIGURE_3 and MEAN in one.values:
            theirs.setdefault(one.model, {})[one.metric] = Point(one.values[MEAN], origin=origin_of(one.how[MEAN]))
    mine_too = [one for one in published if one.suite == suite and one.metric in FIGURE_3]
    rows += [published_row(model, found, mine_too) for model, found in theirs.items()]
    if not rows:
        return None
    present = [metric for metric in FIGURE_3 if any(metric in row.points for row in rows)]
    notes += absent(suite, present, rows, [run for run in runs if has_suite(run, suite)], points, labels(runs))
    best_first = ordered(rows, present)
    return Numbers(suite, "", present, best_first, [*notes, *marks(best_first, mine_too, suite, runs)])


def by_discipline(runs: Sequence[Run], published: Sequence[Published], suite: str) -> Numbers | None:
    """Return one metric by the seven disciplines and their mean (the paper's Figure 4); None when no run has disciplines.

    The metric is accuracy, or the most frequent headline where nothing was scored by accuracy. A run's mean counts each
    discipline once.
    """
    there = [run for run in runs if run.summary.get("suites", {}).get(suite, {}).get("disciplines")]
    metric = headline(there, suite)
    theirs = [one for one in published if one.suite == suite and one.metric == (metric or "accuracy")]
    if metric is None:
        return None
    mine, left = alike(there, suite, metric)
    rows = []
    for run in mine:
        own = run.summary["suites"][suite]["disciplines"]
        found = {name: point for name in DISCIPLINES if (point := point_of(own.get(name, {}).get(metric)))}
        mean = point_of(overall(run, suite, metric).get("macro"))
        if found:
            rows.append(run_row(run, {**found, **({MEAN: mean} if mean else {})}, runs, suite))
    if not rows:
        return None
    for one in theirs:
        cells = {name: Point(value, origin=origin_of(one.how[name])) for name, value in one.values.items()}
        rows.append(published_row(one.model, cells, theirs))
    columns = [name for name in (*DISCIPLINES, MEAN) if any(name in row.points for row in rows)]
    notes: list[Note] = [*without(runs, suite, metric), *left_out(left, runs, metric)]
    best_first = ordered(rows, [MEAN])
    return Numbers(suite, metric, columns, best_first, [*notes, *marks(best_first, theirs, suite, runs)])


def tags(runs: Sequence[Run], suite: str) -> list[str]:
    """Return the labels, such as difficulty, by which a suite's scores are summed up in these runs."""
    return list(
        dict.fromkeys(tag for run in runs for tag in run.summary.get("suites", {}).get(suite, {}).get("tags", {}))
    )


def by_tag(runs: Sequence[Run], suite: str, tag: str) -> Numbers | None:
    """Return one metric by the values of a tag, best run first over all questions; None when no run has it.

    Columns are named `tag=value`, numbers before words.
    """
    there = [run for run in runs if run.summary.get("suites", {}).get(suite, {}).get("tags", {}).get(tag)]
    metric = headline(there, suite)
    if metric is None:
        return None
    mine, left = alike(there, suite, metric)
    rows = []
    for run in sorted(mine, key=lambda run: -float(overall(run, suite, metric)["micro"]["mean"])):
        values = run.summary["suites"][suite]["tags"][tag]
        found = {f"{tag}={name}": point for name, row in values.items() if (point := point_of(row.get(metric)))}
        if found:
            rows.append(run_row(run, found, runs, suite))
    columns = sorted({name for row in rows for name in row.points}, key=_numbers_first)
    if len(columns) < 2:
        return None
    notes: list[Note] = [("tagged", {"tag": tag}), *left_out(left, runs, metric), *marks(rows, [], suite, runs)]
    return Numbers(suite, metric, columns, rows, notes)


def _numbers_first(column: str) -> tuple[bool, float, str]:
    value = column.partition("=")[2]
    try:
        return False, float(value), value
    except ValueError:
        return True, 0.0, value
