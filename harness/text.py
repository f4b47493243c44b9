"""Plain forms of Chinese and English text, shared by extraction and metrics.

`fold` makes two spellings of one text equal (widths, punctuation, traditional characters, white space);
`normalise_blank` does so for the short answers of fill-in items; `parse_quantity` reads doses and durations.
All of it runs in linear time and never raises on any string.
"""

from __future__ import annotations

import functools
import re
import unicodedata
from dataclasses import dataclass
from typing import Any

# Traditional forms that GB 2312 holds too, mostly as parts of names: every other traditional character is not in
# it, so this short list and the codec together tell simplified text without loading the converter.
_TRADITIONAL_IN_GB2312 = frozenset("乾吒夥後徵拚捱摺於榘菸薹袷醣麴麽")

_PUNCTUATION = str.maketrans(
    {
        **dict.fromkeys("“”„‟〝〞＂「」『』«»", '"'),
        **dict.fromkeys("‘’‚‛′＇`´", "'"),
        **dict.fromkeys("【〔〖［", "["),
        **dict.fromkeys("】〕〗］", "]"),
        **dict.fromkeys("‐‑‒–—―−﹣－─━", "-"),
        **dict.fromkeys("〜～∼∽˜", "~"),
        **dict.fromkeys("。｡", "."),
        "、": ",",
        "《": '"',
        "》": '"',
    }
)
_INVISIBLE = re.compile("[\u00ad\u200b-\u200f\u202a-\u202e\u2060-\u2064\ufe00-\ufe0f\ufeff]")
_ACCENTED = re.compile("[A-Za-z][\u0300-\u036f]{1,3}")
_ENCLOSED_LETTERS = {
    **{first + i: chr(65 + i) for first in (0x1F150, 0x1F170) for i in range(26)},
    0x0130: "I",  # the only character whose lower case is longer than itself
}


def fold(text: str, *, lower: bool = False) -> str:
    """The text with one spelling for what means the same: widths, punctuation, simplified characters, white space.

    White space is collapsed to single spaces and trimmed. With `lower`, Latin letters are put in lower case.
    """
    folded = " ".join(simplify(fold_widths(text)).translate(_PUNCTUATION).split())
    return folded.lower() if lower else folded


def fold_widths(text: str) -> str:
    """The text with each character in its compatibility form (Ａ to A, （ to (), and without invisible ones.

    Characters are mapped one by one: the standard library's NFKC is quadratic on long runs of combining marks.
    """
    text = _INVISIBLE.sub("", text)
    if text.isascii():
        return text
    text = _ACCENTED.sub(lambda found: unicodedata.normalize("NFC", found[0]), text)
    table = {ord(c): unicodedata.normalize("NFKC", c) for c in set(text) if not c.isascii()}
    table.update(_ENCLOSED_LETTERS)
    return text.translate(table)


def simplify(text: str) -> str:
    """The text in simplified characters; text that is simplified already comes back as it is."""
    if text.isascii() or not any(_may_be_traditional(c) for c in set(text)):
        return text
    # A lone surrogate cannot cross into the converter, and is no character anyway.
    converted: str = _converter().convert(text.encode("utf-8", "replace").decode("utf-8"))
    return converted


@functools.lru_cache(maxsize=8192)
def _may_be_traditional(character: str) -> bool:
    if not "\u3400" <= character <= "\u9fff":
        return False
    if character in _TRADITIONAL_IN_GB2312:
        return True
    try:
        character.encode("gb2312")
    except UnicodeEncodeError:
        return True
    return False


@functools.cache
def _converter() -> Any:  # opencc declares no types
    import opencc

    return opencc.OpenCC("t2s")


# --- quantities ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Quantity:
    """A number or a range with its unit; `low` or `high` is None where that side is open, `unit` where none stands.

    A single number has `low == high`. Units are named by `UNITS`; nothing is converted (600 mg is not 0.6 g here).
    """

    low: float | None
    high: float | None
    unit: str | None


UNITS = {
    "g": ("g", "克", "gram", "grams", "公克"),
    "kg": ("kg", "千克", "公斤"),
    "mg": ("mg", "毫克"),
    "ug": ("ug", "μg", "µg", "mcg", "微克"),
    "ml": ("ml", "毫升", "cc"),
    "l": ("l", "升"),
    "钱": ("钱",),
    "两": ("两",),
    "day": ("日", "天", "day", "days", "d"),
    "hour": ("小时", "个小时", "钟头", "hour", "hours", "h", "hr"),
    "minute": ("分钟", "minute", "minutes", "min"),
    "second": ("秒", "秒钟", "second", "seconds", "s"),
    "week": ("周", "星期", "个星期", "week", "weeks"),
    "month": ("月", "个月", "month", "months"),
    "year": ("年", "岁", "周岁", "year", "years"),
    "cm": ("cm", "厘米", "公分"),
    "mm": ("mm", "毫米"),
    "寸": ("寸",),
    "分": ("分",),
    "%": ("%", "percent"),
    "℃": ("°c", "℃", "度", "摄氏度"),
    **{same: (same,) for same in ("次", "片", "粒", "丸", "枚", "剂", "滴", "条", "只", "个", "种", "味", "倍")},
}
_UNIT_NAMES = {spelling: unit for unit, spellings in UNITS.items() for spelling in spellings}
_UNIT = "|".join(sorted(map(re.escape, _UNIT_NAMES), key=len, reverse=True))
_NUMBER = r"\d{1,12}(?:\.\d{1,9})?|两[百千万][零〇一二三四五六七八九十百千半]{0,7}|两|[零〇一二三四五六七八九十百千万半]{1,9}(?:点[零〇一二三四五六七八九]{1,6})?"
_LEAD = r"(?:(?:每[日天次]|[一1][日天次]|成人|内服|外用|煎服|常用|用?量|剂量|范围|约|大约|左右|为|是|在|between|about)[ ,:]?){0,4} ?"
_AT_MOST = r"不得?(?:超过|大于|多于)|不高于|至多|最多|小于等于|小于|少于|低于|<=|≤|<|at most|up to|less than"
_AT_LEAST = r"不得?(?:少于|小于|低于)|至少|最少|大于等于|大于|多于|超过|>=|≥|>|at least|more than"
_QUANTITY = re.compile(
    rf"(?P<lead>{_LEAD}(?:(?P<most>{_AT_MOST})|(?P<least>{_AT_LEAST}))? ?{_LEAD})"
    rf"(?P<a>{_NUMBER}) ?(?P<ua>{_UNIT})?"
    rf"(?: ?(?:-|~|至|到|to|and|或) ?(?P<b>{_NUMBER}) ?(?P<ub>{_UNIT})?)?"
    rf" ?(?:(?P<below>以内|以下|之内|内)|(?P<above>以上)|左右|上下)?(?: ?/ ?[日天次d])?[ .,;]*(?:\([^()]{{0,40}}\))?[ .,;]*",
    re.ASCII,
)
_RANGE_IN_TEXT = re.compile(
    rf"(\d{{1,12}}(?:\.\d{{1,9}})?) ?({_UNIT})?(?: ?[-~至到] ?(\d{{1,12}}(?:\.\d{{1,9}})?) ?({_UNIT})?)?",
    re.ASCII,
)


def parse_quantity(text: str) -> Quantity | None:
    """The quantity that the whole text states, or None: 1.5～3g, 三至九克, 不超过6g (low None), 30分钟以上 (high None)."""
    found = _QUANTITY.fullmatch(fold(text, lower=True)) if len(text) <= 200 else None
    return _read_quantity(found) if found else None


def _read_quantity(found: re.Match[str]) -> Quantity | None:
    first = _number(found["a"])
    second = _number(found["b"]) if found["b"] else first
    if first is None or second is None:
        return None
    unit = _UNIT_NAMES.get(found["ub"] or found["ua"] or "")
    if found["ua"] and found["ub"] and _UNIT_NAMES[found["ua"]] != unit:
        return None
    low: float | None = min(first, second)
    high: float | None = max(first, second)
    if found["most"] or found["below"]:
        low = None
    elif found["least"] or found["above"]:
        high = None
    return Quantity(low, high, unit)


_DIGITS = {c: i for i, c in enumerate("零一二三四五六七八九")} | {"〇": 0, "两": 2}
_POWERS = {"十": 10, "百": 100, "千": 1000, "万": 10000}


def _number(text: str) -> float | None:
    if text[0].isdigit():
        return float(text)
    whole, _, fraction = text.partition("点")
    if whole == "半":
        return 0.5
    half = 0.5 if whole.endswith("半") else 0.0
    total = section = 0
    digit: int | None = None
    for c in whole.removesuffix("半"):
        if c in _DIGITS:
            if digit and not section and c != "零":
                return None  # 三五钱 is a manner of speaking, not the number 35
            digit = _DIGITS[c]
        elif c in _POWERS:
            section += (1 if digit is None else digit) * _POWERS[c]
            digit = None
        else:
            return None
    total = section + (digit or 0)
    if fraction:
        return float(f"{total}.{''.join(str(_DIGITS[c]) for c in fraction)}")
    return total + half


# --- short answers ------------------------------------------------------------------------------------------------


def normalise_blank(text: str) -> str:
    """The form of a fill-in answer under which Exact Match (normalised) compares: two equal forms are one answer.

    Simplified characters, half width, lower case, one spelling of numbers, ranges and units, no white space and no
    punctuation except inside numbers.
    """
    folded = fold(text, lower=True)
    found = _QUANTITY.fullmatch(folded) if len(folded) <= 200 and not folded[:1].isdigit() else None
    if found and not found["lead"] and not found["below"] and not found["above"]:
        quantity = _read_quantity(found)
        if quantity is not None:
            return _write(quantity)
    marked = _RANGE_IN_TEXT.sub(_write_match, folded)
    return "".join(c for i, c in enumerate(marked) if _carries_meaning(marked, i))


def _write_match(found: re.Match[str]) -> str:
    low, low_unit, high, high_unit = found.groups()
    unit = _UNIT_NAMES.get(high_unit or low_unit or "", "")
    # A Latin unit must end where it ends (3day is a duration, 3dayak is not); the digit of a longer word is no number.
    following = found.string[found.end() : found.end() + 1]
    if (high_unit or low_unit or "").isascii() and unit and following.isascii() and following.isalpha():
        return found[0]
    number = f"{float(low):g}" + (f"-{float(high):g}" if high else "")
    if low_unit and high_unit and _UNIT_NAMES[low_unit] != unit:
        return found[0]
    return number + unit


def _write(quantity: Quantity) -> str:
    ends = [f"{end:g}" for end in (quantity.low, quantity.high) if end is not None]
    return "-".join(dict.fromkeys(ends)) + (quantity.unit or "")


def _carries_meaning(text: str, i: int) -> bool:
    c = text[i]
    if c.isalnum() or c in "%<>≤≥+°℃":
        return True
    if c in ".-/" and 0 < i < len(text) - 1:
        return text[i - 1].isdigit() and text[i + 1].isdigit()
    return False
