from __future__ import annotations

import subprocess
import sys
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.text import Quantity, fold, normalise_blank, parse_quantity


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Ａ．人参　（补气）", "A.人参 (补气)"),
        ("「肝鬱氣滯」，選Ｂ。", '"肝郁气滞",选B.'),
        ("  肝\n\n 心\t脾 ", "肝 心 脾"),
        ("1.5～3g", "1.5~3g"),
        ("口乾", "口干"),
        ("a\u200bb\ufeff", "ab"),
        ("Ⓑ 🅱 𝐁", "B B B"),
        ("H\u0075\u0301ang", "H\u00faang"),
        ("", ""),
    ],
)
def test_spellings_of_one_text_fold_to_one_form(text: str, expected: str) -> None:
    assert fold(text) == expected


def test_case_is_kept_unless_asked() -> None:
    assert (fold("Qi"), fold("Qi", lower=True)) == ("Qi", "qi")


@settings(max_examples=300)
@given(st.text(max_size=100))
def test_folding_never_raises_and_folding_twice_changes_nothing(text: str) -> None:
    once = fold(text, lower=True)
    assert fold(once, lower=True) == once
    normalise_blank(text)
    parse_quantity(text)


@pytest.mark.parametrize(
    ("text", "low", "high", "unit"),
    [
        ("1.5～3g", 1.5, 3, "g"),
        ("1.5-3克", 1.5, 3, "g"),
        ("1.5 ~ 3 g", 1.5, 3, "g"),
        ("1.5g—3g", 1.5, 3, "g"),
        ("三至九克", 3, 9, "g"),
        ("十五克", 15, 15, "g"),
        ("一点五克", 1.5, 1.5, "g"),
        ("半两", 0.5, 0.5, "两"),
        ("一两", 1, 1, "两"),
        ("一百二十", 120, 120, None),
        ("0.30g", 0.3, 0.3, "g"),
        ("3钱", 3, 3, "钱"),
        ("500毫克", 500, 500, "mg"),
        ("10ml", 10, 10, "ml"),
        ("10毫升", 10, 10, "ml"),
        ("3～5天", 3, 5, "day"),
        ("7日", 7, 7, "day"),
        ("24小时", 24, 24, "hour"),
        ("约30分钟", 30, 30, "minute"),
        ("38.5℃", 38.5, 38.5, "℃"),
        ("不超过6g", None, 6, "g"),
        ("不得超过0.2g", None, 0.2, "g"),
        ("≤6克", None, 6, "g"),
        ("6g以下", None, 6, "g"),
        ("至少3天", 3, None, "day"),
        ("30分钟以上", 30, None, "minute"),
        ("3-9g（先煎）", 3, 9, "g"),
        ("每次3～9克", 3, 9, "g"),
    ],
)
def test_a_quantity_is_read_with_its_unit(text: str, low: float | None, high: float | None, unit: str | None) -> None:
    assert parse_quantity(text) == Quantity(low, high, unit)


@pytest.mark.parametrize("text", ["", "肝", "g", "三阴交", "三五钱", "六味地黄丸", "3g-5mg", "人参3g", "1-2-3g"])
def test_what_is_no_quantity_is_none(text: str) -> None:
    assert parse_quantity(text) is None


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("1.5～3g", "1.5-3克"),
        ("1.5～3g", "1.5 ~ 3 g"),
        ("3g", "3.0 克"),
        ("三至九克", "3～9g"),
        ("饥不欲食", "「饥不欲食」。"),
        ("壳、油", "壳油"),
        ("肝鬱氣滯", "肝郁气滞"),
        ("Kidney Yang", "kidney yang"),
        ("有毒；不宜久服", "有毒，不宜久服"),
        ("外用3～5g", "外用 3-5克"),
    ],
)
def test_two_spellings_of_one_fill_in_answer_are_equal(one: str, other: str) -> None:
    assert normalise_blank(one) == normalise_blank(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("1.5g", "15g"),
        ("3g", "3mg"),
        ("1-3g", "13g"),
        ("肝", "脾"),
        ("不超过6g", "6g"),
        ("3次", "3日"),
        ("三阴交", "阴交"),
    ],
)
def test_different_fill_in_answers_stay_different(one: str, other: str) -> None:
    assert normalise_blank(one) != normalise_blank(other)


def test_simplified_text_loads_no_converter() -> None:
    code = "import sys; from harness.text import fold; fold('正确答案是肾阳虚（B）'); print('opencc' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "False\n"


@pytest.mark.parametrize("unit", ["\u0327\u0301", "漢", "（", "1.5～3g", " ", "A"])
def test_folding_a_megabyte_takes_no_more_than_linear_time(unit: str) -> None:
    times = []
    for size in (250_000, 1_000_000):
        start = time.process_time()
        fold(unit * (size // len(unit)))
        normalise_blank(unit * (size // len(unit)))
        times.append(time.process_time() - start)
    assert times[1] <= 10 * times[0] + 0.5
