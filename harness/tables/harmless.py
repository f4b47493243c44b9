"""Texts from outside made harmless for what they go into: a terminal, JSON, Markdown, LaTeX, CSV; and how words are counted and cut, and money is said."""

from __future__ import annotations

import json
import math
import re
import unicodedata
from typing import Any

_UNSEEN = ("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp")
_ESCAPES = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)?|[@-_])")


def printable(text: str) -> str:
    """Return text safe for a terminal: no escape sequences, control characters or direction overrides; one line."""
    text = _ESCAPES.sub("", text)
    return "".join(c if c == " " or unicodedata.category(c) not in _UNSEEN else " " for c in text)


_WORTH_A_LOOK = re.compile("[^ -~\\n\u3001-\u3029\u3041-\u3096\u3400-\u9fff\uff01-\uff5e]")


def plain_json(value: Any, indent: int | None = None) -> str:
    """Return JSON that shows harmlessly in a terminal: every text is whole, but what cannot be seen in it stands as an escape.

    A float that is no number is `NaN`, as Python's own reader takes it.
    """
    return _WORTH_A_LOOK.sub(_escaped, json.dumps(value, ensure_ascii=False, indent=indent))


def _escaped(found: re.Match[str]) -> str:
    character = found[0]
    if unicodedata.category(character) not in _UNSEEN:
        return character
    return json.dumps(character, ensure_ascii=True)[1:-1] if character != "\x7f" else "\\u007f"


def code_markdown(text: str) -> str:
    """Return text as a code span, which Markdown shows letter by letter: no link, mention or tag comes to life in it."""
    text = printable(text)
    fence = "`" * (max((len(run) for run in re.findall("`+", text)), default=0) + 1)
    return f"{fence} {text} {fence}" if text.strip() else "` `"


def counted(number: int, noun: str, many: str = "") -> str:
    """Return so many of a thing in words: 1 question, 1,500 questions; `many` where an s is not enough: 2 retries."""
    return f"{number:,} {noun if number == 1 else many or noun + 's'}"


def money(amount: float, *, up: bool = False) -> str:
    """Return an amount in plain decimals: two places from 1 on, below it two digits that are not zero: 8.50, 0.031, 0.000078.

    `up` never rounds down: for what is at most to be paid.
    """
    places = 1 - math.floor(math.log10(amount)) if 0 < amount < 0.995 else 2
    if up:
        amount = math.ceil(round(amount * 10**places, 6)) / 10**places
    return f"{amount:,.{places}f}"


def shortened(text: str, length: int) -> str:
    """Return at most `length` characters of a text, with an ellipsis where it was cut."""
    return text if len(text) <= length else text[: length - 1].rstrip() + "…"


def for_csv(text: str) -> str:
    """Return text that no spreadsheet takes for a formula; Chinese and Japanese ones know the wide signs too."""
    text = printable(text)
    return f"'{text}" if text.lstrip()[:1] in tuple("=+-@＝＋－＠") and not _is_number(text) else text


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def for_markdown(text: str) -> str:
    """Return text that Markdown shows as it is, inside a table too."""
    text = printable(text).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return re.sub(r"([\\`*_{}\[\]()#|~!$])", r"\\\1", text)


_LATEX = {
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "–": "--",
    "†": r"$^\dagger$",
    "‡": r"$^\ddagger$",
    "<": "$<$",
    ">": "$>$",
    "|": r"\textbar{}",
}
_MINUS = re.compile(r"(?<![^\s\[(])-(?=\d)")
"""A hyphen that stands for minus: before a number that nothing but a bracket touches."""


def for_latex(text: str) -> str:
    """Return text that LaTeX sets as it is."""
    safe = "".join(_LATEX.get(c) or (f"\\{c}" if c in "&%$#_{}" else c) for c in printable(text))
    return _MINUS.sub("$-$", safe)
