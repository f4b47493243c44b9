"""What the numbers behind a figure are, how runs become rows of them, which runs may share one, and the numbers as CSV."""

from __future__ import annotations

import csv
import io
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from harness.report.results import Published, Run, told_apart
from harness.tables import for_csv

Origin = Literal["run", "published", "digitised"]
Note = tuple[str, Mapping[str, str]]
"""A sentence for below the figure: its key in `words`, and what is filled in."""

MEAN = "mean"
FIGURE_3 = ("ladder_score", "exact_match")
TOKENS = "tokens"
COST = "cost:"
"""Before the currency in the name of a column."""


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
    """Return each run's label by its folder, told apart where two subjects are called alike."""
    return {str(run.folder): run.name for run in told_apart(runs)}


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


def run_row(run: Run, points: Mapping[str, Point], runs: Sequence[Run], suite: str) -> Row:
    """Return a run's row, marked † where it was trained on the suite and * where it is incomplete."""
    signs = (" †" if run.trained_on(suite) else "") + ("" if run.summary["complete"] else " *")
    return Row(labels(runs)[str(run.folder)] + signs, points, run.folder.name)


def published_row(model: str, points: Mapping[str, Point], source: Sequence[Published]) -> Row:
    """Return the row of a published model."""
    one = next(row for row in source if row.model == model)
    return Row(model + (" †" if one.trained_on else ""), points, one.source, ours=False)


def point_of(row: Mapping[str, Any] | None) -> Point | None:
    """Return an estimate of a summary as a point; None where there is no number."""
    if row is None or row["mean"] is None:
        return None
    return Point(
        float(row["mean"]), row["low"], row["high"], row["n"], row.get("chance"), "run", str(row["comparison_id"])
    )


def origin_of(how: str) -> Origin:
    """Return the kind of a published number."""
    return "published" if how == "published" else "digitised"


def ordered(rows: Sequence[Row], columns: Sequence[str]) -> list[Row]:
    """Return measured rows first, each part from best to worst by the first of `columns` that it has."""

    def level(row: Row) -> float:
        return next((row.points[c].value for c in columns if c in row.points), -1.0)

    return sorted(rows, key=lambda row: (not row.ours, -level(row), row.label))


# ------------------------------------------------------------------ which runs share a figure


def has_suite(run: Run, suite: str) -> bool:
    """Tell whether a run was asked a suite."""
    return suite in run.summary.get("suites", {})


def overall(run: Run, suite: str, metric: str) -> Mapping[str, Any]:
    """Return a run's micro and macro means of a metric over a suite; empty where it was not scored."""
    found: Mapping[str, Any] = run.summary["suites"][suite]["overall"].get(metric, {})
    return found


def headline(runs: Sequence[Run], suite: str) -> str | None:
    """Return the metric of the figures by discipline, None when no run has one."""
    tally: Counter[str] = Counter()
    for run in runs:
        names = [info["headline"] for task, info in run.manifest["tasks"].items() if task.partition("/")[0] == suite]
        tally.update(name for name in dict.fromkeys(names) if overall(run, suite, name))
    if "accuracy" in tally:
        return "accuracy"
    return tally.most_common(1)[0][0] if tally else None


def alike(runs: Sequence[Run], suite: str, metric: str) -> tuple[list[Run], list[Run]]:
    """Return the most runs whose number has one comparison id, and the others that have one too."""
    groups: dict[str, list[Run]] = {}
    for run in runs:
        micro = overall(run, suite, metric).get("micro") if has_suite(run, suite) else None
        if micro and micro["mean"] is not None:
            groups.setdefault(str(micro["comparison_id"]), []).append(run)
    if not groups:
        return [], []
    most = max(groups.values(), key=len)
    return most, [run for group in groups.values() if group is not most for run in group]


# ------------------------------------------------------------------ notes


def left_out(left: Sequence[Run], runs: Sequence[Run], metric: str) -> list[Note]:
    """Return a note on the runs that were asked in another way, if there are any."""
    names = labels(runs)
    said = "; ".join(names[str(run.folder)] for run in left)
    return [("left", {"metric": metric, "models": said})] if left else []


def without(runs: Sequence[Run], suite: str, metric: str) -> list[Note]:
    """Return a note on the runs of a suite that have no number of a metric, if there are any."""
    names = labels(runs)
    mine = [run for run in runs if has_suite(run, suite)]
    lacking = [names[str(r.folder)] for r in mine if (overall(r, suite, metric).get("micro") or {}).get("mean") is None]
    return [("missing", {"metric": metric, "models": "; ".join(lacking)})] if lacking else []


def absent(
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
            notes.append(("missing", {"metric": metric, "models": "; ".join(dict.fromkeys(lacking))}))
    return notes


def marks(rows: Sequence[Row], theirs: Sequence[Published], suite: str, runs: Sequence[Run]) -> list[Note]:
    """Return what the marks at names mean, and what to know of numbers of others."""
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
