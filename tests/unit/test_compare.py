"""Two runs answer by answer: what is paired, what is tested, what is claimed and how it is said."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator

import numpy as np
import pytest

from harness import registry, stats
from harness.baseline import InvalidRun, differences
from harness.compare import compare_runs, render_comparison, sentence, signed
from harness.errors import UsageError
from harness.registry import Metric
from harness.tables import FORMS
from tests.support.sides import ID, bleu, column, one_task, side, task_scores

RIGHT, WRONG = 1.0, 0.0


def flips(n: int, *, won: int, lost: int) -> tuple[list[float], list[float]]:
    """Two rows of 0/1 scores that differ in `won` and `lost` answers."""
    a = [WRONG] * won + [RIGHT] * lost + [RIGHT, WRONG] * ((n - won - lost) // 2)
    b = [RIGHT] * won + [WRONG] * lost + a[won + lost :]
    return a, b


@pytest.fixture
def error_rate() -> Iterator[str]:
    """A metric of which less is better."""
    name = "test_error_rate"
    registry.add_metric(
        Metric(name, 1, ("choice",), lambda pairs, _: [], lambda _: "", bounds=(0.0, 1.0), higher_is_better=False)
    )
    yield name
    registry._METRICS.pop(name)


def test_single_right_or_wrong_answers_are_tested_by_mcnemar() -> None:
    a, b = flips(101, won=12, lost=3)
    (effect,) = compare_runs(one_task("a", a), [one_task("b", b)])[0].effects
    assert effect.found.test == "mcnemar exact"
    assert effect.found.p_value == stats.mcnemar(12, 3)
    assert (effect.found.won, effect.found.lost, effect.found.tied) == (12, 3, 86)
    assert effect.found.effect == pytest.approx(9 / 101)


def test_answers_of_one_cluster_flip_their_signs_together() -> None:
    a, b = flips(100, won=12, lost=0)
    clusters = [row // 12 for row in range(100)]
    (effect,) = compare_runs(one_task("a", a, clusters=clusters), [one_task("b", b, clusters=clusters)])[0].effects
    assert effect.found.test.startswith("sign-flip")
    assert effect.found.p_value == 1.0, "one cluster that changed says nothing, however many answers it holds"
    assert effect.found.n_groups == 9


def test_a_corpus_metric_is_compared_by_its_sufficient_statistics_and_not_by_the_mean_of_its_values() -> None:
    good = ["补气健脾燥湿化痰"] * 15 + ["清热解毒"] * 15
    bad = ["补气健脾"] * 15 + ["清热解毒"] * 15
    a, b = bleu("a", good), bleu("b", bad)
    (effect,) = compare_runs(a, [b])[0].effects
    assert effect.found.test == "approximate randomisation"
    assert effect.found.won is None
    mean = np.mean([v for v in a.tasks["own/text"].columns["bleu4"].values if v is not None])
    assert effect.found.baseline != pytest.approx(float(mean))
    assert effect.found.effect < 0
    assert effect.p < 0.01


def test_a_continuous_metric_is_compared_on_paired_differences() -> None:
    rng = np.random.default_rng(1)
    a = rng.uniform(0.2, 0.7, 80)
    (effect,) = compare_runs(
        one_task("a", a.tolist(), metric="char_f1"), [one_task("b", (a + 0.02).tolist(), metric="char_f1")]
    )[0].effects
    assert effect.found.effect == pytest.approx(0.02)
    assert effect.found.test.startswith("sign-flip")
    assert effect.p < 0.001


def test_where_less_is_better_a_rise_is_a_loss_and_the_means_keep_their_units(error_rate: str) -> None:
    a, b = flips(100, won=20, lost=0)
    (effect,) = compare_runs(one_task("a", a, metric=error_rate), [one_task("b", b, metric=error_rate)])[0].effects
    assert effect.found.candidate - effect.found.baseline == pytest.approx(0.2)
    assert effect.found.effect == pytest.approx(-0.2)
    assert (effect.found.won, effect.found.lost) == (0, 20)
    assert "b is worse than a" in sentence(effect, "a", "b")


def test_answers_without_a_score_are_left_out_of_both_sides_and_reported_with_their_names() -> None:
    a = one_task("a", [1, 1, None, 0, 0], status={2: "failed"})
    b = one_task("b", [1, None, 1, 0, 1], status={1: "unscored"})
    compared = compare_runs(a, [b])
    (effect,) = compared[0].effects
    assert effect.found.n == 3
    assert effect.pairs.unpaired == {"unscored in the candidate": ["s1"], "failed in the baseline": ["s2"]}
    for form in ("table", "markdown"):
        text = render_comparison(compared, form)
        assert "1 left out, unscored in the candidate: s1" in text.replace("\\", "")
        assert "1 left out, failed in the baseline: s2" in text.replace("\\", "")
    assert json.loads(render_comparison(compared, "json"))["comparisons"][0]["effects"][0]["unpaired"] == {
        "unscored in the candidate": ["s1"],
        "failed in the baseline": ["s2"],
    }


def test_many_missing_answers_are_counted_in_a_table_and_all_named_in_json() -> None:
    a = one_task("a", [1] * 30 + [0] * 10)
    b = one_task("b", [None] * 30 + [0] * 10, status=dict.fromkeys(range(30), "failed"))
    compared = compare_runs(a, [b])
    assert "30 left out" in render_comparison(compared, "table")
    assert "and 20 more" in render_comparison(compared, "table")
    named = json.loads(render_comparison(compared, "json"))["comparisons"][0]["effects"][0]["unpaired"]
    assert len(named["failed in the candidate"]) == 30


def test_different_ids_are_refused_and_what_differs_is_named() -> None:
    other = (
        ID.replace("bbbbbb", "cccccc").replace("temp:0", "temp:0.7").replace("|split:test", "|split:test|limit:20@0")
    )
    a, b = one_task("a", [1, 0] * 10), one_task("b", [1, 0] * 10, comparison_id=other)
    with pytest.raises(UsageError) as refused:
        compare_runs(a, [b])
    said = str(refused.value)
    assert "prompt bbbbbb -> cccccc" in said
    assert "temperature 0 -> 0.7" in said
    assert "limit not stated -> 20@0" in said
    assert "--force" in said
    assert refused.value.exit_code == 2


def test_force_compares_and_says_so_in_every_form() -> None:
    a = one_task("a", [1, 0] * 10)
    b = one_task("b", [1, 0] * 10, comparison_id=ID.replace("bbbbbb", "cccccc"))
    compared = compare_runs(a, [b], force=True)
    assert compared[0].forced
    for form in FORMS:
        text = render_comparison(compared, form)
        assert "FORCED" in text or '"forced": true' in text, form
    assert json.loads(render_comparison(compared, "json"))["comparisons"][0]["effects"][0]["differs"] == [
        "prompt bbbbbb -> cccccc"
    ]


def test_a_metrics_own_signature_may_hold_the_separator() -> None:
    first = ID.format(task="t/a", metric="x") + "(tok:13a|lower:no)"
    assert differences(first, first) == []
    assert differences(first, first.replace("13a", "zh")) == ["metric x@1(tok:13a|lower:no) -> x@1(tok:zh|lower:no)"]


def test_holm_runs_over_all_headline_numbers_of_all_candidates_and_over_nothing_else() -> None:
    a, better = flips(60, won=9, lost=1)
    same = list(a)

    def many(name: str, first: list[float], second: list[float]) -> object:
        return side(
            name,
            task_scores("own/one", column("own/one", "accuracy", first), column("own/one", "option_f1", first)),
            task_scores("own/two", column("own/two", "accuracy", second)),
        )

    base, one, two = many("base", a, a), many("one", better, same), many("two", better, better)
    compared = compare_runs(base, [one, two])  # type: ignore[arg-type,list-item]
    effects = [effect for one_of in compared for effect in one_of.effects]
    claimed = [effect for effect in effects if effect.headline]
    assert len(claimed) == 4
    assert [e.p_claim for e in claimed] == stats.holm([e.found.p_value for e in claimed])
    assert {e.claims for e in claimed} == {4}
    assert [e.p_claim for e in effects if not e.headline] == [None, None]
    assert "after Holm's correction for 4 claims" in render_comparison(compared, "table")


def test_the_sentence_says_better_worse_not_shown_or_equal() -> None:
    a, b = flips(200, won=30, lost=2)
    cases = [
        (a, b, "b is better than a on own/choice (accuracy) by 0.140"),
        (b, a, "b is worse than a on own/choice (accuracy) by 0.140"),
        (*flips(200, won=3, lost=2), "No difference between b and a is shown on own/choice (accuracy): +0.005"),
        (a, a, "b and a did equally on each of 200 answers"),
    ]
    for first, second, expected in cases:
        (effect,) = compare_runs(one_task("a", first), [one_task("b", second)])[0].effects
        assert sentence(effect, "a", "b").startswith(expected)
    (effect,) = compare_runs(one_task("a", a), [one_task("b", b)])[0].effects
    assert "(95% interval +" in sentence(effect, "a", "b")
    assert "p < 0.001" in sentence(effect, "a", "b")


def test_no_difference_comes_with_the_smallest_one_that_would_have_been_found() -> None:
    a, b = flips(200, won=8, lost=6)
    (effect,) = compare_runs(one_task("a", a), [one_task("b", b)])[0].effects
    assert effect.found.sd is not None
    assert effect.detectable == pytest.approx(stats.detectable_difference(effect.found.sd, 200))
    assert f"A true difference of {effect.detectable:.3f} would be found in 4 of 5 cases" in sentence(effect, "a", "b")


def test_one_cluster_says_next_to_nothing_and_of_a_corpus_metric_nothing_at_all() -> None:
    a, b = flips(20, won=5, lost=1)
    (effect,) = compare_runs(one_task("a", a, clusters=[0] * 20), [one_task("b", b, clusters=[0] * 20)])[0].effects
    assert effect.found.low is not None
    assert effect.found.low < -0.8
    first, second = bleu("a", ["补气健脾"] * 4), bleu("b", ["补气健脾燥湿"] * 4)
    for one in (first, second):
        object.__setattr__(one.tasks["own/text"], "clusters", [0] * 4)
    compared = compare_runs(first, [second])
    assert compared[0].effects[0].found.low is None
    assert "no interval: it is all one cluster" in render_comparison(compared, "table")


def test_runs_without_a_common_task_or_answer_are_refused() -> None:
    with pytest.raises(UsageError, match=r"nothing to compare: a .* answered own/choice; b .* answered own/other"):
        compare_runs(one_task("a", [1]), [one_task("b", [1], task="own/other")])
    elsewhere = side("b", task_scores("own/choice", column("own/choice", "accuracy", [1, 0]), first=100))
    with pytest.raises(UsageError, match=r"no scored answer in common .*2 asked of the candidate only"):
        compare_runs(one_task("a", [1, 0]), [elsewhere])


def test_a_metric_that_no_answer_was_scored_by_in_both_is_named_and_the_others_are_compared(error_rate: str) -> None:
    """One run prescribed nothing, so its rate of faults is open: that says nothing against its headline number."""
    silent = column("own/case", error_rate, [None, None], status={0: "unparsed", 1: "truncated"})
    a = side("a", task_scores("own/case", column("own/case", "accuracy", [0, 0]), silent))
    b = side(
        "b", task_scores("own/case", column("own/case", "accuracy", [1, 0]), column("own/case", error_rate, [0, 1]))
    )
    compared = compare_runs(a, [b])
    assert [effect.metric for effect in compared[0].effects] == ["accuracy"]
    why = f"own/case ({error_rate}): a and b have no scored answer in common (1 unparsed in the baseline, 1 truncated"
    assert why in render_comparison(compared, "table", width=300)
    assert why in json.loads(render_comparison(compared, "json"))["comparisons"][0]["notes"][0]


def test_tasks_and_metrics_that_only_one_has_are_named() -> None:
    a = side(
        "a",
        task_scores("own/one", column("own/one", "accuracy", [1, 0])),
        task_scores("own/two", column("own/two", "accuracy", [1, 0])),
    )
    b = side("b", task_scores("own/one", column("own/one", "accuracy", [1, 0]), column("own/one", "option_f1", [1, 0])))
    text = render_comparison(compare_runs(a, [b]), "table")
    assert "only in the baseline: own/two" in text
    assert "only in the candidate: own/one option_f1" in text


def test_a_score_outside_its_metrics_bounds_is_an_invalid_run() -> None:
    with pytest.raises(InvalidRun, match="own/choice accuracy"):
        compare_runs(one_task("a", [1, 0]), [one_task("b", [7, 0])])


def test_hostile_names_are_neutralised_in_every_form() -> None:
    evil = "=cmd|'/C calc'!A1\x1b[31m<b>_x_ & \\input{y}\u202e"
    compared = compare_runs(one_task("a", [1, 0] * 8), [one_task(evil, [0, 1] * 8)])
    forms = {form: render_comparison(compared, form) for form in FORMS}
    for form, text in forms.items():
        assert "\x1b" not in text, form
    assert "\u202e" not in forms["table"] + forms["markdown"] + forms["csv"] + forms["latex"]
    assert "<b>" not in forms["markdown"]
    set_in_latex = [line for line in forms["latex"].splitlines() if not line.startswith("%")]
    assert not any("\\input{y}" in line for line in set_in_latex)
    assert not any(line.startswith("=") or ",=" in line for line in forms["csv"].splitlines())


def test_the_csv_of_a_comparison_says_of_each_number_whose_it_is_and_of_which_task_and_metric() -> None:
    a, b = flips(101, won=12, lost=3)
    found = compare_runs(one_task("old", a), [one_task("new", b)])
    rows = list(csv.DictReader(io.StringIO(render_comparison(found, "csv"))))
    assert {(row["task"], row["metric"]) for row in rows} == {("own/choice", "accuracy")}
    by_column = {row["column"]: row for row in rows}
    assert [by_column[name]["model"] for name in ("baseline", "candidate", "p")] == ["old", "new", "new"]
    (effect,) = found[0].effects
    difference = by_column["difference and interval"]
    shown = [float(difference[key]) for key in ("value", "low", "high")]
    assert shown == [effect.found.effect, effect.found.low, effect.found.high] and difference["n"] == "101"
    assert float(by_column["p"]["value"]) == effect.found.p_value
    assert by_column["won / lost / tied"]["text"] == "12 / 3 / 86"


def test_differences_have_a_sign_and_nothing_has_none() -> None:
    assert [signed(v) for v in (0.0123, -0.5, 0.0, -0.0001)] == ["+0.012", "-0.500", "0.000", "0.000"]
