"""Answers that were collected elsewhere: by hand from a web assistant, or by another team.

One row an answer: `sample` (or `id`), the answer itself (`response`, `answer`, `output` or `text`), and where they apply `task`,
`repeat`, `reasoning`, `stop`, `model_version`, and what the answer took: `tokens_in`, `tokens_out`, `tokens_reasoning`, `tokens_cached`
and `seconds`. A records.jsonl of an earlier run is such a file too.
"""

from __future__ import annotations

import csv
import hashlib
import json
import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, cast

from harness.errors import Rejected, UsageError
from harness.types import Request, Response, Stop

TEXT = ("response", "answer", "output", "text")
STOPS = ("stop", "length", "filter", "refusal")
TOKENS = ("tokens_in", "tokens_out", "tokens_reasoning", "tokens_cached")


class Replay:
    """Gives the file's answer to each question; a question without one is a failed call, not a wrong answer."""

    def __init__(self, path: Path, name: str | None) -> None:
        self.path = path
        try:
            data = path.read_bytes()
        except OSError as error:
            raise UsageError(f"replay/{path}: cannot read the answers: {error.strerror}") from None
        self.name = name or f"replay/{path.name}"
        self.identity: Mapping[str, str] = {
            "provider": "replay",
            "model": self.name,
            "answers": hashlib.sha256(data).hexdigest()[:16],
        }
        self._answers: dict[tuple[str, str, int], Response] = {}
        for where, row in _rows(path):
            self._take(where, row)
        if not self._answers:
            raise UsageError(f"{path}: no answers in it")

    def _take(self, where: str, row: Mapping[str, Any]) -> None:
        sample = row.get("sample", row.get("id"))
        if sample is None or sample == "":
            raise UsageError(f"{where}: no column 'sample' (or 'id') that says which question this answers")
        said = next((row[name] for name in TEXT if row.get(name) is not None), None)
        if said is None:
            if "failure" in row:
                return
            raise UsageError(f"{where}: no answer; expected one of the columns {', '.join(TEXT)}")
        fields: dict[str, Any] = dict(said) if isinstance(said, Mapping) else {"text": str(said), **row}
        stop = fields.get("stop") or "stop"
        if stop not in STOPS:
            raise UsageError(f"{where}: stop '{stop}' is none of {', '.join(STOPS)}")
        try:
            repeat = int(row.get("repeat") or 0)
        except ValueError:
            raise UsageError(f"{where}: repeat '{row.get('repeat')}' is no number") from None
        key = (str(row.get("task") or ""), str(sample), repeat)
        if key in self._answers:
            raise UsageError(
                f"{where}: a second answer to sample '{sample}'. Give a 'task' or a 'repeat' column to tell them apart."
            )
        tokens: dict[str, Any] = {name: _count(where, fields, name) for name in TOKENS}
        reasoning, version = fields.get("reasoning"), fields.get("model_version")
        self._answers[key] = Response(
            str(fields.get("text", "")),
            reasoning=str(reasoning) if reasoning else None,
            stop=cast("Stop", stop),
            model_version=str(version) if version else None,
            seconds=_amount(where, fields, "seconds"),
            batched=fields.get("batched") is True,
            **tokens,
        )

    async def generate(self, request: Request) -> Response:
        """Return the stored answer; raise Rejected when the file has none."""
        if request.place is None:
            raise Rejected("a replayed answer is found by its sample, and this request names none")
        task, sample, repeat = request.place
        for name in (task, task.rpartition("/")[2], ""):
            if (name, sample, repeat) in self._answers:
                return self._answers[name, sample, repeat]
        raise Rejected(f"{self.path.name} has no answer to {task} {sample}{f' (repeat {repeat})' if repeat else ''}")

    async def aclose(self) -> None:
        """Do nothing: there is nothing to close."""


def _amount(where: str, fields: Mapping[str, Any], name: str) -> float:
    """Return a stated number from 0, and 0 where none is stated."""
    stated = fields.get(name)
    if stated is None or stated == "":
        return 0.0
    try:
        number = -1.0 if isinstance(stated, bool) else float(stated)
    except (TypeError, ValueError):
        number = -1.0
    if not 0 <= number < math.inf:
        raise UsageError(f"{where}: {name} '{stated}' is no number from 0; leave it out where it is not known")
    return number


def _count(where: str, fields: Mapping[str, Any], name: str) -> int:
    number = _amount(where, fields, name)
    if not number.is_integer():
        raise UsageError(f"{where}: {name} '{fields[name]}' is no whole number")
    return int(number)


def _rows(path: Path) -> Iterator[tuple[str, Mapping[str, Any]]]:
    if path.suffix.lower() == ".csv":
        with path.open(newline="", encoding="utf-8-sig") as file:
            rows = csv.DictReader(file)
            try:
                for number, row in enumerate(rows, 2):
                    yield f"{path}:{number}", row
            except (csv.Error, UnicodeDecodeError) as error:
                raise UsageError(
                    f"{path}:{rows.line_num}: malformed row: {error}. JSON lines in UTF-8 hold any text."
                ) from None
        return
    if path.suffix.lower() != ".jsonl":
        raise UsageError(f"replay/{path}: expected a .jsonl or .csv file")
    with path.open(encoding="utf-8-sig") as file:
        for number, line in enumerate(file, 1):
            if not line.strip():
                continue
            try:
                loaded = json.loads(line)
            except json.JSONDecodeError as error:
                raise UsageError(f"{path}:{number}: malformed row: {error}") from None
            if not isinstance(loaded, dict):
                raise UsageError(f"{path}:{number}: malformed row: expected named columns")
            yield f"{path}:{number}", loaded


def build(model: str, *, name: str | None = None) -> Replay:
    """Return the answers of the file `model`; `name` is what tables show."""
    return Replay(Path(model), name)
