"""Records and scores as lines of JSON, and back."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

import orjson

from harness.errors import UsageError
from harness.types import Failure, OptionLogprob, Record, Response, Score

SCHEMA = 1


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
    """Return the record of one parsed line; raise AttributeError, KeyError, TypeError or ValueError when it is not one."""
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
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise UsageError(
                f"{path}:{number}: not a line of this kind ({error!r}). Delete it and run again."
            ) from None
