"""Options that speak of others are found, and what only looks like them is not."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.extract.referring import referring

PLAIN = {"A": "人参", "B": "当归", "C": "麦冬", "D": "鹿茸"}
STATED = os.environ.get("TCM_EVAL_REAL_DATA")
FOLDER = Path(STATED) if STATED else Path(__file__).parents[4] / "shared" / "data"
CORE = Path(__file__).parents[3] / "tasks" / "tcm_core" / "data"

REFERRING = """
以上都是
以上都不是
以上均可
以上均是
以上均非
以上均不对
以上皆是
以上皆非
以上全是
以上全对
以上都对
以上全部
以上各项均是
以上选项均正确
以上四项均可
上述都是
上述各项均不正确
以上三者都有
以上药物均可使用
以上方剂均不宜
以上说法都正确
以上都可以
以上都不对
以上无一正确
以上都没有
A和B都对
A和B
A、B、C
A+B
A与C均是
AB
ABC都对
A、B均是
A或B
A，B，C均可
A项和B项
A、B两项都是
除A外都是
A、B、C三项
只有A和B
两者都不是
两者均可
两者都是
二者均非
二者皆可
三者均有
均是
均可
都不是
都是
皆是
皆可
全对
均不是
都对
均非
前三项均是
前两项都对
无正确答案
没有正确选项
以上都不正确。
（以上均是）
以上均无
以上均有
其余都是
其他选项均正确
以上都包括
以上均为正确
以上情况均可出现
以上都要考虑
all of the above
None of the above
none of the above.
All the above
both A and B
Both A and B are correct
A and B
A, B and C
A, B, and C
neither A nor B
A & B
A and C only
either A or B
Both
Neither
All of these
None of these
none of them
any of the above
two of the above
All options are correct
B or C
Options A and B
All of the above are correct
none of the other options
None of the above is correct
A, C
all of the following
""".strip().splitlines()

ORDINARY = """
38℃以上
3个月以上
维生素A
均青皮
无汗
无
有
都气丸
无比山药丸
均姜
以上腹部疼痛为主
以上腹痛为主
A型血
B超
全蝎
全身浮肿
两者之间
两项
三种
前者
后者
其他
不是
正确
错误
A
一切
二者
三阴交
以上
的
上焦
皆字
一
二
有无
是
否
全虫
AB型
不可
可
以上半身为主
两肋
四肢
均匀
全
1~3个
①②③
①③
五者
任脉
同时
中
上下
无名指
可有可无
没有
左侧
上述
维生素A和B
A、B族维生素
肝与肾
肝肾同病
一切虚损
两种
或有或无
both kidneys
Vitamin A and D
None
Always
All four limbs
one of two
above the waist
either side
A
a and the
two
right
wrong
true
All
Type A and B
Liver and kidney
blood and qi
three
not
only one
more than one
""".strip().splitlines()


@pytest.mark.parametrize("text", REFERRING)
def test_an_option_that_speaks_of_others_is_found(text: str) -> None:
    assert referring({**PLAIN, "E": text}) == {"E"}


@pytest.mark.parametrize("text", ORDINARY)
def test_an_option_that_only_looks_so_is_not(text: str) -> None:
    assert referring({**PLAIN, "E": text}) == frozenset()


@pytest.mark.parametrize(
    "options",
    [
        {"A": "A", "B": "B", "C": "AB", "D": "O"},
        {"A": "A型", "B": "B型", "C": "AB", "D": "O型"},
        {"A": "人参", "B": "当归", "C": "A和F"},
        {"A": "人参", "B": "当归", "C": "B和C"},
    ],
)
def test_letters_that_are_names_or_no_options_here_refer_to_nothing(options: dict[str, str]) -> None:
    assert referring(options) == frozenset()


@given(st.text(max_size=80))
def test_no_text_is_too_odd_to_be_read(text: str) -> None:
    assert referring({**PLAIN, "E": text}) <= {"E"}


def test_the_bundled_questions_have_none() -> None:
    """They were made so that no option speaks of another: 36,000 options of 4,593 questions, and none is found."""
    found, options = [], 0
    for name in ("single_choice", "single_choice_en", "multiple_choice", "vignette"):
        for line in (CORE / f"{name}.jsonl").read_text("utf-8").splitlines():
            row = json.loads(line)
            options += len(row["options"])
            found += [(row["id"], row["options"][letter]) for letter in referring(row["options"])]
    assert found == [] and options > 20_000


if (FOLDER / "tcm_best4sdt").is_dir():

    def test_of_100_real_exam_questions_the_two_that_have_one_are_found_and_no_other() -> None:
        rows = json.loads((FOLDER / "tcm_best4sdt" / "Basic_knowledge.json").read_text("utf-8"))
        found = {row["id"]: [row["option"][letter] for letter in referring(row["option"])] for row in rows}
        assert sorted(text for texts in found.values() for text in texts) == ["以上均不对", "以上均非"]
