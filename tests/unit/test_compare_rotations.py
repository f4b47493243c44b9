"""Rotations and repeats in a comparison: a question counts once, as in a summary, however often its options were turned."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from harness.baseline import Side, TaskScores, load, side_text
from harness.compare import Effect, compare_runs, render_comparison
from harness.gate import GateSpec, decide
from harness.gate.changed import worst_changed
from harness.report.chosen import chosen
from harness.report.standing import Asked, marked
from harness.store import read_json
from harness.tables import Cell
from tests.conftest import TASK, choice_rows
from tests.support.sides import column, side

Call = Callable[..., tuple[int, str, str]]
Values = Sequence[float | None]


def turned(name: str, questions: Mapping[str, Values], *, repeat: Mapping[str, int] | None = None) -> Side:
    """A side whose questions have a value for each rotation."""
    places = [(q, (repeat or {}).get(q, 0), k) for q, values in questions.items() for k in range(len(values))]
    samples = [q.partition("#")[0] for q, _, _ in places]
    found = column("own/choice", "accuracy", [value for values in questions.values() for value in values])
    found = type(found)(
        found.metric,
        found.comparison_id,
        found.values,
        ["failed" if value is None else "ok" for value in found.values],
        {},
    )
    clusters = [sorted(set(samples)).index(one) for one in samples]
    rows = [(sample, r, k) for sample, (_, r, k) in zip(samples, places, strict=True)]
    return side(name, TaskScores("own/choice", "accuracy", rows, clusters, [None] * len(rows), {"accuracy": found}))


def effect_of(a: Side, b: Side) -> Effect:
    [compared] = compare_runs(a, [b])
    [effect] = compared.effects
    return effect


def test_a_question_counts_once_with_the_mean_over_its_rotations() -> None:
    a = turned("a", {"s0": (1, 0), "s1": (1, 1), "s2": (0, 0)})
    b = turned("b", {"s0": (1, 1), "s1": (0, 1), "s2": (1, 1)})
    effect = effect_of(a, b)
    assert list(effect.pairs.baseline) == [0.5, 1.0, 0.0] and list(effect.pairs.candidate) == [1.0, 0.5, 1.0]
    found = effect.found
    assert found.baseline == pytest.approx(1.5 / 3) and found.candidate == pytest.approx(2.5 / 3)
    assert found.effect == pytest.approx(1 / 3) and (found.won, found.lost, found.tied) == (2, 1, 0)
    # Differences 0.5, -0.5 and 1: of the 8 patterns of signs 6 have a sum of 1 or more, up or down.
    assert found.test == "sign-flip exact" and found.p_value == pytest.approx(6 / 8)
    assert (found.n, found.n_groups, effect.pairs.rotations) == (3, 3, (2, 2))


def test_a_question_asked_in_one_order_weighs_as_much_as_one_asked_in_five() -> None:
    a = turned("a", {"s0": (1, 1, 1, 1, 1), "s1": (0,)})
    b = turned("b", {"s0": (0, 0, 0, 0, 0), "s1": (1,)})
    found = effect_of(a, b).found
    assert (found.baseline, found.candidate, found.effect) == (0.5, 0.5, 0.0), "by answers it were 5/6 and 1/6"


@pytest.mark.parametrize("rotations", [2, 3, 5, 7])
def test_identical_rotations_change_neither_the_p_value_nor_the_interval(rotations: int) -> None:
    a = [1.0] * 3 + [0.0] * 12 + [1.0] * 25
    b = [0.0] * 3 + [1.0] * 12 + [1.0] * 25
    once, often = (
        effect_of(*(turned(name, {f"s{i}": (v,) * k for i, v in enumerate(values)}) for name, values in ab)).found
        for k in (1, rotations)
        for ab in [(("a", a), ("b", b))]
    )
    assert often == once and once.test == "mcnemar exact" and once.p_value < 0.05


def test_repeats_stay_answers_of_their_own_in_one_cluster() -> None:
    a = turned("a", {"s0": (1, 0), "s0#1": (0, 0), "s1": (1,)}, repeat={"s0#1": 1})
    b = turned("b", {"s0": (1, 1), "s0#1": (0, 1), "s1": (1,)}, repeat={"s0#1": 1})
    effect = effect_of(a, b)
    assert list(effect.pairs.places) == [("s0", 0, 0), ("s0", 1, 0), ("s1", 0, 0)]
    assert list(effect.pairs.baseline) == [0.5, 0.0, 1.0] and list(effect.pairs.candidate) == [1.0, 0.5, 1.0]
    assert (effect.found.n, effect.found.n_groups) == (3, 2)


def test_a_rotation_that_one_run_lacks_is_left_out_on_both_sides_and_named() -> None:
    a = turned("a", {"s0": (1, None, 0), "s1": (1, 1, 1)})
    b = turned("b", {"s0": (1, 1, 1), "s1": (1, 1, 0)})
    effect = effect_of(a, b)
    assert list(effect.pairs.baseline) == [0.5, 1.0] and list(effect.pairs.candidate) == [1.0, pytest.approx(2 / 3)]
    assert effect.pairs.unpaired == {"failed in the baseline": ["s0 rotation 1"]}
    assert effect.pairs.rotations == (2, 3)
    assert "2, each in 2 to 3 rotations" in render_comparison(compare_runs(a, [b]), "table", width=200)


def test_the_gate_weighs_questions_and_shows_the_rotation_that_lost_most() -> None:
    a = turned("a", {f"s{i}": (1, 1, 1) for i in range(40)})
    b = turned("b", {f"s{i}": (1, 1, 1) if i else (1, 0.5, 0) for i in range(40)})
    outcome = decide(a, b, GateSpec(), None)
    [check] = outcome.checks
    assert check.effect is not None and check.effect.found.effect == pytest.approx(-0.5 / 40)
    [changed] = worst_changed(outcome.checks, a, b)
    assert (changed.place, changed.before, changed.after, changed.rotations) == ("s0 rotation 2", 1.0, 0.5, 3)


def test_a_baselines_mean_is_that_of_the_summary() -> None:
    assert "0.500" in side_text(turned("a", {"s0": (1, 1, 1, 1, 1), "s1": (0,)}))


# ------------------------------------------------------------------ real runs


@pytest.fixture
def mixed(tmp_path: Path) -> Path:
    """Twelve questions of five options, two of which have an option that speaks of the others and stand in one order."""
    folder = tmp_path / "own"
    folder.mkdir()
    (folder / "choice.yaml").write_text(TASK, "utf-8")
    rows: list[dict[str, Any]] = [{**row, "split": "test"} for row in choice_rows(12)]
    for row in rows[:2]:
        row["options"] = {**row["options"], "E": "以上都不是"}
        row["answer"] = "A"
    (folder / "choice.jsonl").write_text("".join(json.dumps(r, ensure_ascii=False) + "\n" for r in rows), "utf-8")
    return folder


def ran(tcm_eval: Call, suite: Path, tmp_path: Path, model: str, *more: object) -> Path:
    code, out, err = tcm_eval(
        *("run", "--model", model, "--tasks", "own", "--task-path", suite, "--output", tmp_path / "out"),
        *("--quiet", "--json", *more),
    )
    assert code == 0, err
    return Path(json.loads(out.splitlines()[-1])["run"])


def test_the_difference_that_compare_prints_is_that_of_the_two_summaries(
    mixed: Path, tmp_path: Path, tcm_eval: Call
) -> None:
    folders = [ran(tcm_eval, mixed, tmp_path, model, "--rotate-options", 5) for model in ("echo/first", "guess")]
    rows = [read_json(folder / "summary.json")["tasks"]["own/choice"]["accuracy"] for folder in folders]
    effect = effect_of(*(load(folder) for folder in folders))
    assert effect.found.baseline == rows[0]["mean"] and effect.found.candidate == rows[1]["mean"]
    assert effect.found.effect == pytest.approx(rows[1]["mean"] - rows[0]["mean"], abs=1e-12)
    assert effect.found.n == rows[0]["n"] == 12 and sum(rows[0]["counts"].values()) == 2 + 10 * 5
    by_answers = [sum(values) / len(values) for values in map(_values, folders)]
    assert by_answers[0] != pytest.approx(rows[0]["mean"]), "weighed by answers the numbers would be others"
    code, out, _ = tcm_eval("compare", *folders)
    assert code == 0 and f"{rows[0]['mean']:.3f}" in out and "12, each in 1 to 5 rotations" in out
    assert "a question counts once, with the mean over its rotations" in " ".join(out.split())


def _values(folder: Path) -> list[float]:
    return [value for value in load(folder).tasks["own/choice"].columns["accuracy"].values if value is not None]


def test_bold_numbers_of_the_leaderboard_rest_on_the_same_test(
    mixed: Path, tmp_path: Path, tcm_eval: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    from harness import stats

    folders = [ran(tcm_eval, mixed, tmp_path, model, "--rotate-options", 5) for model in ("echo/first", "guess")]
    runs, _ = chosen(folders)
    p = effect_of(load(runs[0].folder), load(runs[1].folder)).found.p_value
    assert 0 < p < 1
    seen: list[float] = []

    def noted(found: Sequence[float]) -> list[float]:
        seen.extend(found)
        return list(found)

    monkeypatch.setattr(stats, "holm", noted)
    rows = [(run, [Cell(run.summary["tasks"]["own/choice"]["accuracy"]["mean"])]) for run in runs]
    marked(rows, [Asked(("own/choice",), "accuracy")], "own")
    assert seen == [pytest.approx(p)]


def test_runs_with_other_rotations_are_refused_and_with_force_compared_on_the_common_ones(
    mixed: Path, tmp_path: Path, tcm_eval: Call
) -> None:
    one, two, five = (ran(tcm_eval, mixed, tmp_path, "echo/first", "--rotate-options", k) for k in (1, 2, 5))
    code, _, err = tcm_eval("compare", one, five)
    assert code == 2 and "rotations 1 -> 5" in err
    code, out, _ = tcm_eval("compare", two, five, "--force", "--format", "json")
    effect = json.loads(out)["comparisons"][0]["effects"][0]
    assert code == 0 and effect["differs"] == ["rotations 2 -> 5"] and effect["rotations"] == 2
    assert effect["effect"] == 0 and len(effect["unpaired"]["asked of the candidate only"]) == 10 * 3
