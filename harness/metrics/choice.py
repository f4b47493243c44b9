"""Metrics of chosen option letters. Each is a function of how many right and wrong letters were picked.

Chance levels come from one model of guessing. An item with one right letter among k options is guessed by picking one
letter, each as likely as the others: 1/k right. An item with several right letters is guessed by picking any of the
2^k - 1 sets that are not empty, each as likely: 1/(2^k - 1) exactly right. The target alone tells the two apart, so an
item of a multiple-answer paper that happens to have one right letter is counted as guessed among k, which overstates its
chance level. Without options in the sample there is no chance level (None).
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache, partial
from math import comb

from harness.metrics._targets import letters
from harness.registry import metric
from harness.types import Sample

Credit = Callable[[int, int, int], float]
"""(right letters picked, wrong letters picked, right letters there are) -> 0 to 1."""


def _exact(hits: int, wrong: int, right: int) -> float:
    return float(hits == right and wrong == 0)


def _f1(hits: int, wrong: int, right: int) -> float:
    return 2 * hits / (hits + wrong + right)


def _mtcmb(hits: int, wrong: int, right: int) -> float:
    return 0.0 if wrong else hits / right


def _proportional(hits: int, wrong: int, right: int) -> float:
    return hits / (right + wrong)


def _judge(credit: Credit, sample: Sample, answer: frozenset[str]) -> float:
    right = letters(sample)
    return credit(len(answer & right), len(answer - right), len(right))


@lru_cache(maxsize=1024)
def _guessed(credit: Credit, right: int, options: int) -> float:
    """Return the mean credit of a guess, by summing over every guess that can be made."""
    if right == 1:
        return (credit(1, 0, 1) + (options - 1) * credit(0, 1, 1)) / options
    total = sum(
        comb(right, hits) * comb(options - right, wrong) * credit(hits, wrong, right)
        for hits in range(right + 1)
        for wrong in range(options - right + 1)
        if hits + wrong
    )
    return total / ((1 << options) - 1)


def _chance(credit: Credit, sample: Sample) -> float | None:
    right, options = letters(sample), frozenset(sample.options)
    return _guessed(credit, len(right), len(options)) if right <= options else None


def _accuracy(sample: Sample, answer: frozenset[str]) -> float:
    """Return 1 when exactly the right letters were picked, else 0."""
    return _judge(_exact, sample, answer)


def _logprob_accuracy(sample: Sample, answer: frozenset[str]) -> float:
    """Return 1 when the most probable option is right, else 0.

    The same sum as `accuracy`; the three names say what was compared to find the most probable option: the probability
    of its letter, of its text, or of its text divided by its length. The extractor picks the option, not this function.
    """
    return _accuracy(sample, answer)


metric("accuracy", family="choice", chance=partial(_chance, _exact))(_accuracy)
for _name in ("accuracy_letter", "accuracy_text", "accuracy_text_norm"):
    metric(_name, family="logprob", chance=partial(_chance, _exact))(_logprob_accuracy)


@metric("option_f1", family="choice", chance=partial(_chance, _f1))
def option_f1(sample: Sample, answer: frozenset[str]) -> float:
    """Return the F1 of the picked letters against the right ones: 2 hits / (picked + right)."""
    return _judge(_f1, sample, answer)


@metric("partial_mtcmb", family="choice", chance=partial(_chance, _mtcmb))
def partial_mtcmb(sample: Sample, answer: frozenset[str]) -> float:
    """Return the share of right letters that were picked, or 0 as soon as one wrong letter was picked.

    **Source:** MTCMB (arXiv 2506.01252), scoring of multiple-answer items.
    """
    return _judge(_mtcmb, sample, answer)


@metric("partial_proportional", family="choice", chance=partial(_chance, _proportional))
def partial_proportional(sample: Sample, answer: frozenset[str]) -> float:
    """Return hits / (right letters + wrong letters picked): the overlap of the two sets over their union.

    **Source:** TCM-BEST4SDT (arXiv 2512.02816), score of multiple-answer items.
    """
    return _judge(_proportional, sample, answer)
