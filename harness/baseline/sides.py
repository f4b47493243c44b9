"""One side of a comparison: a run's scores by task and metric, in the order in which they were asked."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from harness.errors import HarnessError
from harness.registry import get_metric
from harness.types import Status

Place = tuple[str, int, int]
"""What two runs are paired on, within a task: sample, repeat, variant."""


class InvalidRun(HarnessError):
    """A run's files contradict themselves; nothing can be concluded from it."""

    exit_code = 3


@dataclass(frozen=True, slots=True)
class Column:
    """One metric on one task, in the order of the task's places. `parts` is there for corpus metrics only."""

    metric: str
    comparison_id: str
    values: Sequence[float | None]
    status: Sequence[Status]
    parts: Mapping[str, Sequence[float]]


@dataclass(frozen=True, slots=True)
class TaskScores:
    """All scores of one task. `clusters` has a number a place: equal numbers are right or wrong together."""

    task: str
    headline: str
    places: Sequence[Place]
    clusters: Sequence[int]
    answers: Sequence[str | None]
    columns: Mapping[str, Column]


@dataclass(frozen=True, slots=True)
class Side:
    """A run as a comparison sees it. `folder` is None when it was read from a baseline file."""

    name: str
    run: str
    created: str
    identity: Mapping[str, str]
    tasks: Mapping[str, TaskScores]
    folder: Path | None = None

    @property
    def budget(self) -> str:
        """Return in words how many tokens an answer could have: the model's own budget, or what each task allows."""
        own = self.identity.get("own_max_tokens")
        return "what the task allows" if own is None else f"{int(own):,} tokens, its own budget"


def fits(metric: str, value: float | None, status: Status) -> bool:
    """Return whether a score may have this value with this status.

    None stands where a call failed or nothing could be scored. Of an answer that could not be read it stands too where less is
    better: a rate of faults says nothing of an answer that prescribes nothing.
    """
    if status == "ok" or get_metric(metric).higher_is_better:
        return (value is None) == (status in ("failed", "unscored"))
    return value is None or status not in ("failed", "unscored")


def said(value: float | None) -> str:
    """Return a value as a message names it."""
    return "not a number" if value is None else repr(value)


def numbered(labels: Iterable[str]) -> list[int]:
    """Return a number from 0 for each label, in order of appearance."""
    seen: dict[str, int] = {}
    return [seen.setdefault(label, len(seen)) for label in labels]
