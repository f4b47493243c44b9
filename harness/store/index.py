"""Which answers a file of records holds, found by question in 25 bytes a record; texts stay on the disk."""

from __future__ import annotations

import hashlib
from array import array
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import orjson

from harness.errors import UsageError
from harness.store.lines import decode_record, read_lines
from harness.types import Job, Record, Response


class Index:
    """Where the last outcome of each slot lies in a record file: about 25 bytes a record.

    A Response is never displaced by a later Failure. Slots are held as 64-bit hashes: with a million of them the chance that
    any two collide is about 3 in 100 million, and then the run would be counted as incomplete, not wrong.

    `by_task` counts the answered slots of each task; `tokens` are those of what this run itself asked for, under the names that they
    have in a summary's usage: answers that an earlier run lent are not in them.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.tokens = {"tokens_in": 0, "tokens_out": 0, "batch_tokens_in": 0, "batch_tokens_out": 0}
        import numpy as np

        slots, keys, offsets, answered, of = array("Q"), array("Q"), array("Q"), array("B"), array("H")
        tasks: dict[str, int] = {}
        if path.exists():
            for number, offset, row in read_lines(path):
                try:
                    place = "\x1f".join(
                        (
                            row["task"],
                            row["sample"],
                            str(row["repeat"]),
                            str(row["variant"]),
                            str(row["turn"]),
                            row["role"],
                        )
                    )
                    slots.append(_hash(place))
                    keys.append(int(row["key"][:16], 16))
                    if "response" in row and "origin" not in row:
                        self._count(row["response"])
                except (AttributeError, KeyError, TypeError, ValueError) as error:
                    raise UsageError(f"{path}:{number}: not a record ({error!r}). Delete it and run again.") from None
                offsets.append(offset)
                answered.append("response" in row)
                of.append(tasks.setdefault(row["task"], len(tasks)))
        slot_array = np.frombuffer(slots, dtype=np.uint64) if slots else np.empty(0, np.uint64)
        answered_array = np.frombuffer(answered, dtype=np.uint8) if answered else np.empty(0, np.uint8)
        order = np.lexsort((np.arange(len(slot_array)), answered_array, slot_array))
        last = np.ones(len(order), dtype=bool)
        if len(order):
            ordered = slot_array[order]
            last[:-1] = ordered[1:] != ordered[:-1]
        keep = order[last]
        self._slots = slot_array[keep]
        self._keys = (np.frombuffer(keys, dtype=np.uint64) if keys else np.empty(0, np.uint64))[keep]
        self._offsets = (np.frombuffer(offsets, dtype=np.uint64) if offsets else np.empty(0, np.uint64))[keep]
        self._answered = answered_array[keep]
        self.answered = int(self._answered.sum())
        self.failed = len(keep) - self.answered
        of_task = np.frombuffer(of, dtype=np.uint16) if of else np.empty(0, np.uint16)
        counts = np.bincount(of_task[keep[self._answered == 1]], minlength=len(tasks))
        self.by_task = {task: int(counts[number]) for task, number in tasks.items()}
        self._file = path.open("rb") if path.exists() else None

    def _count(self, response: dict[str, Any]) -> None:
        for kind in ("tokens_in", "tokens_out"):
            number = response.get(kind, 0)
            self.tokens[kind] += number
            if response.get("batched"):
                self.tokens[f"batch_{kind}"] += number

    def _find(self, slot: str) -> int:
        wanted = _hash(slot)
        at = int(self._slots.searchsorted(self._slots.dtype.type(wanted)))
        return at if at < len(self._slots) and int(self._slots[at]) == wanted else -1

    def has_answer(self, slot: str, key: str | None = None) -> bool:
        """Tell whether the slot holds a Response, and, if a key is given, one to exactly that request."""
        at = self._find(slot)
        if at < 0 or not self._answered[at]:
            return False
        return key is None or int(self._keys[at]) == int(key[:16], 16)

    def get(self, slot: str) -> Record | None:
        """Return the slot's record, or None when there is none; raise UsageError for a line that is no record."""
        at = self._find(slot)
        if at < 0 or self._file is None:
            return None
        self._file.seek(int(self._offsets[at]))
        line = self._file.readline()
        try:
            return decode_record(orjson.loads(line))
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            begins = line[:150].decode("utf-8", "ignore").rstrip()
            raise UsageError(
                f"{self.path}: the line that begins with {begins} is not a record ({error}). Delete it and run again."
            ) from None

    def of_job(self, job: Job) -> list[Record | None]:
        """Return what came back at each step of a job; None where nothing was asked, after a failed step."""
        return [self.get(job.slot(step)) for step in range(job.steps)]

    def close(self) -> None:
        """Close the file; the index is of no use any more."""
        if self._file is not None:
            self._file.close()

    def __enter__(self) -> Index:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class Answers:
    """Responses of record files by key: about 150 bytes each. Of several under one key the last one counts."""

    def __init__(self, files: Iterable[Path]) -> None:
        self._places: dict[str, tuple[Path, int]] = {}
        for file in files:
            if file.exists():
                for _, offset, row in read_lines(file):
                    if "response" in row:
                        self._places[str(row.get("key"))] = (file, offset)

    def find(self, key: str) -> tuple[Response, str] | None:
        """Return the response stored under `key` and the name of the run that it came from, or None."""
        if key not in self._places:
            return None
        path, offset = self._places[key]
        with path.open("rb") as file:
            file.seek(offset)
            record = decode_record(orjson.loads(file.readline()))
        if record.key != key or not isinstance(record.outcome, Response):
            return None
        return record.outcome, record.origin or path.parent.name

    def __len__(self) -> int:
        return len(self._places)


def _hash(slot: str) -> int:
    return int.from_bytes(hashlib.blake2b(slot.encode("utf-8", "replace"), digest_size=8).digest(), "big")
