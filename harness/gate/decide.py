"""A candidate against a baseline -> one verdict. All required tasks must pass, so no correction for their number is needed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import Enum
from typing import Literal

from harness import stats
from harness.baseline import Side, TaskScores, refuse_different
from harness.compare import Effect, NoPairs, budget_notes, effect_of, signed
from harness.compare.effects import POWER
from harness.errors import UsageError
from harness.gate.spec import GateSpec
from harness.registry import get_metric
from harness.types import Status

Policy = Literal["pass", "fail"] | None


class Verdict(Enum):
    """What the gate says, in words and as an exit code: both come from here and nowhere else."""

    PASS = ("pass", 0)
    REGRESSION = ("regression", 1)
    INVALID = ("run invalid or incomplete", 3)
    INCONCLUSIVE = ("inconclusive", 4)
    INCONCLUSIVE_PASSED = ("inconclusive, let pass", 0)
    INCONCLUSIVE_FAILED = ("inconclusive, counted as a failure", 1)

    @property
    def words(self) -> str:
        """Return the verdict as it is printed."""
        return self.value[0]

    @property
    def exit_code(self) -> int:
        """Return the process's exit code."""
        return self.value[1]

    def under(self, policy: Policy) -> Verdict:
        """Return the verdict under `--inconclusive`; only an inconclusive one changes."""
        if self is not Verdict.INCONCLUSIVE or policy is None:
            return self
        return Verdict.INCONCLUSIVE_PASSED if policy == "pass" else Verdict.INCONCLUSIVE_FAILED


_WORST_FIRST = (Verdict.INVALID, Verdict.REGRESSION, Verdict.INCONCLUSIVE, Verdict.PASS)
_OF_STATS = {"pass": Verdict.PASS, "regression": Verdict.REGRESSION, "inconclusive": Verdict.INCONCLUSIVE}

Kind = Literal["difference", "floor", "share", "run"]


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that was looked at. `effect` and `margin` are there for differences; `required`: it counts for the verdict.

    `needed`: how many answers would let an unchanged model pass in four of five cases, for inconclusive differences; None
    where the data do not tell.
    """

    kind: Kind
    task: str
    what: str
    verdict: Verdict
    text: str
    required: bool = True
    effect: Effect | None = None
    margin: float | None = None
    needed: int | None = None


@dataclass(frozen=True, slots=True)
class Outcome:
    """What the gate found. `verdict` is the worst of the required checks, under the caller's policy; `notes` change nothing of it."""

    verdict: Verdict
    checks: Sequence[Check]
    baseline: Side
    candidate: str
    run: str
    alpha: float
    notes: Sequence[str] = ()

    def of(self, verdict: Verdict) -> list[Check]:
        """Return the required checks with this verdict."""
        return [check for check in self.checks if check.required and check.verdict is verdict]


def overall(checks: Sequence[Check], policy: Policy) -> Verdict:
    """Return the worst verdict of the required checks."""
    required = {check.verdict for check in checks if check.required}
    return next(verdict for verdict in _WORST_FIRST if verdict in required).under(policy)


def decide(baseline: Side, candidate: Side, spec: GateSpec, policy: Policy) -> Outcome:
    """Return the outcome of the gate.

    Raises UsageError when a required task was not asked alike and for names in `spec` that the baseline does not have;
    InvalidRun for scores outside their metric's bounds.
    """
    required, ids = check_spec(baseline, spec), comparison_ids(candidate)
    alike(baseline, ids, required)
    checks = [check for task in required for check in _task_checks(baseline, candidate, task, spec)]
    for task in baseline.tasks:
        if task not in required and task in candidate.tasks:
            checks += [replace(check, required=False) for check in _by_the_way(baseline, candidate, task, spec, ids)]
    said = budget_notes(baseline, candidate)
    return Outcome(overall(checks, policy), checks, baseline, candidate.name, candidate.run, spec.alpha, said)


def _by_the_way(
    baseline: Side, candidate: Side, task: str, spec: GateSpec, ids: Mapping[str, Mapping[str, str]]
) -> list[Check]:
    """Return the checks of a task that is not required: shown, and without effect."""
    try:
        alike(baseline, ids, [task])
    except UsageError as error:
        return [_broken(task, f"{task}: not compared. {error}")]
    return list(_task_checks(baseline, candidate, task, spec))


def check_spec(baseline: Side, spec: GateSpec) -> list[str]:
    """Return the required tasks; raise UsageError for what `spec` names and the baseline lacks, and for missing margins."""
    spec.check_names({task: list(scores.columns) for task, scores in baseline.tasks.items()})
    required = spec.required_tasks(baseline.tasks)
    for task in required:
        headline = baseline.tasks[task].headline
        if spec.margin(task, headline, headline=True) is None:
            why = (
                " (it has no least and greatest value, so no default fits)"
                if None in get_metric(headline).bounds
                else ""
            )
            raise UsageError(f"no margin for {headline}, the headline metric of {task}{why}. State margins.{headline}.")
    return required


def alike(baseline: Side, asked: Mapping[str, Mapping[str, str]], tasks: Sequence[str]) -> None:
    """Raise UsageError when one of `tasks` was asked differently; `asked`: task -> metric -> comparison id."""
    refuse_different(
        (
            (task, metric, scores.columns[metric].comparison_id, comparison_id)
            for task, scores in baseline.tasks.items()
            if task in tasks
            for metric, comparison_id in asked.get(task, {}).items()
            if metric in scores.columns
        ),
        "Ask the candidate as the baseline was asked, or make a new baseline: tcm-eval baseline update RUN FILE",
    )


def comparison_ids(side: Side) -> dict[str, dict[str, str]]:
    """Return task -> metric -> comparison id."""
    return {t: {m: c.comparison_id for m, c in scores.columns.items()} for t, scores in side.tasks.items()}


def _task_checks(baseline: Side, candidate: Side, task: str, spec: GateSpec) -> Iterator[Check]:
    if task not in candidate.tasks:
        yield _broken(task, f"{task} is required, but {candidate.name} ({candidate.run}) was not asked it")
        return
    ours, theirs = baseline.tasks[task], candidate.tasks[task]
    yield from _share_checks(ours, theirs, spec)
    for metric in ours.columns:
        margin = spec.margin(task, metric, headline=metric == ours.headline)
        floor = spec.floor(task, metric)
        if margin is None and floor is None:
            continue
        if metric not in theirs.columns:
            yield _broken(task, f"{task} is gated by {metric}, but {candidate.run} has no such scores")
            continue
        try:
            effect = effect_of(baseline, candidate, task, metric, spec.alpha)
        except NoPairs as error:
            yield _broken(task, str(error))
            continue
        alone = [f"{len(n)} {why}" for why, n in effect.pairs.unpaired.items() if why.startswith("asked of")]
        if alone:
            yield _broken(task, f"{task}: the two runs hold other questions: {', '.join(alone)}")
        if margin is not None:
            yield _difference(effect, margin)
        if floor is not None:
            yield _floor(effect, floor)


def _broken(task: str, text: str) -> Check:
    return Check("run", task, "the run", Verdict.INVALID, text)


def _share_checks(ours: TaskScores, theirs: TaskScores, spec: GateSpec) -> Iterator[Check]:
    limits = spec.shares(ours.task)
    hard: list[tuple[Status, float]] = [("failed", limits.failed), ("unscored", limits.unscored)]
    for status, limit in hard:
        for side, scores in (("candidate", theirs), ("baseline", ours)):
            check = _share(scores, side, status, limit, Verdict.INVALID)
            if check.verdict is not Verdict.PASS:  # that nothing failed is expected, and no line of a report
                yield check
    soft: list[tuple[Status, float | None]] = [
        ("unparsed", limits.unparsed),
        ("truncated", limits.truncated),
        ("refused", limits.refused),
    ]
    for status, bar in soft:
        if bar is not None:
            yield _share(theirs, "candidate", status, bar, Verdict.REGRESSION)


def _share(scores: TaskScores, side: str, status: Status, limit: float, worse: Verdict) -> Check:
    count, metric = max((list(column.status).count(status), name) for name, column in scores.columns.items())
    share = count / len(scores.places)
    by = f" by {metric}" if status == "unscored" else ""
    text = (
        f"{scores.task}: {count} of {len(scores.places)} answers of the {side} are {status}{by}: {share:.1%}, "
        f"where at most {limit:.1%} may be"
    )
    return Check("share", scores.task, status, worse if share > limit else Verdict.PASS, text)


def _floor(effect: Effect, floor: float) -> Check:
    mean = effect.found.candidate
    reached = mean >= floor if get_metric(effect.metric).higher_is_better else mean <= floor
    text = f"{effect.task} ({effect.metric}): measured {mean:.3f}, and the bar is {floor:.3f}"
    verdict = Verdict.PASS if reached else Verdict.REGRESSION
    return Check("floor", effect.task, f"{effect.metric} bar", verdict, text)


def _difference(effect: Effect, margin: float) -> Check:
    verdict = _OF_STATS[stats.verdict(effect.found, margin)]
    needed = _needed(effect, margin) if verdict is Verdict.INCONCLUSIVE else None
    text = _difference_text(effect, margin, verdict, needed)
    return Check("difference", effect.task, effect.metric, verdict, text, effect=effect, margin=margin, needed=needed)


def _needed(effect: Effect, margin: float) -> int | None:
    """Return how many answers would let an unchanged model pass in four of five cases; None where the data do not tell."""
    found, (least, greatest) = effect.found, get_metric(effect.metric).bounds
    if not found.sd:
        return None
    if found.changed is None or least is None or greatest is None:
        # Without shares of changed answers: Student's bound, for which the one-sided alpha is a two-sided 2 alpha.
        return stats.required_n(margin, found.sd, alpha=2 * found.alpha, power=POWER)
    span = greatest - least
    if margin >= span:
        return None
    return stats.required_n_for_gate(
        margin / span, found.sd / span, changed=found.changed / span, alpha=found.alpha, power=POWER
    )


def _difference_text(effect: Effect, margin: float, verdict: Verdict, needed: int | None) -> str:
    found = effect.found
    text = f"{effect.task} ({effect.metric}): {found.baseline:.3f} -> {found.candidate:.3f}, {signed(found.effect)}"
    if found.lower is None or found.upper is None:
        return f"{text}, with no bounds: all answers are one cluster, so nothing can be told"
    text += f" (at {1 - found.alpha:.0%} not below {signed(found.lower)}, not above {signed(found.upper)})"
    if verdict is Verdict.PASS:
        text += f": a drop of {margin:g} or more is ruled out"
        if found.lower > 0:
            return text + "; it is better"
        return text + ("; it is worse, but by less than that" if found.upper < 0 else "")
    if verdict is Verdict.REGRESSION:
        return text + f": worse, and by more than {margin:g} as measured"
    text += f": a drop of {margin:g} is neither ruled out nor shown"
    if needed is not None:
        text += f"; about {needed:,} {effect.pairs.noun} instead of {found.n:,} would let an unchanged model pass in 4 of 5 cases"
    return text
