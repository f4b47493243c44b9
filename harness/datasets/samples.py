"""One row -> one `Sample`, by a task's column map."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from typing import Any

from harness.datasets.cells import pick, text_of
from harness.datasets.options import options_of
from harness.datasets.targets import target_of
from harness.errors import UsageError
from harness.specs import TaskSpec
from harness.types import DISCIPLINES, Sample


def to_sample(task: TaskSpec, row: Mapping[str, Any], number: int, where: str) -> Sample:
    """Return the sample that a row says; raise UsageError with `where` when it says none."""
    columns = task.columns
    fields: dict[str, Any] = {name: pick(row, path, where) for name, path in columns.fields.items()}
    question = text_of(pick(row, columns.question, where)) if columns.question else text_of(fields.get("question", ""))
    options: dict[str, str] = {}
    if columns.options is not None:
        question, options = options_of(columns.options, row, question, where)
    if not question.strip() and not columns.turns and not fields:
        raise UsageError(f"{where}: the question is empty")
    fields["question"] = question
    if options:
        fields["options"] = options
    if columns.turns:
        fields["turns"] = _turns(pick(row, columns.turns, where), where)
    return Sample(
        id=str(pick(row, columns.id, where)) if columns.id else str(number),
        task=task.id,
        fields=fields,
        target=target_of(task, row, fields, where),
        discipline=_discipline(task, row, where),
        group=_group(task, row, fields, where),
        split=_split(task, row, where),
        tags={name: text_of(pick(row, path, where)) for name, path in columns.tags.items()},
    )


def _turns(value: Any, where: str) -> list[dict[str, str]]:
    turns = value if isinstance(value, list) else None
    if turns is None or not all(isinstance(t, Mapping) and t.get("role") in ("user", "assistant") for t in turns):
        raise UsageError(f"{where}: turns must be a list of {{role: user|assistant, content: text}}")
    return [{"role": str(t["role"]), "content": text_of(t.get("content"))} for t in turns]


def _discipline(task: TaskSpec, row: Mapping[str, Any], where: str) -> str | None:
    rule = task.columns.discipline
    if rule is None:
        return None
    if rule.constant or rule.column is None:
        return rule.constant
    value = text_of(pick(row, rule.column, where)).strip()
    mapped = rule.map.get(value, value)
    return mapped if mapped in DISCIPLINES else None


def _group(task: TaskSpec, row: Mapping[str, Any], fields: Mapping[str, Any], where: str) -> str:
    """Return the stated group, or one that exact duplicates share."""
    if task.columns.group:
        stated = text_of(pick(row, task.columns.group, where))
        if stated:
            return stated
    options = "".join(sorted(fields.get("options", {}).values()))
    turns = "".join(turn["content"] for turn in fields.get("turns", []))
    extra = "".join(
        text_of(value) for name, value in sorted(fields.items()) if name not in ("question", "options", "turns")
    )
    bare = re.sub(r"\W+", "", f"{fields['question']}{options}{turns}{extra}")
    return "=" + hashlib.blake2b(bare.encode(), digest_size=8).hexdigest()


def _split(task: TaskSpec, row: Mapping[str, Any], where: str) -> str:
    rule = task.split
    if rule.column:
        value = text_of(pick(row, rule.column, where))
        return rule.map.get(value, value)
    return rule.constant or "test"
