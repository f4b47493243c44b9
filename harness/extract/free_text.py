"""The answer of a free-text item."""

from __future__ import annotations

import re

_OPENING = re.compile(r"<[ \t]{0,3}answer[ \t]{0,3}>", re.IGNORECASE)
_CLOSING = re.compile(r"<[ \t]{0,3}/[ \t]{0,3}answer[ \t]{0,3}>", re.IGNORECASE)


def inside_answer_tags(text: str) -> str | None:
    """What the last `<answer>` block that is not empty holds, stripped; an unclosed one reaches to the end.

    None where there is no such block.
    """
    end = len(text)
    for opening in reversed(list(_OPENING.finditer(text))):
        closing = _CLOSING.search(text, opening.end(), end)
        inside = text[opening.end() : closing.start() if closing else end].strip()
        if inside:
            return inside
        end = opening.start()
    return None


def free_text(text: str) -> str | None:
    """The text inside the last `<answer>` tags, or all of it where there are none, stripped; None when it is empty."""
    inside = inside_answer_tags(text)
    if inside is not None:
        return inside
    return _CLOSING.sub("", _OPENING.sub("", text)).strip() or None
