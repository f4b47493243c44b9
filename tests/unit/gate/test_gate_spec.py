"""gate.yaml: margins, floors, the most spoilt answers, and names that must exist."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.errors import UsageError
from harness.gate import (
    GateSpec,
    Verdict,
    as_text,
    decide,
    read_spec,
)
from tests.support.gating import SPEC, outcome_of, row, spec_of
from tests.support.sides import column, one_task, side, task_scores


def test_margins_go_from_task_over_metric_to_default(tmp_path: Path) -> None:
    spec = spec_of(
        tmp_path,
        "margins: {default: 0.05, accuracy: 0.03}\ntasks:\n  own/a: {margins: {accuracy: 0.01}}\n  own/b: {margins: {default: 0.2}}\n",
    )
    assert spec.margin("own/a", "accuracy", headline=True) == 0.01
    assert spec.margin("own/c", "accuracy", headline=True) == 0.03
    assert spec.margin("own/c", "char_f1", headline=True) == 0.05
    assert spec.margin("own/b", "char_f1", headline=True) == 0.2
    assert spec.margin("own/c", "char_f1", headline=False) is None, "only headline metrics are gated unasked"


def test_a_second_metric_with_a_margin_is_gated_too(tmp_path: Path) -> None:
    def two(name: str, f1: list[float]) -> object:
        return side(
            name,
            task_scores("own/a", column("own/a", "accuracy", row(400, 300)), column("own/a", "option_f1", f1)),
        )

    old, new = two("old", row(400, 300)), two("new", row(400, 200))
    assert decide(old, new, SPEC, None).verdict is Verdict.PASS  # type: ignore[arg-type]
    spec = spec_of(tmp_path, "margins: {default: 0.05, option_f1: 0.05}")
    assert decide(old, new, spec, None).verdict is Verdict.REGRESSION  # type: ignore[arg-type]


def test_a_headline_metric_without_a_margin_is_an_error_and_not_a_free_pass(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no margin for accuracy, the headline metric of own/choice"):
        outcome_of(spec_of(tmp_path, "margins: {}"), row(9, 8), row(9, 8))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("margin: {default: 0.1}", "unknown key 'margin'. Did you mean 'margins'?"),
        ("margins: {accuracy: 0}", "margins.accuracy"),
        ("margins: {accuracy: -0.02}", "margins.accuracy"),
        ("margins: {accuracy: .nan}", "margins.accuracy"),
        ("alpha: 0.7", "alpha"),
        ("max_share: {unparsd: 0.1}", "Did you mean 'unparsed'?"),
        ("max_share: {unparsed: 12}", "max_share.unparsed"),
        ("margins: {accuracy: 0.1, accuracy: 0.9}", "gate.yaml:1: 'accuracy' is stated twice"),
        ("alpha: 0.05\nalpha: 0.4", "gate.yaml:2: 'alpha' is stated twice"),
        ("- a list", "expected keys and values"),
        ("margins: [", "is not YAML"),
        ("tasks: {own/choice: {margin: {accuracy: 1}}}", "Did you mean 'margins'?"),
    ],
)
def test_gate_yaml_is_a_closed_schema(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(UsageError) as refused:
        spec_of(tmp_path, text)
    assert said in str(refused.value)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("required: [own/choise]", "Did you mean: own/choice?"),
        ("required: []", "requires no task"),
        ("margins: {default: 0.1, acuracy: 0.1}", "Did you mean: accuracy?"),
        ("floors: {acuracy: 0.1}", "Did you mean: accuracy?"),
        ("tasks: {own/choise: {}}", "Did you mean: own/choice?"),
        ("tasks: {own/choice: {floors: {acuracy: 0.5}}}", "Did you mean: accuracy?"),
    ],
)
def test_names_that_the_baseline_does_not_have_are_refused(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(UsageError) as refused:
        outcome_of(spec_of(tmp_path, text), row(9, 8), row(9, 8))
    assert said in str(refused.value)


def test_an_absent_or_unreadable_config_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="cannot be read"):
        read_spec(tmp_path / "none.yaml")
    assert read_spec(None) == GateSpec()


def test_a_floor_is_read_off_the_measured_mean(tmp_path: Path) -> None:
    spec = spec_of(tmp_path, "floors: {accuracy: 0.75}")
    assert outcome_of(spec, row(400, 300), row(400, 300)).verdict is Verdict.PASS
    below = outcome_of(spec, row(400, 300), row(400, 299))
    assert below.verdict is Verdict.REGRESSION
    assert "measured 0.748, and the bar is 0.750" in as_text(below)
    own = spec_of(tmp_path, "floors: {accuracy: 0.75}\ntasks: {own/choice: {floors: {accuracy: 0.5}}}")
    assert outcome_of(own, row(400, 300), row(400, 299)).verdict is Verdict.PASS


def test_too_many_spoilt_answers_are_a_regression_and_too_many_failed_ones_an_incomplete_run(tmp_path: Path) -> None:
    old = one_task("old", row(100, 60))
    bars = "max_share: {unparsed: 0.02, truncated: 0.02, refused: 0.02, failed: 0.02, unscored: 0.02}"
    spec = spec_of(tmp_path, bars)
    for status, worse in (
        ("unparsed", Verdict.REGRESSION),
        ("truncated", Verdict.REGRESSION),
        ("refused", Verdict.REGRESSION),
        ("failed", Verdict.INVALID),
        ("unscored", Verdict.INVALID),
    ):
        for count, expected in ((2, {Verdict.PASS, Verdict.INCONCLUSIVE}), (3, {worse})):
            values: list[float | None] = [*row(100, 60)]
            for place in range(99, 99 - count, -1):
                values[place] = None if status in ("failed", "unscored") else 0.0
            new = one_task("new", values, status=dict.fromkeys(range(99, 99 - count, -1), status))  # type: ignore[arg-type]
            outcome = decide(old, new, spec, None)
            assert outcome.verdict in expected, (status, count)
            assert (f"3 of 100 answers of the candidate are {status}" in as_text(outcome)) == (count == 3)


def test_one_failed_call_is_enough_for_an_incomplete_run_unless_the_file_allows_it(tmp_path: Path) -> None:
    old = one_task("old", row(400, 300))
    new = one_task("new", [None, *row(399, 299)], status={0: "failed"})
    outcome = decide(old, new, SPEC, None)
    assert outcome.verdict is Verdict.INVALID
    assert outcome.verdict.exit_code == 3
    allowed = decide(old, new, spec_of(tmp_path, "max_share: {failed: 0.01}"), None)
    assert allowed.verdict is Verdict.PASS
    assert "1 left out, failed in the candidate: s0" in as_text(allowed)
    reverse = decide(new, old, SPEC, None)
    assert reverse.verdict is Verdict.INVALID
    assert "of the baseline are failed" in as_text(reverse)
