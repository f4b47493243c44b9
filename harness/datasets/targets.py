"""What the key of a row says: letters, blanks, a reference, or a case with its slots."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from harness.datasets.cells import listed, pick, text_of
from harness.errors import UsageError
from harness.specs import TaskSpec
from harness.types import Blanks, Case, Choice, Reference, Target


def target_of(task: TaskSpec, row: Mapping[str, Any], fields: Mapping[str, Any], where: str) -> Target:
    answer = pick(row, task.columns.answer, where)
    if task.is_choice:
        return _choice(answer, fields["options"], where)
    if task.type == "fill_blank":
        return _blanks(answer, str(fields["question"]), where)
    texts = tuple(text_of(a) for a in answer) if isinstance(answer, list) else (text_of(answer),)
    if not any(text.strip() for text in texts):
        raise UsageError(f"{where}: the reference answer is empty")
    rubric, terms = (listed(row, path, where) for path in (task.columns.rubric, task.columns.terms))
    if task.type == "free_text":
        return Reference(texts, rubric, terms)
    slots: dict[str, tuple[str, ...]] = {}
    herbs: tuple[tuple[str, float | None], ...] = ()
    for name, path in task.columns.slots.items():
        value = pick(row, path, where)
        items = value if isinstance(value, list) else [value]
        if name == "herbs":
            herbs = tuple(
                (str(i["name"]), None if i.get("dose") is None else float(i["dose"]))
                if isinstance(i, Mapping)
                else (str(i), None)
                for i in items
            )
        else:
            slots[name] = tuple(text_of(i) for i in items if text_of(i))
    return Case(texts, slots, herbs, rubric, terms)


def _choice(answer: Any, options: Mapping[str, str], where: str) -> Choice:
    if isinstance(answer, list):
        answer = "".join(text_of(a) for a in answer)
    text = text_of(answer).strip()
    letters = re.sub(r"[\s,，、;；/|.．]+", "", text).upper()
    if letters and set(letters) <= set(options):
        return Choice(frozenset(letters))
    same = [letter for letter, option in options.items() if option == text]
    if len(same) == 1:
        return Choice(frozenset(same))
    raise UsageError(f"{where}: the answer '{text}' is no option (options: {', '.join(options)})")


_BLANK = re.compile(r"[（(][\s\u3000]*[）)]|_{2,}|＿{2,}")
_OR = re.compile(r"\s*(?:[|/／]|或)\s*")


def count_blanks(question: str) -> int:
    """Return how many blanks （　） or ____ a stem has, at least one."""
    return max(1, len(_BLANK.findall(question)))


def _blanks(answer: Any, question: str, where: str) -> Blanks:
    wanted = count_blanks(question)
    if isinstance(answer, list):
        parts: list[Any] = answer
    else:
        text = text_of(answer).strip()
        parts = [text] if wanted == 1 else [p for p in re.split(r"[;；\n]+", text) if p.strip()]
        if wanted > 1 and len(parts) == 1:
            parts = [p for p in re.split(r"[、,，]+", text) if p.strip()]
    accepted = tuple(
        tuple(str(a).strip() for a in part) if isinstance(part, list) else _alternatives(text_of(part))
        for part in parts
    )
    if not accepted or not all(accepted) or not all(all(one) for one in accepted):
        raise UsageError(f"{where}: an answer to a blank is empty")
    if len(accepted) != wanted:
        raise UsageError(f"{where}: {wanted} blanks in the question, {len(accepted)} answers: {answer!r}")
    return Blanks(accepted)


def _alternatives(text: str) -> tuple[str, ...]:
    whole = text.strip()
    parts = tuple(p for p in _OR.split(whole) if p)
    return tuple(dict.fromkeys((whole, *parts))) if len(parts) > 1 else (whole,)
