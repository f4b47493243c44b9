"""The gate's verdict: what it concludes, of runs that do not fit too, and that words and exit code are one value."""

from __future__ import annotations

import json
import re
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

from harness.errors import UsageError
from harness.gate import (
    Verdict,
    as_json,
    as_junit,
    as_markdown,
    as_text,
    counterpart,
    decide,
    refuse_early,
)
from tests.support.gating import SPEC, outcome_of, row, spec_of
from tests.support.sides import ID, bleu, column, one_task, side, task_scores


def test_the_same_answers_pass_worse_ones_regress_and_few_answers_are_inconclusive() -> None:
    assert outcome_of(SPEC, row(400, 300), row(400, 300)).verdict is Verdict.PASS
    assert outcome_of(SPEC, row(400, 300), row(400, 240)).verdict is Verdict.REGRESSION
    assert outcome_of(SPEC, row(12, 9), row(12, 8)).verdict is Verdict.INCONCLUSIVE


def test_a_drop_within_the_margin_passes_though_it_is_certain(tmp_path: Path) -> None:
    outcome = outcome_of(spec_of(tmp_path, "margins: {default: 0.1}"), row(2000, 1500), row(2000, 1440))
    assert outcome.verdict is Verdict.PASS
    assert "worse, but by less than that" in as_text(outcome)


def test_a_better_candidate_is_said_to_be_better() -> None:
    outcome = outcome_of(SPEC, row(400, 200), row(400, 260))
    assert outcome.verdict is Verdict.PASS
    assert "it is better" in as_text(outcome)


@pytest.mark.parametrize(
    ("verdict", "policy", "words", "code"),
    [
        (Verdict.PASS, None, "pass", 0),
        (Verdict.PASS, "fail", "pass", 0),
        (Verdict.REGRESSION, "pass", "regression", 1),
        (Verdict.INVALID, "pass", "run invalid or incomplete", 3),
        (Verdict.INCONCLUSIVE, None, "inconclusive", 4),
        (Verdict.INCONCLUSIVE, "pass", "inconclusive, let pass", 0),
        (Verdict.INCONCLUSIVE, "fail", "inconclusive, counted as a failure", 1),
    ],
)
def test_words_and_exit_code_come_from_one_value(verdict: Verdict, policy: str | None, words: str, code: int) -> None:
    final = verdict.under(policy)  # type: ignore[arg-type]
    assert (final.words, final.exit_code) == (words, code)


def test_every_output_states_the_verdict_that_the_exit_code_has() -> None:
    rows = [(row(400, 300), row(400, 300)), (row(400, 300), row(400, 200)), (row(12, 9), row(12, 8))]
    for before, after in rows:
        for policy in (None, "pass", "fail"):
            outcome = outcome_of(SPEC, before, after, policy)
            said = f"Gate: {outcome.verdict.words} (exit code {outcome.verdict.exit_code})"
            assert as_text(outcome).startswith(said)
            assert said in as_markdown(outcome, []).replace("\\", "")
            assert json.loads(as_json(outcome, []))["exit_code"] == outcome.verdict.exit_code
            suite = ET.fromstring(as_junit(outcome, []))
            red = bool(suite.findall("testcase/failure") or suite.findall("testcase/error"))
            assert red == bool(outcome.verdict.exit_code)


def test_all_required_tasks_must_pass_and_the_worst_one_decides(tmp_path: Path) -> None:
    def both(name: str, one: list[float], two: list[float]) -> object:
        return side(
            name,
            task_scores("own/one", column("own/one", "accuracy", one)),
            task_scores("own/two", column("own/two", "accuracy", two)),
        )

    base = both("old", row(400, 300), row(400, 300))
    new = both("new", row(400, 300), row(400, 200))
    assert decide(base, new, SPEC, None).verdict is Verdict.REGRESSION  # type: ignore[arg-type]
    only_one = spec_of(tmp_path, "required: [own/one]")
    outcome = decide(base, new, only_one, None)  # type: ignore[arg-type]
    assert outcome.verdict is Verdict.PASS
    assert "not required, regression: own/two" in as_text(outcome)
    assert decide(base, new, spec_of(tmp_path, "required: [own]"), None).verdict is Verdict.REGRESSION  # type: ignore[arg-type]


def test_a_regression_outweighs_inconclusive_and_a_broken_run_outweighs_both() -> None:
    def three(name: str, one: list[float], two: list[float], failed: int) -> object:
        values: list[float | None] = [*row(400, 300)]
        for place in range(failed):
            values[place] = None
        return side(
            name,
            task_scores("own/one", column("own/one", "accuracy", one)),
            task_scores("own/two", column("own/two", "accuracy", two)),
            task_scores(
                "own/three", column("own/three", "accuracy", values, status=dict.fromkeys(range(failed), "failed"))
            ),
        )

    base = three("old", row(12, 9), row(400, 300), 0)
    assert decide(base, three("new", row(12, 8), row(400, 200), 0), SPEC, None).verdict is Verdict.REGRESSION  # type: ignore[arg-type]
    assert decide(base, three("new", row(12, 8), row(400, 200), 1), SPEC, "pass").verdict is Verdict.INVALID  # type: ignore[arg-type]


def test_an_inconclusive_check_says_how_many_answers_would_do() -> None:
    outcome = outcome_of(SPEC, row(40, 28), row(40, 27))
    (check,) = outcome.checks
    assert check.verdict is Verdict.INCONCLUSIVE
    assert check.needed is not None
    assert check.needed > 40
    assert f"about {check.needed:,} answers instead of 40" in as_text(outcome)


def test_a_corpus_metric_can_be_gated() -> None:
    good, bad = ["补气健脾燥湿化痰"] * 80, ["补气", "燥湿化痰"] * 40
    assert decide(bleu("old", good), bleu("new", good), SPEC, None).verdict is Verdict.PASS
    assert decide(bleu("old", good), bleu("new", bad), SPEC, None).verdict is Verdict.REGRESSION


def test_a_required_task_that_the_candidate_lacks_makes_the_run_incomplete() -> None:
    outcome = decide(one_task("old", [1, 0]), one_task("new", [1, 0], task="own/other"), SPEC, "pass")
    assert outcome.verdict is Verdict.INVALID
    assert "own/choice is required, but new (new-run) was not asked it" in as_text(outcome)


def test_a_candidate_all_of_whose_calls_failed_is_incomplete_and_not_misuse() -> None:
    new = one_task("new", [None, None], status={0: "failed", 1: "failed"})
    outcome = decide(one_task("old", [1, 0]), new, SPEC, None)
    assert outcome.verdict is Verdict.INVALID
    assert "no scored answer in common" in as_text(outcome)


def test_equal_ids_with_other_samples_are_an_invalid_run() -> None:
    new = side("new", task_scores("own/choice", column("own/choice", "accuracy", row(400, 300)), first=1))
    outcome = decide(one_task("old", row(400, 300)), new, SPEC, None)
    assert outcome.verdict is Verdict.INVALID
    assert "1 asked of the candidate only" in as_text(outcome)


def test_a_task_that_was_asked_otherwise_is_refused_if_required_and_left_out_if_not(tmp_path: Path) -> None:
    other = ID.replace("bbbbbb", "cccccc")

    def two(name: str, comparison_id: str) -> object:
        return side(
            name,
            task_scores("own/one", column("own/one", "accuracy", row(400, 300))),
            task_scores("own/two", column("own/two", "accuracy", row(400, 300), comparison_id=comparison_id)),
        )

    with pytest.raises(UsageError, match=r"own/two accuracy: prompt bbbbbb -> cccccc"):
        decide(two("old", ID), two("new", other), SPEC, None)  # type: ignore[arg-type]
    outcome = decide(two("old", ID), two("new", other), spec_of(tmp_path, "required: [own/one]"), None)  # type: ignore[arg-type]
    assert outcome.verdict is Verdict.PASS
    assert "own/two: not compared" in as_text(outcome)


def test_a_run_that_could_not_be_gated_is_refused_before_it_is_asked() -> None:
    asked = {"own/choice": {"accuracy": ID.format(task="own/choice", metric="accuracy").replace("temp:0", "temp:1")}}
    with pytest.raises(UsageError, match="temperature 0 -> 1"):
        refuse_early(one_task("old", [1, 0]), SPEC, asked)


def test_of_a_model_with_two_prompts_the_run_prompted_as_the_baseline_is_taken() -> None:
    common, own = {"model": "m"}, {"model": "m", "own_prompt": "你是中医"}
    runs = [(Path("common"), {"subject": {"identity": common}}), (Path("own"), {"subject": {"identity": own}})]
    base = one_task("old", [1])
    assert counterpart(base, runs) == Path("common")
    object.__setattr__(base, "identity", own)
    assert counterpart(base, runs) == Path("own")


def test_the_sizes_in_the_documentation_are_those_of_the_power_analysis() -> None:
    from harness.stats import paired_sd, required_n_for_gate

    page = (Path(__file__).resolve().parents[3] / "docs" / "gate.md").read_text("utf-8")
    rows = re.findall(r"^\| (\d+) % \| ([\d,]+ \| [\d,]+ \| [\d,]+ \| [\d,]+ \| [\d,]+) \|$", page, re.M)
    assert len(rows) == 4
    for changed, sizes in rows:
        expected = [required_n_for_gate(m, paired_sd(int(changed) / 100)) for m in (0.01, 0.02, 0.03, 0.05, 0.1)]
        assert [int(size.replace(",", "")) for size in sizes.split(" | ")] == expected
