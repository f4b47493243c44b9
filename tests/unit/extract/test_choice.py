from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.extract import choice, split

CASES = [
    json.loads(line) for line in (Path(__file__).parent / "cases" / "choice.jsonl").read_text("utf-8").splitlines()
]
OPTIONS = {"A": "脾虚湿困", "B": "脾肾阳虚", "C": "肝肾阴虚", "D": "气滞血瘀"}


@pytest.mark.parametrize("case", CASES, ids=[case["id"] for case in CASES])
def test_every_reply_of_the_corpus_is_read_as_its_writer_meant_it(case: dict[str, Any]) -> None:
    found = choice(
        split(case["text"]).answer,
        case["options"],
        stem=case.get("stem", ""),
        many=case.get("many", False),
    )
    assert ("".join(sorted(found)) if found else None) == case["expected"], case["why"]


def test_the_corpus_is_large_and_says_why_each_case_is_there() -> None:
    assert len(CASES) >= 330
    assert len({case["id"] for case in CASES}) == len(CASES)
    assert all(case["why"] for case in CASES)
    assert all(set(case["expected"] or "") <= set(case["options"]) for case in CASES)


_PIECES = st.sampled_from(
    [
        "A",
        "B",
        "C",
        "D",
        "E",
        "F",
        "a",
        "b",
        "答案",
        "是",
        "选",
        "不选",
        "排除",
        "正确",
        "错误",
        "除",
        "外",
        "其余",
        "以上都对",
        "或",
        "可能",
        "（",
        "）",
        "(",
        ")",
        ":",
        "：",
        "、",
        ",",
        "，",
        ".",
        "。",
        "?",
        "？",
        "\n",
        "**",
        "`",
        "{",
        "}",
        "[",
        "]",
        "<answer>",
        "</answer>",
        "<think>",
        "\\boxed{",
        "}",
        "answer",
        "is",
        "the",
        "not",
        "option",
        "correct",
        "脾肾阳虚",
        "脾虚湿困",
        "维生素",
        "𝐁",
        "１",
        "3",
        "√",
        "×",
        '"',
        "'",
        " ",
    ]
)
_TEXTS = st.one_of(st.text(max_size=300), st.lists(_PIECES, max_size=60).map("".join))


@settings(max_examples=400, deadline=None)
@given(text=_TEXTS, many=st.booleans(), stem=st.sampled_from(["", "下列错误的是", "证属"]))
def test_whatever_the_text_the_answer_is_a_set_of_options_or_none(text: str, many: bool, stem: str) -> None:
    found = choice(text, OPTIONS, stem=stem, many=many)
    assert found is None or (found and found <= set(OPTIONS))


@settings(max_examples=150, deadline=None)
@given(options=st.dictionaries(st.text(max_size=2), st.text(max_size=12), max_size=6), text=_TEXTS)
def test_whatever_the_options_the_answer_is_a_set_of_them_or_none(options: dict[str, str], text: str) -> None:
    found = choice(text, options, stem=text[:9])
    assert found is None or (found and found <= set(options))


@settings(max_examples=200, deadline=None)
@given(text=_TEXTS, before=st.text(" \n\t", max_size=4), after=st.text(" \n\t", max_size=4))
def test_white_space_around_a_reply_changes_nothing(text: str, before: str, after: str) -> None:
    assert choice(before + text + after, OPTIONS) == choice(text, OPTIONS)


@pytest.mark.parametrize("letter", "ABCD")
@pytest.mark.parametrize(
    "form", ["答案：{}", "故选{}。", "The answer is {}.", "{}", "**{}**", "<answer>{}</answer>", '{{"answer": "{}"}}']
)
def test_every_letter_is_read_from_every_plain_form(letter: str, form: str) -> None:
    assert choice(form.format(letter), OPTIONS) == frozenset(letter)


@pytest.mark.parametrize("order", ["ABCD", "BCDA", "DCBA"])
def test_the_letter_belongs_to_the_text_and_not_to_its_place(order: str) -> None:
    shuffled = dict(zip(order, OPTIONS.values(), strict=True))
    assert choice("证属脾肾阳虚。", shuffled) == frozenset(order[1])


def test_options_without_any_text_are_options() -> None:
    assert choice("答案是B", dict.fromkeys("ABCD", "")) == frozenset("B")


def test_an_empty_option_among_others_is_none() -> None:
    assert choice("答案是E", {**OPTIONS, "E": ""}) is None


def test_two_options_with_one_text_are_not_told_apart_by_it() -> None:
    assert choice("人参", {"A": "人参", "B": "人参", "C": "黄芪"}) is None


def _seconds(text: str) -> float:
    best = float("inf")
    for _ in range(2):
        start = time.process_time()
        choice(text, OPTIONS, stem="肾病患儿面目皆肿，证属")
        best = min(best, time.process_time() - start)
    return best


@pytest.mark.parametrize(
    "unit",
    [
        "(",
        "<answer>",
        "选A",
        "A、",
        "不选A，",
        "脾肾阳虚",
        "{",
        "[",
        '{"answer":',
        " ",
        "\n",
        "**",
        "\\boxed{",
        "答案是",
        "é\u0301\u0327",
        "~~A",
        "其余正确",
    ],
)
def test_a_megabyte_of_anything_takes_no_more_than_linear_time(unit: str) -> None:
    quarter, whole = (unit * (size // len(unit)) for size in (250_000, 1_000_000))
    # Four times the text may take four times as long; the rest is room for noise on a busy machine.
    assert _seconds(whole) <= 10 * _seconds(quarter) + 0.5
