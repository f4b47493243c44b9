"""Corpus metrics by bootstrap, adjusted p-values, and planning."""

from __future__ import annotations

import math
import time

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats as scipy_stats

from harness.stats import (
    benjamini_hochberg,
    bootstrap,
    compare_corpus,
    detectable_difference,
    estimate,
    gate_power,
    holm,
    paired_sd,
    required_n,
    required_n_for_gate,
    verdict,
)

Floats = npt.NDArray[np.float64]
P_VALUES = st.lists(st.floats(0, 1, allow_nan=False), min_size=1, max_size=12)


def micro_f1(sums: Floats) -> Floats:
    """From (hits, gold, predicted) to F1."""
    f1: Floats = 2 * sums[:, 0] / np.maximum(sums[:, 1] + sums[:, 2], 1e-12)
    return f1


def mean(sums: Floats) -> Floats:
    ratio: Floats = sums[:, 0] / np.maximum(sums[:, 1], 1e-12)
    return ratio


def rows_of_f1(rng: np.random.Generator, n: int, skill: float) -> Floats:
    gold, predicted = rng.integers(1, 8, size=n), rng.integers(1, 8, size=n)
    hits = rng.binomial(np.minimum(gold, predicted), skill)
    return np.stack([hits, gold, predicted], axis=1).astype(np.float64)


def test_the_bootstrap_of_a_mean_is_close_to_its_known_standard_error() -> None:
    values = np.random.default_rng(0).beta(2, 3, size=400)
    found = bootstrap(np.stack([values, np.ones(400)], axis=1), mean, resamples=4000)
    plain = estimate(values)
    assert found.mean == pytest.approx(plain.mean)
    assert found.se == pytest.approx(plain.se, rel=0.05)
    assert (found.low, found.high) == pytest.approx((plain.low, plain.high), abs=0.005)


def test_whole_clusters_are_drawn() -> None:
    values = np.repeat(np.random.default_rng(1).beta(2, 3, size=60), 5)
    groups = np.repeat(np.arange(60), 5)
    found = bootstrap(np.stack([values, np.ones(300)], axis=1), mean, groups, resamples=4000)
    assert found.se == pytest.approx(estimate(values, groups).se, rel=0.06)
    assert (found.n, found.n_groups) == (300, 60)


def test_a_thousand_resamples_of_two_thousand_answers_take_about_a_second() -> None:
    rows = np.random.default_rng(2).integers(1, 30, size=(2000, 10)).astype(np.float64)
    start = time.process_time()
    bootstrap(rows, mean, resamples=1000)
    assert time.process_time() - start < 1.5


def test_order_and_names_of_groups_change_no_bootstrap() -> None:
    rng = np.random.default_rng(3)
    rows, groups, order = rows_of_f1(rng, 90, 0.6), rng.integers(0, 30, size=90), rng.permutation(90)
    one = bootstrap(rows, micro_f1, groups)
    two = bootstrap(rows[order], micro_f1, [f"case {99 - g}" for g in groups[order]])
    assert one == two
    assert one.low != bootstrap(rows, micro_f1, groups, seed=1).low


def test_a_corpus_without_spread_has_no_interval() -> None:
    for rows in ([[1.0, 2.0]] * 5, [[1.0, 2.0]]):
        found = bootstrap(rows, mean)
        assert (found.mean, found.se, found.low, found.high) == (0.5, None, None, None)
    assert bootstrap([], mean).mean is None


def test_a_metric_that_gives_nan_is_refused() -> None:
    with pytest.raises(ValueError, match="NaN"):
        bootstrap([[1.0], [2.0]], lambda sums: np.full(len(sums), math.nan))
    with pytest.raises(ValueError, match="shape"):
        bootstrap([[1.0], [2.0]], lambda sums: sums)


def test_comparing_a_corpus_metric_is_paired() -> None:
    rng = np.random.default_rng(4)
    baseline = rows_of_f1(rng, 300, 0.6)
    candidate = baseline.copy()
    candidate[:40, 0] = 0
    found = compare_corpus(baseline, candidate, micro_f1)
    assert found.effect == pytest.approx(
        float(micro_f1(candidate.sum(0)[None])[0] - micro_f1(baseline.sum(0)[None])[0])
    )
    assert found.p_value == pytest.approx(1 / 2001)
    assert found.high is not None and found.lower is not None and found.low is not None
    assert found.low < found.lower < found.effect < found.high < 0
    assert verdict(found, 0.02) == "regression"
    back = compare_corpus(candidate, baseline, micro_f1)
    assert back.effect == pytest.approx(-found.effect)
    assert back.p_value == pytest.approx(found.p_value, abs=0.002)


def test_swapping_agrees_with_scipys_permutation_test() -> None:
    rng = np.random.default_rng(5)
    baseline, candidate = rows_of_f1(rng, 80, 0.62), rows_of_f1(rng, 80, 0.55)
    a, b = np.arange(80) * 2, np.arange(80) * 2 + 1
    pool = np.stack([baseline, candidate], axis=1).reshape(160, 3)

    def effect(x: npt.NDArray[np.int64], y: npt.NDArray[np.int64], axis: int = -1) -> Floats:
        return micro_f1(pool[y].sum(axis - 1).reshape(-1, 3)) - micro_f1(pool[x].sum(axis - 1).reshape(-1, 3))

    wanted = scipy_stats.permutation_test(
        (a, b),
        lambda x, y: float(effect(x.astype(int)[None], y.astype(int)[None])[0]),
        permutation_type="samples",
        n_resamples=2000,
        vectorized=False,
        rng=np.random.default_rng(0),
    ).pvalue
    assert compare_corpus(baseline, candidate, micro_f1).p_value == pytest.approx(wanted, abs=0.05)


def test_a_run_against_itself_passes_only_with_bounds_and_enough_items() -> None:
    rows = rows_of_f1(np.random.default_rng(6), 300, 0.6)
    itself = compare_corpus(rows, rows, micro_f1, bounds=(0, 1))
    assert (itself.effect, itself.p_value) == (0.0, 1.0)
    assert verdict(itself, 0.02) == "pass"
    assert verdict(compare_corpus(rows[:20], rows[:20], micro_f1, bounds=(0, 1)), 0.02) == "inconclusive"
    assert verdict(compare_corpus(rows, rows, micro_f1), 0.02) == "inconclusive"


def test_holm_and_benjamini_hochberg_of_a_case_done_by_hand() -> None:
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert benjamini_hochberg([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.02, 0.04, 0.04, 0.02])


@given(P_VALUES)
def test_adjusted_p_values_keep_their_order_and_never_shrink(p_values: list[float]) -> None:
    adjusted = holm(p_values)
    for i, p in enumerate(p_values):
        assert p <= adjusted[i] <= 1
        assert all(adjusted[i] <= adjusted[j] for j, q in enumerate(p_values) if p < q)
    assert benjamini_hochberg(p_values) == pytest.approx(scipy_stats.false_discovery_control(p_values))
    assert all(b <= h + 1e-12 for b, h in zip(benjamini_hochberg(p_values), adjusted, strict=True))


def test_planning_functions_are_each_others_inverse() -> None:
    sd = paired_sd(0.2, 0.05)
    assert sd == pytest.approx(math.sqrt(0.1975))
    n = required_n(0.05, sd)
    assert detectable_difference(sd, n) <= 0.05 < detectable_difference(sd, n - 1)
    n = required_n_for_gate(0.05, sd, drop=0.01)
    assert gate_power(0.05, sd, n, drop=0.01) >= 0.8 > gate_power(0.05, sd, n - 1, drop=0.01)
    assert gate_power(0.05, sd, 50_000, drop=0.05) == pytest.approx(0.05, abs=0.002)
    assert gate_power(0.05, sd, 500, drop=0.05) < 0.05
    with pytest.raises(ValueError, match="margin"):
        required_n_for_gate(0.05, sd, drop=0.05)
    with pytest.raises(ValueError, match="changed"):
        paired_sd(0.02, 0.05)
