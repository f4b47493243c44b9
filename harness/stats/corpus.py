"""Metrics of a whole corpus (BLEU, micro F1): intervals from sufficient statistics, never from texts scored again.

Each answer is a row of k numbers whose sum over the corpus determines the metric (for BLEU: matches and totals by order,
and the two lengths). A resample is then counts times matrix, so 1,000 resamples of 2,000 answers take a fraction of a
second, and no array is larger than `harness.stats.permutation.CHUNK` numbers or the input.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt

from harness.stats.bounds import NORMAL, normal_quantile, t_quantile, tango_bound
from harness.stats.clusters import Floats, Labels, encode, exact_sum
from harness.stats.intervals import Interval, check_level
from harness.stats.paired import Comparison
from harness.stats.permutation import chunks, random_signs

# From sums of sufficient statistics, shape (b, k), to the metric of each row, shape (b,).
Combine = Callable[[Floats], Floats]
Rows = Sequence[Sequence[float]] | npt.NDArray[np.generic]


def bootstrap(
    stats: Rows,
    combine: Combine,
    groups: Labels | None = None,
    *,
    level: float = 0.95,
    resamples: int = 1000,
    seed: int = 0,
) -> Interval:
    """A corpus metric with its standard error and interval; `stats`: shape (n, k), one row of sums for each answer.

    Whole clusters are drawn (`groups` as in `estimate`). The interval corrects the percentiles for bias and skew and
    widens them for few clusters: of six methods the most even in simulated BLEU and F1 (92 to 95 % coverage at 20 to 50
    answers). With one cluster, or when
    no resample differs, `se`, `low` and `high` are None: data without spread say nothing about a corpus metric's error.

    Raises ValueError on NaN in `stats` or from `combine`, and on an unequal number of groups.

    **Source:** Efron 1987, Better Bootstrap Confidence Intervals, JASA 82 (BCa); Hesterberg 2015, The American
    Statistician 69:371-386 (widening); Field and Welsh 2007, JRSS B 69 (drawing clusters).
    """
    check_level(level)
    rows = _matrix(stats, "stats")
    if len(rows) == 0:
        return Interval(None, None, None, None, level, 0, 0, "none")
    clusters = _sorted_rows(_cluster_sums(rows, groups))
    value = float(_apply(combine, clusters.sum(axis=0, keepdims=True))[0])
    spread = _Spread.of(clusters, combine, value, resamples, seed)
    low, high = spread.at((1 + level) / 2)
    return Interval(value, spread.se, low, high, level, len(rows), len(clusters), spread.method)


def compare_corpus(
    baseline: Rows,
    candidate: Rows,
    combine: Combine,
    groups: Labels | None = None,
    *,
    bounds: tuple[float, float] | None = None,
    alpha: float = 0.05,
    seed: int = 0,
) -> Comparison:
    """The paired comparison of two runs by a corpus metric; `baseline`, `candidate`: shape (n, k), the same items in order.

    2,000 resamples draw the same clusters from both runs. With fewer than about 50 clusters the one-sided bounds are wrong
    a little more often than alpha (7 to 8 % instead of 5 at 25 clusters, simulated F1). When no row differs there is no
    spread to learn from: with `bounds` of the metric (least and greatest value) the bounds then are Tango's for clusters
    of which none changed, without them None. The p-value comes from swapping the two runs' rows by whole clusters, 2,000
    times, the observed pairing counted among them.

    Raises ValueError as `bootstrap` does, and when the two matrices differ in shape.

    **Source:** as `bootstrap`; swapping: Riezler and Maxwell 2005, On Some Pitfalls in Automatic Evaluation and
    Significance Testing for MT (approximate randomisation, after Noreen 1989).
    """
    check_level(alpha)
    a, b = _matrix(baseline, "baseline"), _matrix(candidate, "candidate")
    if a.shape != b.shape or len(a) == 0:
        raise ValueError(
            f"compare_corpus needs the same items on both sides, at least one; got {a.shape} and {b.shape}"
        )
    k = a.shape[1]

    def effect_of(sums: Floats) -> Floats:
        return _apply(combine, sums[:, k:]) - _apply(combine, sums[:, :k])

    clusters = _sorted_rows(_cluster_sums(np.hstack([a, b]), groups))
    total = clusters.sum(axis=0, keepdims=True)
    first, second = float(_apply(combine, total[:, :k])[0]), float(_apply(combine, total[:, k:])[0])
    spread = _Spread.of(clusters, effect_of, second - first, PAIRED_RESAMPLES, seed)
    method, (low, high), (lower, upper) = spread.method, spread.at(1 - alpha / 2), spread.at(1 - alpha)
    if bounds is not None and np.array_equal(clusters[:, :k], clusters[:, k:]):
        method = "tango-unchanged"
        (low, high), (lower, upper) = (_unchanged(len(clusters), bounds, tail) for tail in (1 - alpha / 2, 1 - alpha))
    return Comparison(
        baseline=first,
        candidate=second,
        effect=second - first,
        se=spread.se,
        low=low,
        high=high,
        lower=lower,
        upper=upper,
        alpha=alpha,
        p_value=_swapping(clusters, effect_of, seed),
        method=method,
        test="approximate randomisation",
        n=len(a),
        n_groups=len(clusters),
        sd=spread.se * math.sqrt(len(a)) if spread.se else None,
        changed=None,
        correlation=None,
        won=None,
        lost=None,
        tied=None,
    )


PAIRED_RESAMPLES = 2000


class _Spread:
    """The resampled values of a statistic, sorted, with what the correction for bias and skew needs."""

    def __init__(self, value: float, replicates: Floats, jackknife: Floats) -> None:
        self.clusters = len(jackknife)
        self.replicates = np.sort(replicates)
        self.se: float | None = None
        noise = 1e-12 * max(1.0, float(np.abs(replicates).max(initial=abs(value))))
        if self.clusters > 1 and len(replicates) > 1 and float(np.ptp(replicates)) > noise:
            # Drawing G from G clusters shows (G - 1) / G of the variance.
            self.se = float(replicates.std(ddof=1)) * math.sqrt(self.clusters / (self.clusters - 1))
        below = float(np.mean(replicates < value) + np.mean(replicates == value) / 2)
        edge = 0.5 / len(replicates)
        self.bias = normal_quantile(min(max(below, edge), 1 - edge))
        pulls = jackknife.mean() - jackknife
        scale = exact_sum(np.square(pulls)) ** 1.5
        self.skew = exact_sum(pulls**3) / (6 * scale) if scale > 0 else 0.0

    @classmethod
    def of(cls, clusters: Floats, combine: Combine, value: float, resamples: int, seed: int) -> _Spread:
        """The spread of `combine` over drawn `clusters` (g, k)."""
        if resamples < 100:
            raise ValueError(f"resamples is {resamples}; fewer than 100 tell nothing about the tails")
        total = clusters.sum(axis=0, keepdims=True)
        if len(clusters) == 1:
            return cls(value, np.full(resamples, value), np.full(1, value))
        return cls(value, _replicates(clusters, combine, resamples, seed), _apply(combine, total - clusters))

    @property
    def method(self) -> str:
        return "none" if self.se is None else "bootstrap-bca"

    def at(self, confidence: float) -> tuple[float | None, float | None]:
        """The lower and the upper bound, each holding with probability `confidence`."""
        if self.se is None:
            return None, None
        z = math.sqrt(self.clusters / (self.clusters - 1)) * t_quantile(confidence, self.clusters - 1)
        low, high = (self.bias + (self.bias + s) / max(1 - self.skew * (self.bias + s), 1e-3) for s in (-z, z))
        levels = [NORMAL.cdf(low), NORMAL.cdf(high)]
        lower, upper = np.quantile(self.replicates, levels).tolist()
        return lower, upper


def _replicates(clusters: Floats, combine: Combine, resamples: int, seed: int) -> Floats:
    rng, g = np.random.default_rng(seed), len(clusters)
    parts: list[Floats] = []
    for rows in chunks(resamples, g):
        drawn = rng.integers(0, g, size=(rows, g)) + np.arange(rows)[:, None] * g
        counts = np.bincount(drawn.ravel(), minlength=rows * g).reshape(rows, g).astype(np.float64)
        parts.append(_apply(combine, counts @ clusters))
    return np.concatenate(parts)


def _swapping(clusters: Floats, effect_of: Combine, seed: int) -> float:
    k = clusters.shape[1] // 2
    half = (clusters[:, k:] - clusters[:, :k]) / 2
    half = half[np.any(half != 0, axis=1)]
    if len(half) == 0:
        return 1.0
    total = clusters.sum(axis=0)
    middle = (total[:k] + total[k:]) / 2
    observed = abs(float(effect_of(total[None, :])[0]))
    rng, extreme = np.random.default_rng([seed, 1]), 0
    for rows in chunks(PAIRED_RESAMPLES, len(half)):
        shift = random_signs(rng, rows, len(half)) @ half
        swapped = effect_of(np.hstack([middle - shift, middle + shift]))
        extreme += int(np.count_nonzero(np.abs(swapped) >= observed * (1 - 1e-9)))
    return (extreme + 1) / (PAIRED_RESAMPLES + 1)


def _unchanged(clusters: int, bounds: tuple[float, float], confidence: float) -> tuple[float, float]:
    low = (bounds[1] - bounds[0]) * tango_bound(0.0, 0.0, clusters, normal_quantile(confidence), "lower")
    return low, -low


def _matrix(stats: Rows, what: str) -> Floats:
    array = np.asarray(stats, dtype=np.float64)
    if array.size == 0:
        return np.zeros((0, 1))
    if array.ndim != 2 or not np.isfinite(array).all():
        raise ValueError(f"{what}: expected finite numbers of shape (answers, statistics), got shape {array.shape}")
    return array


def _cluster_sums(rows: Floats, groups: Labels | None) -> Floats:
    if groups is None:
        return rows
    codes = encode(groups, len(rows))
    return np.stack([np.bincount(codes, weights=column) for column in rows.T], axis=1)


def _sorted_rows(rows: Floats) -> Floats:
    """The rows in an order of their own, so that neither input order nor names of groups change which are drawn."""
    ordered: Floats = rows[np.lexsort(rows.T)]
    return ordered


def _apply(combine: Combine, sums: Floats) -> Floats:
    values = np.asarray(combine(sums), dtype=np.float64)
    if values.shape != (len(sums),):
        raise ValueError(f"combine must turn shape {sums.shape} into ({len(sums)},), it gave {values.shape}")
    if not np.isfinite(values).all():
        raise ValueError(
            "combine gave NaN or infinity for a resample; it must define the metric for empty sums as well"
        )
    return values
