"""A judge's reply -> its verdict, or why there is none. Nothing is guessed, mended or clamped."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from harness.extract.reasoning import split
from harness.types import Response

MOST, FULL = 2, 10
"""The highest mark of a criterion, and of meaning."""

_FENCED = re.compile(r"```(?:json)?[ \t]*\n(.*)\n[ \t]*```", re.DOTALL | re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a judge said: a mark of 0 to 2 and a reason per criterion, in their order, and 0 to 10 for meaning."""

    marks: tuple[int, ...]
    reasons: tuple[str, ...]
    meaning: int
    reason: str

    def as_row(self, ids: Sequence[str]) -> dict[str, Any]:
        """Return the verdict as `judge.jsonl` shows it to readers."""
        criteria = zip(ids, self.marks, self.reasons, strict=True)
        marks = {name: {"mark": mark, "reason": reason} for name, mark, reason in criteria}
        return {"criteria": marks, "meaning": self.meaning, "reason": self.reason}


@dataclass(frozen=True, slots=True)
class Unread:
    """No verdict: the reply was refused, cut, or not what was asked for; `why` in a few fixed words."""

    why: str
    refused: bool = False


class _Fault(Exception):
    """The reply is not what was asked for."""


def read_verdict(response: Response, check: str, ids: Sequence[str]) -> Verdict | Unread:
    """Return the verdict of one reply, which must be one JSON object with this check and exactly these criteria."""
    if response.stop in ("filter", "refusal"):
        return Unread("refused or filtered", refused=True)
    parts = split(response.text, response.reasoning)
    if not parts.closed:
        return Unread("reasoning without an end")
    try:
        return _verdict(_object(parts.answer), check, ids)
    except _Fault as fault:
        return Unread(f"{fault}, cut by the token limit" if response.stop == "length" else str(fault))


def _object(text: str) -> dict[str, Any]:
    """Return the one JSON object that the whole text is; it may stand in a code fence, but nothing else beside it."""
    text = text.strip()
    if fenced := _FENCED.fullmatch(text):
        text = fenced[1]
    try:
        value = json.loads(text, object_pairs_hook=_once, parse_constant=_no_number)
    except (ValueError, RecursionError):
        raise _Fault("not one JSON object") from None
    if not isinstance(value, dict):
        raise _Fault("not one JSON object")
    return value


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) < len(pairs):
        raise _Fault("a key stands there twice")
    return value


def _no_number(name: str) -> float:
    raise _Fault(f"{name} is no number")


def _verdict(value: dict[str, Any], check: str, ids: Sequence[str]) -> Verdict:
    _keys(value, ("check", "criteria", "meaning", "reason"), "")
    if value["check"] != check:
        raise _Fault("check is not the one asked for")
    criteria = value["criteria"]
    if not isinstance(criteria, list) or not all(isinstance(one, dict) for one in criteria):
        raise _Fault("criteria is no list of objects")
    for one in criteria:
        _keys(one, ("id", "reason", "mark"), "criteria: ")
    if [one["id"] for one in criteria] != list(ids):
        raise _Fault("criteria are not those asked for, in their order")
    marks = tuple(_whole(one["mark"], MOST, "mark") for one in criteria)
    reasons = tuple(_text(one["reason"]) for one in criteria)
    return Verdict(marks, reasons, _whole(value["meaning"], FULL, "meaning"), _text(value["reason"]))


def _keys(value: dict[str, Any], wanted: Sequence[str], where: str) -> None:
    if missing := [name for name in wanted if name not in value]:
        raise _Fault(f"{where}{missing[0]} is missing")
    if len(value) > len(wanted):
        raise _Fault(f"{where}there are keys that were not asked for")


def _whole(value: Any, most: int, name: str) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= most:
        raise _Fault(f"{name} is no whole number from 0 to {most}")
    return value


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise _Fault("reason is no text")
    return value
