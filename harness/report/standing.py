"""Which numbers of a table stand out: the best of each column against every other, paired, corrected for all tests of the table."""

from __future__ import annotations

import hashlib
from array import array
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Any

from harness.registry import get_metric
from harness.report.results import Run
from harness.store import read_scores
from harness.summary import Column, merged, once_each
from harness.tables import Cell, Emphasis
from harness.types import DISCIPLINES

ALPHA = 0.05
Row = tuple[Run, Sequence[Cell]]


@dataclass(frozen=True, slots=True)
class Asked:
    """What the numbers of a column are made of: one metric over tasks, in one discipline or in all.

    With `macro` each discipline counts once.
    """

    tasks: tuple[str, ...]
    metric: str
    discipline: str | None = None
    macro: bool = False


@dataclass(slots=True)
class _Held:
    """One metric on one task: its scores, and a number for the answer that each belongs to."""

    column: Column
    places: array[int] = field(default_factory=lambda: array("Q"))


def marked(rows: Sequence[Row], columns: Sequence[Asked], suite: str) -> tuple[list[Row], str]:
    """Return the rows with outstanding cells emphasised, and a sentence that says what that means; "" when nothing was tested.

    A number is bold when it is significantly better than every other of its column. Where none is, the best and all that do
    not differ significantly from it are italic. Runs trained on the suite and incomplete ones take no part.
    """
    from harness import stats

    tests: list[tuple[int, int, int, float]] = []  # column, best row, other row, p
    wanted = {(task, asked.metric) for asked in columns for task in asked.tasks}
    scores = cache(lambda folder: _held(folder, wanted))
    for c, asked in enumerate(columns):
        able = [r for r, (run, cells) in enumerate(rows) if _takes_part(run, cells[c], suite)]
        if len(able) < 2:
            continue
        better = get_metric(asked.metric).higher_is_better
        best = max(able, key=lambda r, c=c, better=better: _level(rows[r][1][c], better=better))  # type: ignore[misc]
        first = rows[best][0]
        tests += [(c, best, r, _p(scores(first.folder), scores(rows[r][0].folder), asked)) for r in able if r != best]
    if not tests:
        return list(rows), ""
    signs: dict[tuple[int, int], Emphasis] = {}
    significant = [p < ALPHA for p in stats.holm([p for *_, p in tests])]
    for c in {c for c, *_ in tests}:
        mine = [
            (best, other, sure)
            for (column, best, other, _), sure in zip(tests, significant, strict=True)
            if column == c
        ]
        best = mine[0][0]
        if all(sure for *_, sure in mine):
            signs[best, c] = "bold"
        else:
            signs |= {(r, c): "italic" for r in (best, *(other for _, other, sure in mine if not sure))}
    emphasised: list[Row] = [
        (run, [replace(cell, emphasis=signs.get((r, c), "")) for c, cell in enumerate(cells)])
        for r, (run, cells) in enumerate(rows)
    ]
    return emphasised, _legend(len(tests))


def _legend(tests: int) -> str:
    test = f"Paired tests at {ALPHA:g}, Holm's correction over the {tests} comparisons of this table"
    return (
        "Bold: significantly better than every other run in the column. Italic, where none is: the best, and all that do "
        f"not differ significantly from it. {test if tests > 1 else f'Paired test at {ALPHA:g}'}; runs marked † or * take no part."
    )


def _takes_part(run: Run, cell: Cell, suite: str) -> bool:
    return cell.value is not None and run.summary["complete"] and not run.trained_on(suite)


def _level(cell: Cell, *, better: bool) -> float:
    value = cell.value if cell.value is not None else 0.0
    return value if better else -value


def _p(ours: Scores, theirs: Scores, asked: Asked) -> float:
    """Return the p-value of "these two runs are equally good", over the answers that both gave."""
    import numpy as np

    from harness import stats

    metric = get_metric(asked.metric)
    a, b = _pooled(ours, asked), _pooled(theirs, asked)
    _, at_a, at_b = np.intersect1d(a.places, b.places, return_indices=True)
    first, second = a.rows(at_a), b.rows(at_b)
    there = ~(np.isnan(first["values"]) | np.isnan(second["values"]))
    if asked.discipline is not None:
        there &= first["disciplines"] == DISCIPLINES.index(asked.discipline)
    if asked.macro:
        there &= first["disciplines"] >= 0
    if not there.any():
        return 1.0
    clusters = first["groups"][there]
    if metric.combine is not None:
        return stats.compare_corpus(
            first["parts"][there], second["parts"][there], metric.combine, clusters, bounds=metric.range
        ).p_value
    before, after, strata = first["values"][there], second["values"][there], first["disciplines"][there]
    if a.column.rotated:  # a question counts once, as in a summary
        kept = first["questions"][there]
        before, after, clusters, strata = once_each(kept, [before, after], [clusters, strata])
    return stats.compare(before, after, clusters, strata=strata if asked.macro else None, bounds=metric.range).p_value


Scores = dict[tuple[str, str], _Held]


@dataclass(frozen=True, slots=True)
class _Pool:
    """Scores of several tasks as arrays; `places` shape (n,)."""

    places: Any
    column: Column

    def rows(self, at: Any) -> dict[str, Any]:
        """Return the rows at these positions, array by array."""
        import numpy as np

        column = self.column
        parts = [np.frombuffer(column.parts[name], dtype=np.float64)[at] for name in column.names]
        return {
            "values": np.frombuffer(column.values, dtype=np.float64)[at],
            "groups": np.frombuffer(column.groups, dtype=np.uint64)[at],
            "disciplines": np.frombuffer(column.disciplines, dtype=np.int8)[at],
            "questions": np.frombuffer(column.questions, dtype=np.uint32)[at],
            "parts": np.column_stack(parts) if parts else None,
        }


def _pooled(held: Scores, asked: Asked) -> _Pool:
    import numpy as np

    mine = [held[task, asked.metric] for task in asked.tasks if (task, asked.metric) in held]
    places = np.concatenate([np.frombuffer(one.places, dtype=np.uint64) for one in mine])
    return _Pool(places, merged([one.column for one in mine]))


def _held(folder: Path, wanted: set[tuple[str, str]]) -> Scores:
    """Return a run's scores by (task, metric), about 30 bytes a score."""
    found: Scores = {}
    for score in read_scores(folder / "scores.jsonl"):
        key = (score.task, score.metric)
        if key not in wanted:
            continue
        if key not in found:
            metric = get_metric(score.metric)
            found[key] = _Held(Column(score.metric, names=metric.parts if metric.combine else ()))
        found[key].column.add(score)
        found[key].places.append(_number((score.task, score.sample, str(score.repeat), str(score.variant))))
    return found


def _number(parts: Iterable[str]) -> int:
    return int.from_bytes(hashlib.blake2b("\x1f".join(parts).encode("utf-8", "replace"), digest_size=8).digest(), "big")
