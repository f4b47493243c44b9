"""What a list of values with cluster labels says about its mean, before any interval is built.

Items that share a stem, a case or a translation, and repeats of one item, are one cluster: they are right or wrong
together, so they count for less than their number. The order of the items and the names of the groups change nothing.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from itertools import chain

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Labels = Sequence[Hashable] | npt.NDArray[np.generic]


@dataclass(frozen=True, slots=True)
class ClusteredMean:
    """A mean and its standard error. Arrays are aligned; items are sorted by value.

    `values`, `weights` and `codes` have shape (n,): an item's value, its weight in the mean (they sum to 1) and its
    cluster (0 to n_groups - 1). `se` is None with fewer than two clusters. `df`: degrees of freedom of `se`.
    """

    mean: float
    se: float | None
    df: int
    n_groups: int
    values: Floats
    weights: Floats
    codes: Ints

    def per_cluster(self, values: Floats) -> Floats:
        """Shape (n_groups,): the weighted sum of `values` (n,) in each cluster."""
        sums = np.bincount(self.codes, weights=self.weights * values, minlength=self.n_groups)
        return np.asarray(sums, dtype=np.float64)


def exact_sum(values: Floats) -> float:
    """The sum of a row of numbers, rounded once: their order cannot change it."""
    pieces = (values[start : start + 65536].tolist() for start in range(0, len(values), 65536))
    return math.fsum(chain.from_iterable(pieces))


def encode(labels: Labels | None, n: int) -> Ints:
    """Shape (n,): a number from 0 for each label, in order of appearance. None, as a whole or for one item: its own.

    Raises ValueError when there are not `n` labels.
    """
    if labels is None:
        return np.arange(n, dtype=np.int64)
    if len(labels) != n:
        raise ValueError(f"{len(labels)} labels for {n} values; there must be one for each")
    if isinstance(labels, np.ndarray) and labels.dtype.kind in "iu":  # numbers: no object per label
        _, first, codes_by_size = np.unique(labels, return_index=True, return_inverse=True)
        appearance = np.empty(len(first), dtype=np.int64)
        appearance[np.argsort(first)] = np.arange(len(first))
        return np.asarray(appearance[codes_by_size], dtype=np.int64)
    listed = labels.tolist() if isinstance(labels, np.ndarray) else labels
    seen: dict[Hashable, int] = {}
    codes = np.empty(n, dtype=np.int64)
    for index, label in enumerate(listed):
        key: Hashable = ("alone", index) if label is None else ("group", label)
        codes[index] = seen.setdefault(key, len(seen))
    return codes


def _strata(strata: Labels, n: int) -> Ints:
    if any(label is None for label in strata):
        raise ValueError("a value has no stratum (None); leave such values out of a mean over strata")
    return encode(strata, n)


def finite_array(values: Sequence[float] | npt.NDArray[np.generic], what: str) -> Floats:
    """Shape (n,): the values as floats. Raises ValueError on NaN, infinity, or a shape that is not one row."""
    array = np.asarray(values, dtype=np.float64)
    if array.ndim != 1:
        raise ValueError(f"{what}: expected one row of numbers, got shape {array.shape}")
    if not np.isfinite(array).all():
        where = int(np.flatnonzero(~np.isfinite(array))[0])
        raise ValueError(f"{what}: value {where} is {array[where]}; leave out what could not be scored, or score it 0")
    return array


def clustered_mean(values: Floats, groups: Labels | None, strata: Labels | None) -> ClusteredMean:
    """The mean of one or more values (micro), or the mean of the strata's means (macro) when `strata` is given.

    The standard error adds what items of one cluster share, within a stratum and across strata, so a cluster may span
    strata. A stratum of a single cluster cannot show its own spread; its distance from the overall mean stands in.

    **Source:** Miller 2024, Adding Error Bars to Evals, arXiv 2411.00640 (clustered standard errors), with the factor
    G/(G-1) that makes it equal to the ordinary standard error when all clusters are single; over strata: Taylor
    linearisation as for stratified cluster samples in Cochran 1977, Sampling Techniques, and Lumley 2010, Complex Surveys.
    """
    n = len(values)
    order = np.argsort(values, kind="stable")
    x, codes = values[order], encode(groups, n)[order]
    layers = np.zeros(n, dtype=np.int64) if strata is None else _strata(strata, n)[order]
    n_groups, n_strata = len(np.unique(codes)), int(layers.max()) + 1
    sizes = np.bincount(layers, minlength=n_strata)
    means = np.bincount(layers, weights=x, minlength=n_strata) / sizes
    # Rounding must not carry a mean of equal values beyond them.
    mean = min(max(exact_sum(means) / n_strata, float(x[0])), float(x[-1]))
    weights = 1.0 / (n_strata * sizes[layers])
    if n_groups < 2:
        return ClusteredMean(mean, None, 0, n_groups, x, weights, codes)
    pairs = np.unique(layers * n + codes)
    clusters = np.bincount(pairs // n, minlength=n_strata)
    alone = clusters == 1
    centre = np.where(alone, mean, means)
    scale = np.where(alone, 1.0, np.sqrt(clusters / np.maximum(clusters - 1, 1)))
    pulls = np.bincount(codes, weights=weights * scale[layers] * (x - centre[layers]), minlength=n_groups)
    # All values equal: what is left of the differences is rounding, and no sign of spread.
    equal = x[-1] - x[0] <= 1e-12 * max(1.0, abs(x[0]), abs(x[-1]))
    se = 0.0 if equal else math.sqrt(exact_sum(np.square(pulls)))
    return ClusteredMean(mean, se, max(n_groups - n_strata, 1), n_groups, x, weights, codes)


def carried_by(parts: Floats) -> float:
    """How many clusters carry a total: their number when the parts are equal, 1 when one has all, 0 when all are zero.

    **Source:** Kish 1965, Survey Sampling (effective number under unequal weights).
    """
    squares = exact_sum(np.square(parts))
    return exact_sum(np.abs(parts)) ** 2 / squares if squares > 0 else 0.0


def effective_n(clustered: ClusteredMean, variance: float, carriers: float, *, counts: bool) -> float:
    """The number of independent 0/1 answers that would give the same standard error; `variance` is that of one of them.

    The observed ratio is mixed with one imagined cluster whose items agree entirely. With many clusters behind the mean
    (`carriers`) it does not matter; near 0 or 1, or near no change, where a handful of clusters decides and the standard
    error is hardly known, it keeps the interval honest; with none it gives one independent answer for each cluster.
    `counts`: the values are 0/1, so that clusters can only take information away, never add any.
    """
    floor = exact_sum(np.square(clustered.per_cluster(np.ones_like(clustered.weights))))
    if clustered.se is None or variance <= 0:
        return 1 / floor
    seen = clustered.se**2 / variance
    if counts:
        seen = max(seen, exact_sum(np.square(clustered.weights)))
    return (carriers + 1) / (carriers * seen + floor)
