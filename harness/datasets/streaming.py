"""A task's files -> its samples, one at a time: all, a split, or the few that a run asks."""

from __future__ import annotations

import hashlib
import heapq
from array import array
from collections.abc import Callable, Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import Any

from harness.datasets.cells import text_of
from harness.datasets.samples import to_sample
from harness.errors import UsageError
from harness.rows import rows
from harness.specs import TaskSpec
from harness.suites import Catalogue
from harness.types import Sample


def stream(catalogue: Catalogue, task: TaskSpec, split: str | None = None) -> Iterator[Sample]:
    """Yield the task's samples in file order, of all splits or one.

    Raises UsageError for missing or changed files and malformed rows (with `file:line`). Whether ids repeat is checked by
    `census`, once.
    """
    paths = catalogue.data_files(task)
    assign = _splitter(task, paths)
    for _, sample in _samples(task, paths):
        placed = assign(sample)
        if split is None or placed.split == split:
            yield placed


def census(catalogue: Catalogue, task: TaskSpec, split: str | None = None) -> int:
    """Return how many samples the split has, after reading every row once.

    Raises UsageError for what `stream` would, and for an id that stands twice. Needs eight bytes a sample.
    """
    seen, counted = array("Q"), 0
    for sample in stream(catalogue, task):
        seen.append(_hash(sample.id))
        counted += split is None or sample.split == split
    if _distinct(seen) < len(seen):
        first: dict[str, str] = {}
        for where, sample in _samples(task, catalogue.data_files(task)):
            if sample.id in first:
                raise UsageError(
                    f"{where}: id '{sample.id}' stands twice in {task.id}, first at {first[sample.id]}. Ids must be unique."
                )
            first[sample.id] = where
    return counted


def _hash(text: str) -> int:
    return int.from_bytes(hashlib.blake2b(text.encode("utf-8", "replace"), digest_size=8).digest(), "big")


def _distinct(hashes: array[int]) -> int:
    if len(hashes) < 100_000:
        return len(set(hashes))
    import numpy as np

    return len(np.unique(np.frombuffer(hashes, dtype=np.uint64)))


def chosen(catalogue: Catalogue, task: TaskSpec, split: str | None, limit: int | None, seed: int) -> Iterator[Sample]:
    """Yield the samples of a run: the whole split, or `limit` of them drawn by (seed, id), in file order.

    A smaller limit's draw is part of a larger one's, so raising the limit only adds questions.
    """
    if limit is None:
        yield from stream(catalogue, task, split)
        return
    ranked = ((_hash(f"{seed}\x1f{sample.id}"), sample.id) for sample in stream(catalogue, task, split))
    drawn = {sample_id for _, sample_id in heapq.nsmallest(limit, ranked)}
    yield from (sample for sample in stream(catalogue, task, split) if sample.id in drawn)


def _samples(task: TaskSpec, paths: list[Path]) -> Iterator[tuple[str, Sample]]:
    """Yield (where, sample); rows without an id of their own are numbered by their place in the data."""
    found, left_out, number = False, 0, -1
    for path in paths:
        for where, row in rows(path):
            number += 1
            if not _wanted(task, row):
                continue
            try:
                sample = to_sample(task, row, number, where)
            except UsageError:
                left_out += 1
                if left_out > task.tolerate:
                    raise
                continue
            found = True
            yield where, sample
    if not found:
        raise UsageError(f"{task.id}: no items in {', '.join(str(p) for p in paths)}{_values_there(task, paths)}")


def _values_there(task: TaskSpec, paths: list[Path]) -> str:
    """Return what the columns that choose rows hold instead, for the error when none was chosen."""
    said = ""
    for column, wanted in task.columns.where.items():
        values = dict.fromkeys(text_of(row.get(column)) for path in paths for _, row in islice(rows(path), 10_000))
        said += f"; column '{column}' should be {wanted!r}, it is: {', '.join(list(values)[:12])}"
    return said


def _wanted(task: TaskSpec, row: Mapping[str, Any]) -> bool:
    for column, allowed in task.columns.where.items():
        values = (allowed,) if isinstance(allowed, str) else allowed
        if text_of(row.get(column)) not in values:
            return False
    return True


def _splitter(task: TaskSpec, paths: list[Path]) -> Callable[[Sample], Sample]:
    if task.split.divide is None:
        return lambda sample: sample
    from harness.splits import divide

    columns = task.columns.model_copy(
        update={"where": {}}
    )  # tasks on one file share its division, whichever rows they ask
    whole = task.model_copy(update={"columns": columns})
    return divide(task.split, (sample for _, sample in _samples(whole, paths)))
