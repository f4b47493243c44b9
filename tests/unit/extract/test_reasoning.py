from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.extract import Split, split

CASES = [
    json.loads(line) for line in (Path(__file__).parent / "cases" / "reasoning.jsonl").read_text("utf-8").splitlines()
]


@pytest.mark.parametrize("case", CASES, ids=[case["id"] for case in CASES])
def test_every_shape_of_reasoning_is_taken_off(case: dict[str, Any]) -> None:
    expected = Split(case["reasoning"], case["answer"], case["closed"])
    assert split(case["text"], case.get("reasoning_content")) == expected, case["why"]


def test_the_corpus_of_reasoning_shapes_is_large() -> None:
    assert len(CASES) >= 25


_PIECES = st.sampled_from(
    [
        "<think>",
        "</think>",
        "<Thinking>",
        "</thinking>",
        "<analysis>",
        "</analysis>",
        "`<think>`",
        "答案：A",
        " ",
        "\n",
        "<",
        ">",
    ]
)


@settings(max_examples=300, deadline=None)
@given(text=st.lists(_PIECES, max_size=20).map("".join))
def test_an_answer_split_off_holds_no_more_reasoning(text: str) -> None:
    answer = split(text).answer
    if "<" not in text.replace("<think>", "").replace("</think>", ""):
        assert split(answer).reasoning == ""
    assert answer == answer.strip()


@given(text=st.text(max_size=200), beside=st.text(max_size=50))
def test_text_without_tags_is_all_answer(text: str, beside: str) -> None:
    plain = text.replace("<", "").replace("◁", "")
    assert split(plain, beside) == Split(beside.strip(), plain.strip(), closed=True)


@pytest.mark.parametrize("unit", ["<think>", "</think>", "<think></think>", "<", "< ", "<think ", "`<think>`"])
def test_a_megabyte_of_tags_takes_no_more_than_linear_time(unit: str) -> None:
    times = []
    for size in (250_000, 1_000_000):
        start = time.process_time()
        split(unit * (size // len(unit)))
        times.append(time.process_time() - start)
    assert times[1] <= 10 * times[0] + 0.5
