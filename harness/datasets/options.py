"""A row's options, in any of the forms that sources use."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from harness.datasets.cells import pick, text_of
from harness.errors import UsageError
from harness.specs import OptionColumn

LETTERS = "ABCDEFGHIJ"
_MARK = re.compile(r"(?:(?<=\s)|(?<=[^A-Za-z0-9])|^)([A-J])\s*(?:[.．、:：)）]\s*|\s+)")


def options_of(column: OptionColumn, row: Mapping[str, Any], question: str, where: str) -> tuple[str, dict[str, str]]:
    if column.form == "columns":
        found = {str(letter): text_of(row.get(letter)) for letter in column.columns}
    elif column.form == "inline":
        question, found = _marked(question, where)
    else:
        value = pick(row, column.column or "", where)
        if column.form == "dict" and isinstance(value, Mapping):
            found = {str(k).strip().upper(): text_of(v) for k, v in value.items()}
        elif column.form == "list" and isinstance(value, list):
            found = dict(
                zip(LETTERS, (_unmarked(text_of(v), k) for k, v in zip(LETTERS, value, strict=False)), strict=False)
            )
        elif column.form == "string" and isinstance(value, str):
            found = _marked(value, where)[1]
        else:
            raise UsageError(f"{where}: options are a {type(value).__name__}, the task says form '{column.form}'")
    options = {letter: text.strip() for letter, text in found.items() if text.strip()}
    if len(options) < 2 or not set(options) <= set(LETTERS):
        raise UsageError(f"{where}: expected two or more options with letters A to J, found {options or 'none'}")
    return question.strip(), options


def _unmarked(text: str, letter: str) -> str:
    return re.sub(rf"^\s*{letter}\s*[.．、:：)）]\s*", "", text)


def _marked(text: str, where: str) -> tuple[str, dict[str, str]]:
    """Split `stem A. x B. y` at option marks that follow each other from A on."""
    marks: list[re.Match[str]] = []
    for match in _MARK.finditer(text):
        if len(marks) < len(LETTERS) and match[1] == LETTERS[len(marks)]:
            marks.append(match)
    if len(marks) < 2:
        raise UsageError(f"{where}: no options 'A. … B. …' found in: {text[:60]}")
    ends = [*(mark.start() for mark in marks[1:]), len(text)]
    return text[: marks[0].start()], {m[1]: text[m.end() : end].strip() for m, end in zip(marks, ends, strict=True)}
