"""Rows -> `Sample`, one at a time, by a task's column map."""

from __future__ import annotations

import hashlib
import heapq
import re
from array import array
from collections.abc import Callable, Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import Any

from harness.errors import UsageError
from harness.rows import rows
from harness.specs import OptionColumn, TaskSpec
from harness.suites import Catalogue
from harness.types import DISCIPLINES, Blanks, Case, Choice, Reference, Sample, Target

LETTERS = "ABCDEFGHIJ"
# ------------------------------------------------------------------ rows -> samples


def stream(catalogue: Catalogue, task: TaskSpec, split: str | None = None) -> Iterator[Sample]:
    """Yield the task's samples in file order, of all splits or one.

    Raises UsageError for missing or changed files and malformed rows (with `file:line`). Whether ids repeat is checked by
    `census`, once.
    """
    paths = catalogue.data_files(task)
    assign = _splitter(task, paths)
    for _, sample in _samples(task, paths):
        placed = assign(sample)
        if split is None or placed.split == split:
            yield placed


def census(catalogue: Catalogue, task: TaskSpec, split: str | None = None) -> int:
    """Return how many samples the split has, after reading every row once.

    Raises UsageError for what `stream` would, and for an id that stands twice. Needs eight bytes a sample.
    """
    seen, counted = array("Q"), 0
    for sample in stream(catalogue, task):
        seen.append(_hash(sample.id))
        counted += split is None or sample.split == split
    if _distinct(seen) < len(seen):
        first: dict[str, str] = {}
        for where, sample in _samples(task, catalogue.data_files(task)):
            if sample.id in first:
                raise UsageError(
                    f"{where}: id '{sample.id}' stands twice in {task.id}, first at {first[sample.id]}. Ids must be unique."
                )
            first[sample.id] = where
    return counted


def _hash(text: str) -> int:
    return int.from_bytes(hashlib.blake2b(text.encode("utf-8", "replace"), digest_size=8).digest(), "big")


def _distinct(hashes: array[int]) -> int:
    if len(hashes) < 100_000:
        return len(set(hashes))
    import numpy as np

    return len(np.unique(np.frombuffer(hashes, dtype=np.uint64)))


def chosen(catalogue: Catalogue, task: TaskSpec, split: str | None, limit: int | None, seed: int) -> Iterator[Sample]:
    """Yield the samples of a run: the whole split, or `limit` of them drawn by (seed, id), in file order.

    A smaller limit's draw is part of a larger one's, so raising the limit only adds questions.
    """
    if limit is None:
        yield from stream(catalogue, task, split)
        return
    ranked = ((_hash(f"{seed}\x1f{sample.id}"), sample.id) for sample in stream(catalogue, task, split))
    drawn = {sample_id for _, sample_id in heapq.nsmallest(limit, ranked)}
    yield from (sample for sample in stream(catalogue, task, split) if sample.id in drawn)


def _samples(task: TaskSpec, paths: list[Path]) -> Iterator[tuple[str, Sample]]:
    """Yield (where, sample); rows without an id of their own are numbered by their place in the data."""
    found, left_out, number = False, 0, -1
    for path in paths:
        for where, row in rows(path):
            number += 1
            if not _wanted(task, row):
                continue
            try:
                sample = to_sample(task, row, number, where)
            except UsageError:
                left_out += 1
                if left_out > task.tolerate:
                    raise
                continue
            found = True
            yield where, sample
    if not found:
        raise UsageError(f"{task.id}: no items in {', '.join(str(p) for p in paths)}{_values_there(task, paths)}")


def _values_there(task: TaskSpec, paths: list[Path]) -> str:
    """Return what the columns that choose rows hold instead, for the error when none was chosen."""
    said = ""
    for column, wanted in task.columns.where.items():
        values = dict.fromkeys(str(row.get(column)) for path in paths for _, row in islice(rows(path), 10_000))
        said += f"; column '{column}' should be {wanted!r}, it is: {', '.join(list(values)[:12])}"
    return said


def _wanted(task: TaskSpec, row: Mapping[str, Any]) -> bool:
    for column, allowed in task.columns.where.items():
        values = (allowed,) if isinstance(allowed, str) else allowed
        if str(row.get(column)) not in values:
            return False
    return True


def to_sample(task: TaskSpec, row: Mapping[str, Any], number: int, where: str) -> Sample:
    """Return the sample that a row says; raise UsageError with `where` when it says none."""
    columns = task.columns
    fields: dict[str, Any] = {name: pick(row, path, where) for name, path in columns.fields.items()}
    question = text_of(pick(row, columns.question, where)) if columns.question else text_of(fields.get("question", ""))
    options: dict[str, str] = {}
    if columns.options is not None:
        question, options = _options(columns.options, row, question, where)
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
        target=_target(task, row, fields, where),
        discipline=_discipline(task, row, where),
        group=_group(task, row, fields, where),
        split=_split(task, row, where),
        tags={name: text_of(pick(row, path, where)) for name, path in columns.tags.items()},
    )


def pick(row: Mapping[str, Any], path: str, where: str) -> Any:
    """Return the value at a dotted path; raise UsageError naming the columns there are."""
    if path in row:
        return row[path]
    value: Any = row
    for part in path.split("."):
        if not isinstance(value, Mapping) or part not in value:
            raise UsageError(f"{where}: no column '{path}'. The row has: {', '.join(map(str, row))}.")
        value = value[part]
    return value


def text_of(value: Any) -> str:
    """Return a value as text a prompt can show; mappings become `key：value` lines."""
    if value is None:
        return ""
    if isinstance(value, Mapping):
        return "\n".join(f"{key}：{text_of(inner)}" for key, inner in value.items())
    if isinstance(value, list):
        return "、".join(text_of(inner) for inner in value)
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value)


_MARK = re.compile(r"(?:(?<=\s)|(?<=[^A-Za-z0-9])|^)([A-J])\s*(?:[.．、:：)）]\s*|\s+)")


def _options(column: OptionColumn, row: Mapping[str, Any], question: str, where: str) -> tuple[str, dict[str, str]]:
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


def _turns(value: Any, where: str) -> list[dict[str, str]]:
    turns = value if isinstance(value, list) else None
    if turns is None or not all(isinstance(t, Mapping) and t.get("role") in ("user", "assistant") for t in turns):
        raise UsageError(f"{where}: turns must be a list of {{role: user|assistant, content: text}}")
    return [{"role": str(t["role"]), "content": text_of(t.get("content"))} for t in turns]


# ------------------------------------------------------------------ targets


def _target(task: TaskSpec, row: Mapping[str, Any], fields: Mapping[str, Any], where: str) -> Target:
    answer = pick(row, task.columns.answer, where)
    if task.type in ("single_choice", "multiple_choice"):
        return _choice(answer, fields["options"], where)
    if task.type == "fill_blank":
        return _blanks(answer, str(fields["question"]), where)
    texts = tuple(text_of(a) for a in answer) if isinstance(answer, list) else (text_of(answer),)
    if not any(text.strip() for text in texts):
        raise UsageError(f"{where}: the reference answer is empty")
    rubric, terms = (_listed(row, path, where) for path in (task.columns.rubric, task.columns.terms))
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


def _listed(row: Mapping[str, Any], path: str | None, where: str) -> tuple[str, ...]:
    """Return a column's texts: a list's, or its one; none where the task names no column or the row leaves it empty."""
    value = pick(row, path, where) if path else None
    texts = (text_of(one).strip() for one in (value if isinstance(value, list) else [value]))
    return tuple(text for text in texts if text)


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


# ------------------------------------------------------------------ discipline, group, split


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


def _splitter(task: TaskSpec, paths: list[Path]) -> Callable[[Sample], Sample]:
    if task.split.divide is None:
        return lambda sample: sample
    from harness.splits import divide

    columns = task.columns.model_copy(
        update={"where": {}}
    )  # tasks on one file share its division, whichever rows they ask
    whole = task.model_copy(update={"columns": columns})
    return divide(task.split, (sample for _, sample in _samples(whole, paths)))
