"""What speaks against a prescription: pairs that must not be joined, pregnancy, dose, and toxic herbs without their precaution.

Names are taken as prescriptions write them. **Source:** the 十八反 and 十九畏 as the 中药学 textbook lists them, with the
notes of the Pharmacopoeia of the PRC (2020) that say which prepared forms and related drugs they cover; pregnancy,
toxicity and doses from the same Pharmacopoeia. For research, not medical advice: no physician has checked this data.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Literal

from harness.knowledge import files
from harness.knowledge.entries import Incompatibility
from harness.knowledge.names import Found, herb, plain

Level = Literal["forbidden", "caution"]
_LEVELS: Mapping[str, Level] = {"妊娠禁用": "forbidden", "妊娠慎用": "caution"}

HANDLING: Mapping[str, str] = {
    "先煎": r"先煎|先煮|久煎|久煮|煎煮?\d+分钟以上",
    "久煎": r"先煎|先煮|久煎|久煮|煎煮?\d+分钟以上",
    "入丸散": r"入丸|丸散|研末|研粉|研细|为末|冲服|冲入|吞服|装胶囊|胶囊|分冲|兑服|散剂|丸剂",
    "外用": r"外用|外敷|外洗|熏洗|调敷|涂|搽|贴敷|外搽|洗剂|膏药",
}
"""For the special handling that a toxic herb demands, the words that state it."""


@dataclass(frozen=True, slots=True)
class Clash:
    """Two names of one prescription that must not stand together: the rule's kind, the names as written, and why."""

    kind: str
    one: str
    other: str
    why: str


@dataclass(frozen=True, slots=True)
class Caution:
    """One name of a prescription and what speaks against it."""

    herb: str
    level: str
    why: str


def incompatible(names: Iterable[str]) -> list[Clash]:
    """Return the 十八反 and 十九畏 pairs among the names of one prescription, in their order, each with its reason.

    A pair of rules' sides counts once per two names: 附子 with 半夏 and 瓜蒌 gives two clashes.
    """
    written = list(dict.fromkeys(names))
    sides: dict[int, tuple[list[str], list[str]]] = {}
    for name in written:
        for rule, side in {place for key in _keys(name) for place in _places().get(key, ())}:
            sides.setdefault(rule, ([], []))[side].append(name)
    clashes: dict[tuple[str, str, str], Clash] = {}
    for rule in sorted(sides):
        entry = files.incompatibilities()[rule]
        for one in sides[rule][0]:
            for other in sides[rule][1]:
                if one != other:
                    why = f"{one}与{other}不宜同用（{entry.kind}）：{entry.note}"
                    clashes.setdefault((entry.kind, one, other), Clash(entry.kind, one, other, why))
    return list(clashes.values())


def _keys(name: str) -> set[str]:
    """Return the names under which rules may know a name: as written, its prepared form, its entry."""
    found = herb(name)
    return {plain(name), *((found.form, found.herb.name) if found else ())}


@cache
def _places() -> Mapping[str, tuple[tuple[int, int], ...]]:
    """Return for each name the rules on pairs it stands in: (number of the rule, 0 for side a or 1 for side b)."""
    places: dict[str, list[tuple[int, int]]] = {}
    for number, rule in enumerate(files.incompatibilities()):
        if rule.b:
            for side, names in enumerate(((*rule.a, *rule.a_forms), (*rule.b, *rule.b_forms))):
                for name in names:
                    places.setdefault(plain(name), []).append((number, side))
    return {name: tuple(dict.fromkeys(found)) for name, found in places.items()}


@cache
def _pregnancy_rules() -> Mapping[str, Incompatibility]:
    rules = [rule for rule in files.incompatibilities() if rule.kind in _LEVELS]
    return {plain(name): rule for rule in rules for name in (*rule.a, *rule.a_forms)}


def in_pregnancy(names: Iterable[str]) -> list[Caution]:
    """Return the names that are forbidden or to be used with caution in pregnancy, each with its reason."""
    warnings = []
    for name in dict.fromkeys(names):
        found, rules = herb(name), _pregnancy_rules()
        rule = next((rules[key] for key in (plain(name), *_forms(found)) if key in rules), None)
        if rule is not None:
            level: str = _LEVELS[rule.kind]
            warnings.append(Caution(name, level, f"{name}：{rule.kind}。{rule.note}"))
        elif found is not None and found.herb.pregnancy != "none":
            warnings.append(Caution(name, found.herb.pregnancy, f"{name}：{found.herb.precaution or '孕妇慎用'}"))
    return warnings


def _forms(found: Found | None) -> tuple[str, ...]:
    return (found.form, found.herb.name) if found else ()


def above_dose(name: str, grams: float) -> Caution | None:
    """Return a warning where grams a day exceed the range of the herb; None where they do not or no range is known.

    A raw form (生附子) has no range of its own unless it has an entry: the range of the prepared drug is not lent to it.
    """
    found = herb(name)
    if found is None or found.herb.dose is None or _is_raw_of_toxic(name, found):
        return None
    dose = found.herb.dose
    fresh = plain(name).startswith("鲜") and not found.herb.name.startswith("鲜")  # given at double weight
    if grams <= dose.high * (2 if fresh else 1) + 1e-9:
        return None
    why = f"{name}{grams:g}g：超过{found.herb.source.work}的{dose.low:g}～{dose.high:g}g"
    return Caution(name, "above_dose", why)


def _is_raw_of_toxic(name: str, found: Found) -> bool:
    return plain(name).startswith("生") and found.herb.toxicity in ("有毒", "大毒")


def demanded(name: str) -> tuple[str, ...]:
    """Return the ways of handling of which a toxic herb needs one (先煎, 入丸散, 外用); empty where it needs none.

    Herbs are meant that the Pharmacopoeia calls 有毒 or 大毒 and for which it demands special handling, or gives no
    internal dose.
    """
    found = herb(name)
    if found is None or found.herb.toxicity not in ("有毒", "大毒"):
        return ()
    ways = tuple(way for way in found.herb.decoction if way in HANDLING)
    inside = tuple(way for way in ways if way != "外用")
    if inside:
        return ways
    if found.herb.dose is None or _is_raw_of_toxic(name, found):
        return ("外用",)
    return ()


def without_precaution(names: Sequence[str], text: str) -> list[Caution]:
    """Return the toxic names of a prescription whose handling the text does not state, each with what it demands.

    The words must stand in the same sentence as the herb, or in the same item of the list. Linear in the text.
    """
    needed = {name: ways for name in dict.fromkeys(names) if (ways := demanded(name))}
    if not needed:
        return []
    stated: set[str] = set()
    for sentence in re.split(r"[。;；\n]", plain(text)):
        for name, ways in needed.items():
            form = plain(name)
            if name not in stated and form in sentence and _stated(sentence, form, ways):
                stated.add(name)
    return [
        Caution(name, "toxic", f"{name}有毒，须注明：{'或'.join(ways)}")
        for name, ways in needed.items()
        if name not in stated
    ]


def _stated(sentence: str, name: str, ways: Sequence[str]) -> bool:
    """Return whether a sentence states the handling, at the herb itself when it lists several herbs."""
    words = re.compile("|".join(HANDLING[way] for way in ways))
    items = re.split(r"[、，,]", sentence)
    if any(name in item and words.search(item) for item in items):
        return True
    return len(items) <= 4 and words.search(sentence) is not None
