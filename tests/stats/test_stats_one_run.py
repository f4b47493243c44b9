"""One run: means, clustered standard errors and intervals."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats as scipy_stats

from harness.stats import estimate
from harness.stats.bounds import t_quantile, wilson_bound

UNIT = st.floats(0, 1, allow_nan=False, width=32)
GROUPED = st.lists(st.tuples(UNIT, st.integers(0, 6)), min_size=1, max_size=40)


@pytest.mark.parametrize("df", [1, 2, 3, 4, 7, 16, 49, 50, 99, 299, 5000])
@pytest.mark.parametrize("probability", [0.05, 0.6, 0.9, 0.95, 0.975, 0.995])
def test_the_t_quantile_is_scipys(df: int, probability: float) -> None:
    assert t_quantile(probability, df) == pytest.approx(scipy_stats.t.ppf(probability, df), rel=2e-6)


@pytest.mark.parametrize(("right", "n"), [(0, 1), (1, 1), (0, 50), (50, 50), (7, 10), (210, 300), (297, 300)])
@pytest.mark.parametrize("level", [0.9, 0.95, 0.99])
def test_single_zero_one_answers_get_scipys_wilson_interval(right: int, n: int, level: float) -> None:
    found = estimate([1.0] * right + [0.0] * (n - right), level=level)
    wanted = scipy_stats.binomtest(right, n).proportion_ci(level, method="wilson")
    assert (found.low, found.high) == pytest.approx((wanted.low, wanted.high), abs=1e-12)
    assert found.method == "wilson"


def test_with_single_items_the_standard_error_is_the_ordinary_one() -> None:
    values = [0.2, 0.9, 0.4, 1.0, 0.0, 0.55]
    assert estimate(values).se == pytest.approx(scipy_stats.sem(values))


def test_the_clustered_standard_error_of_a_small_case_done_by_hand() -> None:
    # Clusters (1, 1), (0, 0), (1): mean 3/5; sums of deviations 0.8, -1.2, 0.4; squares add up to 2.24; G/(G-1) = 3/2.
    found = estimate([1, 1, 0, 0, 1], ["a", "a", "b", "b", "c"])
    assert found.se == pytest.approx(math.sqrt(1.5 * 2.24) / 5)
    assert found.mean == pytest.approx(0.6)
    assert (found.n, found.n_groups) == (5, 3)


def test_repeating_every_answer_three_times_in_its_cluster_teaches_nothing() -> None:
    answers = [1.0] * 30 + [0.0] * 10
    once, thrice = estimate(answers), estimate(answers * 3, list(range(40)) * 3)
    assert thrice.se == pytest.approx(once.se)
    assert thrice.high is not None and thrice.low is not None and once.high is not None and once.low is not None
    # A little wider: the t quantile takes the place of the normal one.
    assert 1.0 < (thrice.high - thrice.low) / (once.high - once.low) < 1.06


def test_an_item_without_a_group_is_a_cluster_of_its_own() -> None:
    assert estimate([1, 0, 1], [None, None, "a"]) == estimate([1, 0, 1], [1, 2, 3])


def test_the_macro_mean_weighs_strata_equally_and_the_micro_mean_weighs_items() -> None:
    values, strata = [1, 1, 1, 1, 0, 1], ["a", "a", "a", "a", "b", "b"]
    assert estimate(values).mean == pytest.approx(5 / 6)
    assert estimate(values, strata=strata).mean == pytest.approx((1.0 + 0.5) / 2)


def test_the_macro_standard_error_of_separate_strata_is_the_textbook_one() -> None:
    first, second = [0.1, 0.5, 0.9, 0.3], [0.7, 0.8, 0.2]
    found = estimate(first + second, strata=["a"] * 4 + ["b"] * 3)
    assert found.se == pytest.approx(math.hypot(scipy_stats.sem(first), scipy_stats.sem(second)) / 2)


def test_clusters_that_span_strata_add_their_covariance() -> None:
    rng = np.random.default_rng(3)
    shared = rng.normal(size=200)
    values = np.concatenate([shared, shared + 0.01 * rng.normal(size=200)])
    strata, cases = ["a"] * 200 + ["b"] * 200, list(range(200)) * 2
    spanning = estimate(values, cases, strata=strata, bounds=None)
    apart = estimate(values, strata=strata, bounds=None)
    assert spanning.se is not None and apart.se is not None
    assert spanning.se == pytest.approx(apart.se * math.sqrt(2), rel=0.01)


def test_a_stratum_of_one_item_still_adds_uncertainty() -> None:
    found = estimate([1, 0, 1, 0, 0], strata=["a", "a", "a", "a", "alone"])
    without = estimate([1, 0, 1, 0], strata=["a"] * 4)
    assert found.se is not None and without.se is not None
    assert found.se > without.se / 2


@pytest.mark.parametrize("value", [0.0, 0.7, 1.0])
@pytest.mark.parametrize("n", [1, 2, 50])
def test_equal_values_never_give_an_interval_of_zero_width(value: float, n: int) -> None:
    for groups in (None, ["one"] * n):
        found = estimate([value] * n, groups)
        assert found.low is not None and found.high is not None
        assert found.high - found.low > 0.01
        assert found.low <= value <= found.high


def test_fifty_equal_clusters_of_six_all_right_count_as_fifty_answers() -> None:
    found = estimate([1.0] * 300, [i // 6 for i in range(300)])
    assert found.low == pytest.approx(wilson_bound(1.0, 50, float(scipy_stats.t.ppf(0.975, 49)), "lower"), abs=1e-6)


def test_one_cluster_has_no_standard_error_and_counts_as_one_answer() -> None:
    found = estimate([1, 0, 1, 1], ["case"] * 4)
    assert (found.se, found.n_groups) == (None, 1)
    assert found.low is not None and found.high is not None and found.high - found.low > 0.8


def test_without_bounds_the_interval_is_students_or_none() -> None:
    values = [3.0, -4.0, 10.0, 2.5]
    wanted = scipy_stats.t.interval(0.95, 3, np.mean(values), scipy_stats.sem(values))
    found = estimate(values, bounds=None)
    assert (found.low, found.high) == pytest.approx(wanted)
    for hopeless in ([7.0], [7.0, 7.0]):
        assert estimate(hopeless, bounds=None).method == "none"
        assert estimate(hopeless, bounds=None).low is None


def test_no_values_give_no_mean() -> None:
    found = estimate([])
    assert (found.mean, found.se, found.low, found.high, found.n) == (None, None, None, None, 0)


def test_other_bounds_only_change_the_scale() -> None:
    values = np.array([0.2, 0.9, 0.4, 1.0, 0.0])
    unit, percent = estimate(values), estimate(values * 100, bounds=(0, 100))
    assert [percent.mean, percent.se, percent.low, percent.high] == pytest.approx(
        [100 * (v or 0) for v in (unit.mean, unit.se, unit.low, unit.high)]
    )


@pytest.mark.parametrize(
    ("values", "groups", "message"),
    [
        ([0.5, math.nan], None, "value 1 is nan"),
        ([0.5, 1.5], None, "outside the metric's bounds"),
        ([0.5, 0.5], ["a"], "1 labels for 2 values"),
    ],
)
def test_bad_input_is_refused_with_a_reason(values: list[float], groups: list[str] | None, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        estimate(values, groups)


def test_a_value_without_a_stratum_is_refused_in_a_mean_over_strata() -> None:
    with pytest.raises(ValueError, match="no stratum"):
        estimate([1.0, 0.0], strata=["Surgery", None])


def test_a_value_that_rounding_carried_over_a_bound_counts_as_the_bound() -> None:
    found = estimate([1.0000000000000002, 1.0, 1.0])
    assert (found.mean, found.method) == (1.0, "wilson")


@settings(max_examples=150, deadline=None)
@given(rows=GROUPED, order=st.randoms(use_true_random=False))
def test_order_and_names_of_groups_change_nothing(rows: list[tuple[float, int]], order: object) -> None:
    shuffled = list(rows)
    order.shuffle(shuffled)  # type: ignore[attr-defined]
    one = estimate([v for v, _ in rows], [g for _, g in rows])
    two = estimate([v for v, _ in shuffled], [f"case {10 - g}" for _, g in shuffled])
    assert (one.n, one.n_groups, one.method) == (two.n, two.n_groups, two.method)
    for left, right in ((one.mean, two.mean), (one.se, two.se), (one.low, two.low), (one.high, two.high)):
        assert left == pytest.approx(right, abs=1e-9) if left is not None else right is None


@settings(max_examples=150, deadline=None)
@given(rows=GROUPED, macro=st.booleans())
def test_the_interval_holds_the_mean_and_stays_within_the_bounds(rows: list[tuple[float, int]], macro: bool) -> None:
    values, groups = [v for v, _ in rows], [g for _, g in rows]
    found = estimate(values, groups, strata=[g % 3 for g in groups] if macro else None)
    assert found.low is not None and found.high is not None and found.mean is not None
    assert 0 <= found.low <= found.mean <= found.high <= 1
    assert found.high - found.low > 0


def test_groups_as_numbers_and_as_names_are_the_same_groups() -> None:
    from harness.stats.clusters import encode

    numbers = np.array([2**63 + 5, 7, 2**63 + 5, 0, 7], dtype=np.uint64)
    assert encode(numbers, 5).tolist() == encode([str(n) for n in numbers], 5).tolist() == [0, 1, 0, 2, 1]
