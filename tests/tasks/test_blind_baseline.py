"""Options alone tell nothing: the learner of `benchmarks/blind_baseline.py` stays at chance on the bundled suite, and can learn."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.blind_baseline import measure, read

DATA = Path(__file__).resolve().parents[2] / "tasks" / "tcm_core" / "data"


@pytest.mark.parametrize("name", ["single_choice", "multiple_choice"])
def test_a_learner_that_sees_only_options_stays_at_chance(name: str) -> None:
    found = measure(read(DATA / f"{name}.jsonl"))["all"]
    assert abs(found["value"] - found["chance"]) < 2.6 * found["se"]


def test_the_learner_finds_a_fault_that_was_put_in() -> None:
    items = read(DATA / "single_choice.jsonl")
    marked = [{**i, "options": {k: v + "者" * (k == i["answer"]) for k, v in i["options"].items()}} for i in items]
    assert measure(marked)["all"]["value"] > 0.9
