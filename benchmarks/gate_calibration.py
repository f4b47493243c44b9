"""Does the gate keep its promises? Simulated pairs of runs with a known truth, judged by the gate and by two other rules.

    python benchmarks/gate_calibration.py [--draws 10000] [--output TABLE.csv] [--figure FIGURE.png]

Every setting is a test set and a margin. From each, pairs of runs are drawn whose true difference is known, and three
rules judge the same draws:

* the gate of harness.stats at alpha 0.05 (`limits_of` and `decide`, the functions behind `compare` and `verdict`);
* the unpaired z-test of two means as lm-evaluation-harness's model comparator makes it: two-sided, 0.05, every answer
  taken as independent; it flags a candidate that is lower, and lets everything else through;
* "the score went down": flags any lower score.

The table goes to stdout as Markdown. A false pass: the candidate is truly worse by the whole margin and passes. A false
regression: nothing changed and the candidate is flagged. "coverage: difference" is that of the gate's 95 % interval;
"one run" that of `estimate`, which for single 0/1 answers is Wilson's interval with its known swings around 95 %.
Exit status 1 when the gate or the interval of the difference breaks its promise beyond simulation error.
"""

from __future__ import annotations

import argparse
import csv
import math
import sys
import time
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks.simulated import SETTINGS, Floats, Setting, blocks
from harness.stats import estimate
from harness.stats.bounds import normal_quantile
from harness.stats.clusters import clustered_mean
from harness.stats.paired import decide, limits_of

ALPHA, COVERAGE, SEED = 0.05, 0.94, 20_260


@dataclass(frozen=True, slots=True)
class Rates:
    """Shares of the draws (0-1) at one true drop; `z_flags` and `down_flags`: judged a regression by the other rules."""

    setting: str
    n: int
    margin: float
    drop: float
    draws: int
    passed: float
    regression: float
    inconclusive: float
    coverage_difference: float
    coverage_mean: float
    z_flags: float
    down_flags: float


def measure(setting: Setting, drop: float, draws: int, seed: int) -> Rates:
    """How often each rule says what when the candidate is truly worse by `drop`."""
    labels = None if setting.members == 1 else np.repeat(np.arange(setting.groups), setting.members)
    counts, single = setting.shape is None, setting.shape is None and setting.members == 1
    seen = {"pass": 0, "regression": 0, "inconclusive": 0}
    covered = covered_mean = flagged = down = 0
    for baseline, candidate in blocks(setting, drop, draws, seed):
        flagged += int(np.count_nonzero(unpaired_z(baseline, candidate) < normal_quantile(ALPHA / 2)))
        down += int(np.count_nonzero(candidate.mean(axis=1) < baseline.mean(axis=1)))
        for a, b in zip(baseline, candidate, strict=True):
            data = clustered_mean(b - a, labels, None)
            limits = limits_of(data, 1.0, counts=counts, single=single)
            seen[decide(data.mean, *limits.at(1 - ALPHA), setting.margin)] += 1
            low, high = limits.at(1 - ALPHA / 2)
            covered += low is not None and high is not None and low <= -drop <= high
            own = estimate(b, labels)
            covered_mean += own.low is not None and own.high is not None and own.low <= setting.level - drop <= own.high
    return Rates(
        *(setting.name, setting.groups * setting.members, setting.margin, drop, draws),
        passed=seen["pass"] / draws,
        regression=seen["regression"] / draws,
        inconclusive=seen["inconclusive"] / draws,
        coverage_difference=covered / draws,
        coverage_mean=covered_mean / draws,
        z_flags=flagged / draws,
        down_flags=down / draws,
    )


def unpaired_z(baseline: Floats, candidate: Floats) -> Floats:
    """Shape (draws,): the difference of the two means over the root of the summed squared naive standard errors."""
    n = baseline.shape[1]
    error = np.sqrt((baseline.var(axis=1, ddof=1) + candidate.var(axis=1, ddof=1)) / n)
    gap = candidate.mean(axis=1) - baseline.mean(axis=1)
    z: Floats = np.divide(gap, error, out=np.zeros_like(gap), where=error > 0)
    return z


def within(rate: float, limit: float, draws: int) -> bool:
    """Whether a rate seen in `draws` draws is compatible with a true rate of at most `limit` (three standard errors)."""
    return rate <= limit + 3 * math.sqrt(limit * (1 - limit) / draws)


def promises_table(pairs: list[tuple[Rates, Rates]]) -> str:
    """Markdown: errors of the three rules at no change and at a drop of the margin."""
    lines = [
        "| setting | margin | false pass: gate | z-test | went down | false regression: gate | z-test | went down"
        " | unchanged passes: gate | coverage: difference | one run | kept |",
        "| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | --- |",
    ]
    for none, whole in pairs:
        covered = min(none.coverage_difference, whole.coverage_difference), min(none.coverage_mean, whole.coverage_mean)
        shares = percents(*false_passes(whole), *false_regressions(none), none.passed, *covered)
        lines.append(f"| {none.setting} | {none.margin:.2f} | {shares} | {'yes' if kept(none, whole) else 'NO'} |")
    return "\n".join(lines)


def percents(*shares: float) -> str:
    """Cells of a Markdown table."""
    return " | ".join(f"{100 * share:.1f} %" for share in shares)


def false_passes(whole: Rates) -> tuple[float, float, float]:
    """Shares of the draws at a drop of the whole margin that the gate, the z-test and "went down" let through."""
    return whole.passed, 1 - whole.z_flags, 1 - whole.down_flags


def false_regressions(none: Rates) -> tuple[float, float, float]:
    """Shares of the draws without any change that the gate, the z-test and "went down" judge a regression."""
    return none.regression, none.z_flags, none.down_flags


def kept(none: Rates, whole: Rates) -> bool:
    """Whether the gate's two errors stay at alpha and the intervals of the difference cover what they must."""
    missed = 1 - min(none.coverage_difference, whole.coverage_difference)
    return (
        within(whole.passed, ALPHA, whole.draws)
        and within(none.regression, ALPHA, none.draws)
        and within(missed, 1 - COVERAGE, none.draws)
    )


def power_table(rates: list[Rates]) -> str:
    """Markdown: what each rule says as the true drop grows."""
    lines = [
        "| setting | margin | true drop | gate: pass | gate: regression | gate: inconclusive | z-test flags | went down |",
        "| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |",
    ]
    for r in rates:
        cells = percents(r.passed, r.regression, r.inconclusive, r.z_flags, r.down_flags)
        lines.append(f"| {r.setting} | {r.margin:.2f} | {r.drop:.2f} | {cells} |")
    return "\n".join(lines)


def draw_figure(pairs: list[tuple[Rates, Rates]], curve: list[Rates], path: Path) -> None:
    """Writes the figure: both errors by setting and rule, and the three rules against the true drop."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt

    figure, (left, middle, right) = plt.subplots(1, 3, figsize=(16, 5.2), layout="constrained")
    places = np.arange(len(pairs))[::-1]
    errors = (
        (left, "passes a drop of the whole margin", [false_passes(whole) for _, whole in pairs]),
        (middle, "calls an unchanged model worse", [false_regressions(none) for none, _ in pairs]),
    )
    styles = (("gate", "o", "#1b6e53"), ("unpaired z-test", "s", "#c2571a"), ("score went down", "x", "#777777"))
    for axes, title, values in errors:
        for (label, marker, colour), column in zip(styles, zip(*values, strict=True), strict=True):
            axes.plot([100 * v for v in column], places, marker, color=colour, label=label)
        axes.axvline(100 * ALPHA, color="black", linewidth=0.8, linestyle="--")
        axes.set_title(title)
        axes.set_xlabel("% of draws (dashed: alpha)")
        axes.set_xlim(-3, 103)
        axes.grid(axis="y", alpha=0.3)
    left.set_yticks(places, [none.setting for none, _ in pairs])
    middle.set_yticks(places, [""] * len(pairs))
    left.legend(bbox_to_anchor=(0.5, -0.13), loc="upper center", ncols=3, fontsize="small")
    drops = [100 * r.drop for r in curve]
    curves = (
        ("gate: pass", "o-", "#1b6e53", [r.passed for r in curve]),
        ("gate: regression", "^-", "#8c1c3b", [r.regression for r in curve]),
        ("unpaired z-test flags", "s-", "#c2571a", [r.z_flags for r in curve]),
        ("score went down", "x-", "#777777", [r.down_flags for r in curve]),
    )
    for label, style, colour, shares in curves:
        right.plot(drops, [100 * v for v in shares], style, color=colour, label=label)
    right.axvline(100 * curve[0].margin, color="black", linewidth=0.8, linestyle="--")
    right.set_title(f"{curve[0].setting} (dashed: margin)")
    right.set_xlabel("true drop in points")
    right.set_ylabel("% of draws")
    right.grid(alpha=0.3)
    right.legend(bbox_to_anchor=(0.5, -0.13), loc="upper center", ncols=2, fontsize="small")
    figure.savefig(path, dpi=120)
    plt.close(figure)


def main(arguments: list[str] | None = None) -> int:
    """0 when every promise is kept, 1 otherwise."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--draws", type=int, default=10_000)
    parser.add_argument("--output", type=Path, help="CSV with every rate")
    parser.add_argument("--figure", type=Path, help="PNG, SVG or PDF; needs matplotlib")
    options = parser.parse_args(arguments)
    start = time.perf_counter()
    pairs: list[tuple[Rates, Rates]] = []
    for index, setting in enumerate(SETTINGS):
        none = measure(setting, 0.0, options.draws, SEED + index)
        pairs.append((none, measure(setting, setting.margin, options.draws, SEED + 100 + index)))
        print(f"{setting.name}: {time.perf_counter() - start:.0f} s", file=sys.stderr)
    curve = [
        measure(SETTINGS[0], drop / 100, options.draws, SEED + 200 + drop) for drop in (0, 1, 2, 3, 4, 5, 6, 8, 10, 12)
    ]
    five = [measure(replace(s, margin=0.02), 0.05, options.draws, SEED + 300) for s in SETTINGS[:2]]
    print(f"\n{options.draws} draws a row, alpha {ALPHA}; seed {SEED}\n\n{promises_table(pairs)}\n")
    print(f"As the true drop grows:\n\n{power_table(curve)}\n")
    print(f"A drop of 5 points on 300 items with a margin of 2:\n\n{power_table(five)}\n")
    rates = [r for pair in pairs for r in pair] + curve + five
    if options.output:
        with options.output.open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, fieldnames=list(asdict(rates[0])))
            writer.writeheader()
            writer.writerows(asdict(r) for r in rates)
    if options.figure:
        draw_figure(pairs, curve, options.figure)
    print(f"{time.perf_counter() - start:.0f} s", file=sys.stderr)
    return 0 if all(kept(*pair) for pair in pairs) else 1


if __name__ == "__main__":
    raise SystemExit(main())
