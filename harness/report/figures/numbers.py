"""Runs and published numbers -> the numbers behind one figure, and those numbers as CSV."""

from __future__ import annotations

import csv
import io
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from harness.report.results import Published, Run
from harness.tables import for_csv
from harness.types import DISCIPLINES

Origin = Literal["run", "published", "digitised"]
Note = tuple[str, Mapping[str, str]]
"""A sentence for below the figure: its key in `words`, and what is filled in."""

MEAN = "mean"
FIGURE_3 = ("ladder_score", "exact_match")
TOKENS = "tokens"


@dataclass(frozen=True, slots=True)
class Point:
    """One number of a figure: a score of 0-1, or tokens. `low` and `high` are None where no interval is known, `chance` where guessing has none."""

    value: float
    low: float | None = None
    high: float | None = None
    n: int | None = None
    chance: float | None = None
    origin: Origin = "run"
    comparison_id: str = ""


@dataclass(frozen=True, slots=True)
class Row:
    """One model: its label, its points by column, and where they come from (a run's folder, or a publication)."""

    label: str
    points: Mapping[str, Point]
    where: str
    ours: bool = True


@dataclass(frozen=True, slots=True)
class Numbers:
    """What a figure shows: columns (disciplines or metrics), rows from best to worst with measured ones first, and notes."""

    suite: str
    metric: str
    columns: Sequence[str]
    rows: Sequence[Row]
    notes: Sequence[Note] = field(default=())

    @property
    def origins(self) -> tuple[Origin, ...]:
        """Return the kinds of numbers that occur."""
        found = {point.origin for row in self.rows for point in row.points.values()}
        every: tuple[Origin, ...] = ("run", "published", "digitised")
        return tuple(origin for origin in every if origin in found)


def labels(runs: Sequence[Run]) -> dict[str, str]:
    """Return each run folder's label: the subject's name, with the end of the folder's name where two are called alike."""
    counts = Counter(run.name for run in runs)
    return {
        str(run.folder): run.name if counts[run.name] == 1 else f"{run.name} ({run.folder.name[-6:]})" for run in runs
    }


def by_metric(runs: Sequence[Run], published: Sequence[Published], suite: str) -> Numbers | None:
    """Return Ladder-Score and Exact Match by model (the paper's Figure 3); None when there is neither."""
    points: dict[str, dict[str, Point]] = {}
    notes: list[Note] = []
    for metric in FIGURE_3:
        mine, left = _alike(runs, suite, metric)
        for run in mine:
            point = _point(_overall(run, suite, metric)["micro"])
            if point:
                points.setdefault(str(run.folder), {})[metric] = point
        notes += _left(left, runs, metric)
    rows = [_run_row(run, points[str(run.folder)], runs, suite) for run in runs if str(run.folder) in points]
    theirs: dict[str, dict[str, Point]] = {}
    for one in published:
        if one.suite == suite and one.metric in FIGURE_3 and MEAN in one.values:
            theirs.setdefault(one.model, {})[one.metric] = Point(one.values[MEAN], origin=_origin(one.how[MEAN]))
    mine_too = [one for one in published if one.suite == suite and one.metric in FIGURE_3]
    rows += [_published_row(model, found, mine_too) for model, found in theirs.items()]
    if not rows:
        return None
    present = [metric for metric in FIGURE_3 if any(metric in row.points for row in rows)]
    notes += _absent(suite, present, rows, [run for run in runs if _has_suite(run, suite)], points, labels(runs))
    ordered = _ordered(rows, present)
    return Numbers(suite, "", present, ordered, [*notes, *_marks(ordered, mine_too, suite, runs)])


def by_discipline(runs: Sequence[Run], published: Sequence[Published], suite: str) -> Numbers | None:
    """Return one metric by the seven disciplines and their mean (the paper's Figure 4); None when no run has disciplines.

    The metric is accuracy, or the most frequent headline where nothing was scored by accuracy. A run's mean counts each
    discipline once.
    """
    there = [run for run in runs if run.summary.get("suites", {}).get(suite, {}).get("disciplines")]
    metric = _headline(there, suite)
    theirs = [one for one in published if one.suite == suite and one.metric == (metric or "accuracy")]
    if metric is None:
        return None
    mine, left = _alike(there, suite, metric)
    rows = []
    for run in mine:
        own = run.summary["suites"][suite]["disciplines"]
        found = {name: point for name in DISCIPLINES if (point := _point(own.get(name, {}).get(metric)))}
        mean = _point(_overall(run, suite, metric).get("macro"))
        if found:
            rows.append(_run_row(run, {**found, **({MEAN: mean} if mean else {})}, runs, suite))
    if not rows:
        return None
    for one in theirs:
        cells = {name: Point(value, origin=_origin(one.how[name])) for name, value in one.values.items()}
        rows.append(_published_row(one.model, cells, theirs))
    columns = [name for name in (*DISCIPLINES, MEAN) if any(name in row.points for row in rows)]
    notes: list[Note] = _left(left, runs, metric)
    ordered = _ordered(rows, [MEAN])
    return Numbers(suite, metric, columns, ordered, [*notes, *_marks(ordered, theirs, suite, runs)])


def by_tokens(runs: Sequence[Run], suite: str) -> Numbers | None:
    """Return one metric beside the output tokens per call; None with fewer than two runs whose providers told tokens."""
    mine = [run for run in runs if _has_suite(run, suite)]
    metric = _headline(mine, suite)
    if metric is None:
        return None
    alike, left = _alike(mine, suite, metric)
    rows, silent = [], []
    for run in alike:
        score, usage = _point(_overall(run, suite, metric)["micro"]), run.summary["usage"]
        if score and usage["tokens_out"] and usage["calls"]:
            tokens = Point(usage["tokens_out"] / usage["calls"], n=usage["calls"])
            rows.append(_run_row(run, {metric: score, TOKENS: tokens}, runs, suite))
        else:
            silent.append(labels(runs)[str(run.folder)])
    if len(rows) < 2:
        return None
    usage_note: Note = ("usage", {"models": ", ".join(silent)}) if silent else ("usage_all", {})
    ordered = _ordered(rows, [metric])
    notes = [usage_note, *_left(left, runs, metric), *_marks(ordered, [], suite, runs)]
    return Numbers(suite, metric, [metric, TOKENS], ordered, notes)


def as_csv(numbers: Numbers) -> str:
    """Return the numbers behind a figure, a line a number; no cell is a formula to a spreadsheet."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(
        ["suite", "metric", "column", "model", "value", "low", "high", "n", "chance", "origin", "from", "comparison_id"]
    )
    for row in numbers.rows:
        for column in numbers.columns:
            point = row.points.get(column)
            if point is None:
                continue
            what = (numbers.suite, column if column in FIGURE_3 else numbers.metric, column, row.label)
            figures = (point.value, point.low, point.high, point.n, point.chance)
            where = (point.origin, row.where, point.comparison_id)
            texts = [for_csv(text) for text in what], [for_csv(text) for text in where]
            writer.writerow([*texts[0], *("" if v is None else repr(v) for v in figures), *texts[1]])
    return out.getvalue()


# ------------------------------------------------------------------ rows


def _run_row(run: Run, points: Mapping[str, Point], runs: Sequence[Run], suite: str) -> Row:
    marks = (" †" if run.trained_on(suite) else "") + ("" if run.summary["complete"] else " *")
    return Row(labels(runs)[str(run.folder)] + marks, points, run.folder.name)


def _published_row(model: str, points: Mapping[str, Point], source: Sequence[Published]) -> Row:
    one = next(row for row in source if row.model == model)
    return Row(model + (" †" if one.trained_on else ""), points, one.source, ours=False)


def _point(row: Mapping[str, Any] | None) -> Point | None:
    if row is None or row["mean"] is None:
        return None
    return Point(
        float(row["mean"]), row["low"], row["high"], row["n"], row.get("chance"), "run", str(row["comparison_id"])
    )


def _origin(how: str) -> Origin:
    return "published" if how == "published" else "digitised"


def _ordered(rows: Sequence[Row], columns: Sequence[str]) -> list[Row]:
    """Return measured rows first, each part from best to worst by the first of `columns` that it has."""

    def level(row: Row) -> float:
        return next((row.points[c].value for c in columns if c in row.points), -1.0)

    return sorted(rows, key=lambda row: (not row.ours, -level(row), row.label))


# ------------------------------------------------------------------ which runs share a figure


def _has_suite(run: Run, suite: str) -> bool:
    return suite in run.summary.get("suites", {})


def _overall(run: Run, suite: str, metric: str) -> Mapping[str, Any]:
    found: Mapping[str, Any] = run.summary["suites"][suite]["overall"].get(metric, {})
    return found


def _headline(runs: Sequence[Run], suite: str) -> str | None:
    """Return the metric of the figures by discipline, None when no run has one."""
    tally: Counter[str] = Counter()
    for run in runs:
        names = [info["headline"] for task, info in run.manifest["tasks"].items() if task.partition("/")[0] == suite]
        tally.update(name for name in dict.fromkeys(names) if _overall(run, suite, name))
    if "accuracy" in tally:
        return "accuracy"
    return tally.most_common(1)[0][0] if tally else None


def _alike(runs: Sequence[Run], suite: str, metric: str) -> tuple[list[Run], list[Run]]:
    """Return the most runs whose number has one comparison id, and the others that have one too."""
    groups: dict[str, list[Run]] = {}
    for run in runs:
        micro = _overall(run, suite, metric).get("micro") if _has_suite(run, suite) else None
        if micro and micro["mean"] is not None:
            groups.setdefault(str(micro["comparison_id"]), []).append(run)
    if not groups:
        return [], []
    most = max(groups.values(), key=len)
    return most, [run for group in groups.values() if group is not most for run in group]


# ------------------------------------------------------------------ notes


def _left(left: Sequence[Run], runs: Sequence[Run], metric: str) -> list[Note]:
    names = labels(runs)
    said = ", ".join(names[str(run.folder)] for run in left)
    return [("left", {"metric": metric, "models": said})] if left else []


def _absent(
    suite: str,
    present: Sequence[str],
    rows: Sequence[Row],
    runs: Sequence[Run],
    points: Mapping[str, Any],
    names: Mapping[str, str],
) -> list[Note]:
    """Return which models lack a bar, and which metric nobody has."""
    notes: list[Note] = [("none", {"metric": metric, "suite": suite}) for metric in FIGURE_3 if metric not in present]
    without = [names[str(run.folder)] for run in runs if str(run.folder) not in points]
    for metric in present:
        lacking = [row.label for row in rows if metric not in row.points] + without
        if lacking:
            notes.append(("missing", {"metric": metric, "models": ", ".join(dict.fromkeys(lacking))}))
    return notes


def _marks(rows: Sequence[Row], theirs: Sequence[Published], suite: str, runs: Sequence[Run]) -> list[Note]:
    notes: list[Note] = []
    if any(row.label.endswith(("†", "† *")) for row in rows):
        notes.append(("trained", {}))
    shown = {row.where for row in rows if row.ours}
    if any(run.folder.name in shown and not run.summary["complete"] for run in runs):
        notes.append(("incomplete", {}))
    if not theirs or all(row.ours for row in rows):
        return notes
    notes.append(("others", {"suite": suite}))
    if any(one.metric == "ladder_score" for one in theirs):
        notes.append(("formula", {}))
    sources = dict.fromkeys(_short(one.source) for one in theirs)
    return [*notes, ("source", {"source": "; ".join(sources)})]


def _short(source: str) -> str:
    """Return the first statement of a source; the whole of it stands in the CSV."""
    head = source.partition(";")[0]
    stop = next((i for i in range(len(head) - 2) if head[i : i + 2] == ". " and head[i + 2].isupper()), len(head))
    return head[:stop].rstrip(".")
