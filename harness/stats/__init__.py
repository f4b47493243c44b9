"""Statistics of runs: arrays in, numbers out. Depends on numpy only, and on nothing else of the project.

* one run: `estimate` (mean, clustered standard error, interval; micro or macro), `bootstrap` (BLEU and other corpus metrics)
* two runs on the same items: `compare`, `compare_corpus`; `verdict` for a gate
* many tests: `holm`, `benjamini_hochberg`; planning: `detectable_difference`, `required_n`, `gate_power`, ...
"""

from harness.stats.corpus import bootstrap, compare_corpus
from harness.stats.intervals import Interval, estimate
from harness.stats.paired import Comparison, Verdict, compare, verdict
from harness.stats.permutation import mcnemar
from harness.stats.power import (
    benjamini_hochberg,
    detectable_difference,
    gate_power,
    holm,
    paired_sd,
    required_n,
    required_n_for_gate,
)

__all__ = [
    "Comparison",
    "Interval",
    "Verdict",
    "benjamini_hochberg",
    "bootstrap",
    "compare",
    "compare_corpus",
    "detectable_difference",
    "estimate",
    "gate_power",
    "holm",
    "mcnemar",
    "paired_sd",
    "required_n",
    "required_n_for_gate",
    "verdict",
]
