"""The bias of places: exact on answers made by hand, and its interval honest in simulation."""

from __future__ import annotations

import numpy as np
import pytest

from harness.stats.position import position_bias


def asked(
    questions: int, bias: float, skill: float, seed: int, options: int = 4
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Answers of a model in all rotations: it knows a share of the questions, else says the first letter or guesses."""
    rng = np.random.default_rng(seed)
    n = questions * options
    groups = np.repeat(np.arange(questions), options)
    right = (
        np.repeat(rng.integers(options, size=questions), options) - np.tile(np.arange(options), questions)
    ) % options
    knows = np.repeat(rng.random(questions) < skill, options)
    guess = np.where(rng.random(n) < bias, 0, rng.integers(options, size=n))
    letters = np.arange(options)
    chosen = np.where(knows, right, guess)
    return chosen[:, None] == letters, right[:, None] == letters, np.full(n, options), groups


def test_a_model_that_knows_all_has_no_bias_and_one_that_says_a_has_all_of_it() -> None:
    _, right, sizes, groups = asked(40, 0.0, 1.0, seed=1)
    knows = position_bias(right, right, sizes, groups)
    assert knows.bias == 0 and knows.low == 0 and knows.high is not None and 0 < knows.high < 0.25
    first = np.zeros_like(right)
    first[:, 0] = True
    says_a = position_bias(first, right, sizes, groups)
    assert says_a.bias == pytest.approx(0.75)
    assert [round(place.mean or 0, 6) for place in says_a.places] == [0.75, -0.25, -0.25, -0.25]
    assert says_a.low is not None and 0.5 < says_a.low < 0.75


def test_taking_every_option_is_no_bias_of_place() -> None:
    right = np.array([[True, True, False, False], [False, True, True, True]])
    found = position_bias(np.ones_like(right), right, np.array([4, 4]), [0, 1])
    assert sum(place.mean or 0 for place in found.places) == pytest.approx(0)
    assert found.bias == pytest.approx(np.abs((~right).mean(axis=0) - 3 / 8).sum() / 2)


def test_a_letter_that_a_question_does_not_have_gets_nothing() -> None:
    right = np.array([[True, False, False], [True, False, False]])
    chosen = np.array([[False, True, False], [True, False, False]])
    found = position_bias(chosen, right, np.array([2, 3]), [0, 1])
    assert [place.mean for place in found.places] == [-0.5, 0.5, 0.0]


def test_one_cluster_alone_shows_no_error() -> None:
    chosen, right, sizes, groups = asked(1, 1.0, 0.0, seed=3)
    found = position_bias(chosen, right, sizes, groups)
    assert (found.low, found.high, found.noise) == (None, None, None) and found.bias == pytest.approx(0.75)


@pytest.mark.parametrize(("questions", "bias"), [(10, 0.0), (10, 0.3), (60, 0.0), (60, 0.3)])
def test_the_interval_holds_the_true_bias_in_at_least_95_of_100_sets_of_answers(questions: int, bias: float) -> None:
    true, skill = 0.6 * bias * 0.75, 0.4
    held = 0
    for seed in range(200):
        found = position_bias(*asked(questions, bias, skill, seed))
        assert found.low is not None and found.high is not None
        held += found.low <= true + 1e-12 and found.high >= true - 1e-12
    assert held >= 188, "200 sets of answers; 95 of 100 or more on average, 188 allows for the luck of the draw"


def test_the_order_of_answers_and_the_names_of_clusters_change_nothing() -> None:
    chosen, right, sizes, groups = asked(30, 0.4, 0.3, seed=5)
    first = position_bias(chosen, right, sizes, groups)
    order = np.random.default_rng(0).permutation(len(groups))
    second = position_bias(chosen[order], right[order], sizes[order], [f"q{g}" for g in groups[order]])
    assert second.bias == pytest.approx(first.bias)
    assert [p.mean for p in second.places] == pytest.approx([p.mean for p in first.places])
    assert (second.low, second.high) == pytest.approx((first.low, first.high), abs=0.01)


def test_a_few_equal_answers_leave_room_for_doubt() -> None:
    right = np.tile(np.eye(5, dtype=bool), (20, 1))
    first = np.zeros_like(right)
    first[:, 0] = True
    found = position_bias(first, right, np.full(100, 5), np.repeat(np.arange(20), 5))
    assert found.bias == pytest.approx(0.8)
    assert found.low is not None and 0.5 < found.low < 0.75
