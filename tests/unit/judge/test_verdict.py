"""A judge's reply is a verdict only when it is exactly what was asked for."""

from __future__ import annotations

import json
from typing import Any

import pytest

from harness.judge.verdict import Unread, Verdict, read_verdict
from harness.types import Response

IDS = ("k1", "k2")


def reply(**changes: Any) -> dict[str, Any]:
    marks = [{"id": "k1", "reason": "提到感冒", "mark": 2}, {"id": "k2", "reason": "没有", "mark": 0}]
    return {"check": "ab12cd34", "criteria": marks, "meaning": 7, "reason": "大致相同", **changes}


def read(text: str, **settings: Any) -> Verdict | Unread:
    return read_verdict(Response(text, **settings), "ab12cd34", IDS)


WHOLE = json.dumps(reply(), ensure_ascii=False)


@pytest.mark.parametrize(
    "text",
    [
        WHOLE,
        f"\n  {WHOLE}\n",
        f"```json\n{WHOLE}\n```",
        f"```\n{json.dumps(reply(), ensure_ascii=False, indent=2)}\n```",
        f"<think>先看第一条：{{}}</think>{WHOLE}",
    ],
)
def test_a_whole_verdict_is_read(text: str) -> None:
    assert read(text) == Verdict((2, 0), ("提到感冒", "没有"), 7, "大致相同")


def test_a_server_s_own_reasoning_is_no_part_of_the_verdict() -> None:
    assert isinstance(read(WHOLE, reasoning='{"check": "x"}'), Verdict)


def marks(*values: Any) -> list[dict[str, Any]]:
    return [{"id": f"k{n}", "reason": "", "mark": value} for n, value in enumerate(values, 1)]


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "not one JSON object"),
        ("这份回答很好，给 8 分。", "not one JSON object"),
        (f"评阅如下：{WHOLE}", "not one JSON object"),
        (f"{WHOLE}\n以上。", "not one JSON object"),
        (f"{WHOLE}{WHOLE}", "not one JSON object"),
        (f"[{WHOLE}]", "not one JSON object"),
        (WHOLE[:-1], "not one JSON object"),
        ("[" * 100_000, "not one JSON object"),
        (WHOLE.replace('"meaning": 7', '"meaning": NaN'), "NaN is no number"),
        (WHOLE.replace('"meaning": 7', '"meaning": 7, "meaning": 9'), "a key stands there twice"),
        (json.dumps(reply(check="00000000")), "check is not the one asked for"),
        (json.dumps(reply(check=None)), "check is not the one asked for"),
        (json.dumps({k: v for k, v in reply().items() if k != "meaning"}), "meaning is missing"),
        (json.dumps(reply(total=9)), "there are keys that were not asked for"),
        (json.dumps(reply(meaning=11)), "meaning is no whole number from 0 to 10"),
        (json.dumps(reply(meaning=90)), "meaning is no whole number from 0 to 10"),
        (json.dumps(reply(meaning=-1)), "meaning is no whole number from 0 to 10"),
        (json.dumps(reply(meaning=7.5)), "meaning is no whole number from 0 to 10"),
        (json.dumps(reply(meaning="7")), "meaning is no whole number from 0 to 10"),
        (json.dumps(reply(meaning=True)), "meaning is no whole number from 0 to 10"),
        (json.dumps(reply(criteria=marks(2, 3))), "mark is no whole number from 0 to 2"),
        (json.dumps(reply(criteria=marks(2, True))), "mark is no whole number from 0 to 2"),
        (json.dumps(reply(criteria=marks(2))), "criteria are not those asked for, in their order"),
        (json.dumps(reply(criteria=marks(2, 1, 0))), "criteria are not those asked for, in their order"),
        (json.dumps(reply(criteria=marks(2, 1)[::-1])), "criteria are not those asked for, in their order"),
        (json.dumps(reply(criteria=[{"id": "k1", "mark": 1}])), "criteria: reason is missing"),
        (json.dumps(reply(criteria={"k1": 2, "k2": 0})), "criteria is no list of objects"),
        (json.dumps(reply(reason=None)), "reason is no text"),
    ],
)
def test_anything_else_is_unread_and_says_why(text: str, why: str) -> None:
    assert read(text) == Unread(why)


def test_nothing_is_looked_for_inside_of_reasoning_that_never_ended() -> None:
    assert read(f"<think>{WHOLE}", stop="length") == Unread("reasoning without an end")


def test_a_cut_reply_and_a_refusal_are_told_apart() -> None:
    assert read(WHOLE[:40], stop="length") == Unread("not one JSON object, cut by the token limit")
    assert read("", stop="filter") == Unread("refused or filtered", refused=True)
    assert read("I cannot.", stop="refusal") == Unread("refused or filtered", refused=True)
