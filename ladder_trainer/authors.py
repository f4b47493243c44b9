"""Reads an answer letter as the reward of Ladder-base's authors does, faults included. Only for fidelity to their recipe.

Faults that are kept on purpose: without `<answer>` tags there is no answer, however clear the text; only the first tag pair
counts; a letter at the end of an English word counts as an answer ("The" is E), and it goes before everything else; a letter
with a Chinese character right after it is no answer unless one of a few phrases stands before it.
**Source:** behaviour of Ladder-base/rewards.py in the repository orangeshushu/TCM-Ladder, rewritten, not copied.
"""

from __future__ import annotations

import re

_BLOCK = re.compile(r"<answer>(?P<inside>.*?)</answer>", re.IGNORECASE | re.DOTALL)
_WORD_END = re.compile(r"[a-e](?!\w)", re.IGNORECASE)
_SAID_BEFORE = (
    "正确答案是选",
    "正确答案是",
    "正确答案为",
    "答案是",
    "应该选",
    "选择",
    "答案为",
    "应为",
    "应选",
    "正确选项是",
    "答案：",
    "答案:",
)
_PHRASES = tuple(
    re.compile(pattern, re.IGNORECASE)
    for pattern in (
        rf"(?:{'|'.join(_SAID_BEFORE)})\s*(?P<letter>[a-e])",
        r"选\s*(?P<letter>[a-e])\s*项",
        r"答案\s*(?P<letter>[a-e])",
        r"为\s*(?P<letter>[a-e])",
    )
)


def read_letter(text: str) -> str | None:
    """Return the letter A to E that their parser reads, None where it reads none."""
    block = _BLOCK.search(text)
    if block is None:
        return None
    inside = block["inside"]
    end = _WORD_END.search(inside)
    if end:
        return end[0].upper()
    for phrase in _PHRASES:
        found = phrase.search(inside)
        if found:
            return found["letter"].upper()
    return None
