"""One run: the mean of its scores, the standard error, and an interval that stays honest at 0, at 1 and for few items."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from harness.stats.bounds import normal_quantile, t_quantile, wilson_bound
from harness.stats.clusters import ClusteredMean, Floats, Labels, carried_by, clustered_mean, effective_n, finite_array


@dataclass(frozen=True, slots=True)
class Interval:
    """An estimate with its uncertainty, in the metric's own units.

    `mean` is None when there were no values. `se` is None where one cluster alone cannot show any spread. `low` and
    `high` (two-sided, confidence `level`) are None where nothing can be said. `method`: "wilson", "wilson-effective-n",
    "t", "bootstrap-bca", or "none" when there is no interval.
    """

    mean: float | None
    se: float | None
    low: float | None
    high: float | None
    level: float
    n: int
    n_groups: int
    method: str


def estimate(
    values: Sequence[float] | npt.NDArray[np.generic],
    groups: Labels | None = None,
    *,
    strata: Labels | None = None,
    level: float = 0.95,
    bounds: tuple[float, float] | None = (0.0, 1.0),
) -> Interval:
    """The mean of `values` (n,) with its clustered standard error and interval.

    `groups` (n,): the cluster of each value; None, as a whole or for one item, means a cluster of its own. Give all
    repeats of one item one group. `strata` (n,): for example disciplines; the mean is then the mean of the strata's means
    (macro), else every item weighs the same (micro). `bounds`: the least and the greatest value that the metric can take,
    or None when it has none.

    The interval:
    * 0/1 values, every cluster single: Wilson. Its true coverage swings around the level as p and n change (at 0.95: from
      0.91 at p 0.99 and n 50 to 0.97), with 0.95 as the average.
    * any other values with bounds: Wilson with the effective sample size that gives the observed standard error, and the
      t quantile. It never leaves the bounds and never has zero width: when all values are equal, or there is one cluster
      only, every cluster counts as one single 0/1 answer, the widest that the bounds allow.
    * no bounds: mean +- t * se, or None when there is no spread to learn from.

    Raises ValueError on NaN, on values outside the bounds, on a stratum that is None, and on lists of unequal length.

    **Source:** Miller 2024, arXiv 2411.00640 (clusters); Bowyer, Aitchison and Ivanova 2025, arXiv 2503.01747 (why not the
    normal interval for small or extreme samples); the rest in `wilson_bound` and `effective_n`.
    """
    check_level(level)
    x = finite_array(values, "estimate")
    if len(x) == 0:
        return Interval(None, None, None, None, level, 0, 0, "none")
    if bounds is not None:
        x = within_bounds(x, bounds)
    data = clustered_mean(x, groups, strata)
    low, high, method = _limits(data, level, bounds, weighted=strata is not None)
    return Interval(data.mean, data.se, low, high, level, len(x), data.n_groups, method)


def _limits(
    data: ClusteredMean, level: float, bounds: tuple[float, float] | None, *, weighted: bool
) -> tuple[float | None, float | None, str]:
    tail = (1 + level) / 2
    if bounds is None:
        if not data.se:
            return None, None, "none"
        half = t_quantile(tail, data.df) * data.se
        return data.mean - half, data.mean + half, "t"
    least, span = bounds[0], bounds[1] - bounds[0]
    unit = (data.values - least) / span
    share = (data.mean - least) / span
    counts = is_zero_one(unit)
    n = len(unit)
    if counts and data.n_groups == n and not weighted:
        size, quantile, method = float(n), normal_quantile(tail), "wilson"
    else:
        size, quantile = _effective(data, unit, share, span, counts=counts), quantile_of(data, tail)
        method = "wilson-effective-n"
    low = least + span * wilson_bound(share, size, quantile, "lower")
    high = least + span * wilson_bound(share, size, quantile, "upper")
    # Exactly at a bound the formula is off by rounding only.
    return min(low, data.mean), max(high, data.mean), method


def _effective(data: ClusteredMean, unit: Floats, share: float, span: float, *, counts: bool) -> float:
    carriers = min(carried_by(data.per_cluster(unit)), carried_by(data.per_cluster(1 - unit)))
    return effective_n(data, span**2 * share * (1 - share), carriers, counts=counts)


def quantile_of(data: ClusteredMean, tail: float) -> float:
    """Student's t where a standard error was estimated from the clusters, the normal quantile where there was none."""
    return normal_quantile(tail) if data.se is None else t_quantile(tail, data.df)


def is_zero_one(values: Floats) -> bool:
    """Whether every value is exactly 0 or 1."""
    return bool(np.isin(values, (0.0, 1.0)).all())


def within_bounds(values: Floats, bounds: tuple[float, float]) -> Floats:
    """The values, with those that rounding carried over a bound put back on it; shape as given.

    Raises ValueError when the bounds are not in order or a value lies outside them by more than 1e-9 of their distance.
    """
    least, greatest = bounds
    slack = 1e-9 * (greatest - least)
    if not least < greatest:
        raise ValueError(f"bounds {bounds}: the first must be smaller than the second")
    if values.min() < least - slack or values.max() > greatest + slack:
        worst = float(values.min() if values.min() < least - slack else values.max())
        raise ValueError(f"value {worst} lies outside the metric's bounds {least} to {greatest}; give its own `bounds`")
    inside: Floats = np.clip(values, least, greatest)
    return inside


def check_level(level: float) -> None:
    """Raises ValueError when `level` is no share between 0 and 1, both left out."""
    if not 0 < level < 1:
        raise ValueError(f"{level} must lie between 0 and 1, for example 0.95 as a level or 0.05 as an alpha")
