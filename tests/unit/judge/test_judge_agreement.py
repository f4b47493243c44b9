"""How far judges agree: against a published example, and one worked by hand."""

from __future__ import annotations

import pytest

from harness.judge.agreement import agreement

OBSERVERS = (
    "1 2 3 3 2 1 4 1 2 . . .",
    "1 2 3 3 2 2 4 1 2 5 . 3",
    ". 3 3 3 2 3 4 2 2 5 1 .",
    "1 2 3 3 2 4 4 1 2 5 1 .",
)
"""Four observers, twelve units, missing marks: the example of Krippendorff 2011, whose alpha with the interval metric is 0.849."""


def test_alpha_is_that_of_the_published_example() -> None:
    columns = zip(*(line.split() for line in OBSERVERS), strict=True)
    found = agreement([int(mark) for mark in column if mark != "."] for column in columns)
    assert found.alpha() == pytest.approx(0.849, abs=5e-4)
    assert found.units == 11, "a unit with one mark says nothing about agreement"
    assert found.values == 40


def test_alpha_worked_by_hand() -> None:
    """Units (0, 0), (2, 2), (0, 2).

    Squared differences within units, both ways round: 0 + 0 + 2 * 4 = 8; over 6 marks that is 8/6 observed. Marks 0 0 2 2 0 2 hold
    3 * 3 unequal pairs, 18 both ways round, each 4 apart: 72 / (6 * 5) = 2.4 expected. 1 - (8/6) / 2.4 = 4/9.
    """
    found = agreement([(0, 0), (2, 2), (0, 2)])
    assert found.alpha() == pytest.approx(4 / 9)
    assert found.as_row() == {"alpha": pytest.approx(4 / 9), "equal": pytest.approx(2 / 3), "units": 3}


def test_full_agreement_is_one_and_systematic_disagreement_is_below_zero() -> None:
    assert agreement([(0, 0), (1, 1), (2, 2)]).alpha() == pytest.approx(1.0)
    below = agreement([(0, 2), (2, 0)]).alpha()
    assert below is not None and below < 0


@pytest.mark.parametrize("units", [[], [(1,), (2,)], [(1, 1)], [(2, 2), (2, 2)]])
def test_where_nothing_could_differ_there_is_no_alpha(units: list[tuple[int, ...]]) -> None:
    assert agreement(units).alpha() is None


def test_equal_marks_are_counted_over_pairs_of_judges() -> None:
    assert agreement([(2, 2, 0), (1, 1, 1)]).as_row()["equal"] == pytest.approx(4 / 6)
