"""The numbers behind figures: which runs share one, what is missing, what a score takes."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from harness.errors import UsageError
from harness.report.chosen import chosen
from harness.report.figures import Wanted, draw, fonts, formats, only
from harness.report.figures.costs import by_cost, by_tokens
from harness.report.figures.numbers import labels
from harness.report.figures.scores import by_discipline, by_metric, by_tag
from harness.report.results import Run, published, published_root
from tests.conftest import TASK, choice_rows, make_suite
from tests.unit.report.conftest import rows

Make = Callable[[dict[str, tuple[float, int]]], list[Path]]
Call = Callable[..., tuple[int, str, str]]
TWO = {"better": (0.8, 100), "worse": (0.3, 10)}


def test_a_metric_that_a_model_lacks_leaves_no_bar_and_a_note_says_so(runs: Make) -> None:
    found, _ = chosen(runs({"one": (0.5, 1)}))
    numbers = by_metric(found, published(published_root()), "tcm_ladder")
    assert numbers is not None
    assert [row.label for row in numbers.rows] == ["one", "Ladder-base †"]
    assert list(numbers.rows[0].points) == ["exact_match"]
    assert ("missing", {"metric": "ladder_score", "models": "one"}) in numbers.notes
    assert ("formula", {}) in numbers.notes


def test_runs_that_were_asked_in_another_way_share_no_figure(runs: Make) -> None:
    found, _ = chosen(runs({"one": (0.5, 1), "two": (0.6, 1), "three": (0.7, 1)}))
    other = next(run for run in found if run.name == "two")
    changed: dict[str, Any] = {**other.summary, "suites": {"tcm_ladder": _asked_otherwise(other)}}
    mixed = [replace(other, summary=changed) if run is other else run for run in found]
    numbers = by_discipline(mixed, [], "tcm_ladder")
    assert numbers is not None
    assert {row.label for row in numbers.rows} == {"one", "three"}
    assert ("left", {"metric": "accuracy", "models": "two"}) in numbers.notes


def _asked_otherwise(run: Run) -> dict[str, Any]:
    own = run.summary["suites"]["tcm_ladder"]
    accuracy = own["overall"]["accuracy"]
    micro = {**accuracy["micro"], "comparison_id": "another way"}
    return {**own, "overall": {**own["overall"], "accuracy": {**accuracy, "micro": micro}}}


def test_measured_models_stand_above_those_of_others_and_best_comes_first(runs: Make) -> None:
    found, _ = chosen(runs(TWO))
    numbers = by_discipline(found, published(published_root()), "tcm_ladder")
    assert numbers is not None
    assert [row.label for row in numbers.rows[:3]] == ["better", "worse", "Ladder-base †"]
    assert [row.ours for row in numbers.rows] == [True] * 2 + [False] * 14


def test_two_subjects_of_one_name_are_told_apart(runs: Make) -> None:
    found, _ = chosen(runs({"one": (0.5, 1), "two": (0.6, 1)}))
    same = [replace(r, summary={**r.summary, "subject": {**r.summary["subject"], "name": "one"}}) for r in found]
    assert len(set(labels(same).values())) == 2


def test_tokens_are_drawn_only_where_providers_told_them(runs: Make, tmp_path: Path) -> None:
    found, _ = chosen(runs(TWO))
    assert by_tokens([priced(run, None, tokens=0) for run in found], "tcm_ladder") is None
    told = [priced(run, None, tokens=1130 * (i + 1)) for i, run in enumerate(found)]
    drawn = draw(told, [], tmp_path, Wanted())
    table = rows(tmp_path / "tcm_ladder-tokens.csv")
    assert tmp_path / "tcm_ladder-tokens.png" in drawn.files
    counts = [run.summary["usage"]["calls"] for run in told]
    tokens = sorted(float(row["value"]) for row in table if row["column"] == "tokens")
    assert tokens == sorted(1130 * (i + 1) / n for i, n in enumerate(counts))


def priced(run: Run, cost: float | None, currency: str = "USD", tokens: int = 1000) -> Run:
    """The run with told tokens, and with what all its answers cost unless `cost` is None."""
    use = {**run.summary["usage"], "tokens_out": tokens}
    if cost is not None:
        use |= {"cost": cost, "price": {"input": 1.0, "output": 1.0, "currency": currency}}
    return replace(run, summary={**run.summary, "usage": use})


def test_cost_is_drawn_by_currency_and_runs_without_a_price_by_their_tokens(runs: Make, tmp_path: Path) -> None:
    found, _ = chosen(runs({"a": (0.8, 1), "b": (0.5, 1), "c": (0.3, 1)}))
    a, b, c = sorted(found, key=lambda run: run.name)
    mixed = [priced(a, 0.5), priced(b, 3.0, "CNY"), priced(c, None)]
    drawn = draw(mixed, [], tmp_path, Wanted(("png",), "column"))
    assert tmp_path / "tcm_ladder-cost.png" in drawn.files
    calls = a.summary["usage"]["calls"]
    table = {(row["model"], row["column"]): row for row in rows(tmp_path / "tcm_ladder-cost.csv")}
    assert float(table["a", "cost:USD"]["value"]) == pytest.approx(1000 * 0.5 / calls)
    assert float(table["b", "cost:CNY"]["value"]) == pytest.approx(1000 * 3.0 / calls)
    assert float(table["c", "tokens"]["value"]) == pytest.approx(1000 / calls)
    assert ("c", "cost:USD") not in table and ("a", "tokens") not in table
    numbers = by_cost(mixed, "tcm_ladder")
    assert numbers is not None and list(numbers.columns) == ["accuracy", "cost:CNY", "cost:USD", "tokens"]
    assert by_cost([priced(run, None) for run in found], "tcm_ladder") is None, "tokens have a figure of their own"
    free = by_cost([priced(a, 0.0), priced(b, 1.0)], "tcm_ladder")
    assert free is not None and "tokens" in free.rows[0].points, "a price of nothing has no place on a logarithmic axis"


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("width", ["column", "page"])
def test_scores_by_difficulty_are_drawn_with_how_many_questions_a_level_has(
    tmp_path: Path, tcm_eval: Call, width: str
) -> None:
    task = TASK.replace("split: {", "  tags: { difficulty: level }\nsplit: {")
    folder = make_suite(tmp_path / "own", 0, task)
    level = ["1", "2", "10"]
    data = [{**row, "level": level[i % 3]} for i, row in enumerate(choice_rows(24))]
    (folder / "choice.jsonl").write_text("".join(json.dumps(r, ensure_ascii=False) + "\n" for r in data), "utf-8")
    output = tmp_path / "results"
    assert tcm_eval("run", "--model", "guess", "--tasks", "own", "--task-path", folder, "--output", output)[0] == 0
    options = ("--width", width, "--language", "zh" if fonts.chinese() else "en")
    assert tcm_eval("figures", output, "--output", tmp_path / "figures", *options)[0] == 0
    assert (tmp_path / "figures" / "own-by-difficulty.png").is_file()
    table = rows(tmp_path / "figures" / "own-by-difficulty.csv")
    assert [row["column"] for row in table] == ["difficulty=1", "difficulty=2", "difficulty=10"], "numbers by size"
    asked = [row["level"] for row in data if row["split"] == "test"]
    assert [int(row["n"]) for row in table] == [asked.count(one) for one in level]
    found, _ = chosen([output])
    assert by_tag(found, "own", "difficulty") is not None and by_tag(found, "own", "season") is None


def test_only_named_publications_are_shown() -> None:
    everyone = published(published_root())
    assert {one.model for one in only(everyone, "GPT-4o, BenCao")} == {"GPT-4o", "BenCao"}
    assert only(everyone, "none") == []
    assert only(everyone, "all") == everyone
    assert formats("pdf,png") == ("png", "pdf")
    with pytest.raises(UsageError, match="--format is empty"):
        formats(",")
