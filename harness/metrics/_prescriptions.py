"""What the clinical metrics read from answers and targets: prescriptions, slots, and whether the patient is pregnant."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Any

from harness.errors import unknown
from harness.extract.herbs import Item, prescription
from harness.extract.slots import Slots, slots
from harness.knowledge import files
from harness.knowledge.names import herb, normal
from harness.metrics import _targets
from harness.registry import Answer, Family, Metric, Options, add_metric
from harness.types import Case, Sample, Value

CASES: tuple[Family, ...] = ("case", "text")
FORMS = ("apart", "joined")


@lru_cache(maxsize=512)
def _read(text: str) -> tuple[Item, ...]:
    return prescription(text)


@lru_cache(maxsize=512)
def read_slots(text: str) -> Slots:
    """Return the slots of a case answer; the last 512 texts are kept, because several metrics ask for the same one."""
    return slots(text)


def answered(sample: Sample, answer: Answer) -> tuple[Item, ...]:
    """Return the herbs an answer prescribes: read from its text, or the names that the extractor `herbs` gave."""
    if isinstance(answer, tuple):
        return tuple(Item(normal(name), name) for name in answer)
    return _read(_targets.text(sample, answer))


def written(sample: Sample, answer: Answer) -> str:
    """Return the answer's text; the names of the extractor `herbs` joined by 、."""
    return "、".join(answer) if isinstance(answer, tuple) else _targets.text(sample, answer)


def wanted(sample: Sample) -> list[tuple[Item, ...]]:
    """Return the reference prescriptions, any of which would do: the case's herbs, else those of each reference text."""
    target = sample.target
    if isinstance(target, Case) and target.herbs:
        return [tuple(Item(normal(name), name, dose, "g", dose) for name, dose in target.herbs)]
    return [items for text in _targets.references(sample) if (items := _read(text))]


def key(item: Item, forms: str) -> str:
    """Return under which name a herb is compared: its entry; with `joined` the herb that a distinct form is made of."""
    found = herb(item.form) if forms == "joined" else None
    return found.base if found else item.name


def forms_of(options: Options) -> str:
    """Return the option `forms` of a herb metric; raise UsageError for another value."""
    forms = str(options.get("forms", "apart"))
    if forms not in FORMS:
        raise unknown("way to count prepared forms", forms, FORMS)
    return forms


def herb_signature(rule: str) -> Callable[[Options], str]:
    """Return the signature function of a metric on herbs: the base's version, how forms count, and the rule."""
    return lambda options: f"herbs:kb@{files.version()}|forms:{forms_of(options)}|refs:best|{rule}"


def add(
    name: str,
    judge: Callable[[Sample, Answer], Value],
    rule: str,
    *,
    higher_is_better: bool = True,
    parts: tuple[str, ...] = (),
) -> None:
    """Register a metric without options that judges one answer at a time; `rule` stands in its signature."""

    def score(pairs: Sequence[tuple[Sample, Answer]], _options: Options) -> list[Value]:
        return [judge(sample, answer) for sample, answer in pairs]

    add_metric(
        Metric(
            name,
            1,
            CASES,
            score,
            lambda _options: f"kb@{files.version()}|{rule}",
            parts=parts,
            higher_is_better=higher_is_better,
        )
    )


# ------------------------------------------------------------------ the patient

_PREGNANT = re.compile(
    r"妊娠|怀孕|身孕|孕妇|妊妇|孕期|早孕|胎动不安|胎漏|妊(?:\d|[一二三四五六七八九十])|孕[^\n。,，;；]{0,2}?(?:\d{1,2}|[一二三四五六七八九十两]{1,3})(?:\+|余|多|个|周|月|W|w)|"
    r"(?i:\bpregnan(?:t|cy)\b)"
)
_NOT_NOW = re.compile(
    r"(?:未|否认|非|无|没有|没|不|避|备|排除|曾|既往|前次|上次|首次|末次|母|妻|欲|想|计划|准备|若|如|是否|有无|能否|(?i:not|no|denies|never))[^\n。;；]{0,4}\Z"
)
_PAST = re.compile(r"\A(?:史|育|产|次|试验?[^\n。]{0,3}阴性|期?(?:糖尿病|高血压)史|[^\n。,，]{0,6}[?？吗])")


def pregnant(sample: Sample) -> bool:
    """Return whether the case says that the patient is pregnant now: 妊娠, 怀孕, 孕8周 ... in its fields or turns.

    Denied, past and asked pregnancies do not count (否认妊娠, 妊娠史, 孕2产1, 怀孕了吗), nor those of a man or of the mother.
    """
    texts = list(_texts(sample.fields))
    if any(re.fullmatch(r"男性?|male", text.strip().lower()) for text in texts):
        return False
    return any(_says_pregnant(text) for text in texts)


def _says_pregnant(text: str) -> bool:
    for found in _PREGNANT.finditer(text):
        before, after = text[max(0, found.start() - 8) : found.start()], text[found.end() : found.end() + 10]
        if not _NOT_NOW.search(before) and not _PAST.match(after):
            return True
    return False


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for name, inner in value.items():
            if name not in ("options", "role"):
                yield from _texts(inner)
    elif isinstance(value, list | tuple):
        for inner in value:
            yield from _texts(inner)
