"""Which texts are too alike to be two options of one question.

The rule holds for a right option beside a wrong one, and for two wrong ones. Were it kept for the right option alone, the others
could be told from it without knowing anything: of two that say nearly the same neither would ever be right.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import cache

from tools.make_tasks.diseases import OVERLAP, characters_shared, kinds
from tools.make_tasks.formulas import SAME_BOOK, kin, resemble
from tools.make_tasks.herbs import NATURES

_RANGE = re.compile(r"([\d.]+)～([\d.]+)g")
_LISTS = frozenset({"channels", "flavours"})
_FORMULAS = frozenset({"disease formula", "formula recipe", "formulas source"})


@cache
def alike(pool: str, one: str, other: str) -> bool:
    """Tell whether two options of a pool say the same, nearly the same, or one of them all that the other says."""
    if one == other:
        return True
    if pool == "nature":
        return NATURES[one] == NATURES[other]
    if pool == "dose":
        return ranges_overlap(one, other)
    if pool in _LISTS:
        own, theirs = _parts(one), _parts(other)
        return own <= theirs or theirs <= own
    if pool == "disease principle" and characters_shared(one, other) > 0.5:
        return True
    if pool in _FORMULAS and (kinds(one) & kinds(other) or resemble(one, other)):
        return True
    return (
        one in other or other in one or other in kin().get(one, ()) or _confused(one.strip("《》"), other.strip("《》"))
    )


def apart(pool: str, texts: Iterable[str], most: int) -> tuple[str, ...]:
    """Return the first `most` texts, leaving out those that are alike to one before."""
    kept: list[str] = []
    for text in texts:
        if len(kept) == most:
            break
        if not any(alike(pool, text, other) for other in kept):
            kept.append(text)
    return tuple(kept)


def ranges_overlap(one: str, other: str) -> bool:
    """Tell whether two dose ranges such as 3～10g share more than half of what they cover together."""
    first, second = _RANGE.fullmatch(one), _RANGE.fullmatch(other)
    if first is None or second is None:
        return False
    low, high = (float(first[1]), float(second[1])), (float(first[2]), float(second[2]))
    whole = max(high) - min(low)
    return whole <= 0 or (min(high) - max(low)) / whole > 0.5


def _parts(text: str) -> frozenset[str]:
    return frozenset(part.removeprefix("微") for part in text.removesuffix("经").split("、"))


def _confused(one: str, other: str) -> bool:
    """Tell whether two books share recipes, or two diseases could be taken for each other."""
    return any(one in names and other in names for names in (*SAME_BOOK, *OVERLAP))
