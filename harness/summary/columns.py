"""A run's scores as columns of numbers: about 60 bytes a score, and no texts."""

from __future__ import annotations

import hashlib
from array import array
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from harness.registry import get_metric
from harness.types import DISCIPLINES, STATUSES, Score

CODES = {status: code for code, status in enumerate(STATUSES)}
"""The number that each status has in a column."""

MOST_LABELS = 24
"""A tag with more values than this sorts nothing: such as an id or a free remark."""


@dataclass(slots=True)
class Column:
    """All scores of one metric on one task, or pooled over tasks: a value, a status, a group and a discipline each.

    `tags`: the rows that carry each value of each tag; tags that prove to have more than `MOST_LABELS` values are `crowded` instead.
    `questions` numbers the rows' questions: the rotations of one, which follow each other, have one number.
    """

    metric: str
    values: array[float] = field(default_factory=lambda: array("d"))
    status: array[int] = field(default_factory=lambda: array("B"))
    groups: array[int] = field(default_factory=lambda: array("Q"))
    disciplines: array[int] = field(default_factory=lambda: array("b"))
    parts: dict[str, array[float]] = field(default_factory=dict)
    chance: array[float] = field(default_factory=lambda: array("d"))
    names: tuple[str, ...] = ()
    tags: dict[str, dict[str, array[int]]] = field(default_factory=dict)
    crowded: set[str] = field(default_factory=set)
    questions: array[int] = field(default_factory=lambda: array("I"))
    rotated: bool = False

    def add(self, score: Score) -> None:
        """Take one score in."""
        for tag, label in score.tags.items():
            self._label(tag, label, (len(self.values),))
        self.rotated |= score.variant > 0
        self.questions.append((self.questions[-1] if self.questions else 0) + (score.variant == 0))
        self.values.append(float("nan") if score.value is None else score.value)
        self.status.append(CODES[score.status])
        self.groups.append(_cluster(score))
        self.disciplines.append(DISCIPLINES.index(score.discipline) if score.discipline in DISCIPLINES else -1)
        for name in self.names:
            self.parts.setdefault(name, array("d")).append(score.parts.get(name, 0.0))
        self.chance.append(score.parts.get("chance", float("nan")))

    def extend(self, other: Column) -> None:
        """Take all scores of another column of the same metric in."""
        first = len(self.values)
        for tag in other.crowded:
            self._give_up(tag)
        for tag, labels in other.tags.items():
            for label, rows in labels.items():
                self._label(tag, label, [first + row for row in rows])
        last = self.questions[-1] if self.questions else 0
        self.questions.extend(last + question for question in other.questions)
        self.rotated |= other.rotated
        self.values.extend(other.values)
        self.status.extend(other.status)
        self.groups.extend(other.groups)
        self.disciplines.extend(other.disciplines)
        self.chance.extend(other.chance)
        for name in self.names:
            self.parts.setdefault(name, array("d")).extend(other.parts[name])

    def _label(self, tag: str, label: str, rows: Iterable[int]) -> None:
        if tag in self.crowded:
            return
        labels = self.tags.setdefault(tag, {})
        labels.setdefault(label, array("I")).extend(rows)
        if len(labels) > MOST_LABELS:
            self._give_up(tag)

    def _give_up(self, tag: str) -> None:
        self.tags.pop(tag, None)
        self.crowded.add(tag)


def _cluster(score: Score) -> int:
    """Return a number for the score's cluster. Equal questions are one cluster everywhere, named groups within a suite."""
    if score.group is None:
        name = f"id:{score.task}\x1f{score.sample}"
    else:
        name = score.group if score.group.startswith("=") else f"{score.task.partition('/')[0]}:{score.group}"
    return int.from_bytes(hashlib.blake2b(name.encode("utf-8", "replace"), digest_size=8).digest(), "big")


def columns(scores: Iterable[Score]) -> dict[tuple[str, str], Column]:
    """Return the scores as columns by (task, metric)."""
    found: dict[tuple[str, str], Column] = {}
    for score in scores:
        key = (score.task, score.metric)
        column = found.get(key)
        if column is None:
            metric = get_metric(score.metric)
            column = found[key] = Column(score.metric, names=metric.parts if metric.combine else ())
        column.add(score)
    return found


def merged(parts: Sequence[Column]) -> Column:
    """Return the scores of several columns of one metric as one column; a single one is given back as it is."""
    if len(parts) == 1:
        return parts[0]
    pool = Column(parts[0].metric, names=parts[0].names)
    for part in parts:
        pool.extend(part)
    return pool
