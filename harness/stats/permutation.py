"""P-values of "the two runs are equally good": exact McNemar for single 0/1 answers, sign flips of clusters otherwise."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from harness.stats.clusters import Floats, exact_sum

# Up to this many clusters that changed, all 2^m patterns of signs are tried (65,536 sums).
ENUMERATED = 16
# Whole sums have an exact distribution at the cost of clusters times total; above this budget signs are drawn.
EXACT_BUDGET = 200_000_000
RESAMPLES = 10_000
# Numbers held at once while resampling: 4 million floats are 32 MB.
CHUNK = 4_000_000


def mcnemar(won: int, lost: int, *, mid_p: bool = False) -> float:
    """The two-sided p-value (0-1) that `won` and `lost` changed answers come from equally good runs; 1 when none changed.

    Exact: it never claims more than it may. `mid_p` counts the observed split only half, which is less cautious and
    closer to the nominal level on average.

    **Source:** McNemar 1947, Psychometrika 12; mid-p: Fagerland, Lydersen and Laake 2013, BMC Medical Research
    Methodology 13:91.
    """
    if won < 0 or lost < 0:
        raise ValueError(f"mcnemar: counts must not be negative, got {won} and {lost}")
    changed, fewer = won + lost, min(won, lost)
    if changed == 0:
        return 1.0
    term = math.exp(
        math.lgamma(changed + 1) - math.lgamma(fewer + 1) - math.lgamma(changed - fewer + 1) - changed * math.log(2)
    )
    terms = [-term / 2 if mid_p else 0.0, term]
    for k in range(fewer, 0, -1):
        term *= k / (changed - k + 1)
        if term < terms[1] * 1e-18:
            break
        terms.append(term)
    return min(1.0, 2 * math.fsum(terms))


def sign_flip(sums: Floats, *, seed: int = 0) -> tuple[float, str]:
    """The two-sided p-value (0-1) of clusters' summed differences, shape (n_groups,), and how it was found.

    If the runs were equally good, the two runs' answers within a cluster could be exchanged, so each sum could as well
    have the other sign. "sign-flip exact": all patterns; "sign-flip monte carlo": 10,000 drawn ones, the observed one
    counted among them, so the p-value is never 0.

    **Source:** Fisher 1935, The Design of Experiments, chapter III; + 1: Phipson and Smyth 2010, Statistical Applications
    in Genetics and Molecular Biology 9:39.
    """
    # Sorted sizes: neither the order of the clusters nor which run is called the candidate changes the drawn signs.
    sizes = np.sort(np.abs(sums[sums != 0]))
    observed = abs(exact_sum(sums))
    slack = 1e-9 * exact_sum(sizes)
    if len(sizes) == 0:
        return 1.0, "sign-flip exact"
    if len(sizes) <= ENUMERATED:
        totals = np.zeros(1)
        for size in sizes:
            totals = np.concatenate([totals + size, totals - size])
        return float(np.mean(np.abs(totals) >= observed - slack)), "sign-flip exact"
    if np.all(sizes == np.round(sizes)) and len(sizes) * sizes.sum() <= EXACT_BUDGET:
        return _whole_sums(sizes.astype(np.int64), round(observed)), "sign-flip exact"
    rng, extreme = np.random.default_rng(seed), 0
    for rows in chunks(RESAMPLES, len(sizes)):
        signs = random_signs(rng, rows, len(sizes))
        extreme += int(np.count_nonzero(np.abs(signs @ sizes) >= observed - slack))
    return (extreme + 1) / (RESAMPLES + 1), "sign-flip monte carlo"


def _whole_sums(sizes: npt.NDArray[np.int64], observed: int) -> float:
    """The exact tail, from the distribution of the sum built one cluster at a time."""
    total = int(sizes.sum())
    chances = np.zeros(2 * total + 1)
    chances[total] = 1.0
    reach = 0
    for size in sizes.tolist():
        new = np.zeros_like(chances)
        inside = chances[total - reach : total + reach + 1] / 2
        new[total - reach + size : total + reach + 1 + size] += inside
        new[total - reach - size : total + reach + 1 - size] += inside
        chances, reach = new, reach + size
    upper = exact_sum(chances[total + observed :])
    return min(1.0, 2 * upper) if observed > 0 else 1.0


def random_signs(rng: np.random.Generator, rows: int, columns: int) -> Floats:
    """Shape (rows, columns): +1 and -1 with equal chance."""
    bits = np.unpackbits(np.frombuffer(rng.bytes(rows * (columns // 8 + 1)), dtype=np.uint8).reshape(rows, -1), axis=1)
    return np.asarray(bits[:, :columns] * 2.0 - 1.0, dtype=np.float64)


def chunks(rows: int, columns: int) -> list[int]:
    """`rows` cut into pieces so that a piece times `columns` stays within the memory that resampling may take."""
    size = max(1, CHUNK // max(columns, 1))
    return [min(size, rows - start) for start in range(0, rows, size)]
