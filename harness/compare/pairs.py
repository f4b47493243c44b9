"""Pairs of scores: which answers of two runs stand beside each other, and which have no counterpart and why."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from harness.baseline import Column, Place, Side, TaskScores
from harness.errors import UsageError


@dataclass(frozen=True, slots=True)
class Pairs:
    """What both runs have a score for, in the candidate's order.

    `places`, `baseline`, `candidate`, `clusters`: one entry a question, or a repeat of it. The rotations of a question are one entry, as
    in a summary: the mean over those that both runs have a score for. `rows` are the positions of these in the two columns, and `places`
    names the first of them. `unpaired` says why an answer has no counterpart, with the names of those answers.
    """

    places: Sequence[Place]
    baseline: Sequence[float]
    candidate: Sequence[float]
    clusters: Sequence[int]
    rows: Sequence[Sequence[tuple[int, int]]]
    unpaired: Mapping[str, Sequence[str]]

    @property
    def rotations(self) -> tuple[int, int]:
        """Return the fewest and the most rotations that an entry is the mean of."""
        sizes = {len(rows) for rows in self.rows}
        return min(sizes, default=1), max(sizes, default=1)

    @property
    def noun(self) -> str:
        """Return what is counted: answers, or questions where several answers to one are a single entry."""
        return "questions" if self.rotations[1] > 1 else "answers"


def join(baseline: TaskScores, candidate: TaskScores, metric: str) -> Pairs:
    """Return the pairs of two runs on one task and metric, a question at a time."""
    a, b = baseline.columns[metric], candidate.columns[metric]
    where = {place: row for row, place in enumerate(baseline.places)}
    unpaired: dict[str, list[str]] = {}
    kept: dict[tuple[str, int], list[tuple[int, int]]] = {}
    for row, place in enumerate(candidate.places):
        other = where.pop(place, None)
        if other is None:
            unpaired.setdefault("asked of the candidate only", []).append(shown(place))
            continue
        reasons = [*_missing("baseline", a, other), *_missing("candidate", b, row)]
        for reason in reasons:
            unpaired.setdefault(reason, []).append(shown(place))
        if not reasons:
            kept.setdefault(place[:2], []).append((other, row))
    if where:
        unpaired["asked of the baseline only"] = [shown(place) for place in where]
    questions = list(kept.values())
    first = [rows[0][1] for rows in questions]
    return Pairs(
        places=[candidate.places[row] for row in first],
        baseline=[_mean(a, [row for row, _ in rows]) for rows in questions],
        candidate=[_mean(b, [row for _, row in rows]) for rows in questions],
        clusters=[candidate.clusters[row] for row in first],
        rows=questions,
        unpaired=unpaired,
    )


def _missing(side: str, column: Column, row: int) -> Iterator[str]:
    if column.values[row] is None:
        yield f"{column.status[row]} in the {side}"


def _mean(column: Column, rows: Sequence[int]) -> float:
    values = [value for row in rows if (value := column.values[row]) is not None]
    if len(values) < len(rows):
        raise ValueError("a pair has two values")
    return sum(values) / len(values)


def shown(place: Place) -> str:
    """Return the name of an answer's place: the sample, and the repeat and the rotation where there are several."""
    sample, repeat, variant = place
    return sample + (f" repeat {repeat}" if repeat else "") + (f" rotation {variant}" if variant else "")


def shared(baseline: Side, candidate: Side) -> list[tuple[str, str]]:
    """Return the (task, metric) pairs that both runs have, headline first in each task; raise UsageError when there is none."""
    found = []
    for task, scores in candidate.tasks.items():
        known = baseline.tasks.get(task)
        if known is not None:
            names = [scores.headline, *(name for name in scores.columns if name != scores.headline)]
            found += [(task, name) for name in names if name in known.columns]
    if not found:
        raise UsageError(
            f"nothing to compare: {baseline.name} ({baseline.run}) answered {_listed(baseline.tasks)}; "
            f"{candidate.name} ({candidate.run}) answered {_listed(candidate.tasks)}"
        )
    return found


def _listed(names: Iterable[str]) -> str:
    return ", ".join(names) or "no task"
