"""Runs -> leaderboard tables: models by task and by discipline, with intervals, counts and published numbers set apart.

Numbers share a column only when their comparison ids are equal. A model known to have been trained on a suite is marked † and
gets no rank there.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from harness.report.alike import boards, parts
from harness.report.results import Published, Run, told_apart
from harness.report.rotations import by_rotation
from harness.report.standing import Asked, Row, marked
from harness.tables import Cell, Name, Table
from harness.types import DISCIPLINES, STATUSES

TRAINED = "†"
INCOMPLETE = "*"
NOT_ACCEPTED = "‡"
OWN_BUDGET = "§"


def build(
    runs: Sequence[Run], published: Sequence[Published] = (), metric: str | None = None, *, tested: bool = False
) -> list[Table]:
    """Return the tables of a leaderboard: per suite by task, by discipline and counts, then what others published of these suites.

    `metric` stands in for each task's headline where the task has it. With `tested`, numbers that stand out significantly are
    emphasised, for which the runs' scores are read; published numbers never are, for they cannot be tested.
    """
    tables: list[Table] = []
    suites = boards(told_apart(runs))
    for suite, groups in suites.items():
        for asked, group in groups:
            way = f" ({asked})" if asked else ""
            tables.append(_by_task(suite, group, way, metric, tested=tested))
            by_discipline = _by_discipline(suite, group, way, metric or "accuracy", tested=tested)
            tables += [table for table in (by_discipline, by_rotation(suite, group, way)) if table]
        tables.append(_counts(suite, [run for _, group in groups for run in group]))
    return tables + _published([one for one in published if one.suite in suites])


def _shown(run: Run, task: str, metric: str | None) -> str:
    """Return the metric that stands for a task: the asked one where the task has it, else its headline."""
    headline = str(run.manifest["tasks"][task]["headline"])
    return metric if metric in run.summary["tasks"][task] and metric is not None else headline


def _by_task(suite: str, runs: Sequence[Run], way: str, chosen: str | None, *, tested: bool) -> Table:
    columns: dict[tuple[str, str, str], None] = {}
    for run in runs:
        for task, metrics in run.summary["tasks"].items():
            if task.partition("/")[0] == suite:
                shown = _shown(run, task, chosen)
                columns[task, shown, metrics[shown]["comparison_id"]] = None
    ordered = sorted(columns)
    names, legend = _column_names(ordered, runs)
    rows: list[Row] = []
    for run in runs:
        cells = [_cell(run.summary["tasks"].get(task, {}).get(metric), cid, run) for task, metric, cid in ordered]
        rows.append((run, cells))
    said = ""
    if tested:
        rows, said = marked(rows, [Asked((task,), metric) for task, metric, _ in ordered], suite)
    notes = [*legend, *_floors(ordered, runs), *_marks(runs, suite)]
    metrics = [(task, metric) for task, metric, _ in ordered]
    return Table(f"{suite} — by task{way}", names, _ranked(rows, suite), notes, legend=said, asked=metrics)


CLINICAL = ("herb_", "slot_", "safety_", "dose_")


def _floors(columns: Sequence[tuple[str, str, str]], runs: Sequence[Run]) -> list[str]:
    """Return what each run's texts reach against shuffled references, and the caution that clinical numbers need."""
    notes = []
    for run in runs:
        reached = run.summary.get("floors", {})
        said = [f"{t.partition('/')[2]} {m} {reached[t][m]:.3f}" for t, m, _ in columns if m in reached.get(t, {})]
        if said:
            notes.append(f"{run.name}, its texts scored against shuffled references: {', '.join(said)}")
    if any(metric.startswith(CLINICAL) for _, metric, _ in columns):
        notes.append("Clinical metrics are for research, not medical advice.")
    return notes


def _column_names(columns: Sequence[tuple[str, str, str]], runs: Sequence[Run]) -> tuple[list[str], list[str]]:
    """Return the columns' names, with a letter where one task was asked in several ways, and what those ways are."""
    names, legend = [], []
    for task, metric, cid in columns:
        ways = [c for t, m, c in columns if (t, m) == (task, metric)]
        name = f"{task.partition('/')[2]} {metric}"
        if len(ways) > 1:
            letter = chr(ord("a") + ways.index(cid))
            name += f" ({letter})"
            legend.append(f"{task} ({letter}): {_differs(cid, ways)}")
        chance = _chance(task, metric, cid, runs)
        names.append(f"{name}, chance {chance:.2f}" if chance is not None else name)
    return names, legend


def _differs(cid: str, ways: Sequence[str]) -> str:
    """Return the parts of a comparison id in which it is not like the others."""
    shared = set.intersection(*(set(parts(way)) for way in ways))
    return ", ".join(part for part in parts(cid) if part not in shared)


def _chance(task: str, metric: str, cid: str, runs: Sequence[Run]) -> float | None:
    for run in runs:
        row = run.summary["tasks"].get(task, {}).get(metric)
        if row and row["comparison_id"] == cid and "chance" in row:
            return float(row["chance"])
    return None


def _cell(row: Mapping[str, Any] | None, cid: str | None, run: Run) -> Cell:
    if row is None or (cid is not None and row["comparison_id"] != cid):
        return Cell()
    counts = row.get("counts", {})
    marks = INCOMPLETE if counts.get("failed") or counts.get("unscored") else ""
    if run.summary.get("not_accepted"):
        marks += NOT_ACCEPTED
    if run.own_max_tokens:
        marks += OWN_BUDGET
    detail = {k: row[k] for k in ("se", "n", "n_groups", "counts", "comparison_id") if k in row}
    return Cell(row["mean"], row["low"], row["high"], marks=marks, detail=detail)


def _ranked(rows: Sequence[tuple[Run, Sequence[Cell]]], suite: str) -> list[tuple[Name, Sequence[Cell]]]:
    """Return rows from best to worst by the mean of their cells; only rows with every cell, untrained on the suite, get a rank.

    Rows with the same mean have the same rank, and the next one is as far down as if they had not.
    """

    def whole(cells: Sequence[Cell]) -> bool:
        return all(cell.value is not None and INCOMPLETE not in cell.marks for cell in cells)

    def level(cells: Sequence[Cell]) -> float:
        values = [cell.value for cell in cells if cell.value is not None]
        return sum(values) / len(values) if values else -1.0

    ordered = sorted(rows, key=lambda r: (not whole(r[1]), -level(r[1]), r[0].name))
    levels = sorted((level(cells) for run, cells in rows if whole(cells) and not run.trained_on(suite)), reverse=True)
    out = []
    for run, cells in ordered:
        seen = run.trained_on(suite)
        place = levels.index(level(cells)) + 1 if whole(cells) and not seen else None
        out.append((Name(run.name, place or "–", TRAINED if seen else ""), cells))
    return out


def _by_discipline(suite: str, runs: Sequence[Run], way: str, metric: str, *, tested: bool) -> Table | None:
    there = [run for run in runs if run.summary.get("suites", {}).get(suite, {}).get("disciplines")]
    groups: dict[str, list[Run]] = {}
    for run in there:
        overall = run.summary["suites"][suite]["overall"].get(metric)
        if overall:
            groups.setdefault(overall["micro"]["comparison_id"], []).append(run)
    if not groups:
        return None
    most = max(groups.values(), key=len)
    columns = [*DISCIPLINES, "macro", "micro"]
    rows = []
    for run in most:
        own = run.summary["suites"][suite]
        cells = [_cell(own["disciplines"].get(name, {}).get(metric), None, run) for name in DISCIPLINES]
        cells += [_cell(own["overall"][metric][kind], None, run) for kind in ("macro", "micro")]
        rows.append((run, cells))
    kept = [i for i in range(len(columns)) if any(cells[i].value is not None for _, cells in rows)]
    shown: list[Row] = [(run, [cells[i] for i in kept]) for run, cells in rows]
    said = ""
    if tested:
        tasks = tuple(
            t for t, found in most[0].summary["tasks"].items() if t.partition("/")[0] == suite and metric in found
        )
        asked = [_asked(tasks, metric, columns[i]) for i in kept]
        shown, said = marked(shown, asked, suite)
    said_of = {"macro": "each discipline counts once", "micro": "each question counts once"}
    means = [f"{name}: {said_of[name]}" for name in (columns[i] for i in kept) if name in said_of]
    notes = [f"{'; '.join(means)}."] if means else []
    left = [run.name for group in groups.values() if group is not most for run in group]
    if left:
        notes.append(f"Not here, for they were asked other questions or in another way: {'; '.join(left)}.")
    title, ranked, metrics = f"{suite} — {metric} by discipline{way}", _ranked(shown, suite), [("", metric)] * len(kept)
    heads, notes = [columns[i] for i in kept], [*notes, *_marks(most, suite)]
    return Table(title, heads, ranked, notes, legend=said, asked=metrics)


def _asked(tasks: tuple[str, ...], metric: str, column: str) -> Asked:
    return Asked(tasks, metric, column if column in DISCIPLINES else None, macro=column == "macro")


def _counts(suite: str, runs: Sequence[Run]) -> Table:
    rows = []
    for run in runs:
        total = dict.fromkeys(STATUSES, 0)
        for task, metrics in run.summary["tasks"].items():
            if task.partition("/")[0] == suite:
                for status, n in metrics[run.manifest["tasks"][task]["headline"]]["counts"].items():
                    total[status] += n
        answered = sum(total.values()) - total["failed"]
        cells = [Cell(text=str(answered)), *(Cell(text=str(total[status])) for status in STATUSES)]
        rows.append((run.name, cells))
    notes = [
        "unparsed, truncated and refused answers count 0 in the means; failed calls and unscored answers are left out."
    ]
    return Table(f"{suite} — answers by status", ["answered", *STATUSES], rows, notes, kind="counts")


def _marks(runs: Sequence[Run], suite: str) -> list[str]:
    notes = []
    if any(run.trained_on(suite) for run in runs):
        notes.append(f"{TRAINED} facts seen in training: shown, not ranked.")
    if any(not run.summary["complete"] for run in runs):
        notes.append(f"{INCOMPLETE} incomplete: some calls failed or some answers could not be scored.")
    refused = ((run.name, run.summary.get("not_accepted")) for run in runs)
    notes += [f"{NOT_ACCEPTED} {name} did not accept: {', '.join(fields)}." for name, fields in refused if fields]
    budgets = ((run.name, run.own_max_tokens) for run in runs)
    notes += [
        f"{OWN_BUDGET} {name} was allowed {own:,} tokens an answer, its own budget." for name, own in budgets if own
    ]
    return notes


def _published(rows: Sequence[Published]) -> list[Table]:
    tables = []
    for source in dict.fromkeys((row.suite, row.metric, row.source) for row in rows):
        mine = [row for row in rows if (row.suite, row.metric, row.source) == source]
        columns = list(dict.fromkeys(name for row in mine for name in row.values))
        suite, metric, text = source
        drawn = []
        for row in mine:
            cells = [
                Cell(text=f"{row.values[c]:.3f}{'' if row.how[c] == 'published' else ' ~'}")
                if c in row.values
                else Cell()
                for c in columns
            ]
            drawn.append((Name(row.model, marks=TRAINED if row.trained_on else ""), cells))
        read = any(how != "published" for row in mine for how in row.how.values())
        notes = [f"Source: {text}"]
        notes.append(f"{'~ digitised from a figure. ' if read else ''}None of these numbers was reproduced here.")
        if any(row.trained_on for row in mine):
            notes.append(f"{TRAINED} facts seen in training.")
        notes += [f"{row.model}: {row.note}." for row in mine if row.note and not row.trained_on]
        title, asked = f"{suite} — {metric} — PUBLISHED BY OTHERS, not measured here", [("", metric)] * len(columns)
        tables.append(Table(title, columns, drawn, notes, kind="published", asked=asked))
    return tables
