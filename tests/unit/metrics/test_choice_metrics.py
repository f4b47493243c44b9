from __future__ import annotations

from itertools import chain, combinations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.errors import UsageError
from harness.registry import get_metric
from harness.types import Blanks, Choice, Sample

CHOICE = ("accuracy", "option_f1", "partial_mtcmb", "partial_proportional")
LOGPROB = ("accuracy_letter", "accuracy_text", "accuracy_text_norm")
picked = st.frozensets(st.sampled_from("ABCDE"))


def sample(right: str, options: str = "ABCDE") -> Sample:
    return Sample("7", "quiz", {"options": dict.fromkeys(options, "…")}, Choice(frozenset(right)))


def score(name: str, right: str, answer: str | frozenset[str]) -> float:
    (value,) = get_metric(name).score([(sample(right), frozenset(answer))], {})
    assert value.value is not None
    return value.value


@given(right=picked.filter(bool), answer=picked)
@settings(deadline=None)
def test_the_rules_order_themselves_from_strict_to_lenient(right: frozenset[str], answer: frozenset[str]) -> None:
    exact, f1, mtcmb, proportional = (score(name, "".join(right), answer) for name in CHOICE)
    assert 0 <= exact <= mtcmb <= proportional <= f1 <= 1
    assert (exact == 1) == (answer == right) == (f1 == 1)


@given(right=picked.filter(bool), answer=picked.filter(bool))
@settings(deadline=None)
def test_option_f1_and_proportional_credit_do_not_care_which_set_is_gold(
    right: frozenset[str], answer: frozenset[str]
) -> None:
    for name in ("option_f1", "partial_proportional"):
        forth, back = score(name, "".join(right), answer), score(name, "".join(answer), right)
        assert forth == pytest.approx(back)


def test_one_right_letter_of_k_is_guessed_once_in_k_times() -> None:
    for name in ("accuracy", "option_f1", "partial_mtcmb", "partial_proportional", *LOGPROB):
        chance = get_metric(name).chance
        assert chance is not None
        assert chance(sample("B", "ABCD")) == pytest.approx(1 / 4)
        assert chance(sample("B", "AB")) == pytest.approx(1 / 2)


def test_several_right_letters_are_guessed_among_all_sets_that_are_not_empty() -> None:
    chance = get_metric("accuracy").chance
    assert chance is not None
    assert chance(sample("AB", "ABCD")) == pytest.approx(1 / 15)
    assert chance(sample("ABCDE", "ABCDE")) == pytest.approx(1 / 31)


@pytest.mark.parametrize("name", CHOICE)
def test_the_chance_level_is_the_mean_over_every_possible_guess(name: str) -> None:
    guesses = list(chain.from_iterable(combinations("ABCDE", size) for size in range(1, 6)))
    mean = sum(score(name, "ACD", frozenset(guess)) for guess in guesses) / len(guesses)
    chance = get_metric(name).chance
    assert chance is not None
    assert chance(sample("ACD")) == pytest.approx(mean)


def test_without_the_options_there_is_no_chance_level() -> None:
    chance = get_metric("accuracy").chance
    assert chance is not None
    assert chance(Sample("7", "quiz", {}, Choice(frozenset("A")))) is None
    assert chance(sample("F", "ABCDE")) is None


@pytest.mark.parametrize("target", [Choice(frozenset()), Blanks((("寒",),))])
def test_another_kind_of_target_is_refused_by_the_sample_s_name(target: Choice | Blanks) -> None:
    with pytest.raises(UsageError, match=r"task 'quiz', sample '7'.*right letter"):
        get_metric("accuracy").score([(Sample("7", "quiz", {}, target), frozenset("A"))], {})


def test_log_probability_names_belong_to_their_own_family() -> None:
    assert {get_metric(name).family for name in LOGPROB} == {("logprob",)}
    assert {get_metric(name).family for name in CHOICE} == {("choice",)}
