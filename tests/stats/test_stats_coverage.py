"""What the intervals and the gate promise, measured on simulated runs (seeded; the full table is in benchmarks/)."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
import pytest

from harness.stats import bootstrap, estimate, gate_power
from harness.stats.clusters import clustered_mean
from harness.stats.paired import decide, limits_of

Floats = npt.NDArray[np.float64]
DRAWS = 1500


def at_most(limit: float, draws: int = DRAWS) -> float:
    """A rate seen in `draws` draws above this is no accident (three standard errors) if the true one is `limit`."""
    return limit + 3 * math.sqrt(limit * (1 - limit) / draws)


def copied(rng: np.random.Generator, own: Floats, group: Floats) -> Floats:
    """Items (draws, groups, members) of which each takes its group's value with such a chance that the ICC is 0.5."""
    return np.where(rng.random(own.shape) < math.sqrt(0.5), group, own)


def right_or_wrong(rng: np.random.Generator, p: float, groups: int, members: int) -> Floats:
    own = (rng.random((DRAWS, groups, members)) < p).astype(np.float64)
    return copied(rng, own, (rng.random((DRAWS, groups, 1)) < p).astype(np.float64))


def changes(rng: np.random.Generator, won: float, lost: float, groups: int, members: int) -> Floats:
    def draw(shape: tuple[int, ...]) -> Floats:
        u = rng.random(shape)
        return (u < won).astype(np.float64) - (u > 1 - lost).astype(np.float64)

    own = draw((DRAWS, groups, members))
    return own if members == 1 else copied(rng, own, draw((DRAWS, groups, 1)))


def verdicts(differences: Floats, margin: float, *, counts: bool = True) -> dict[str, float]:
    """How often each verdict falls, by the module's own functions; `differences`: (draws, groups, members)."""
    _, groups, members = differences.shape
    labels = np.repeat(np.arange(groups), members)
    seen = {"pass": 0, "regression": 0, "inconclusive": 0}
    for row in differences.reshape(len(differences), -1):
        data = clustered_mean(row, labels, None)
        lower, upper = limits_of(data, 1.0, counts=counts, single=counts and members == 1).at(0.95)
        seen[decide(data.mean, lower, upper, margin)] += 1
    return {name: count / len(differences) for name, count in seen.items()}


@pytest.mark.parametrize(
    ("p", "groups", "members"), [(0.7, 100, 3), (0.95, 100, 3), (0.99, 100, 3), (0.7, 17, 3), (0.95, 30, 10)]
)
def test_intervals_of_clustered_answers_cover_the_truth(p: float, groups: int, members: int) -> None:
    labels = np.repeat(np.arange(groups), members)
    draws = right_or_wrong(np.random.default_rng(1), p, groups, members)
    hits = 0
    for row in draws.reshape(DRAWS, -1):
        found = estimate(row, labels)
        assert found.low is not None and found.high is not None
        hits += found.low <= p <= found.high
    assert 1 - hits / DRAWS <= at_most(0.06)


@pytest.mark.parametrize(("a", "b", "n"), [(6, 2, 300), (2, 2, 50), (0.95, 0.05, 50)])
def test_intervals_of_partial_credit_cover_the_truth(a: float, b: float, n: int) -> None:
    draws = np.random.default_rng(2).beta(a, b, (DRAWS, n))
    hits = 0
    for row in draws:
        found = estimate(row)
        assert found.low is not None and found.high is not None
        hits += found.low <= a / (a + b) <= found.high
    assert 1 - hits / DRAWS <= at_most(0.06)


@pytest.mark.parametrize(
    ("won", "lost", "groups", "members"),
    [
        (0.075, 0.125, 300, 1),
        (0.075, 0.125, 100, 3),
        (0.005, 0.055, 300, 1),
        (0.005, 0.055, 100, 3),
        (0.005, 0.105, 50, 1),
        (0.01, 0.11, 17, 3),
        (0.005, 0.055, 30, 10),
    ],
)
def test_a_drop_of_the_whole_margin_passes_at_most_as_often_as_alpha(
    won: float, lost: float, groups: int, members: int
) -> None:
    seen = verdicts(changes(np.random.default_rng(3), won, lost, groups, members), lost - won)
    assert seen["pass"] <= at_most(0.05)


@pytest.mark.parametrize(("changed", "groups", "members"), [(0.1, 300, 1), (0.1, 100, 3), (0.01, 300, 1), (0.1, 50, 1)])
def test_an_unchanged_model_is_called_a_regression_at_most_as_often_as_alpha(
    changed: float, groups: int, members: int
) -> None:
    seen = verdicts(changes(np.random.default_rng(4), changed, changed, groups, members), 0.02)
    assert seen["regression"] <= at_most(0.05)


def test_partial_credit_that_drops_by_the_margin_passes_at_most_as_often_as_alpha() -> None:
    rng = np.random.default_rng(5)
    shared = rng.beta(4, 2, (DRAWS, 60, 1))
    drop = 4 / 6 * (0.8 - 0.75)
    differences = shared * rng.beta(7.5, 2.5, (DRAWS, 60, 1)) - shared * rng.beta(8, 2, (DRAWS, 60, 1))
    assert verdicts(differences, drop, counts=False)["pass"] <= at_most(0.05)


def test_the_planned_power_of_the_gate_is_what_it_has() -> None:
    seen = verdicts(changes(np.random.default_rng(6), 0.05, 0.05, 300, 1), 0.05)
    planned = gate_power(0.05, math.sqrt(0.1), 300)
    assert seen["pass"] == pytest.approx(planned, abs=0.03)


def test_the_planned_power_of_the_gate_holds_for_partial_credit() -> None:
    rng = np.random.default_rng(8)
    shared = rng.beta(4, 2, (DRAWS, 80, 1))
    differences = shared * rng.beta(8, 2, (DRAWS, 80, 1)) - shared * rng.beta(8, 2, (DRAWS, 80, 1))
    planned = gate_power(0.035, float(differences.std()), 80, changed=float(np.abs(differences).mean()))
    assert verdicts(differences, 0.035, counts=False)["pass"] == pytest.approx(planned, abs=0.06)


def test_the_corrected_bootstrap_covers_the_truth_of_a_ratio() -> None:
    rng = np.random.default_rng(7)

    def ratio(sums: Floats) -> Floats:
        quotient: Floats = sums[:, 0] / sums[:, 1]
        return quotient

    hits = 0
    for seed in range(400):
        length = rng.integers(1, 20, size=40)
        rows = np.stack([rng.binomial(length, rng.beta(3, 2, size=40)), length], axis=1)
        found = bootstrap(rows, ratio, resamples=400, seed=seed)
        assert found.low is not None and found.high is not None
        hits += found.low <= 0.6 <= found.high
    assert 1 - hits / 400 <= at_most(0.06, 400)
