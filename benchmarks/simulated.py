"""Simulated pairs of runs whose true difference is known: single questions and clusters, 0/1 answers and partial credit."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
ICC = 0.5
# Pairs of runs drawn at once; memory stays near 50 MB.
BLOCK = 500


@dataclass(frozen=True, slots=True)
class Setting:
    """A test set of `groups` clusters with `members` items each, and the margin that the gate is asked about.

    `level`: the baseline's true mean. `changed`: the share of 0/1 answers that differ between two equally good runs.
    `shape`: not None for partial credit; the precision (a + b) of the two Beta parts of a score (see `partial`).
    """

    name: str
    groups: int
    members: int
    level: float
    margin: float
    changed: float = 0.0
    shape: tuple[float, float] | None = None


SETTINGS = (
    Setting("singles, p 0.7, n 300", 300, 1, 0.7, 0.05, changed=0.2),
    Setting("clusters of 3, ICC 0.5, p 0.7, n 300", 100, 3, 0.7, 0.05, changed=0.2),
    Setting("ceiling, p 0.99, n 300", 300, 1, 0.99, 0.02, changed=0.01),
    Setting("small, p 0.7, n 50", 50, 1, 0.7, 0.1, changed=0.2),
    Setting("partial credit, n 300", 300, 1, 0.6, 0.03, shape=(4.0, 10.0)),
    Setting("ceiling and clusters of 3, p 0.99, n 300", 100, 3, 0.99, 0.03, changed=0.01),
    Setting("ceiling and small, p 0.99, n 50", 50, 1, 0.99, 0.1, changed=0.01),
    Setting("small and 17 clusters of 3, p 0.7", 17, 3, 0.7, 0.1, changed=0.2),
    Setting("partial credit in clusters of 3, n 300", 100, 3, 0.6, 0.03, shape=(4.0, 10.0)),
    Setting("partial credit near the ceiling, mean 0.95, n 300", 300, 1, 0.95, 0.03, shape=(60.0, 4.0)),
)


def paired_answers(rng: np.random.Generator, setting: Setting, drop: float, draws: int) -> tuple[Floats, Floats]:
    """0/1 scores of baseline and candidate, shape (draws, groups, members); true means `level` and `level - drop`."""
    changed = max(setting.changed, drop + min(setting.changed, 0.005))
    lost, won = (changed + drop) / 2, (changed - drop) / 2
    both = setting.level - lost
    if both < 0 or both + lost + won > 1:
        raise ValueError(f"{setting.name}: a drop of {drop} is impossible")

    def draw(members: int) -> Floats:
        return rng.random((draws, setting.groups, members))

    u = draw(setting.members)
    if setting.members > 1:
        u = np.where(draw(setting.members) < math.sqrt(ICC), draw(1), u)
    only_candidate = (u >= both + lost) & (u < both + lost + won)
    return (u < both + lost).astype(np.float64), ((u < both) | only_candidate).astype(np.float64)


def partial(rng: np.random.Generator, setting: Setting, drop: float, draws: int) -> tuple[Floats, Floats]:
    """Partial-credit scores in 0-1 of the same shape: an item's own ease times what each run makes of it, all Beta."""
    ease_spread, run_spread = setting.shape or (1.0, 1.0)
    ease = setting.level ** (1 / 3)
    skill = setting.level / ease

    def beta(mean: float, spread: float) -> Floats:
        own = rng.beta(mean * spread, (1 - mean) * spread, (draws, setting.groups, setting.members))
        if setting.members == 1:
            return own
        shared = rng.beta(mean * spread, (1 - mean) * spread, (draws, setting.groups, 1))
        return np.where(rng.random(own.shape) < math.sqrt(ICC), shared, own)

    items = beta(ease, ease_spread)
    return items * beta(skill, run_spread), items * beta(skill - drop / ease, run_spread)


def blocks(setting: Setting, drop: float, draws: int, seed: int) -> Iterator[tuple[Floats, Floats]]:
    """Pairs of runs in blocks, each array (block, n) with the items of a cluster side by side."""
    make, rng = (partial if setting.shape else paired_answers), np.random.default_rng(seed)
    for start in range(0, draws, BLOCK):
        size = min(BLOCK, draws - start)
        baseline, candidate = make(rng, setting, drop, size)
        yield baseline.reshape(size, -1), candidate.reshape(size, -1)
