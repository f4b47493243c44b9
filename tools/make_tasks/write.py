"""Items -> JSONL files, and their checksums into suite.yaml."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

import orjson

from tools.make_tasks.items import Item


def write(target: Path, files: Mapping[str, Sequence[Item]]) -> None:
    """Write every file under `target`/data, one item a line, and set the checksums in `target`/suite.yaml."""
    (target / "data").mkdir(parents=True, exist_ok=True)
    for name, items in sorted(files.items()):
        lines = b"".join(orjson.dumps(item) + b"\n" for item in items)
        (target / "data" / name).write_bytes(lines)
    stamp(target)


def stamp(target: Path) -> None:
    """Set `sha256` and `size` of every data file in suite.yaml, keeping the rest of it."""
    suite = target / "suite.yaml"
    head = re.split(r"^files:.*$", suite.read_text("utf-8"), flags=re.MULTILINE)[0]
    lines = ["files:"]
    for path in sorted((target / "data").glob("*.jsonl")):
        content = path.read_bytes()
        lines += [f"  {path.name}:", f"    sha256: {hashlib.sha256(content).hexdigest()}", f"    size: {len(content)}"]
    suite.write_text(head + "\n".join(lines) + "\n", "utf-8")
