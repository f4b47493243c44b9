"""A recipe's tasks and text files -> rows to train on: worded by the harness, checked against the test splits, counted."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from harness.datasets import stream, text_of
from harness.errors import UsageError
from harness.prompts import Prompter, Style
from harness.rows import rows
from harness.specs import TaskSpec
from harness.suites import Catalogue
from harness.types import Choice, Message, Sample, Sampling
from ladder_trainer.fence import Fence, Leak, stop_at
from ladder_trainer.recipe import Data, Recipe

Chat = list[dict[str, str]]


@dataclass(frozen=True, slots=True)
class Question:
    """One question as the model reads it, with what its answer is judged by."""

    sample: Sample
    task: TaskSpec
    messages: Chat


@dataclass(frozen=True, slots=True)
class Document:
    """One supervised text: what is given, and what is learned. `given` is empty for plain text."""

    given: Chat
    learned: str


@dataclass(slots=True)
class Material:
    """All that a run learns from, and how many items were left out and why."""

    train: list[Question]
    validation: list[Question]
    documents: list[Document] = field(default_factory=list)
    left_out: dict[str, int] = field(default_factory=dict)
    fenced: int = 0

    @property
    def sha256(self) -> str:
        """Return the hash of everything trained on, in its order."""
        digest = hashlib.sha256()
        for question in self.train:
            digest.update(f"{question.sample.task}\x1f{question.sample.id}\x1f{question.messages}\x1e".encode())
        for document in self.documents:
            digest.update(f"{document.given}\x1f{document.learned}\x1e".encode())
        return digest.hexdigest()


def gather(recipe: Recipe, catalogue: Catalogue, length: Callable[[Chat], int]) -> Material:
    """Return what the recipe learns from. `length` counts a chat's tokens.

    Raises UsageError when a task has no train split or no data, when nothing is left, and for a leak from a test split.
    """
    data = recipe.data
    tasks = chosen_tasks(data, catalogue)
    fence = Fence(catalogue, data.fence)
    left_out = {"prompt too long": 0, "in a test split": 0}
    train, leaks = [], []
    for task in tasks:
        for sample in _split(catalogue, task, data.split):
            if data.part is not None and part_of(sample.id, data.part[1]) != data.part[0]:
                continue
            leak = fence.sample(sample)
            if leak:
                leaks.append(leak)
                continue
            train.append(_question(data, task, sample))
    if data.leaks == "stop":
        stop_at(leaks)
    left_out["in a test split"] = len(leaks)
    train = _short_enough(data, train, length, left_out)
    if data.validation == "train":
        validation, train = _drawn(train, data.validation_samples)
    else:
        validation = _validation(data, catalogue, tasks, fence) if data.validation_samples else []
        validation, _ = _drawn(_short_enough(data, validation, length, {}), data.validation_samples)
    train = train[: data.limit]
    material = Material(train, validation, left_out=left_out, fenced=fence.questions)
    if not train and not (recipe.sft.files and recipe.stages == ("sft",)):
        raise UsageError(f"nothing is left to train on: {_counts(left_out)} of {', '.join(data.tasks)}")
    if "sft" in recipe.stages:
        material.documents = _documents(recipe, train, fence, left_out)
    return material


def part_of(name: str, parts: int) -> int:
    """Return which of so many parts, counted from 1, a question's id falls into: by its hash, the same everywhere."""
    return int.from_bytes(hashlib.blake2b(name.encode(), digest_size=8).digest()) % parts + 1


def _counts(left_out: dict[str, int]) -> str:
    return ", ".join(f"{count} left out ({why})" for why, count in left_out.items() if count) or "no question was found"


def chosen_tasks(data: Data, catalogue: Catalogue) -> list[TaskSpec]:
    """Return the recipe's tasks; raise UsageError that says how to bring missing data."""
    here, absent = catalogue.select(data.tasks)
    if absent:
        ways = "".join(f"\n  {w}" for w in dict.fromkeys(catalogue.bring(task.suite) for task in absent))
        raise UsageError(f"the training data of {', '.join(t.id for t in absent)} is not here. Bring it with:{ways}")
    return here


def _split(catalogue: Catalogue, task: TaskSpec, split: str) -> list[Sample]:
    found = list(stream(catalogue, task, split))
    if not found:
        there = sorted({sample.split for sample in stream(catalogue, task)})
        raise UsageError(
            f"{task.id} has no {split} split (it has: {', '.join(there)}). Choose a task that has one, or divide it in its YAML: "
            "split: {divide: {train: 0.8, validation: 0.1, test: 0.1}}"
        )
    return found


def _question(data: Data, task: TaskSpec, sample: Sample) -> Question:
    prompter = Prompter(task, Style(language=data.language, system=data.system), Sampling())
    request = prompter.job(sample).next([])
    if request is None:
        raise UsageError(f"{task.id} {sample.id}: the task asks nothing")
    return Question(sample, task, [{"role": m.role, "content": _text(m, task)} for m in request.messages])


def _text(message: Message, task: TaskSpec) -> str:
    if not isinstance(message.content, str):
        raise UsageError(f"{task.id}: questions with images cannot be trained on")
    return message.content


def _short_enough(
    data: Data, questions: Sequence[Question], length: Callable[[Chat], int], left_out: dict[str, int]
) -> list[Question]:
    short = [q for q in questions if length(q.messages) <= data.max_prompt_tokens]
    left_out["prompt too long"] = left_out.get("prompt too long", 0) + len(questions) - len(short)
    return short


def _validation(data: Data, catalogue: Catalogue, tasks: Sequence[TaskSpec], fence: Fence) -> list[Question]:
    found = [
        _question(data, task, sample)
        for task in tasks
        for sample in stream(catalogue, task, data.validation)
        if fence.sample(sample) is None
    ]
    if not found:
        raise UsageError(
            f"no {data.validation} split in {', '.join(data.tasks)} to choose the best checkpoint by. "
            "Hold questions of the train split back: --set data.validation=train, or do without: "
            "--set data.validation_samples=0 --set grpo.evaluate_every=0"
        )
    return found


def _drawn(questions: Sequence[Question], count: int) -> tuple[list[Question], list[Question]]:
    """Return `count` questions drawn by the hash of their ids, the same at every start, and the others in their order."""
    names = {f"{q.sample.task}\x1f{q.sample.id}" for q in questions}
    drawn = set(sorted(names, key=lambda name: hashlib.blake2b(name.encode()).digest())[:count])
    inside: list[Question] = []
    outside: list[Question] = []
    for q in questions:
        (inside if f"{q.sample.task}\x1f{q.sample.id}" in drawn else outside).append(q)
    return inside, outside


# ------------------------------------------------------------------ supervised texts


def _documents(recipe: Recipe, train: Sequence[Question], fence: Fence, left_out: dict[str, int]) -> list[Document]:
    made = [Document(q.messages, worded_answer(recipe.sft.answer, q.sample)) for q in train if recipe.sft.questions]
    leaks: list[Leak] = []
    for name in recipe.sft.files:
        for where, document in _file(Path(name)):
            said = "\n".join([*(turn["content"] for turn in document.given), document.learned])
            leak = fence.text(said)
            if leak:
                leaks.append(Leak(leak.text, leak.where, f"{where}: "))
            else:
                made.append(document)
    if recipe.data.leaks == "stop":
        stop_at(leaks)
    left_out["in a test split"] += len(leaks)
    if not made:
        raise UsageError("the sft stage has no text: sft.files is empty and sft.questions is false")
    return made


def _file(path: Path) -> Iterator[tuple[str, Document]]:
    if not path.is_file():
        raise UsageError(f"sft.files: {path} does not exist")
    for where, row in rows(path):
        if "text" in row:
            yield where, Document([], text_of(row["text"]))
        elif "prompt" in row and "completion" in row:
            given = row["prompt"]
            chat = given if isinstance(given, list) else [{"role": "user", "content": text_of(given)}]
            yield where, Document(chat, text_of(row["completion"]))
        else:
            raise UsageError(f"{where}: expected 'text', or 'prompt' and 'completion'; the row has: {', '.join(row)}")


_FIELD = re.compile(r"\{([A-Za-z_][A-Za-z0-9_]*)\}")


def worded_answer(template: str, sample: Sample) -> str:
    """Return the reply to learn: {letters}, {texts}, {question} and the sample's own columns filled in."""
    target = sample.target
    shown: dict[str, Any] = {**sample.fields, "question": sample.question}
    if isinstance(target, Choice):
        letters = sorted(target.letters)
        shown["letters"] = "".join(letters)
        shown["texts"] = "；".join(sample.options[letter] for letter in letters)
    else:
        accepted = getattr(target, "accepted", None)
        shown["texts"] = "；".join(one[0] for one in accepted) if accepted else target.texts[0]  # type: ignore[union-attr]
        shown["letters"] = shown["texts"]

    def fill(match: re.Match[str]) -> str:
        if match[1] not in shown:
            raise UsageError(
                f"sft.answer names '{{{match[1]}}}', but {sample.task} {sample.id} has only: {', '.join(shown)}"
            )
        return text_of(shown[match[1]])

    return _FIELD.sub(fill, template)
