"""Writing that survives `kill -9`: one writer that appends, and whole files replaced in one step."""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import orjson

from harness.errors import HarnessError, IncompleteError, UsageError
from harness.store.lines import SCHEMA


class StorageError(HarnessError):
    """Results could not be written; what was written before stays."""

    exit_code = 3


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


def set_aside(path: Path) -> None:
    """Rename a file or folder, if it is there, so that a new one can take its name: what was paid for is never deleted."""
    number = 1
    while (old := path.with_name(f"{path.name}.old-{number}")).exists():
        number += 1
    if path.exists():
        path.rename(old)


def file_name(text: str) -> str:
    """Return a model's name as it may stand in that of a folder: what could harm becomes a hyphen."""
    return re.sub(r"[^A-Za-z0-9._-]+", "-", text).strip("-.")[-60:] or "model"


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
        raise UsageError(
            f"{path}: schema {found}, but this version of tcm-eval reads schema {SCHEMA}. "
            "Read it with the version that wrote it, or make it anew."
        )
    return value
