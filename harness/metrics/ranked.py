"""Prescriptions as ranked lists: precision, recall and F1 of the first k herbs, with denominator and averaging in the name.

`herb_f1_at_10_min_mean`: of the first 10 herbs, precision divided by min(10, herbs named), F1 of each answer, then the mean.
`..._k_...` divides by k whatever the number of herbs named; `..._of_means` is the F1 of mean precision and mean recall. These
choices move F1 by several points, so numbers are only comparable under one name.

**Source:** the fixed denominator with F1 of means is that of PresRecST (script/training_and_testing.py); TCMChat has both
denominators. The formula behind the P@30 and F1@30 of Wang et al. 2025 (Chinese Medicine, 10.1186/s13020-025-01250-7) could not
be confirmed.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from harness.metrics._prescriptions import CASES, answered, forms_of, herb_signature, key, wanted
from harness.metrics.safety import counts
from harness.registry import Answer, Metric, Options, add_metric
from harness.types import Sample, Value

CUTS = (5, 10, 20, 30)
PARTS = ("precision", "recall", "answers")
Denominator = Literal["k", "min"]


def at_k(ranked: Sequence[str], gold: frozenset[str], k: int, denominator: Denominator) -> tuple[float, float]:
    """Return (precision, recall) of the first k names, each counted once; 0 where nothing was named.

    The denominator of precision is k, or the number of names considered where that is smaller (`min`).
    """
    first = list(dict.fromkeys(ranked))[:k]
    hits = sum(name in gold for name in first)
    size = k if denominator == "k" else len(first)
    return (hits / size if size else 0.0), (hits / len(gold) if gold else 0.0)


def f1(precision: float, recall: float) -> float:
    """Return the harmonic mean, 0 where both are 0."""
    return 2 * precision * recall / (precision + recall) if precision + recall else 0.0


def f1_of_means(sums: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the F1 of mean precision and mean recall; `sums`: shape (resamples, 3), columns as in `PARTS`."""
    precision, recall, answers = sums.T
    size = np.maximum(answers, 1.0)
    both = precision + recall
    found: NDArray[np.float64] = np.divide(2 * precision * recall, size * both, out=np.zeros_like(both), where=both > 0)
    return found


def _best(sample: Sample, answer: Answer, k: int, denominator: Denominator, forms: str) -> tuple[float, float] | None:
    ranked = [key(item, forms) for item in answered(sample, answer)]
    found = [at_k(ranked, frozenset(key(item, forms) for item in items), k, denominator) for items in wanted(sample)]
    return max(found, key=lambda pair: (f1(*pair), pair)) if found else None


def _add(name: str, k: int, denominator: Denominator, rule: str, value: Callable[[float, float], float]) -> None:
    means = name.endswith("_of_means")

    def score(pairs: Sequence[tuple[Sample, Answer]], options: Options) -> list[Value]:
        forms = forms_of(options)
        values = []
        for sample, answer in pairs:
            best = _best(sample, answer, k, denominator, forms)
            if best is None:
                values.append(Value(None))
                continue
            parts = {"precision": best[0], "recall": best[1], "answers": 1.0}
            values.append(Value(value(*best), {**parts, **counts(sample, answer)}))
        return values

    signature = herb_signature(f"order:as-written|once-each|k:{k}|{rule}")
    add_metric(
        Metric(
            name,
            1,
            CASES,
            score,
            signature,
            parts=PARTS if means else (),
            combine=f1_of_means if means else None,
            options=("forms",),
        )
    )


for _k in CUTS:
    _add(f"herb_recall_at_{_k}", _k, "k", "recall:hits/wanted", lambda _precision, recall: recall)
    for _denominator, _rule in (("k", "denominator:k"), ("min", "denominator:min(k,answered)")):
        _of: Denominator = "k" if _denominator == "k" else "min"
        _add(f"herb_precision_at_{_k}_{_of}", _k, _of, _rule, lambda precision, _recall: precision)
        _add(f"herb_f1_at_{_k}_{_of}_mean", _k, _of, f"{_rule}|mean-of-f1", f1)
        _add(f"herb_f1_at_{_k}_{_of}_of_means", _k, _of, f"{_rule}|f1-of-means", f1)
