"""A task with a data file, written by a test and read by the harness."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from harness.datasets import census, stream
from harness.specs import TaskSpec
from harness.suites import Catalogue
from harness.types import Sample

BASE = "type: single_choice\ndata: [items.{ext}]\ncolumns:\n  question: q\n  options: {options}\n"
"""Choice questions in a file of any kind, their options in any form."""

HEADED = BASE.replace("{options}", "{{form: columns, columns: [A, B]}}")
"""The same with the options in columns A and B."""

DICT = BASE.format(ext="jsonl", options="{ form: dict, column: o }")
"""The same as JSON lines with the options in one cell, as in `GOOD`."""

GOOD: dict[str, Any] = {"q": "x", "o": {"A": "人参", "B": "当归"}, "answer": "A"}


def load(folder: Path, yaml: str, rows: object, ext: str = "jsonl") -> list[Sample]:
    """Return the samples of the task `make` writes."""
    catalogue, task = make(folder, yaml, rows, ext)
    census(catalogue, task)
    return list(stream(catalogue, task))


def make(folder: Path, yaml: str, rows: object, ext: str = "jsonl") -> tuple[Catalogue, TaskSpec]:
    """Write a suite `own` of one task and its data file: bytes and text as they are, rows as JSON lines, None leaves it as it is."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "task.yaml").write_text(yaml, "utf-8")
    data = folder / f"items.{ext}"
    if isinstance(rows, bytes):
        data.write_bytes(rows)
    elif isinstance(rows, str):
        data.write_text(rows, "utf-8")
    elif isinstance(rows, list):
        data.write_text("".join(json.dumps(r, ensure_ascii=False) + "\n" for r in rows), "utf-8")
    catalogue = Catalogue([folder])
    [task] = catalogue.tasks("own")
    return catalogue, task
