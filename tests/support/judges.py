"""Judges for a local server to play: they read the question they are sent as a model would, and mark by a rule."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from tests.support.chat_server import Reply, Seen, said

BLOCK = re.compile(r"^<<<([0-9a-f]{16}) (\S+) 开始>>>$\n(.*?)\n^<<<\1 \2 结束>>>$", re.MULTILINE | re.DOTALL)
EXAMPLE = re.compile(r'^\{"check": .*\}$', re.MULTILINE)


@dataclass(frozen=True)
class Sheet:
    """What a judge sees: its blocks by name (without the bars), all that stands outside of them, and the form to fill in."""

    blocks: dict[str, str]
    outside: str
    form: dict[str, Any]

    @property
    def answer(self) -> str:
        return self.blocks["考生回答"]

    @property
    def criteria(self) -> list[str]:
        return [line.partition("：")[2] for line in self.blocks.get("评分要点", "").splitlines()]


def sheet(seen: Seen) -> Sheet:
    """Return what a request shows; the last user message may be a reminder, the first one is the question."""
    messages = seen.body["messages"]
    question = next(m["content"] for m in messages if m["role"] == "user")
    blocks = {name: re.sub(r"^│ ", "", text, flags=re.MULTILINE) for _, name, text in BLOCK.findall(question)}
    outside = "\n".join([m["content"] for m in messages if m["role"] != "user"] + [BLOCK.sub("", question)])
    [form] = EXAMPLE.findall(question)
    return Sheet(blocks, outside, json.loads(form))


def verdict(page: Sheet, marks: Sequence[int], meaning: int) -> str:
    """Return a verdict in the form asked for."""
    criteria = [{**one, "reason": "理由", "mark": mark} for one, mark in zip(page.form["criteria"], marks, strict=True)]
    return json.dumps({**page.form, "criteria": criteria, "meaning": meaning, "reason": "总评"}, ensure_ascii=False)


def by_words(page: Sheet) -> str:
    """Mark 2 for each criterion whose words stand in the answer, else 0; meaning is the share of them, of 10."""
    marks = [2 if one in page.answer else 0 for one in page.criteria]
    return verdict(page, marks, round(10 * sum(marks) / (2 * len(marks))) if marks else 5)


def judging(rule: Callable[[Sheet], str], version: str = "mock-2026") -> Callable[[Seen, int], Reply]:
    """Return a server's behaviour: answer each question by a rule, as the model of that version."""

    def answer(seen: Seen, _number: int) -> Reply:
        reply = said(rule(sheet(seen)))
        reply.body["model"] = version
        return reply

    return answer
