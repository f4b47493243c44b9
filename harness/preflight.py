"""What is wrong or doubtful in a task's data, found before anything is asked."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from harness.datasets import census, pick, stream, text_of
from harness.errors import UsageError
from harness.prompts import Prompter, Style, reference_answer
from harness.registry import get_extractor, get_metric
from harness.rows import rows
from harness.specs import TaskSpec
from harness.suites import Catalogue, refuse_unfit
from harness.text import fold
from harness.types import DISCIPLINES, Blanks, Case, Choice, Reference, Sample, Sampling

Level = Literal["error", "warning"]


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing found. An error would give wrong numbers; a warning is worth a look."""

    level: Level
    what: str
    samples: tuple[str, ...]
    message: str


def check(catalogue: Catalogue, task: TaskSpec) -> list[Finding]:
    """Return all findings of one task, errors first; the first malformed row is an error and ends the check.

    Raises UsageError for a metric or an extractor that is unknown or not for the task's type.
    """
    refuse_unfit(task)
    try:
        census(catalogue, task)
        samples = list(stream(catalogue, task))
    except UsageError as error:
        return [Finding("error", "data", (), str(error))]
    found = [*_duplicates(samples), *_options(samples), *_keys(samples), *_oracle(task, samples), *_splits(samples)]
    return sorted([*found, *_disciplines(catalogue, task)], key=lambda one: one.level)


def _disciplines(catalogue: Catalogue, task: TaskSpec) -> Iterator[Finding]:
    """Name the values of a discipline column that are none of the seven: such items stand in no discipline's score."""
    rule = task.columns.discipline
    if rule is None or rule.column is None:
        return
    strange: Counter[str] = Counter()
    for path in catalogue.data_files(task):
        for where, row in rows(path):
            value = text_of(pick(row, rule.column, where)).strip()
            if value and rule.map.get(value, value) not in DISCIPLINES:
                strange[value] += 1
    if strange:
        values = ", ".join(f"{value} ({n})" for value, n in strange.most_common(12))
        more = ", ..." if len(strange) > 12 else ""
        cure = f"name them in columns.discipline.map; known: {', '.join(DISCIPLINES)}"
        yield Finding(
            "warning", "no discipline", (), f"these values of '{rule.column}' are none: {values}{more}; {cure}"
        )


def _question(sample: Sample) -> str:
    turns = "".join(turn["content"] for turn in sample.fields.get("turns", []))
    extra = "".join(str(v) for k, v in sorted(sample.fields.items()) if k not in ("question", "options", "turns"))
    return re.sub(r"[\W_]+", "", fold(f"{sample.question}{turns}{extra}"))


def _target_key(sample: Sample) -> str:
    """Return the answer in words, so that the same options in another order compare equal."""
    if isinstance(sample.target, Choice):
        return "".join(sorted(fold(sample.options[letter]) for letter in sample.target.letters))
    return repr(sample.target)


def _duplicates(samples: list[Sample]) -> Iterator[Finding]:
    same: dict[str, list[Sample]] = defaultdict(list)
    for sample in samples:
        options = "".join(sorted(fold(text) for text in sample.options.values()))
        same[f"{_question(sample)}\x1f{options}"].append(sample)
    for items in same.values():
        if len(items) < 2:
            continue
        ids = tuple(item.id for item in items)
        if len({_target_key(item) for item in items}) > 1:
            yield Finding("error", "conflicting keys", ids, "the same question with different answers")
        else:
            yield Finding("warning", "duplicates", ids, "the same question more than once (counted as one cluster)")


def _options(samples: list[Sample]) -> Iterator[Finding]:
    for sample in samples:
        texts = [fold(text) for text in sample.options.values()]
        if len(set(texts)) < len(texts):
            yield Finding(
                "error",
                "equal options",
                (sample.id,),
                f"two options read the same: {', '.join(sample.options.values())}",
            )


MANY, MOST = 20, 0.6
"""From so many questions on, a letter that is the key of more than this share of them (of two options: of 0.75) is worth a look."""


def _keys(samples: list[Sample]) -> Iterator[Finding]:
    """Name questions whose text holds their own key, and a letter that is nearly always right: of both a model can make use."""
    single = {
        sample.id: next(iter(sample.target.letters))
        for sample in samples
        if isinstance(sample.target, Choice) and len(sample.target.letters) == 1
    }
    told = tuple(sample.id for sample in samples if sample.id in single and _tells(sample.question, single[sample.id]))
    if told:
        yield Finding("warning", "key in the question", told, "the letter of the key stands in the question's own text")
    letter, times = Counter(single.values()).most_common(1)[0] if single else ("", 0)
    fewest = min((len(sample.options) for sample in samples if sample.id in single), default=0)
    if len(single) >= MANY and times > max(MOST, 1.5 / fewest) * len(single):
        message = f"{letter} is the key of {times:,} of {len(single):,} questions: who always says {letter} scores {times / len(single):.2f}"
        yield Finding("warning", "one letter", (), message)


def _tells(question: str, letter: str) -> bool:
    """Tell whether a question names a letter as its answer: 答案：B, or （B） where the blank was."""
    text = fold(question).upper()
    return bool(
        re.search(
            rf"(?:答案|ANSWER|正确选项)\s*(?:是|为|IS)?\s*[:：]?\s*{letter}(?![A-Z])|[(（\[【]\s*{letter}\s*[)）\]】]",
            text,
        )
    )


def _oracle(task: TaskSpec, samples: list[Sample]) -> Iterator[Finding]:
    """Answer every question with its own key: it must score 1, and must not stand in the prompt."""
    prompter = Prompter(task, Style(), Sampling())
    extractor = get_extractor(task.extractor)
    metric = get_metric(task.headline_metric)
    options = next(use.options for use in task.metric_uses if use.name == metric.name)
    hidden, several = [], []
    for sample in samples:
        try:
            prompt = prompter.render(sample)
        except UsageError as error:
            yield Finding("error", "prompt", (sample.id,), str(error))
            return
        answer = extractor.read(reference_answer(sample), sample)
        if answer is None:
            yield Finding("error", "unreadable key", (sample.id,), "the key itself cannot be read as an answer")
            continue
        value = metric.score([(sample, answer)], options)[0].value
        if value is not None and value < 1 - 1e-9:
            yield Finding(
                "error", "key does not score 1", (sample.id,), f"the key as answer scores {value:.3f} {metric.name}"
            )
        if _leaks(sample, prompt):
            yield Finding("error", "gold in the prompt", (sample.id,), "the reference answer stands in the prompt")
        if any(option not in prompt for option in sample.options.values()):
            hidden.append(sample.id)
        if task.type == "single_choice" and isinstance(sample.target, Choice) and len(sample.target.letters) > 1:
            several.append(sample.id)
    if hidden:
        yield Finding(
            "error", "options not shown", tuple(hidden), "the prompt leaves options out: put {options} into it"
        )
    if several:
        told = "the key has several letters, but the prompt asks for one: multiple_choice asks for all"
        yield Finding("warning", "several right options", tuple(several), told)


def _leaks(sample: Sample, prompt: str) -> bool:
    shown = fold(prompt)
    match sample.target:
        case Choice():
            return False  # the right option must stand there
        case Blanks(accepted):
            return all(len(one[0]) > 3 and fold(one[0]) in shown for one in accepted)
        case Reference(texts) | Case(texts):
            return any(len(text) > 20 and fold(text) in shown for text in texts)


def _splits(samples: list[Sample]) -> Iterator[Finding]:
    where: dict[str, set[str]] = defaultdict(set)
    ids: dict[str, list[str]] = defaultdict(list)
    for sample in samples:
        group = sample.group or sample.id
        where[group].add(sample.split)
        ids[group].append(sample.id)
    for group, splits in where.items():
        if len(splits) > 1:
            message = f"group '{group}' stands in several splits: {', '.join(sorted(splits))}"
            yield Finding("error", "leak between splits", tuple(ids[group]), message)
