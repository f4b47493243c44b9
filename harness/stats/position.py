"""How far the place of an option draws answers to it: chosen places less right places, and one number for all of them.

A model that reads the options gives each place as often as the right answer stands there. `places` is the surplus of each place;
`bias` is half the sum of their sizes, the share of answers that would have to move to another place (total variation distance).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from harness.stats.bounds import t_quantile
from harness.stats.clusters import Labels, encode
from harness.stats.intervals import Interval, estimate

DRAWS = 4000
"""Draws of the error of all places together."""

Masks = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class PositionBias:
    """The bias of a set of answers, from 0 to 1, and the surplus of each place, from -1 to 1 (several letters an answer: -2 to 2).

    `noise` is the level that a model without any bias reaches on so few questions. `low`, `high` and `noise` are None where one
    cluster alone shows no spread.
    """

    bias: float
    low: float | None
    high: float | None
    noise: float | None
    level: float
    places: tuple[Interval, ...]


def position_bias(
    chosen: Masks, right: Masks, sizes: npt.NDArray[np.int64], groups: Labels | None = None, *, level: float = 0.95
) -> PositionBias:
    """Return the bias of one or more answers by place.

    `chosen` and `right` have shape (n, most options): whether an answer took a place, and whether a right option stood there;
    `sizes` (n,): how many options there were; `groups` (n,): clusters, so that the rotations of one question are one. With several
    letters per answer, a general habit of taking too many or too few of them is no bias of place and is taken off.

    The interval of `bias` is wide enough for every direction of the error at once: a distance is off by no more than the size of the
    error, whose upper end is drawn from a normal with the clustered covariance, with Student's t for few clusters.
    """
    n, width = chosen.shape
    there = np.arange(width) < sizes[:, None]
    pull = chosen.astype(np.float64) - right
    pull -= np.where(there, pull.sum(axis=1, keepdims=True) / sizes[:, None], 0.0)
    most = 1.0 if (chosen.sum(axis=1) <= 1).all() and (right.sum(axis=1) <= 1).all() else 2.0
    places = tuple(estimate(pull[:, place], groups, level=level, bounds=(-most, most)) for place in range(width))
    means = pull.mean(axis=0)
    bias = float(np.abs(means).sum() / 2)
    codes = encode(groups, n)
    count = int(codes.max()) + 1
    if count < 2:
        return PositionBias(bias, None, None, None, level, places)
    sums = np.stack([np.bincount(codes, weights=pull[:, p] - means[p], minlength=count) for p in range(width)], axis=1)
    covariance = sums.T @ sums * (count / (count - 1)) / n**2
    values, vectors = np.linalg.eigh(covariance)
    root = (
        vectors * np.sqrt(np.clip(values, 0.0, None))
    ) @ vectors.T  # symmetric, so the same whatever the vectors' signs
    noise = np.abs(np.random.default_rng(0).standard_normal((DRAWS, width)) @ root).sum(axis=1) / 2
    tail = (1 + level) / 2
    wider = t_quantile(tail, count - 1) / t_quantile(tail, 10**6)
    # A handful of equal answers shows no spread: the widest error of a single place is the least that can be said of all.
    least = max((p.high - p.low) / 2 for p in places if p.high is not None and p.low is not None)
    equal = float(np.diag(covariance).max()) <= 1e-18
    off = max(float(np.quantile(noise, level)) * wider, least if equal else 0.0)
    return PositionBias(bias, max(0.0, bias - off), min(1.0, bias + off), float(noise.mean()), level, places)
