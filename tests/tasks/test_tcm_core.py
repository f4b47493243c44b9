"""The bundled suite as it lies in the repository: every key derived anew from the raw knowledge base, and every promise kept."""

from __future__ import annotations

import hashlib
import itertools
import math
from collections import Counter, defaultdict
from functools import cache
from pathlib import Path
from typing import Any

import orjson
import pytest
import yaml

from harness.datasets import stream
from harness.suites import Catalogue
from harness.types import DISCIPLINES, Case
from tools.make_tasks.checks import known_facts, leaks
from tools.make_tasks.items import CANARY

ROOT = Path(__file__).resolve().parents[2]
SUITE = ROOT / "tasks" / "tcm_core"
KNOWLEDGE = ROOT / "harness" / "knowledge"
GENERATED = ("single_choice", "single_choice_en", "multiple_choice", "fill_blank")
ALL = (*GENERATED, "vignette", "dialogue")


@cache
def items(name: str) -> list[dict[str, Any]]:
    return [orjson.loads(line) for line in (SUITE / "data" / f"{name}.jsonl").read_bytes().splitlines()]


@cache
def raw(name: str) -> list[dict[str, Any]]:
    return [orjson.loads(line) for line in (KNOWLEDGE / f"{name}.jsonl").read_bytes().splitlines()]


@cache
def by_name(name: str) -> dict[str, dict[str, Any]]:
    return {row["name"]: row for row in raw(name)}


@cache
def facts() -> dict[str, dict[str, Any]]:
    return {row["id"]: row for row in (*raw("fundamentals"), *raw("diagnostics"))}


@cache
def patterns() -> dict[str, dict[str, Any]]:
    return {f"{d['name']}/{p['name']}": p for d in raw("diseases") for p in d["patterns"]}


def subject(item: dict[str, Any]) -> str:
    return str(item["facts"][0].split(":", 1)[1].split("#")[0])


def holds(item: dict[str, Any], option: str) -> bool:
    """Tell from the raw files alone whether an option is right. Other code than the generator's, on purpose."""
    return _TRUTH[item["template"]](item, option)


def _fact(item: dict[str, Any], option: str) -> bool:
    fact = facts()[item["facts"][0]]
    same = [f for f in facts().values() if f["discipline"] == fact["discipline"] and f["relation"] == fact["relation"]]
    if item["template"] == "fact-object":
        return any(f["term"] == fact["term"] and option in f["object"] for f in same)
    return any(f["term"] == option and fact["object"][0] in f["object"] for f in same)


def _statement(_item: dict[str, Any], option: str) -> bool:
    return any(f["statement"].rstrip("。") == option for f in facts().values())


def _dose(herb: dict[str, Any]) -> str:
    return f"{herb['dose']['low']:g}～{herb['dose']['high']:g}g"


def _herb(field: str) -> Any:
    def judge(item: dict[str, Any], option: str) -> bool:
        herb = by_name("herbs")[subject(item)]
        if field == "dose":
            return option == _dose(herb)
        if field == "channels":
            return set(option.removesuffix("经").split("、")) == set(herb["channels"])
        if field == "flavours":
            return set(option.split("、")) == set(herb["flavours"])
        return bool(option == herb[field])

    return judge


def _of_herbs(_item: dict[str, Any], option: str) -> bool:
    herb, question = by_name("herbs")[option], _item["question"]
    if "归入" in question or "分类属于" in question:
        wanted = (
            question.split("归入" if "归入" in question else "分类属于")[1].removesuffix("的有").removesuffix("的是")
        )
        return bool(herb["category"] == wanted)
    if "载其归" in question:
        return question.split("载其归")[1].removesuffix("经的有") in herb["channels"]
    if "味有" in question:
        return any(question.split("味有")[1][0] in flavour for flavour in herb["flavours"])
    if "未标明毒性" in question:
        return bool(herb["toxicity"] == "无毒")
    if "毒性" in question:
        return bool(herb["toxicity"] != "无毒")
    return bool(herb["pregnancy"] == ("caution" if "规定孕妇慎用" in question else "forbidden"))


def _formula_of(item: dict[str, Any]) -> dict[str, Any]:
    name = next(f for f in reversed(item["facts"]) if f.startswith("formula:")).split(":")[1].split("#")[0]
    return by_name("formulas")[name]


def _member(item: dict[str, Any], option: str) -> bool:
    return option in {i["herb"] for i in _formula_of(item)["composition"]}


def _sovereign(item: dict[str, Any], option: str) -> bool:
    return any(i["herb"] == option and i["role"] == "君" for i in _formula_of(item)["composition"])


def _recipe(item: dict[str, Any], option: str) -> bool:
    wanted = Counter(item["question"].removeprefix("由").removesuffix("组成的方剂是").split("、"))
    return Counter(i["herb"] for i in by_name("formulas")[option]["composition"]) == wanted


def _book(item: dict[str, Any], option: str) -> bool:
    if item["template"] == "formulas-source":
        return f"出自《{by_name('formulas')[option]['source']['work']}》" in item["question"]
    return option == f"《{_formula_of(item)['source']['work']}》"


def _pattern(attribute: str) -> Any:
    return lambda item, option: option == patterns()[subject(item)][attribute]


def _bare(item: dict[str, Any], option: str) -> bool:
    disease = subject(item).split("/")[0]
    named = [p for key, p in patterns().items() if key.split("/")[0] == disease and p["name"].split("-")[-1] == option]
    return any(f"治以{p['principle']}，代表方为{p['formula']}，" in item["question"] for p in named)


def _pair(attribute: str) -> Any:
    def judge(_item: dict[str, Any], option: str) -> bool:
        name, value = option.split("——")
        disease, _, rest = name.partition("（")
        return bool(patterns()[f"{disease}/{rest[:-1].replace('·', '-')}"][attribute] == value)

    return judge


def _definition(item: dict[str, Any], option: str) -> bool:
    disease = by_name("diseases")[subject(item)]
    return option in (disease["name"], disease["definition"].rstrip("。"))


_TRUTH: dict[str, Any] = {
    "fact-object": _fact,
    "fact-term": _fact,
    "fact-statements": _statement,
    **{f"herb-{kind}": _herb(kind) for kind in ("nature", "channels", "flavours", "dose", "category")},
    "herb-category-of": _of_herbs,
    **{f"herb-{kind}-{side}": _of_herbs for kind in ("toxicity", "pregnancy") for side in "ab"},
    **{f"herbs-{kind}": _of_herbs for kind in ("channels", "flavours", "category")},
    **{f"herbs-{kind}-{side}": _of_herbs for kind in ("toxicity", "pregnancy") for side in "ab"},
    **dict.fromkeys(("formula-member", "formula-members", "disease-members"), _member),
    **dict.fromkeys(("formula-sovereign", "disease-sovereign"), _sovereign),
    "formula-recipe": _recipe,
    **dict.fromkeys(("formula-source", "formulas-source"), _book),
    "formula-category": lambda item, option: option == f"{_formula_of(item)['category']}剂",
    "disease-formula": _pattern("formula"),
    "disease-principle": _pattern("principle"),
    "disease-pattern": _bare,
    "disease-pairs-formula": _pair("formula"),
    "disease-pairs-principle": _pair("principle"),
    "disease-name": _definition,
    "disease-definition": _definition,
}


def test_every_item_reaches_a_run_with_its_difficulty_and_a_dialogue_with_its_rubric_and_terms() -> None:
    catalogue = Catalogue()
    for task in catalogue.tasks("tcm_core"):
        for sample in stream(catalogue, task):
            assert sample.tags["difficulty"] in ("1", "2", "3")
            if isinstance(sample.target, Case):
                assert len(sample.target.rubric) >= 3 and sample.target.terms
                assert not any(point in str(sample.fields) for point in sample.target.rubric)


@pytest.mark.parametrize("name", ["single_choice", "multiple_choice"])
def test_the_key_of_every_generated_choice_follows_from_the_raw_knowledge_base(name: str) -> None:
    wrong = [
        (item["id"], letter, text)
        for item in items(name)
        for letter, text in item["options"].items()
        if holds(item, text) != (letter in item["answer"])
    ]
    assert wrong == []


def test_an_english_twin_has_the_letter_and_the_group_of_its_chinese_item_and_no_chinese_left() -> None:
    chinese = {item["id"]: item for item in items("single_choice")}
    for item in items("single_choice_en"):
        twin = chinese[item["twin"]]
        assert (item["answer"], item["group"], item["split"]) == (twin["answer"], twin["group"], twin["split"])
        assert not any("\u4e00" <= c <= "\u9fff" for c in item["question"] + "".join(item["options"].values()))


def test_there_are_as_many_items_of_each_kind_as_promised() -> None:
    for field in DISCIPLINES:
        count = {name: [i for i in items(name) if i["discipline"] == field] for name in ALL}
        assert len(count["single_choice"]) >= 300
        assert len(count["multiple_choice"]) >= 80
        assert len(count["fill_blank"]) >= 80
        assert len(count["single_choice_en"]) >= 20
        assert len(count["vignette"]) >= 20
        assert len(count["dialogue"]) >= 20
        assert sum(len(i["turns"]) > 1 for i in count["dialogue"]) * 2 >= len(count["dialogue"])
        test = [i for name in ("single_choice", "multiple_choice") for i in count[name] if i["split"] == "test"]
        assert len(test) >= 150


def test_hand_written_cases_are_all_of_the_test_split() -> None:
    assert {i["split"] for name in ("vignette", "dialogue") for i in items(name)} == {"test"}


def test_ids_are_unique_over_all_files() -> None:
    ids = [item["id"] for name in ALL for item in items(name)]
    assert len(set(ids)) == len(ids)


def test_every_line_carries_the_canary() -> None:
    assert all(item["canary"] == CANARY for name in ALL for item in items(name))


def test_nothing_stands_on_two_sides_of_the_split() -> None:
    assert list(leaks([item for name in ALL for item in items(name)])) == []


def test_every_fact_of_every_item_stands_in_the_knowledge_base() -> None:
    known = known_facts()
    lost = [(i["id"], fact) for name in GENERATED for i in items(name) for fact in i["facts"] if fact not in known]
    assert lost == []


@pytest.mark.parametrize("name", ["single_choice", "vignette"])
def test_the_right_option_stands_at_each_letter_equally_often(name: str) -> None:
    counts = Counter(item["answer"] for item in items(name))
    wanted = len(items(name)) / 5
    assert sum((counts[letter] - wanted) ** 2 / wanted for letter in "ABCDE") < 9.49  # chi-square, 4 degrees, 5 %


def test_letters_of_several_right_options_are_spread_evenly() -> None:
    counts = Counter(letter for item in items("multiple_choice") for letter in item["answer"])
    wanted = counts.total() / 5
    assert sum((counts[letter] - wanted) ** 2 / wanted for letter in "ABCDE") < 9.49


def _share_of_hits(name: str, score: Any) -> tuple[float, float]:
    """Return how often the best-scored option is right (ties shared out), and three standard errors of chance."""
    values = []
    for item in items(name):
        scores = {letter: score(item, text) for letter, text in item["options"].items()}
        best = [letter for letter in scores if scores[letter] == max(scores.values())]
        values.append((item["answer"] in best) / len(best))
    return sum(values) / len(values), 3 * math.sqrt(0.16 / len(values))


@pytest.mark.parametrize("name", ["single_choice", "vignette"])
@pytest.mark.parametrize("sign", [1, -1])
def test_choosing_the_longest_or_the_shortest_option_stays_at_chance(name: str, sign: int) -> None:
    share, error = _share_of_hits(name, lambda _item, text: sign * len(text))
    assert abs(share - 0.2) < error


def test_choosing_the_option_that_repeats_most_words_of_the_stem_stays_at_chance() -> None:
    def words(text: str) -> set[str]:
        return {a + b for a, b in itertools.pairwise(text)}

    share, error = _share_of_hits("single_choice", lambda item, text: len(words(text) & words(item["question"])))
    assert abs(share - 0.2) < error


def test_no_option_string_is_right_far_more_often_than_its_places_would_have_it() -> None:
    places: dict[tuple[str, str, str, str], Counter[bool]] = defaultdict(Counter)
    for item in items("single_choice"):
        for letter, text in item["options"].items():
            places[item["discipline"], item["template"], item["split"], text][letter == item["answer"]] += 1
    assert [key for key, c in places.items() if c[True] >= 3 and c[True] > 0.5 * c.total()] == []


def test_the_checksums_in_the_suite_are_those_of_the_files() -> None:
    suite = yaml.safe_load((SUITE / "suite.yaml").read_text("utf-8"))
    assert set(suite["files"]) == {f"{name}.jsonl" for name in ALL}
    for name, stated in suite["files"].items():
        assert hashlib.sha256((SUITE / "data" / name).read_bytes()).hexdigest() == stated["sha256"]
