from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.extract import free_text


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("肝藏血。", "肝藏血。"),
        ("  肝藏血。\n", "肝藏血。"),
        ("先说几句。<answer>\n肝藏血。\n</answer>", "肝藏血。"),
        ("<answer>草稿</answer><answer>肝藏血。</answer>", "肝藏血。"),
        ("<answer>肝藏血。</answer><answer></answer>", "肝藏血。"),
        ("<ANSWER>肝藏血。", "肝藏血。"),
        ("肝藏血。</answer>", "肝藏血。"),
        ("", None),
        (" \n", None),
        ("<answer> </answer>", None),
    ],
)
def test_a_free_answer_is_what_stands_in_its_tags_or_all_of_it(text: str, expected: str | None) -> None:
    assert free_text(text) == expected


@given(st.text(max_size=200))
def test_a_free_answer_is_never_empty_and_never_has_space_around_it(text: str) -> None:
    found = free_text(text)
    assert found is None or (found and found == found.strip())
