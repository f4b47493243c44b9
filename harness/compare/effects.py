"""The paired effect of each task and metric, with its interval and test, and Holm's correction over what is claimed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from harness import stats
from harness.baseline import Column, InvalidRun, Side, differences, refuse_different
from harness.compare.pairs import Pairs, join, shared
from harness.errors import UsageError
from harness.registry import Metric, get_metric
from harness.stats import Comparison
from harness.types import STATUSES

POWER = 0.8


class NoPairs(UsageError):
    """Two runs share no scored answer of a metric; `why` says what became of their answers."""

    def __init__(self, task: str, metric: str, why: str) -> None:
        super().__init__(f"{task} ({metric}): {why}")
        self.why = why


@dataclass(frozen=True, slots=True)
class Effect:
    """One metric on one task. A positive effect is always in the candidate's favour, also where lower values are better.

    `found.baseline` and `found.candidate` are the means (or corpus values) over the pairs, in the metric's own units.
    `p_claim` is the p-value after Holm's correction over `claims` headline numbers; None for other metrics, which are shown
    and not claimed. `detectable` is the smallest true difference that this test set finds in four of five cases, None
    where no answer changed. `differs`: the parts of the comparison ids that differ (only with force). `counts`: answers by
    status, (baseline, candidate).
    """

    task: str
    metric: str
    headline: bool
    found: Comparison
    pairs: Pairs
    differs: Sequence[str]
    counts: Mapping[str, tuple[int, int]]
    p_claim: float | None = None
    claims: int = 1
    detectable: float | None = None

    @property
    def p(self) -> float:
        """Return the p-value that a claim rests on."""
        return self.found.p_value if self.p_claim is None else self.p_claim


@dataclass(frozen=True, slots=True)
class Compared:
    """One candidate beside the baseline: its effects, and the tasks and metrics that only one of the two has.

    `open` names the metrics beside the headline of which no answer is scored in both runs, by task and why.
    """

    baseline: Side
    candidate: Side
    effects: Sequence[Effect]
    alone: Mapping[str, Sequence[str]]
    open: Mapping[tuple[str, str], Sequence[str]] = field(default_factory=dict)

    @property
    def forced(self) -> bool:
        """Tell whether numbers of different comparison ids stand beside each other."""
        return any(effect.differs for effect in self.effects)


def compare_runs(
    baseline: Side, candidates: Sequence[Side], *, force: bool = False, alpha: float = 0.05
) -> list[Compared]:
    """Return each candidate beside the baseline. The headline metrics of all tasks and candidates are one family of claims.

    Raises UsageError for different comparison ids (unless `force`), and when two runs have no task or no answer to one in common.
    """
    wanted = [(candidate, shared(baseline, candidate)) for candidate in candidates]
    if not force:
        for candidate, names in wanted:
            ids = [(task, name, *_ids(baseline, candidate, task, name)) for task, name in names]
            refuse_different(ids, "Ask both alike, or compare all the same and have it said everywhere: --force")
    return _corrected([_compared(baseline, candidate, names, alpha) for candidate, names in wanted], alpha)


def _compared(baseline: Side, candidate: Side, names: Sequence[tuple[str, str]], alpha: float) -> Compared:
    effects: list[Effect] = []
    left_open: dict[tuple[str, str], list[str]] = {}
    for task, name in names:
        try:
            effects.append(effect_of(baseline, candidate, task, name, alpha))
        except NoPairs as error:
            if name == candidate.tasks[task].headline:
                raise
            left_open.setdefault((task, error.why), []).append(name)
    return Compared(baseline, candidate, effects, _alone(baseline, candidate), left_open)


def _ids(baseline: Side, candidate: Side, task: str, metric: str) -> tuple[str, str]:
    first, second = baseline.tasks[task].columns[metric], candidate.tasks[task].columns[metric]
    return first.comparison_id, second.comparison_id


def _alone(baseline: Side, candidate: Side) -> dict[str, list[str]]:
    found = {"baseline": _only(baseline, candidate), "candidate": _only(candidate, baseline)}
    return {side: names for side, names in found.items() if names}


def _only(one: Side, other: Side) -> list[str]:
    """Return the tasks that one run has and the other has not, and the metrics of common tasks."""
    names = []
    for task, scores in one.tasks.items():
        if task not in other.tasks:
            names.append(task)
        else:
            names += [f"{task} {metric}" for metric in scores.columns if metric not in other.tasks[task].columns]
    return names


def effect_of(baseline: Side, candidate: Side, task: str, name: str, alpha: float) -> Effect:
    """Return the effect of one metric on one task, not yet corrected for other claims.

    Raises NoPairs when the runs share no scored answer, InvalidRun when a score lies outside the metric's bounds.
    """
    ours, theirs, metric = baseline.tasks[task], candidate.tasks[task], get_metric(name)
    pairs = join(ours, theirs, name)
    if not pairs.places:
        reasons = ", ".join(f"{len(names)} {reason}" for reason, names in pairs.unpaired.items())
        raise NoPairs(
            task,
            name,
            f"{baseline.name} and {candidate.name} have no scored answer in common ({reasons or 'none was asked'})",
        )
    try:
        found = _tested(metric, pairs, ours.columns[name], theirs.columns[name], alpha)
    except ValueError as error:
        raise InvalidRun(f"{task} {name}: {error}") from None
    return Effect(
        task,
        name,
        name == theirs.headline,
        found,
        pairs,
        differences(*_ids(baseline, candidate, task, name)),
        _counts(ours.columns[name], theirs.columns[name]),
        detectable=_detectable(found, alpha),
    )


def _tested(metric: Metric, pairs: Pairs, ours: Column, theirs: Column, alpha: float) -> Comparison:
    """Return the comparison in which more is better, whatever the metric's direction."""
    import numpy as np

    sign = 1.0 if metric.higher_is_better else -1.0
    bounds = metric.range
    if bounds is not None and sign < 0:
        bounds = (-bounds[1], -bounds[0])
    if metric.combine is not None:
        a, b = (
            _statistics(metric, column, [row[side] for rows in pairs.rows for row in rows])
            for side, column in enumerate((ours, theirs))
        )
        clusters = [one for one, rows in zip(pairs.clusters, pairs.rows, strict=True) for _ in rows]
        combine = metric.combine
        found = stats.compare_corpus(
            a, b, lambda sums: sign * np.asarray(combine(sums)), clusters, bounds=bounds, alpha=alpha
        )
    else:
        found = stats.compare(
            sign * np.asarray(pairs.baseline),
            sign * np.asarray(pairs.candidate),
            pairs.clusters,
            bounds=bounds,
            alpha=alpha,
        )
    back = (sign * found.baseline + 0.0, sign * found.candidate + 0.0)  # + 0.0: no rate of faults reads -0.000
    return replace(found, baseline=back[0], candidate=back[1])


def _statistics(metric: Metric, column: Column, rows: Sequence[int]) -> Any:
    """Shape (pairs, parts): the sufficient statistics of a corpus metric."""
    import numpy as np

    return np.column_stack([np.asarray(column.parts[name], dtype=np.float64)[list(rows)] for name in metric.parts])


def _counts(ours: Column, theirs: Column) -> dict[str, tuple[int, int]]:
    counted = {status: (list(ours.status).count(status), list(theirs.status).count(status)) for status in STATUSES}
    return {status: pair for status, pair in counted.items() if any(pair)}


def _detectable(found: Comparison, alpha: float) -> float | None:
    return stats.detectable_difference(found.sd, found.n, alpha=alpha, power=POWER) if found.sd else None


def _corrected(found: Sequence[Compared], alpha: float) -> list[Compared]:
    claimed = [effect for compared in found for effect in compared.effects if effect.headline]
    adjusted = dict(zip(map(id, claimed), stats.holm([effect.found.p_value for effect in claimed]), strict=True))
    m = len(claimed)

    def claim(effect: Effect) -> Effect:
        if id(effect) not in adjusted:
            return effect
        # What is detectable is what passes the hardest of Holm's steps.
        return replace(effect, p_claim=adjusted[id(effect)], claims=m, detectable=_detectable(effect.found, alpha / m))

    return [replace(compared, effects=[claim(effect) for effect in compared.effects]) for compared in found]
