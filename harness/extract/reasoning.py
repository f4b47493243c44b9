"""Reasoning taken off a model's reply, whatever shape it has.

What counts as reasoning: the inside of <think>, <thinking>, <reasoning> and <analysis> (any case, also ◁think▷); all
that stands before a closing tag that was never opened, because many chat templates supply the opening one; and what
a server returned beside the text as `reasoning_content`.

Two judgements. A tag directly between quotation marks or backticks ("<think>", `</think>`) is a mention of it in
prose, not a tag. A closing tag with nothing after it and nothing open is a stray, and hides no answer before it when
a reasoning block was closed earlier. Every other tag is taken at its word: an unquoted opening tag that is never
closed hides all that follows, because a draft must not be scored as an answer.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

_TAG = re.compile(
    r"[<◁][ \t]{0,3}(/?)[ \t]{0,3}(think|thinking|reasoning|analysis)(?:[ \t][^<>◁▷\n]{0,80})?[>▷]", re.IGNORECASE
)
_QUOTES = {"`": "`", '"': '"', "'": "'", "“": "”", "‘": "’", "「": "」", "『": "』", "《": "》"}
_FAMILY = {"think": "think", "thinking": "think", "reasoning": "reasoning", "analysis": "analysis"}


@dataclass(frozen=True, slots=True)
class Split:
    """A reply in two parts, both stripped; `closed` is False where a reasoning block never ended (truncated)."""

    reasoning: str
    answer: str
    closed: bool


def split(text: str | None, reasoning: str | None = None) -> Split:
    """The reply's reasoning and its answer; `reasoning` is what the server gave beside the text, None where nothing.

    Where a block is unclosed the answer is what stood before its opening tag, normally nothing. Linear in the text.
    """
    text = text or ""
    thoughts: list[str] = [reasoning] if reasoning else []
    answers: list[str] = []
    opened: str | None = None
    since, end = 0, len(text.rstrip())
    for tag in _TAG.finditer(text):
        if _is_mention(text, tag):
            continue
        closing, family = bool(tag[1]), _FAMILY[tag[2].lower()]
        if opened is not None and not (closing and family == opened):
            continue  # whatever else stands inside a block belongs to it
        before = text[since : tag.start()]
        if opened is not None or closing:
            stray = opened is None and (len(thoughts) > bool(reasoning)) and tag.end() >= end
            (answers if stray else thoughts).append(before)
            opened = None
        else:
            answers.append(before)
            opened = family
        since = tag.end()
    (thoughts if opened is not None else answers).append(text[since:])
    return Split(_join(thoughts), _join(answers), opened is None)


def _is_mention(text: str, tag: re.Match[str]) -> bool:
    before = text[tag.start() - 1 : tag.start()]
    return before in _QUOTES and text[tag.end() : tag.end() + 1] == _QUOTES[before]


def _join(parts: list[str]) -> str:
    return "\n".join(stripped for part in parts if (stripped := part.strip()))
