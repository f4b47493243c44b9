"""Options alone tell nothing: both learners of `benchmarks/blind_baseline.py` stay at chance, on either side, and can learn."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks.blind_baseline import FILES, VIEWS, against_chance, measure, read

DATA = Path(__file__).resolve().parents[2] / "tasks" / "tcm_core" / "data"
FAMILY = 0.05
"""How often one or more of all these tests may fail on a suite whose options tell nothing."""
TESTS = len(FILES) * len(VIEWS) * 8 * 3
"""Files, learners, seven disciplines and all together, three numbers."""


@pytest.mark.parametrize("name", FILES)
def test_learners_that_see_only_options_are_at_chance_in_every_discipline_neither_above_nor_below(name: str) -> None:
    found = measure(read(DATA / f"{name}.jsonl"))
    told = {
        (*key, number): row[number]
        for key, row in found.items()
        for number in ("best", "worst", "pairs")
        if row[number]["p"] < FAMILY / TESTS
    }
    assert len(found) == 16
    assert told == {}


def _with(items: list[dict[str, Any]], mark: Any) -> list[dict[str, Any]]:
    return [{**i, "options": {k: mark(i, k, v) for k, v in i["options"].items()}} for i in items]


def test_the_learner_of_words_finds_a_mark_on_right_options_and_one_on_wrong_ones() -> None:
    items = [i for i in read(DATA / "single_choice.jsonl") if i["discipline"] == "Surgery"]
    right = measure(_with(items, lambda i, k, v: v + "者" * (k == i["answer"])), ["words"])["words", "Surgery"]
    assert right["best"]["value"] > 0.9
    wrong = measure(_with(items, lambda i, k, v: v + "者" * (k == "ABCDEA"["ABCDE".index(i["answer"]) + 1])), ["words"])
    assert wrong["words", "Surgery"]["worst"]["value"] < 0.05, "an option that is never right is found too"


def test_the_learner_of_relations_finds_that_two_options_of_one_family_are_never_right() -> None:
    items = [i for i in read(DATA / "single_choice.jsonl") if i["discipline"] == "Pharmacognosy"]

    def paired(item: dict[str, Any], letter: str, text: str) -> str:
        first, second = [x for x in "ABCDE" if x != item["answer"]][:2]
        return f"微{item['options'][first]}" if letter == second else text

    found = measure(_with(items, paired), ["relations"])["relations", "Pharmacognosy"]
    assert found["best"]["p"] < FAMILY / TESTS and found["best"]["value"] > 0.27


def test_what_is_below_chance_counts_as_much_as_what_is_above() -> None:
    wanted = np.eye(5, dtype=np.float32)[np.arange(400) % 5]
    never = 1 - wanted + np.linspace(0, 0.5, 5, dtype=np.float32)
    found = against_chance(never, wanted)
    assert found["best"]["value"] == 0 and found["best"]["z"] < -9 and found["best"]["p"] < 1e-6
    assert found["pairs"]["z"] < -9


def test_scores_that_know_nothing_fail_the_two_sided_test_as_often_as_stated() -> None:
    random = np.random.default_rng(5)
    missed = dict.fromkeys(("best", "worst", "pairs"), 0)
    for _ in range(400):
        wanted = np.zeros((60, 5), dtype=np.float32)
        for row in wanted:
            row[random.permutation(5)[: random.integers(1, 5)]] = 1
        found = against_chance(random.integers(0, 4, (60, 5)).astype(np.float32), wanted)
        for number in missed:
            missed[number] += found[number]["p"] < 0.05
    assert all(6 <= count <= 36 for count in missed.values()), missed  # 20 of 400 expected, 3.7 standard errors
