"""Two runs on the same items: tests, bounds, verdicts."""

from __future__ import annotations

import itertools
import math

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import optimize
from scipy import stats as scipy_stats

from harness.stats import compare, mcnemar, verdict
from harness.stats.bounds import CONTINUITY, tango_bound
from harness.stats.permutation import sign_flip

BITS = st.lists(st.tuples(st.integers(0, 1), st.integers(0, 1), st.integers(0, 5)), min_size=1, max_size=40)


def answers(won: int, lost: int, both: int, neither: int) -> tuple[list[float], list[float]]:
    baseline = [0.0] * won + [1.0] * lost + [1.0] * both + [0.0] * neither
    candidate = [1.0] * won + [0.0] * lost + [1.0] * both + [0.0] * neither
    return baseline, candidate


@pytest.mark.parametrize(("won", "lost"), [(0, 0), (0, 1), (3, 3), (1, 9), (40, 61), (0, 30), (5000, 5200)])
def test_mcnemar_is_scipys_binomial_test(won: int, lost: int) -> None:
    wanted = scipy_stats.binomtest(won, won + lost).pvalue if won + lost else 1.0
    assert mcnemar(won, lost) == pytest.approx(wanted, rel=1e-9)
    assert mcnemar(lost, won) == mcnemar(won, lost)


@pytest.mark.parametrize(("won", "lost"), [(1, 9), (40, 61), (3, 3), (0, 5)])
def test_mid_p_counts_the_observed_split_half(won: int, lost: int) -> None:
    law = scipy_stats.binom(won + lost, 0.5)
    wanted = min(1.0, 2 * law.cdf(min(won, lost)) - law.pmf(min(won, lost)))
    assert mcnemar(won, lost, mid_p=True) == pytest.approx(wanted, rel=1e-9)


def test_flipping_single_answers_is_mcnemars_test() -> None:
    for won, lost in ((1, 9), (30, 45), (2, 2), (0, 20)):
        p_value, how = sign_flip(np.array([1.0] * won + [-1.0] * lost))
        assert p_value == pytest.approx(mcnemar(won, lost))
        assert how == "sign-flip exact"


def test_few_clusters_are_flipped_in_every_way() -> None:
    sums = np.array([0.5, -0.2, 1.3, 0.0, 0.9])
    every = [
        abs(sum(s * v for s, v in zip(signs, sums, strict=True))) for signs in itertools.product((1, -1), repeat=5)
    ]
    wanted = float(np.mean(np.array(every) >= abs(sums.sum()) - 1e-12))
    p_value, how = sign_flip(sums)
    assert p_value == pytest.approx(wanted)
    assert how == "sign-flip exact"


def test_whole_sums_have_the_exact_distribution_that_drawing_approaches() -> None:
    rng = np.random.default_rng(5)
    sums = rng.integers(-3, 4, size=60).astype(float) + (np.arange(60) < 8)
    exact, how = sign_flip(sums)
    # Half a millionth off whole: the same question, but the exact way is closed.
    drawn, other = sign_flip(sums * 1.0000005)
    assert (how, other) == ("sign-flip exact", "sign-flip monte carlo")
    assert drawn == pytest.approx(exact, abs=5 * math.sqrt(exact * (1 - exact) / 10_000))


def test_drawn_signs_agree_with_scipys_permutation_test() -> None:
    differences = np.random.default_rng(2).normal(0.1, 0.4, size=40)

    def mean(x: npt.NDArray[np.float64], axis: int = -1) -> npt.NDArray[np.float64]:
        return np.asarray(np.mean(x, axis=axis), dtype=np.float64)

    wanted = scipy_stats.permutation_test(
        (differences,),
        mean,
        permutation_type="samples",
        n_resamples=20_000,
        vectorized=True,
        rng=np.random.default_rng(1),
    ).pvalue
    assert sign_flip(differences)[0] == pytest.approx(wanted, abs=0.02)


def test_a_drawn_p_value_is_never_zero_and_the_seed_repeats_it() -> None:
    sums = np.full(40, 0.3) + np.arange(40) * 0.001
    assert sign_flip(sums)[0] == pytest.approx(1 / 10_001)
    mixed = np.random.default_rng(0).normal(0.05, 0.3, size=50)
    assert sign_flip(mixed, seed=4) == sign_flip(mixed, seed=4)


def restricted_z(won: int, lost: int, n: int, difference: float) -> float:
    """Tango's statistic with the restricted maximum found by a numerical search instead of the closed form."""

    def minus_log_likelihood(q: float) -> float:
        p = q + difference
        rest = 1 - p - q
        if min(p, q, rest) <= 0:
            return 1e9
        return -(won * math.log(p) + lost * math.log(q) + (n - won - lost) * math.log(rest))

    least, most = max(0.0, -difference), (1 - difference) / 2
    q = optimize.minimize_scalar(
        minus_log_likelihood, bounds=(least, most), method="bounded", options={"xatol": 1e-12}
    ).x
    return float((won - lost - n * difference) / math.sqrt(n * (2 * q + difference * (1 - difference))))


@pytest.mark.parametrize(("won", "lost", "n"), [(5, 12, 50), (40, 20, 160), (1, 6, 300), (9, 9, 44)])
@pytest.mark.parametrize("z", [1.6448536, 1.959964])
def test_tangos_bound_solves_his_equation(won: int, lost: int, n: int, z: float) -> None:
    low = tango_bound(won / n, lost / n, n, z, "lower")
    high = tango_bound(won / n, lost / n, n, z, "upper")
    for bound, sign in ((low, 1), (high, -1)):
        correction = CONTINUITY / math.sqrt(n) / _scale(won, lost, n, bound)
        assert sign * restricted_z(won, lost, n, bound) == pytest.approx(z + correction, abs=1e-3)


def _scale(won: int, lost: int, n: int, difference: float) -> float:
    """The restricted standard deviation of one pair, from the statistic itself."""
    return abs(((won - lost) / n - difference) * math.sqrt(n) / restricted_z(won, lost, n, difference))


def test_runs_without_any_change_are_bounded_by_how_many_items_there_are() -> None:
    few, many = compare([1.0] * 50, [1.0] * 50), compare([1.0] * 300, [1.0] * 300)
    assert few.lower is not None and many.lower is not None and many.upper is not None
    assert -0.08 < few.lower < -0.04
    assert many.lower == pytest.approx(-many.upper)
    assert (verdict(few, 0.02), verdict(many, 0.02)) == ("inconclusive", "pass")
    assert (few.p_value, few.sd, few.tied) == (1.0, None, 50)


def test_counts_effect_and_names_of_a_plain_comparison() -> None:
    found = compare(*answers(won=4, lost=12, both=60, neither=24))
    assert (found.won, found.lost, found.tied, found.n) == (4, 12, 84, 100)
    assert found.effect == pytest.approx(-0.08)
    assert [found.baseline, found.candidate] == pytest.approx([0.72, 0.64])
    assert found.p_value == pytest.approx(scipy_stats.binomtest(4, 16).pvalue)
    assert (found.method, found.test) == ("tango", "mcnemar exact")
    assert found.se == pytest.approx(scipy_stats.sem([1] * 4 + [-1] * 12 + [0] * 84))


def test_the_verdict_is_pass_regression_or_inconclusive() -> None:
    worse = compare(*answers(won=2, lost=40, both=200, neither=58))
    same = compare(*answers(won=5, lost=5, both=200, neither=90))
    unsure = compare(*answers(won=5, lost=9, both=20, neither=16))
    assert [verdict(c, 0.05) for c in (worse, same, unsure)] == ["regression", "pass", "inconclusive"]
    with pytest.raises(ValueError, match="margin"):
        verdict(same, 0.0)


def test_a_small_certain_drop_within_the_margin_passes() -> None:
    found = compare(*answers(won=0, lost=10, both=900, neither=90))
    assert found.upper is not None and found.upper < 0
    assert verdict(found, 0.05) == "pass"


def test_clusters_widen_the_bounds_and_change_the_test() -> None:
    baseline, candidate = answers(won=9, lost=30, both=180, neither=81)
    single = compare(baseline, candidate)
    clustered = compare(baseline, candidate, [i // 3 for i in range(300)])
    assert single.low is not None and single.high is not None
    assert clustered.low is not None and clustered.high is not None
    assert clustered.low < single.low and clustered.high > single.high
    assert clustered.p_value > single.p_value
    assert (clustered.method, clustered.test) == ("tango-effective-n", "sign-flip exact")


def test_metrics_without_bounds_get_students_interval() -> None:
    rng = np.random.default_rng(8)
    baseline = rng.normal(size=30) * 10
    candidate = baseline + rng.normal(1, 2, size=30)
    found = compare(baseline, candidate, bounds=None)
    wanted = scipy_stats.ttest_rel(candidate, baseline).confidence_interval(0.95)
    assert (found.low, found.high) == pytest.approx((wanted.low, wanted.high))
    assert found.method == "t"
    nothing = compare(baseline, baseline, bounds=None)
    assert (nothing.low, nothing.lower, nothing.method) == (None, None, "none")
    assert verdict(nothing, 1.0) == "inconclusive"


def test_the_same_shift_of_every_item_gives_no_bounds_when_the_metric_has_none() -> None:
    baseline = np.random.default_rng(1).normal(size=30) * 100
    found = compare(baseline, baseline + 0.1, bounds=None)
    assert (found.lower, found.upper, found.sd) == (None, None, None)


def test_partial_credit_in_large_samples_is_close_to_students_interval() -> None:
    rng = np.random.default_rng(9)
    baseline = rng.beta(4, 2, size=2000)
    candidate = np.clip(baseline + rng.normal(0, 0.1, size=2000), 0, 1)
    found = compare(baseline, candidate)
    wanted = scipy_stats.ttest_rel(candidate, baseline).confidence_interval(0.95)
    assert found.low is not None and found.high is not None
    assert (found.high - found.low) / (wanted.high - wanted.low) == pytest.approx(1.0, abs=0.06)


def test_unequal_or_empty_sides_are_refused() -> None:
    for sides in (([1.0], [1.0, 0.0]), ([], [])):
        with pytest.raises(ValueError, match="same items"):
            compare(*sides)
    with pytest.raises(ValueError, match="value 0 is nan"):
        compare([1.0], [math.nan])


@settings(max_examples=100, deadline=None)
@given(rows=BITS, order=st.randoms(use_true_random=False), clustered=st.booleans())
def test_order_and_group_names_change_no_comparison(
    rows: list[tuple[int, int, int]], order: object, clustered: bool
) -> None:
    shuffled = list(rows)
    order.shuffle(shuffled)  # type: ignore[attr-defined]
    one = compare([a for a, *_ in rows], [b for _, b, _ in rows], [g for *_, g in rows] if clustered else None)
    names = [f"g{9 - g}" for *_, g in shuffled] if clustered else None
    two = compare([a for a, *_ in shuffled], [b for _, b, _ in shuffled], names)
    assert (one.won, one.lost, one.tied, one.test) == (two.won, two.lost, two.tied, two.test)
    assert [one.p_value, one.effect, one.lower, one.upper] == pytest.approx(
        [two.p_value, two.effect, two.lower, two.upper]
    )


@settings(max_examples=100, deadline=None)
@given(rows=BITS, clustered=st.booleans(), scale=st.sampled_from([1.0, 0.6]))
def test_exchanging_the_runs_mirrors_everything(
    rows: list[tuple[int, int, int]], clustered: bool, scale: float
) -> None:
    a, b = [scale * a for a, *_ in rows], [scale * b for _, b, _ in rows]
    groups = [g for *_, g in rows] if clustered else None
    there, back = compare(a, b, groups), compare(b, a, groups)
    assert there.lower is not None and there.upper is not None and back.upper is not None
    assert there.lower == pytest.approx(-back.upper)
    assert there.p_value == pytest.approx(back.p_value)
    assert (there.won, there.lost) == (back.lost, back.won)
    assert -1 <= there.lower <= there.effect <= there.upper <= 1
    assert there.low is not None and there.low <= there.lower
