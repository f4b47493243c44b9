"""Files that survive `kill -9`: append-only JSON lines with one writer, and JSON written atomically.

A record is one `write(2)`: a killed process loses nothing already written and leaves at most one torn line, which the next
writer cuts off. (Power loss is another matter: lines are synced to disk when the file is closed.)
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
from array import array
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

import orjson

from harness.errors import HarnessError, IncompleteError, UsageError
from harness.types import Failure, OptionLogprob, Record, Response, Score

SCHEMA = 1


class StorageError(HarnessError):
    """Results could not be written; what was written before stays."""

    exit_code = 3


# ------------------------------------------------------------------ one line


def _defaults(kind: type) -> dict[str, Any]:
    return {f.name: f.default for f in fields(kind)}


_RESPONSE = _defaults(Response)
_RECORD = _defaults(Record)
_SCORE = _defaults(Score)


def encode_record(record: Record, extra: Mapping[str, Any] | None = None) -> bytes:
    """Return the record's line; response fields at their defaults are left out. `extra` is for readers, not read back."""
    row: dict[str, Any] = {
        "schema": SCHEMA,
        "key": record.key,
        "task": record.task,
        "sample": record.sample,
        "repeat": record.repeat,
        "variant": record.variant,
        "turn": record.turn,
        "role": record.role,
    }
    if record.origin is not None:
        row["origin"] = record.origin
    outcome = record.outcome
    if isinstance(outcome, Response):
        row["response"] = {n: v for n, d in _RESPONSE.items() if (v := getattr(outcome, n)) != d or n == "text"}
    else:
        row["failure"] = {"kind": outcome.kind, "message": outcome.message, "attempts": outcome.attempts}
    return _line({**row, **extra} if extra else row)


def _line(row: dict[str, Any]) -> bytes:
    try:
        return orjson.dumps(row, option=orjson.OPT_APPEND_NEWLINE)
    except TypeError:  # a lone surrogate from a provider: keep the text readable, mark what could not be encoded
        return orjson.dumps(_clean(row), option=orjson.OPT_APPEND_NEWLINE)


def _clean(value: Any) -> Any:
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode()
    if isinstance(value, dict):
        return {_clean(k): _clean(v) for k, v in value.items()}
    return [_clean(v) for v in value] if isinstance(value, list | tuple) else value


def decode_record(row: dict[str, Any]) -> Record:
    """Return the record of one parsed line; raise KeyError or TypeError when it is not one."""
    if "response" in row:
        r = dict(row["response"])
        r["not_accepted"] = tuple(r.get("not_accepted", ()))
        if r.get("logprobs") is not None:
            r["logprobs"] = tuple(OptionLogprob(**one) for one in r["logprobs"])
        outcome: Response | Failure = Response(**r)
    else:
        outcome = Failure(**row["failure"])
    place = {name: row[name] for name in ("repeat", "variant", "turn", "role", "origin") if name in row}
    return Record(row["key"], row["task"], row["sample"], outcome, **place)


def encode_score(score: Score) -> bytes:
    """Return the score's line; `tags` are left out where there are none."""
    row = {"schema": SCHEMA, **{name: getattr(score, name) for name in _SCORE}}
    row["parts"], row["tags"] = dict(score.parts), dict(score.tags)
    if not row["tags"]:
        del row["tags"]
    return _line(row)


def decode_score(row: dict[str, Any]) -> Score:
    """Return the score of one parsed line; raise KeyError or TypeError when it is not one."""
    return Score(**{name: row[name] for name in _SCORE if name in row})


# ------------------------------------------------------------------ reading


def read_lines(path: Path) -> Iterator[tuple[int, int, dict[str, Any]]]:
    """Yield (line number, byte offset, row) of every complete line; a torn last line is left out.

    Raises UsageError naming file and line for a damaged line or another schema version.
    """
    offset = 0
    with path.open("rb") as file:
        for number, line in enumerate(file, 1):
            if not line.endswith(b"\n"):
                return
            try:
                row = orjson.loads(line)
                schema = row["schema"]
            except (orjson.JSONDecodeError, KeyError, TypeError) as error:
                raise UsageError(f"{path}:{number}: this line is damaged ({error}). {_remedy(path)}") from None
            if schema != SCHEMA:
                raise UsageError(
                    f"{path}:{number}: schema {schema}, but this version of tcm-eval reads schema {SCHEMA}. "
                    "Read it with the version that wrote it (see manifest.json), or run again."
                )
            yield number, offset, row
            offset += len(line)


def _remedy(path: Path) -> str:
    if path.name == "scores.jsonl":
        return f"Score the run again: tcm-eval score {path.parent}"
    return "Delete the line and run the same command again: only its answer is asked again."


def read(path: Path) -> Iterator[Record]:
    """Yield the complete records of a file in file order; none when there is no file."""
    yield from _read(path, decode_record)


def read_scores(path: Path) -> Iterator[Score]:
    """Yield the complete scores of a file in file order; none when there is no file."""
    yield from _read(path, decode_score)


def _read(path: Path, decode: Callable[[dict[str, Any]], Any]) -> Iterator[Any]:
    if not path.exists():
        return
    for number, _, row in read_lines(path):
        try:
            yield decode(row)
        except (KeyError, TypeError) as error:
            raise UsageError(
                f"{path}:{number}: not a line of this kind ({error!r}). Delete it and run again."
            ) from None


class Index:
    """Where the last outcome of each slot lies in a record file: about 25 bytes a record.

    A Response is never displaced by a later Failure. Slots are held as 64-bit hashes: with a million of them the chance that
    any two collide is about 3 in 100 million, and then the run would be counted as incomplete, not wrong.

    `by_task` counts the answered slots of each task; `tokens_in` and `tokens_out` are what this run itself asked for: answers that
    an earlier run lent are not in them.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.tokens_in = self.tokens_out = 0
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
                except (KeyError, TypeError, ValueError) as error:
                    raise UsageError(f"{path}:{number}: not a record ({error!r}). Delete it and run again.") from None
                offsets.append(offset)
                answered.append("response" in row)
                of.append(tasks.setdefault(row["task"], len(tasks)))
                if "response" in row and "origin" not in row:
                    self.tokens_in += row["response"].get("tokens_in", 0)
                    self.tokens_out += row["response"].get("tokens_out", 0)
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
        """Return the slot's record, or None when there is none."""
        at = self._find(slot)
        if at < 0 or self._file is None:
            return None
        self._file.seek(int(self._offsets[at]))
        return decode_record(orjson.loads(self._file.readline()))

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


# ------------------------------------------------------------------ writing


class Writer:
    """The single writer of one append-only file; raises UsageError when another process holds it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        with explain(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            self._fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o644)
        try:
            fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(self._fd)
            raise UsageError(
                f"{path.parent} is being written by another tcm-eval. Wait for it, or stop it; the same command then goes on."
            ) from None
        self._end = self._cut_torn_tail()

    def _cut_torn_tail(self) -> int:
        position = os.lseek(self._fd, 0, os.SEEK_END)
        size = position
        while position > 0:
            start = max(0, position - 65536)
            newline = os.pread(self._fd, position - start, start).rfind(b"\n")
            if newline >= 0:
                position = start + newline + 1
                break
            position = start
        if position < size:
            os.ftruncate(self._fd, position)
        return position

    def append(self, line: bytes) -> None:
        """Write one line whole, or raise StorageError and leave the file as it was."""
        try:
            written = os.write(self._fd, line)
        except OSError as error:
            raise _storage_error(self.path, error) from None
        if written != len(line):
            with contextlib.suppress(OSError):
                os.ftruncate(self._fd, self._end)
            raise _storage_error(self.path, OSError("short write, the disk is full"))
        self._end += written

    def close(self) -> None:
        with contextlib.suppress(OSError):
            os.fsync(self._fd)
        os.close(self._fd)

    def __enter__(self) -> Writer:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _storage_error(path: Path, error: OSError) -> StorageError:
    return StorageError(
        f"cannot write {path}: {error.strerror or error}. Everything written so far is kept: "
        "free the disk or fix the permission, then run the same command again (or choose another folder with --output)."
    )


@contextlib.contextmanager
def explain(path: Path) -> Iterator[None]:
    """Turn an OSError about `path` into a StorageError that says what to do."""
    try:
        yield
    except OSError as error:
        raise _storage_error(path, error) from None


def write_lines(path: Path, pieces: Iterable[bytes]) -> None:
    """Replace the file by these pieces in one step: a reader sees the old content or the new, never a part."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    with explain(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            with temporary.open("wb") as file:
                file.writelines(pieces)
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)


def write_json(path: Path, value: Any) -> None:
    """Write `value` as indented JSON, atomically."""
    write_lines(path, [orjson.dumps(value, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)])


def read_json(path: Path) -> dict[str, Any]:
    """Return a JSON object written by this version; raise UsageError or IncompleteError naming the file."""
    try:
        value = orjson.loads(path.read_bytes())
    except FileNotFoundError:
        raise IncompleteError(
            f"{path} does not exist: the run is unfinished. Run its command again to finish it."
        ) from None
    except (OSError, orjson.JSONDecodeError) as error:
        raise UsageError(f"{path} cannot be read: {error}") from None
    if not isinstance(value, dict) or value.get("schema") != SCHEMA:
        found = value.get("schema") if isinstance(value, dict) else type(value).__name__
        raise UsageError(f"{path}: schema {found}, but this version of tcm-eval reads schema {SCHEMA}.")
    return value
