from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.extract import blanks

CASES = [
    json.loads(line) for line in (Path(__file__).parent / "cases" / "blanks.jsonl").read_text("utf-8").splitlines()
]
STEM = "五脏之中，主藏血的是____，主统血的是____。"


@pytest.mark.parametrize("case", CASES, ids=[case["id"] for case in CASES])
def test_every_fill_in_reply_of_the_corpus_is_read_as_its_writer_meant_it(case: dict[str, Any]) -> None:
    found = blanks(case["text"], case["n"], stem=case.get("stem", ""))
    assert (list(found) if found else None) == case["expected"], case["why"]


def test_the_corpus_of_fill_in_replies_is_large() -> None:
    assert len(CASES) >= 60


_PIECES = st.sampled_from(
    [
        "肝",
        "脾",
        "寒",
        "1.",
        "2.",
        "（1）",
        "①",
        "②",
        "；",
        ";",
        "、",
        "，",
        "。",
        "\n",
        "答案：",
        "应填",
        "五脏之中，主藏血的是",
        "，主统血的是",
        "____",
        "（）",
        "**",
        "[",
        "]",
        "{",
        "}",
        '"',
        "'",
        "<answer>",
        "</answer>",
        "解析：",
        "3g",
        "1.5～",
        "因为",
        " ",
    ]
)


@settings(max_examples=400, deadline=None)
@given(
    text=st.one_of(st.text(max_size=300), st.lists(_PIECES, max_size=40).map("".join)),
    n=st.integers(1, 4),
    stem=st.sampled_from(["", STEM, "多属（　）证", "____", "（）（）"]),
)
def test_whatever_the_text_there_are_exactly_n_answers_or_none(text: str, n: int, stem: str) -> None:
    found = blanks(text, n, stem=stem)
    assert found is None or (len(found) == n and all(answer.strip() for answer in found))


@settings(max_examples=200, deadline=None)
@given(text=st.lists(_PIECES, max_size=30).map("".join), n=st.integers(1, 3))
def test_white_space_around_a_fill_in_reply_changes_nothing(text: str, n: int) -> None:
    assert blanks(f" \n{text}\n\t ", n, stem=STEM) == blanks(text, n, stem=STEM)


@pytest.mark.parametrize("n", [0, -1])
def test_an_item_without_blanks_is_the_callers_mistake(n: int) -> None:
    with pytest.raises(ValueError, match="at least one blank"):
        blanks("肝", n)


def test_the_answers_keep_the_characters_that_the_model_wrote() -> None:
    assert blanks("１．５～３ｇ", 1) == ("１．５～３ｇ",)


@pytest.mark.parametrize("unit", ["(", "1.", "肝；", "<answer>", "[", "**", "____", " ", "\n", "答案", "主藏血的是"])
def test_a_megabyte_of_anything_in_a_blank_takes_no_more_than_linear_time(unit: str) -> None:
    times = []
    for size in (250_000, 1_000_000):
        start = time.process_time()
        blanks(unit * (size // len(unit)), 2, stem=STEM)
        times.append(time.process_time() - start)
    assert times[1] <= 10 * times[0] + 0.5
