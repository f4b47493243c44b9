"""Summaries: numbers by the items' labels, and what a run cost."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from harness import summary
from harness.conclude import cost
from harness.pipeline import RunSpec, run
from harness.summary import MOST_LABELS
from harness.types import Score

MANIFEST: dict[str, Any] = {
    "run": "r",
    "subject": {"name": "m", "identity": {}},
    "tasks": {name: {"metrics": {"accuracy": f"id-{name}"}} for name in ("own/a", "own/b", "other/c")},
}


def score(task: str, i: int, value: float, **tags: str) -> Score:
    return Score(task, f"q{i}", "accuracy", value, "ok", "A", tags=tags)


def test_scores_are_pooled_by_the_values_of_each_tag_within_a_suite() -> None:
    scores = [score("own/a", i, float(i % 2), difficulty=str(i % 3 + 1)) for i in range(12)]
    scores += [score("own/b", i, 1.0, difficulty="3") for i in range(6)]
    scores += [score("other/c", i, 1.0) for i in range(4)]
    found = summary.of(MANIFEST, scores, {})["suites"]
    by = {level: metrics["accuracy"] for level, metrics in found["own"]["tags"]["difficulty"].items()}
    assert {level: row["n"] for level, row in by.items()} == {"1": 4, "2": 4, "3": 10}
    assert by["3"]["mean"] == pytest.approx((2 + 6) / 10)
    assert len({row["comparison_id"] for row in by.values()}) == 3
    assert "tags" not in found["other"]


def test_what_guessing_gives_is_said_of_the_very_questions_of_a_row() -> None:
    easy = [replace(score("own/a", i, 1.0, difficulty="1"), parts={"chance": 0.2}) for i in range(6)]
    hard = [replace(score("own/b", i, 0.0, difficulty="2"), parts={"chance": 0.05}) for i in range(6)]
    found = summary.of(MANIFEST, [*easy, *hard, score("own/b", 7, 1.0, difficulty="2")], {})["suites"]["own"]
    rows = {level: metrics["accuracy"] for level, metrics in found["tags"]["difficulty"].items()}
    assert rows["1"]["chance"] == pytest.approx(0.2) and rows["2"]["chance"] == pytest.approx(0.05)
    assert found["overall"]["accuracy"]["micro"]["chance"] == pytest.approx(0.125)


@pytest.mark.parametrize("labels", [1, MOST_LABELS + 1])
def test_a_tag_with_one_value_or_very_many_sorts_nothing(labels: int) -> None:
    scores = [score("own/a", i, 1.0, remark=str(i % labels)) for i in range(2 * labels)]
    scores += [score("own/b", i, 1.0, remark="x") for i in range(labels if labels > 1 else 0)]
    assert "tags" not in summary.of(MANIFEST, scores, {})["suites"]["own"]


def test_a_named_group_of_two_suites_is_two_clusters() -> None:
    scores = [Score(task, "q1", "accuracy", 1.0, "ok", "A", group="case 1") for task in ("own/a", "other/c")]
    assert summary.of(MANIFEST, scores, {})["overall"]["accuracy"]["micro"]["n_groups"] == 2


def tell_tokens(run_folder: Path) -> None:
    """Write tokens into the records, as a provider that counts them does."""
    path = run_folder / "records.jsonl"
    rows = [json.loads(line) for line in path.read_text("utf-8").splitlines()]
    for row in rows:
        row["response"] |= {"tokens_in": 100, "tokens_out": 10}
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), "utf-8")


def test_a_stated_price_gives_a_cost_and_a_new_one_another_without_asking_again(suite: Path, tmp_path: Path) -> None:
    spec = RunSpec("guess", ("own",), output=tmp_path / "out", task_paths=(suite,))
    [free] = run(spec)
    assert "cost" not in free.summary["usage"]
    tell_tokens(free.folder)
    for price in ((2.0, 10.0), (4.0, 20.0)):
        [done] = run(RunSpec(**{**_fields(spec), "price": price}))
        use = done.summary["usage"]
        expected = (use["tokens_in"] * price[0] + use["tokens_out"] * price[1]) / 1e6
        assert done.folder == free.folder and use["calls"] == free.summary["usage"]["calls"]
        assert use["tokens_in"] and use["cost"] == pytest.approx(expected)
        assert use["price"] == {"input": price[0], "output": price[1], "currency": ""}
    [again] = run(spec)
    assert again.summary["usage"] == use, "what was stated once is kept"


def test_a_cost_without_told_tokens_is_unknown_and_never_zero() -> None:
    price = {"input": 1.0, "output": 1.0, "currency": "USD"}
    assert cost({"tokens_in": 0, "tokens_out": 10}, price)["cost"] is None
    assert cost({"tokens_in": 5, "tokens_out": 10}, None) == {}


def _fields(spec: RunSpec) -> dict[str, Any]:
    return {name: getattr(spec, name) for name in RunSpec.__slots__}
