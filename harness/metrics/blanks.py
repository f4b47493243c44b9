"""Metrics of filled blanks: equality, strict and after normalisation, and shared characters.

Normalisation (`harness.text.normalise_blank`) takes away what carries no meaning: widths, case, spaces, punctuation around,
traditional characters. Amounts are compared as amounts: `1.5～3g`, `1.5-3克` and `1.5 ~ 3 g` are one range. A range equals
only the same range, never a value inside it, and an amount equals only the same unit: `3g` fills neither `3～9g` nor `3ml`.

Answers and blanks are paired in order. A blank without an answer is wrong; an answer beyond the last blank counts as one
more wrong blank, so that writing more answers than asked never helps.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from itertools import zip_longest

from harness.metrics._targets import accepted
from harness.registry import metric
from harness.text import normalise_blank, parse_quantity
from harness.types import Sample

Rule = Callable[[str, Sequence[str]], float]
"""(one answer, the accepted answers of its blank) -> 0 to 1."""


def _strict(answer: str, alternatives: Sequence[str]) -> float:
    answer = answer.strip()
    return float(bool(answer) and any(answer == alternative.strip() for alternative in alternatives))


def _normalised(answer: str, alternatives: Sequence[str]) -> float:
    if _strict(answer, alternatives):
        return 1.0
    plain, amount = normalise_blank(answer), parse_quantity(answer)
    return float(
        any(
            (plain and plain == normalise_blank(alternative))
            or (amount is not None and amount == parse_quantity(alternative))
            for alternative in alternatives
        )
    )


def _characters(answer: str, alternatives: Sequence[str]) -> float:
    if _normalised(answer, alternatives):
        return 1.0
    ours = Counter(normalise_blank(answer))
    best = 0.0
    for alternative in alternatives:
        theirs = Counter(normalise_blank(alternative))
        shared = (ours & theirs).total()
        if shared:
            best = max(best, 2 * shared / (ours.total() + theirs.total()))
    return best


def _by_blank(rule: Rule, sample: Sample, answers: tuple[str, ...]) -> list[float]:
    return [
        rule(answer, alternatives) if alternatives else 0.0
        for answer, alternatives in zip_longest(answers, accepted(sample), fillvalue="")
    ]


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)


@metric("exact_match", family="blanks")
def exact_match(sample: Sample, answers: tuple[str, ...]) -> float:
    """Return the share of blanks filled with an accepted answer, after normalisation."""
    return _mean(_by_blank(_normalised, sample, answers))


@metric("exact_match_strict", family="blanks")
def exact_match_strict(sample: Sample, answers: tuple[str, ...]) -> float:
    """Return the share of blanks filled with an accepted answer character by character, but for spaces around it."""
    return _mean(_by_blank(_strict, sample, answers))


@metric("exact_match_all", family="blanks")
def exact_match_all(sample: Sample, answers: tuple[str, ...]) -> float:
    """Return 1 when every blank is filled with an accepted answer after normalisation and nothing is left over, else 0."""
    return float(all(_by_blank(_normalised, sample, answers)))


@metric("char_f1", family="blanks")
def char_f1(sample: Sample, answers: tuple[str, ...]) -> float:
    """Return the mean over blanks of the F1 of normalised characters, order ignored, against the best alternative.

    An answer that `exact_match` accepts counts 1, also where an amount is written in other characters.
    """
    return _mean(_by_blank(_characters, sample, answers))
