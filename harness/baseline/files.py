"""The side that a baseline file holds: reading it with suspicion, writing it in one step.

A baseline file has what pairing needs and no texts: sample ids, clusters, scores, the exceptions among the statuses, and the
short answers (letters, blanks). So the old run's folder may be gone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import orjson
from pydantic import Field, ValidationError, model_validator

from harness.baseline.sides import Column, Place, Side, TaskScores, fits, numbered, said
from harness.errors import UsageError
from harness.specs import Closed
from harness.store import SCHEMA, read_json, write_lines
from harness.types import Status

KIND = "tcm-eval baseline"

Number = Annotated[float, Field(allow_inf_nan=False)]


class ColumnInFile(Closed):
    """One metric: a value a sample, null where there is none; `status` lists the places of all that is not `ok`."""

    metric: str
    comparison_id: str
    values: tuple[Number | None, ...]
    status: Mapping[Status, tuple[int, ...]] = {}
    parts: Mapping[str, tuple[Number, ...]] = {}


class TaskInFile(Closed):
    """One task. `repeats`, `variants`, `clusters` and `answers` are left out where they say nothing."""

    task: str
    headline: str
    samples: tuple[str, ...]
    repeats: tuple[int, ...] | None = None
    variants: tuple[int, ...] | None = None
    clusters: tuple[int, ...] | None = None
    answers: tuple[str | None, ...] | None = None
    columns: tuple[ColumnInFile, ...]

    @model_validator(mode="after")
    def _whole(self) -> TaskInFile:
        n = len(self.samples)
        rows: list[tuple[str, Sequence[Any] | None]] = [
            (name, getattr(self, name)) for name in ("repeats", "variants", "clusters", "answers")
        ]
        for column in self.columns:
            rows += [(column.metric, column.values), *((f"{column.metric} {p}", v) for p, v in column.parts.items())]
        for name, values in rows:
            if values is not None and len(values) != n:
                raise ValueError(f"{self.task}: {len(values)} {name} for {n} samples")
        names = [column.metric for column in self.columns]
        if len(set(names)) != len(names):
            raise ValueError(f"{self.task}: a metric is named twice: {', '.join(names)}")
        if self.headline not in names:
            raise ValueError(f"{self.task}: no scores of its headline metric {self.headline}")
        if any(not 0 <= i < n for c in self.columns for places in c.status.values() for i in places):
            raise ValueError(f"{self.task}: a status of a sample that is not there")
        if len(set(_places(self))) != n:
            raise ValueError(f"{self.task}: a sample stands there twice")
        return self


class FileContent(Closed):
    """A baseline file, without its schema number."""

    kind: str
    name: str
    run: str
    created: str
    identity: Mapping[str, str]
    tasks: tuple[TaskInFile, ...]


def from_file(path: Path) -> Side:
    """Return the side in a baseline file; raise UsageError when there is none, or a damaged one, or one of another schema."""
    if path.is_dir():
        raise UsageError(
            f"{path} is a folder, and no baseline file. Make one of a run: tcm-eval baseline set {path} FILE"
        )
    if not path.is_file():
        raise UsageError(f"baseline {path} does not exist. Make one: tcm-eval baseline set RUN {path}")
    try:
        raw = read_json(path)
    except UsageError as error:
        raise UsageError(f"{error}. A baseline file is made with: tcm-eval baseline set RUN FILE") from None
    raw.pop("schema")
    if raw.get("kind") != KIND:
        raise UsageError(f"{path} is no baseline file. Make one: tcm-eval baseline set RUN FILE")
    try:
        content = FileContent.model_validate(raw)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise UsageError(
            f"{path} is damaged: {where}: {first['msg']}. Take an undamaged version from your repository, "
            f"or make it anew: tcm-eval baseline update RUN {path}"
        ) from None
    twice = [task.task for task in content.tasks]
    if len(set(twice)) != len(twice):
        raise UsageError(f"{path} is damaged: a task stands there twice: {', '.join(twice)}")
    tasks = {task.task: _from_file(path, task) for task in content.tasks}
    return Side(content.name, content.run, content.created, content.identity, tasks)


def _places(task: TaskInFile) -> list[Place]:
    n = len(task.samples)
    return list(zip(task.samples, task.repeats or (0,) * n, task.variants or (0,) * n, strict=True))


def _from_file(path: Path, task: TaskInFile) -> TaskScores:
    columns = {}
    for column in task.columns:
        status: list[Status] = ["ok"] * len(task.samples)
        for name, places in column.status.items():
            for place in places:
                status[place] = name
        for sample, value, one in zip(task.samples, column.values, status, strict=True):
            if not fits(column.metric, value, one):
                raise UsageError(
                    f"{path} is damaged: {task.task}: sample '{sample}' is {one}, "
                    f"but its {column.metric} is {said(value)}"
                )
        columns[column.metric] = Column(column.metric, column.comparison_id, column.values, status, column.parts)
    clusters = task.clusters if task.clusters is not None else numbered(task.samples)
    answers = task.answers if task.answers is not None else (None,) * len(task.samples)
    return TaskScores(task.task, task.headline, _places(task), clusters, answers, columns)


def write(path: Path, side: Side) -> None:
    """Write the side as a baseline file, atomically: a line a task, so that a change shows where it is."""
    head = {"schema": SCHEMA, "kind": KIND, "name": side.name, "run": side.run, "created": side.created}
    start = orjson.dumps({**head, "identity": dict(side.identity)})
    tasks = b",\n".join(orjson.dumps(_plain(task)) for task in side.tasks.values())
    write_lines(path, [start[:-1], b',"tasks":[\n', tasks, b"\n]}\n"])


def _plain(task: TaskScores) -> dict[str, Any]:
    samples, repeats, variants = (list(column) for column in zip(*task.places, strict=True))
    row: dict[str, Any] = {"task": task.task, "headline": task.headline, "samples": samples}
    optional: list[tuple[str, Sequence[Any], bool]] = [
        ("repeats", repeats, any(repeats)),
        ("variants", variants, any(variants)),
        ("clusters", task.clusters, list(task.clusters) != numbered(samples)),
        ("answers", task.answers, any(answer is not None for answer in task.answers)),
    ]
    row.update({name: list(values) for name, values, needed in optional if needed})
    row["columns"] = [_plain_column(column) for column in task.columns.values()]
    return row


def _plain_column(column: Column) -> dict[str, Any]:
    status: dict[str, list[int]] = {}
    for place, one in enumerate(column.status):
        if one != "ok":
            status.setdefault(one, []).append(place)
    row: dict[str, Any] = {
        "metric": column.metric,
        "comparison_id": column.comparison_id,
        "values": [_short(v) for v in column.values],
    }
    if status:
        row["status"] = status
    if column.parts:
        row["parts"] = {name: [_short(v) for v in values] for name, values in column.parts.items()}
    return row


def _short(value: float | None) -> float | None:
    return int(value) if value is not None and value == int(value) else value
