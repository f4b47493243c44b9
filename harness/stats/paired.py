"""Two runs on the same items: the difference, what it may really be, and whether the gate may let it pass."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from harness.stats.bounds import normal_quantile, t_quantile, tango_bound
from harness.stats.clusters import (
    ClusteredMean,
    Floats,
    Labels,
    carried_by,
    clustered_mean,
    effective_n,
    exact_sum,
    finite_array,
)
from harness.stats.intervals import check_level, is_zero_one, quantile_of, within_bounds
from harness.stats.permutation import mcnemar, sign_flip

Verdict = Literal["pass", "regression", "inconclusive"]


@dataclass(frozen=True, slots=True)
class Comparison:
    """Candidate minus baseline on the items that both answered, in the metric's own units.

    `baseline`, `candidate`: the two means (or corpus values); `effect`: their difference. `se`: its clustered standard
    error, None with one cluster. `low`, `high`: the two-sided interval at confidence 1 - alpha. `lower`, `upper`: the
    one-sided bounds, each wrong with probability alpha at most; the gate reads these. All four are None where nothing
    can be said. `method` names how they were made, `test` how the two-sided `p_value` of "no difference" was.
    `sd`: the standard deviation of one item's difference, clusters included (`se * sqrt(n)`), for `harness.stats.power`;
    None when no difference was seen. `changed`: the mean absolute difference; for 0/1 scores the share of answers that
    changed; None for corpus metrics. `correlation` of the two runs' scores: None when one of them does not vary.
    `won`, `lost`, `tied`: items on which the candidate did better, worse, the same; None for corpus metrics.
    """

    baseline: float
    candidate: float
    effect: float
    se: float | None
    low: float | None
    high: float | None
    lower: float | None
    upper: float | None
    alpha: float
    p_value: float
    method: str
    test: str
    n: int
    n_groups: int
    sd: float | None
    changed: float | None
    correlation: float | None
    won: int | None
    lost: int | None
    tied: int | None


def compare(
    baseline: Sequence[float] | npt.NDArray[np.generic],
    candidate: Sequence[float] | npt.NDArray[np.generic],
    groups: Labels | None = None,
    *,
    strata: Labels | None = None,
    alpha: float = 0.05,
    bounds: tuple[float, float] | None = (0.0, 1.0),
    seed: int = 0,
) -> Comparison:
    """The paired comparison of two runs; `baseline`, `candidate`, `groups`, `strata`: shape (n,), the same items in order.

    `groups`, `strata` and `bounds` as in `estimate`; repeats of one item belong to one group. `seed` matters only where
    signs are drawn for the p-value.

    Bounds of the difference: Tango's score bound, which keeps its promise near the ceiling and for few items: with n for
    single 0/1 answers, else with the effective sample size that gives the observed clustered standard error, and the t
    quantile. Without bounds of the metric: effect +- t * se. P-value: exact McNemar for single 0/1 answers, else sign
    flips of whole clusters. `benchmarks/gate_calibration.py` measures what these promise.

    Raises ValueError on NaN, empty or unequal lists, and values outside the bounds.

    **Source:** Miller 2024, arXiv 2411.00640 (paired differences); the rest in `tango_bound`, `effective_n`,
    `mcnemar` and `sign_flip`.
    """
    check_level(alpha)
    a, b = finite_array(baseline, "baseline"), finite_array(candidate, "candidate")
    if len(a) != len(b) or len(a) == 0:
        raise ValueError(f"compare needs the same items on both sides, at least one; got {len(a)} and {len(b)}")
    if bounds is not None:
        a, b = within_bounds(a, bounds), within_bounds(b, bounds)
    difference, n = b - a, len(a)
    data = clustered_mean(difference, groups, strata)
    span = None if bounds is None else bounds[1] - bounds[0]
    # Whole changes: every difference is -1, 0 or 1 answers, and each answer weighs the same.
    counts = bounds is not None and is_zero_one((np.concatenate([a, b]) - bounds[0]) / (bounds[1] - bounds[0]))
    whole = counts and strata is None
    single = whole and data.n_groups == n
    limits = limits_of(data, span, counts=counts, single=single)
    (low, high), (lower, upper) = limits.at(1 - alpha / 2), limits.at(1 - alpha)
    won, lost = int(np.count_nonzero(difference > 0)), int(np.count_nonzero(difference < 0))
    if single:
        p_value, test = mcnemar(won, lost), "mcnemar exact"
    else:
        sums = data.per_cluster(data.values)
        p_value, test = sign_flip(np.round(sums * n / (span or 1.0)) if whole else sums, seed=seed)
    return Comparison(
        baseline=clustered_mean(a, groups, strata).mean,
        candidate=clustered_mean(b, groups, strata).mean,
        effect=data.mean,
        se=data.se,
        low=low,
        high=high,
        lower=lower,
        upper=upper,
        alpha=alpha,
        p_value=p_value,
        method=limits.method,
        test=test,
        n=n,
        n_groups=data.n_groups,
        sd=data.se * math.sqrt(n) if data.se else None,
        changed=exact_sum(data.weights * np.abs(data.values)),
        correlation=_correlation(a, b),
        won=won,
        lost=lost,
        tied=n - won - lost,
    )


def verdict(comparison: Comparison, margin: float) -> Verdict:
    """Whether the candidate may pass when a drop of less than `margin` (above 0, the metric's units) is acceptable.

    "pass": the lower bound lies above minus the margin, so a drop of the whole margin is ruled out at alpha.
    "regression": the candidate is worse for certain (upper bound below 0) and by more than the margin as measured.
    "inconclusive": neither, or no bounds; more items would tell. A pass and a regression exclude each other, as the
    lower bound never lies above the effect.
    """
    return decide(comparison.effect, comparison.lower, comparison.upper, margin)


def decide(effect: float, lower: float | None, upper: float | None, margin: float) -> Verdict:
    """The rule of `verdict` on bare numbers."""
    if not margin > 0:
        raise ValueError(f"margin is {margin}; it must be above 0, or nothing could ever pass")
    if lower is None or upper is None:
        return "inconclusive"
    if lower > -margin:
        return "pass"
    return "regression" if upper < 0 and effect < -margin else "inconclusive"


@dataclass(frozen=True, slots=True)
class Limits:
    """What the bounds of a paired difference are made of.

    `won`, `lost`: shares 0-1; `size`: the (effective) number of answers, None where Student's interval, or none, is used;
    `single`: 0/1 answers without clusters, whose variance is known and needs no t quantile.
    """

    data: ClusteredMean
    span: float
    won: float
    lost: float
    size: float | None
    single: bool

    @property
    def method(self) -> str:
        if self.size is not None:
            return "tango" if self.single else "tango-effective-n"
        return "t" if self.data.se else "none"

    def at(self, confidence: float) -> tuple[float | None, float | None]:
        """The lower and the upper bound, each holding with probability `confidence`."""
        if self.size is None:
            if not self.data.se:
                return None, None
            half = t_quantile(confidence, self.data.df) * self.data.se
            return self.data.mean - half, self.data.mean + half
        z = normal_quantile(confidence) if self.single else quantile_of(self.data, confidence)
        low = tango_bound(self.won, self.lost, self.size, z, "lower")
        high = tango_bound(self.won, self.lost, self.size, z, "upper")
        return self.span * low, self.span * high


def limits_of(data: ClusteredMean, span: float | None, *, counts: bool, single: bool) -> Limits:
    """The limits of a mean difference `data`; `span`: greatest minus least value of the metric, None when unbounded.

    `counts`: both runs' scores are 0/1, so that clusters can only take information away.
    """
    if span is None:
        return Limits(data, 1.0, 0.0, 0.0, None, single)
    unit = data.values / span
    won = exact_sum(data.weights * np.maximum(unit, 0.0))
    lost = exact_sum(data.weights * np.maximum(-unit, 0.0))
    if single:
        return Limits(data, span, won, lost, float(len(unit)), single)
    # The variance that single answers would have with the same shares won and lost.
    variance = span**2 * (won + lost - (won - lost) ** 2)
    carriers = carried_by(data.per_cluster(np.abs(unit)))
    return Limits(data, span, won, lost, effective_n(data, variance, carriers, counts=counts), single)


def _correlation(a: Floats, b: Floats) -> float | None:
    spread = math.sqrt(float(np.var(a)) * float(np.var(b)))
    if spread <= 1e-12 * max(1.0, float(np.abs(a).max()), float(np.abs(b).max())):
        return None
    return min(1.0, max(-1.0, float(np.mean((a - a.mean()) * (b - b.mean()))) / spread))
