"""Data of a site as script files. A page opened from `file://` may not fetch, but it may load scripts that stand beside it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import orjson

TEXT_BYTES = 400_000
"""A shard of texts is closed when it holds so many bytes: what opening one sample costs."""

INDEX_ROWS = 10_000
"""So many rows stand in one shard of the list."""

COLUMNS = ("sample", "task", "discipline", "outcome", "value", "answer", "about", "unsafe", "repeat", "variant")


def script(name: str, value: Any) -> bytes:
    """Return a script that hands `value` to the page under `name`.

    The value travels as JSON inside a string, which the page parses: model output is never source code. `<`, `>`, `&` and the two
    line separators of Unicode are escaped, so that nothing in it can end a script whatever the file is pasted into.
    """
    json = orjson.dumps(value)
    for raw, escaped in ((b"<", rb"\u003c"), (b">", rb"\u003e"), (b"&", rb"\u0026")):
        json = json.replace(raw, escaped)
    json = json.replace(b"\xe2\x80\xa8", rb"\u2028").replace(b"\xe2\x80\xa9", rb"\u2029")
    text = json.replace(b"\\", b"\\\\").replace(b"'", b"\\'")
    return b"TCM.put('" + name.encode("ascii") + b"', '" + text + b"');\n"


def put(folder: Path, name: str, value: Any) -> None:
    """Write one script below `folder`/data; raise OSError."""
    path = folder / "data" / f"{name}.js"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(script(name, value))


class Texts:
    """Samples in full, in shards of about `TEXT_BYTES`; `starts` has the first row of each."""

    def __init__(self, folder: Path, run: str) -> None:
        self._folder, self._run = folder, run
        self._held: list[orjson.Fragment] = []
        self._bytes = self._rows = 0
        self.starts: list[int] = []

    def add(self, sample: dict[str, Any]) -> None:
        """Take one sample in, and write a shard when it is full."""
        line = orjson.dumps(sample)
        if self._held and self._bytes + len(line) > TEXT_BYTES:
            self.flush()
        self._held.append(orjson.Fragment(line))
        self._bytes += len(line)
        self._rows += 1

    def flush(self) -> None:
        """Write what is held."""
        if self._held:
            put(self._folder, f"{self._run}/texts-{len(self.starts)}", self._held)
            self.starts.append(self._rows - len(self._held))
            self._held, self._bytes = [], 0


class Rows:
    """The list of all samples, a few words each, column by column in shards of `INDEX_ROWS`."""

    def __init__(self, folder: Path, run: str) -> None:
        self._folder, self._run = folder, run
        self._columns: dict[str, list[Any]] = {name: [] for name in COLUMNS}
        self.count = self.shards = 0

    def add(self, row: Sequence[Any]) -> None:
        """Take one row in, in the order of `COLUMNS`, and write a shard when it is full."""
        for name, value in zip(COLUMNS, row, strict=True):
            self._columns[name].append(value)
        self.count += 1
        if self.count % INDEX_ROWS == 0:
            self.flush()

    def flush(self) -> None:
        """Write what is held."""
        if self._columns["sample"]:
            put(self._folder, f"{self._run}/rows-{self.shards}", self._columns)
            self.shards += 1
            self._columns = {name: [] for name in COLUMNS}
