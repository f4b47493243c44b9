"""Options of one question: no two are alike, exchanging them keeps every string's count, and the right one stands out in no way."""

from __future__ import annotations

import itertools
import math
from collections import Counter, defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import orjson
import pytest

from harness.knowledge.entries import Source
from harness.types import DISCIPLINES
from tools.make_tasks.alike import alike, apart, ranges_overlap
from tools.make_tasks.draft import Draft
from tools.make_tasks.even import even

DATA = Path(__file__).resolve().parents[2] / "tasks" / "tcm_core" / "data"
POOLS = {
    **{f"herb-{kind}": kind for kind in ("nature", "channels", "flavours", "dose")},
    "herb-category-of": "herb of category",
    **{f"formula-{kind}": f"formula {kind}" for kind in ("member", "recipe", "source", "sovereign", "category")},
    **{f"disease-{kind}": f"disease {kind}" for kind in ("formula", "principle", "pattern", "name", "sovereign")},
}


def knowledge(name: str) -> list[dict[str, Any]]:
    path = DATA.parents[2] / "harness" / "knowledge" / f"{name}.jsonl"
    return [orjson.loads(line) for line in path.read_bytes().splitlines()]


def items(name: str) -> list[dict[str, Any]]:
    return [orjson.loads(line) for line in (DATA / f"{name}.jsonl").read_bytes().splitlines()]


@pytest.mark.parametrize(
    ("pool", "one", "other", "said"),
    [
        ("nature", "温", "微温", True),
        ("nature", "凉", "寒", False),
        ("flavours", "苦、辛", "辛、苦", True),
        ("flavours", "苦", "微苦、甘", True),
        ("flavours", "苦、辛", "苦、甘", False),
        ("channels", "肝经", "肝、肾经", True),
        ("dose", "3～10g", "3～9g", True),
        ("dose", "3～6g", "9～15g", False),
        ("formula member", "白芍", "赤芍", True),
        ("disease formula", "四君子汤", "香砂六君子汤", True),
        ("disease formula", "四君子汤", "麻黄汤", False),
        ("disease principle", "疏风清热，宣肺止咳", "疏风清热，宣肺化痰", True),
        ("formula source", "《伤寒论》", "《金匮要略》", True),
        ("disease name", "哮病", "喘证", True),
    ],
)
def test_options_that_say_nearly_the_same_are_alike(pool: str, one: str, other: str, said: bool) -> None:
    assert alike(pool, one, other) is said
    assert alike(pool, other, one) is said


def test_texts_are_taken_in_order_without_those_alike_to_one_before() -> None:
    assert apart("nature", ["温", "微温", "寒", "大寒", "平"], 3) == ("温", "寒", "平")
    assert ranges_overlap("3g", "3～9g") is False


def test_no_two_options_of_a_question_are_alike_whether_right_or_wrong() -> None:
    found = [
        (item["id"], a, b)
        for item in items("single_choice")
        if item["template"] in POOLS
        for a, b in itertools.combinations(item["options"].values(), 2)
        if alike(POOLS[item["template"]], a, b)
    ]
    assert found == []


def _likeness(item: dict[str, Any], letter: str) -> float:
    own = set(item["options"][letter])
    return sum(len(own & set(text)) / len(own | set(text)) for text in item["options"].values())


@pytest.mark.parametrize("sign", [1, -1])
def test_the_option_most_or_least_like_the_others_is_right_as_often_as_chance_in_every_discipline(sign: int) -> None:
    """Two-sided for each discipline at 5 % over all fourteen: |z| < 2.91."""
    values: dict[str, list[float]] = defaultdict(list)
    for item in items("single_choice"):
        scores = {letter: sign * _likeness(item, letter) for letter in item["options"]}
        best = [letter for letter in scores if scores[letter] > max(scores.values()) - 1e-9]
        values[item["discipline"]].append((item["answer"] in best) / len(best))
    assert set(values) == set(DISCIPLINES)
    for field, hits in values.items():
        mean = sum(hits) / len(hits)
        assert abs(mean - 0.2) < 2.91 * math.sqrt(0.16 / len(hits)), (field, mean)


def test_no_string_is_often_a_distractor_and_hardly_ever_right() -> None:
    places: dict[tuple[str, str, str, str], Counter[bool]] = defaultdict(Counter)
    for item in items("single_choice"):
        for letter, text in item["options"].items():
            places[item["discipline"], item["template"], item["split"], text][letter == item["answer"]] += 1
    assert [key for key, c in places.items() if c[False] - 4 * c[True] > 5] == []


def test_a_pattern_is_asked_by_names_of_patterns_and_none_of_another_disease_repeats_the_principle() -> None:
    asked = [i for i in items("single_choice") if i["template"] == "disease-pattern"]
    assert len(asked) > 100
    own = {(d["name"], p["name"].split("-")[-1].split("（")[0]) for d in knowledge("diseases") for p in d["patterns"]}
    for item in asked:
        disease, principle = item["facts"][0].split(":")[1].split("/")[0], item["question"].split("治以")[1]
        principle = principle.split("，代表方为")[0]
        for letter, text in item["options"].items():
            assert text.endswith("证")
            if letter != item["answer"] and (disease, text) not in own:
                assert len((set(text) & set(principle)) - set("，证之")) < 2, item["id"]


def test_a_blank_asks_for_names_and_accepts_two_organs_with_and_without_a_joint() -> None:
    facts = {f["id"]: f for name in ("fundamentals", "diagnostics") for f in knowledge(name)}
    asked = [facts[fact] for i in items("fill_blank") if i["template"].startswith("blank-fact") for fact in i["facts"]]
    assert len(asked) > 100
    assert {f["relation"] for f in asked} & {"主", "主要反映", "所辨为", "脉象为", "舌象表现为", "定义为"} == set()
    guan = next(i for i in items("fill_blank") if i["question"] == "寸口分候脏腑，右关候____。")
    assert {"脾与胃", "脾胃", "脾、胃"} <= set(guan["answer"][0])


def _draft(number: int, right: str) -> Draft:
    return Draft(
        template="t",
        discipline="Surgery",
        pool="p",
        question=f"第{number}题",
        right=(right,),
        facts=(f"f{number}",),
        entity="e",
        explanation="",
        source=Source("书", "版", "条"),
        difficulty=1,
        group="g",
    )


def test_exchanging_keeps_every_strings_count_and_moves_the_right_option_out_of_the_middle() -> None:
    families = [[f"{a}{b}{c}" for c in "戌亥子丑寅"] for a, b in ("甲乙", "丙丁", "戊己", "庚辛", "壬癸", "风寒")]
    drafts = [_draft(n, family[0]) for n, family in enumerate(families)]
    other = {n: families[(n + 1) % 6][1] for n in range(6)}
    found = {d.key: (*families[n][2:], other[n]) for n, d in enumerate(drafts)}
    done = even(drafts, found, 1, lambda _draft, _wrong: True)
    assert Counter(s for texts in done.values() for s in texts) == Counter(s for t in found.values() for s in t)
    assert all(len(set(texts)) == 4 for texts in done.values())

    def central(wrong: dict[str, tuple[str, ...]]) -> float:
        likeness: Callable[[str, str], float] = lambda a, b: len(set(a) & set(b)) / len(set(a) | set(b))  # noqa: E731
        hits = 0.0
        for draft in drafts:
            texts = (*draft.right, *wrong[draft.key])
            sums = [sum(likeness(a, b) for b in texts) for a in texts]
            hits += (sums[0] > max(sums) - 1e-9) / sum(s > max(sums) - 1e-9 for s in sums)
        return hits

    assert central(done) < central(found)
