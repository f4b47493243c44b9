"""What judges say of a text, as metrics. No model is called here: the verdicts lie in the run's `judge.jsonl` (`tcm-eval judge`).

Each value is the mean over the judges that gave a verdict. An answer without any verdict is unscored, never zero.
"""

from __future__ import annotations

from collections.abc import Sequence

from harness.errors import UsageError
from harness.judge import Panel, Verdict, signs
from harness.judge.verdict import FULL, MOST
from harness.metrics._targets import text
from harness.registry import Answer, Family, Metric, Options, add_metric
from harness.types import Case, Reference, Sample, Value

TEXTS: tuple[Family, ...] = ("text", "case")


def panel_of(options: Options) -> Panel | None:
    """Return the judges of the run, None when it was not judged; raise UsageError for anything else."""
    panel = options.get("panel")
    if panel is not None and not isinstance(panel, Panel):
        raise UsageError("a judged metric has no options in a task's YAML: name the judges with tcm-eval judge")
    return panel


def _rubric(pairs: Sequence[tuple[Sample, Answer]], options: Options) -> list[Value]:
    """Return the share of the rubric's points reached; parts `judges`, each judge's share and each criterion's mean mark (0 to 2).

    A criterion counts 2 when it is met, 1 in part, 0 not at all. None without a verdict, and for a sample without a rubric.
    """
    return [_rubric_value(panel_of(options), sample, text(sample, answer)) for sample, answer in pairs]


def _rubric_value(panel: Panel | None, sample: Sample, answer: str) -> Value:
    target = sample.target
    given = _verdicts(panel, sample, answer)
    if not given or not (isinstance(target, Reference | Case) and target.rubric):
        return Value(None, _common(given, answer))
    shares = {f"judge {name}": sum(one.marks) / (MOST * len(one.marks)) for name, one in given.items()}
    marks = zip(*(one.marks for one in given.values()), strict=True)
    criteria = {f"k{n}": sum(column) / len(column) for n, column in enumerate(marks, 1)}
    return Value(sum(shares.values()) / len(shares), {**_common(given, answer), **shares, **criteria})


def _semantic(pairs: Sequence[tuple[Sample, Answer]], options: Options) -> list[Value]:
    """Return how far answer and reference mean the same, 0 to 1; parts `judges` and each judge's value. None without a verdict."""
    return [_semantic_value(panel_of(options), sample, text(sample, answer)) for sample, answer in pairs]


def _semantic_value(panel: Panel | None, sample: Sample, answer: str) -> Value:
    given = _verdicts(panel, sample, answer)
    if not given:
        return Value(None, _common(given, answer))
    shares = {f"judge {name}": one.meaning / FULL for name, one in given.items()}
    return Value(sum(shares.values()) / len(shares), {**_common(given, answer), **shares})


def _verdicts(panel: Panel | None, sample: Sample, answer: str) -> dict[str, Verdict]:
    opinions = panel.opinions(sample, answer) if panel else []
    return {one.member.name: one.found for one in opinions if isinstance(one.found, Verdict)}


def _common(given: dict[str, Verdict], answer: str) -> dict[str, float]:
    """Return how many judges gave a verdict, and 1 where the answer shows signs of speaking to them."""
    return {"judges": float(len(given)), "judge_injection": float(bool(signs(answer)))}


def _signature(options: Options) -> str:
    panel = panel_of(options)
    return panel.signature if panel else "judges:none"


add_metric(Metric("judge_rubric", 1, TEXTS, _rubric, _signature, options=("panel",)))
SEMANTIC = add_metric(Metric("judge_semantic", 1, TEXTS, _semantic, _signature, options=("panel",)))
