"""How large a test must be, what it can see, and how p-values of many tests are adjusted.

`sd` is the standard deviation of one item's paired difference (candidate - baseline), in the metric's units: the field
`sd` of a `Comparison` (clusters included), or `paired_sd` from a share of answers expected to change.

**Source:** Miller 2024, arXiv 2411.00640 (power analysis); Julious 2004, Statistics in Medicine 23:1921-1986 (non-inferiority).
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from harness.stats.bounds import CONTINUITY, NORMAL, normal_quantile, restricted_variance


def paired_sd(changed: float, difference: float = 0.0) -> float:
    """The SD of 0/1 paired differences when a share `changed` (0-1) of the answers changes, in either direction."""
    if not abs(difference) <= changed <= 1:
        raise ValueError(f"changed {changed} must lie between the difference {abs(difference)} and 1")
    return math.sqrt(changed - difference**2)


def detectable_difference(sd: float, n: int, *, alpha: float = 0.05, power: float = 0.8) -> float:
    """The smallest true difference that a two-sided test at `alpha` on `n` items finds with probability `power`."""
    return (_reach(alpha / 2) + normal_quantile(power)) * sd / math.sqrt(_positive(n, "n"))


def required_n(difference: float, sd: float, *, alpha: float = 0.05, power: float = 0.8) -> int:
    """The number of items at which a true `difference` (not 0) is found with probability `power`, two-sided."""
    gap = _positive(abs(difference), "difference")
    return max(1, math.ceil(((_reach(alpha / 2) + normal_quantile(power)) * sd / gap) ** 2))


def gate_power(
    margin: float, sd: float, n: int, *, changed: float | None = None, alpha: float = 0.05, drop: float = 0.0
) -> float:
    """The probability (0-1) that the gate passes a candidate whose true score lies `drop` below the baseline's.

    For a metric between 0 and 1 (divide by its range otherwise). `changed`: the mean absolute difference of an item's two
    scores (`Comparison.changed`); None for 0/1 scores, where it follows from `sd`. The gate asks what the data would look
    like *if* the drop were the margin, which takes more items than the plain formula where few answers change.
    """
    size = _positive(n, "n")
    variance = _positive(sd, "sd") ** 2
    share = variance + drop**2 if changed is None else changed
    if not abs(drop) < share <= 1:
        raise ValueError(f"a share of {share} changed answers does not go with a drop of {drop}")
    scale = variance / (share - drop**2)
    cautious = restricted_variance((share - drop) / 2, (share + drop) / 2, -margin) * scale
    reach = _reach(alpha) * math.sqrt(cautious / size)
    return NORMAL.cdf((margin - drop - CONTINUITY * scale / size - reach) / math.sqrt(variance / size))


def required_n_for_gate(
    margin: float,
    sd: float,
    *,
    changed: float | None = None,
    alpha: float = 0.05,
    power: float = 0.8,
    drop: float = 0.0,
) -> int:
    """The number of items at which the gate passes such a candidate with probability `power`; `drop` < `margin`."""
    _positive(margin - drop, "margin - drop")
    enough = 1
    while gate_power(margin, sd, enough, changed=changed, alpha=alpha, drop=drop) < power:
        enough *= 2
    low = enough // 2
    while enough - low > 1:
        middle = (low + enough) // 2
        if gate_power(margin, sd, middle, changed=changed, alpha=alpha, drop=drop) < power:
            low = middle
        else:
            enough = middle
    return enough


def holm(p_values: Sequence[float]) -> list[float]:
    """The p-values adjusted so that the chance of *any* false claim stays at alpha; same order as given.

    **Source:** Holm 1979, Scandinavian Journal of Statistics 6:65-70.
    """
    order = sorted(range(len(p_values)), key=lambda i: p_values[i])
    adjusted, largest = [0.0] * len(order), 0.0
    for rank, index in enumerate(order):
        largest = max(largest, min(1.0, (len(order) - rank) * p_values[index]))
        adjusted[index] = largest
    return adjusted


def benjamini_hochberg(p_values: Sequence[float]) -> list[float]:
    """The p-values adjusted so that the expected *share* of false claims stays at alpha; same order as given.

    **Source:** Benjamini and Hochberg 1995, JRSS B 57:289-300.
    """
    order = sorted(range(len(p_values)), key=lambda i: p_values[i], reverse=True)
    adjusted, smallest = [0.0] * len(order), 1.0
    for behind, index in enumerate(order):
        smallest = min(smallest, p_values[index] * len(order) / (len(order) - behind))
        adjusted[index] = smallest
    return adjusted


def _reach(tail: float) -> float:
    return normal_quantile(1 - tail)


def _positive(value: float, name: str) -> float:
    if value <= 0:
        raise ValueError(f"{name} is {value}; it must be above 0")
    return value
