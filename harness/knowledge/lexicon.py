"""The terms of Chinese medicine that the knowledge base holds, and the longest match that finds them in a text.

Every written form has one meaning here: a name and a kind. Where two entries share a form the order of `_sources` decides,
so that 失眠 and 不寐 are one term. Forms of one character are kept only where the word list names them (肝, 汗).
"""

from __future__ import annotations

import re
from collections.abc import Container, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from itertools import permutations

from harness.knowledge import files
from harness.knowledge.names import (
    JOINED,
    disease_forms,
    formula_forms,
    herb_forms,
    plain,
    plain_all,
    syndrome_forms,
)

KINDS = (
    "herb",
    "ingredient",
    "formula",
    "syndrome",
    "disease",
    "symptom",
    "tongue",
    "pulse",
    "principle",
    "channel",
    "fundamental",
    "diagnostic",
)
LONGEST = 16
"""Longer forms are sentences, not terms; the bound also makes the match linear."""

_CUT = re.compile(r"[、，,；;。（）()“”\s]|或|兼")
_CHINESE = re.compile(r"[\u3400-\u9fff]+\Z")
_PAIRED_PULSES = "浮沉迟数虚实滑涩弦紧细洪弱濡缓微"
_PULSE = re.compile(r"(?:脉象?|脉来|脉)?([\u3400-\u9fff]{1,4}?)脉?\Z")
_ORDINARY = (
    "患者 主要 疾病 诊断 治疗 方法 不同 原因 将军 国老 大力 相思 千年 地精 作用 功能 表现 部位 老人 小儿 妇女 食物 药物 "
    "初起 鲜红 产后 量少 色淡 大人 生活 饮食 症状 天气 大气 体内 腹部 黄色 白色 红色 青色 黑色 复发 体质 滋润 结石 正常 中国  白糖 玉米 鸡蛋 牛奶 太阳"
)
_NOT_TERMS = frozenset(_ORDINARY.split())


@dataclass(frozen=True, slots=True)
class Term:
    """What a written form means: the standard name, and one of `KINDS`."""

    name: str
    kind: str


@dataclass(frozen=True, slots=True)
class Span:
    """A term in a text: `start` and `end` count characters of the text's plain form, `form` is what stands there."""

    start: int
    end: int
    form: str
    term: Term


@cache
def terms() -> Mapping[str, Term]:
    """Return every written form in plain form (simplified, half width, lower case) and the term it means."""
    listed = [
        (form, term)
        for form, term in _sources()
        if 0 < len(form) <= LONGEST and _CHINESE.match(form) and form not in _NOT_TERMS
    ]
    table: dict[str, Term] = {}
    for form, (_, term) in zip(plain_all(form for form, _ in listed), listed, strict=True):
        table.setdefault(form, term)
    return {form: _last(term, table) for form, term in table.items()}


def _last(term: Term, table: Mapping[str, Term]) -> Term:
    """Return the term that a name stands for in the end: 失眠 is a form of 不寐, so what is called 失眠 is too."""
    seen = {term.name}
    while (further := table.get(term.name)) is not None and further.name not in seen:
        seen.add(further.name)
        term = further
    return term


@cache
def surface_forms() -> Mapping[str, Term]:
    """Return every written form, simplified and traditional, and the term it means."""
    import opencc

    simplified = terms()
    converted = str(opencc.OpenCC("s2t").convert("\n".join(simplified))).split("\n")
    written = dict(simplified)
    for entry in files.herbs():
        if entry.name in simplified:
            written.setdefault(entry.traditional, simplified[entry.name])
    for form, term in zip(converted, simplified.values(), strict=True):
        written.setdefault(form, term)
    return written


def segment(text: str) -> list[Span]:
    """Return the terms of a text by longest match from the left, in order and without overlap.

    Positions are those of the text's plain form (see `harness.knowledge.names.plain`), which has the length of the text
    unless it holds characters that stand for several (㎎). Linear in the text.
    """
    return list(_spans(plain(text)))


def _spans(line: str) -> Iterator[Span]:
    known, longest = terms(), _longest()
    i, end = 0, len(line)
    while i < end:
        length = longest.get(line[i : i + 2]) or longest.get(line[i])
        while length:
            form = line[i : i + length]
            if form in known:
                yield Span(i, i + length, form, known[form])
                i += length - 1
                break
            length -= 1
        i += 1


@cache
def _longest() -> Mapping[str, int]:
    """Return the greatest length of a form by its first two characters, or by its only one."""
    lengths: dict[str, int] = {}
    for form in terms():
        lengths[form[:2]] = max(len(form), lengths.get(form[:2], 0))
    return lengths


# ------------------------------------------------------------------ where the forms come from


def _sources() -> Iterator[tuple[str, Term]]:
    """Yield (form, term), the source that is to win first."""
    yield from _words()
    for form, found in herb_forms().items():
        if len(form) > 1:
            yield form, Term(found.herb.name, "herb")
    yield from ((form, Term(form, "herb")) for form in JOINED)
    yield from ((form, Term(entry.name, "formula")) for form, entry in formula_forms().items())
    for entry in files.formulas():
        yield from ((m.name, Term(m.name, "formula")) for m in entry.modifications if m.name)
    yield from _pulses()
    yield from ((form, Term(entry.name, "disease")) for form, entry in disease_forms().items())
    for form, syndrome in syndrome_forms().items():
        yield form, Term(syndrome.name, "syndrome")
        yield from ((bare, Term(syndrome.name, "syndrome")) for bare in _bare_pattern(form))
    words = {form for form, _ in (*_words(), *_pulses())}
    yield from _beside_words(_pieces(), words)
    for fact in files.facts():
        kind = _kind_of_fact(fact.kind, fact.discipline)
        if len(fact.term) > 1 and not _made_of(fact.term, words):
            yield fact.term, Term(fact.term, kind)


def _words() -> Iterator[tuple[str, Term]]:
    """Yield the general clinical vocabulary of words.jsonl."""
    for _, row in files.rows(files.HERE / "words.jsonl"):
        term = Term(row["name"], row["class"])
        yield from ((form, term) for form in (row["name"], *row["forms"]))


def _bare_pattern(form: str) -> Iterable[str]:
    """Yield the pattern's name without 证 where two characters or more remain (脾气虚证 -> 脾气虚)."""
    bare = form.removesuffix("证")
    if bare != form and len(bare) > 1:
        yield bare


def _pulses() -> Iterator[tuple[str, Term]]:
    """Yield single pulses as 脉弦, 弦脉, 脉象弦 and pairs in either order: 脉弦细 and 脉细弦 are one pulse."""
    single = {
        "浮",
        "沉",
        "迟",
        "数",
        "虚",
        "实",
        "滑",
        "涩",
        "弦",
        "紧",
        "细",
        "洪",
        "弱",
        "濡",
        "缓",
        "微",
        "芤",
        "革",
        "牢",
        "散",
        "伏",
        "促",
        "结",
        "代",
        "动",
        "疾",
        "大",
        "长",
        "短",
    }
    for pulse in sorted(single):
        term = Term(f"脉{pulse}", "pulse")
        yield from ((form, term) for form in (f"脉{pulse}", f"{pulse}脉", f"脉象{pulse}", f"脉来{pulse}"))
    for one, other in permutations(_PAIRED_PULSES, 2):
        first, second = sorted((one, other), key=_PAIRED_PULSES.index)
        term = Term(f"脉{first}{second}", "pulse")
        for pair in (one + other, f"{one}而{other}"):
            yield from ((form, term) for form in (f"脉{pair}", f"脉象{pair}", f"脉来{pair}"))


def _pieces() -> Iterator[tuple[str, Term]]:
    """Yield what patterns, formulas and herbs say in lists: symptoms, tongues, pulses, principles and actions."""
    for syndrome in files.syndromes():
        yield from _each(syndrome.symptoms, "symptom")
        yield from _each((syndrome.tongue or "",), "tongue")
        yield from _each((syndrome.pulse or "",), "pulse")
        yield from _each((syndrome.principle,), "principle")
    for formula in files.formulas():
        yield from _each(formula.symptoms, "symptom")
        yield from _each((formula.tongue or "",), "tongue")
        yield from _each((formula.pulse or "",), "pulse")
        yield from _each(formula.actions, "principle")
        yield from _each(formula.indications, "symptom")
    for disease in files.diseases():
        for pattern in disease.patterns:
            name = pattern.name.split("-")[-1]
            yield name, Term(name, "syndrome")
            yield from ((bare, Term(name, "syndrome")) for bare in _bare_pattern(name))
            yield from _each((pattern.principle,), "principle")
    for herb in files.herbs():
        yield from _each(herb.actions, "principle")
        yield from _each(herb.indications, "symptom")


def _beside_words(pieces: Iterable[tuple[str, Term]], words: Container[str]) -> Iterator[tuple[str, Term]]:
    """Yield the pieces that do not begin or end with a word: 腰痛如刺 says 腰痛, and the word is found without it.

    Of a principle the rest is a term too: 通淋排石 is 通淋 and 排石.
    """
    for form, term in pieces:
        size = len(form)
        head = next((n for n in range(size, 1, -1) if form[:n] in words), 0)
        tail = next((n for n in range(size, 1, -1) if form[-n:] in words), 0)
        if not head and not tail:
            yield form, term
        elif term.kind == "principle" and max(head, tail) < size:
            rest = form[head:] if head >= tail else form[:-tail]
            if len(rest) > 1:
                yield rest, Term(rest, "principle")


def _made_of(form: str, words: Container[str]) -> bool:
    """Return whether a form is words one after the other, two or more: 恶寒发热 is two terms, not a third one."""
    ends = {0}
    for end in range(2, len(form) + 1):
        if any(end - start < len(form) and form[start:end] in words for start in ends if end - start >= 2):
            ends.add(end)
    return form not in words and len(form) in ends


def _each(texts: Iterable[str], kind: str) -> Iterator[tuple[str, Term]]:
    for text in texts:
        for piece in _CUT.split(text):
            if 1 < len(piece) <= 8:
                yield piece, Term(piece, kind)


def _kind_of_fact(kind: str, discipline: str) -> str:
    if "脉" in kind and ("经" in kind or "络" in kind):
        return "channel"
    if "脉" in kind:
        return "pulse"
    if "舌" in kind or "苔" in kind:
        return "tongue"
    return "diagnostic" if discipline == "Diagnostics" else "fundamental"
