"""gate.yaml: what a candidate may lose, what it must reach, and how many answers may be spoilt. A closed schema."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import yaml
from pydantic import Field

from harness.errors import UsageError, unknown
from harness.registry import get_metric
from harness.specs import Closed, parse

Margin = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Number = Annotated[float, Field(allow_inf_nan=False)]
Share = Annotated[float, Field(ge=0, le=1)]

DEFAULT = "default"


class Shares(Closed):
    """The largest shares (0-1) of a task's answers that may have each status; None: any.

    More unparsed, truncated or refused ones are a regression. More failed or unscored ones make the run incomplete.
    """

    unparsed: Share | None = None
    truncated: Share | None = None
    refused: Share | None = None
    failed: Share = 0.0
    unscored: Share = 0.0


class TaskRule(Closed):
    """What is different for one task."""

    margins: Mapping[str, Margin] = {}
    floors: Mapping[str, Number] = {}
    max_share: Shares | None = None


class GateSpec(Closed):
    """The whole file. `margins` and `floors` are by metric, in the metric's units; `margins.default` is for headline metrics.

    A required task is gated by its headline metric and by every other metric of it that has a margin. `required: null` means
    every task of the baseline; a suite's name means all of its tasks.
    """

    alpha: Annotated[float, Field(gt=0, lt=0.5)] = 0.05
    margins: Mapping[str, Margin] = {DEFAULT: 0.05}
    floors: Mapping[str, Number] = {}
    max_share: Shares = Shares()
    required: tuple[str, ...] | None = None
    tasks: Mapping[str, TaskRule] = {}

    def margin(self, task: str, metric: str, *, headline: bool) -> float | None:
        """Return the margin of a task's metric, None where none is stated: then that metric is not gated."""
        rule = self.rule(task)
        stated = rule.margins.get(metric, self.margins.get(metric))
        if stated is not None or not headline or None in get_metric(metric).bounds:
            return stated
        return rule.margins.get(DEFAULT, self.margins.get(DEFAULT))

    def floor(self, task: str, metric: str) -> float | None:
        """Return the least mean that a task's metric must reach, None when there is none."""
        return self.rule(task).floors.get(metric, self.floors.get(metric))

    def shares(self, task: str) -> Shares:
        """Return the limits of a task's spoilt answers."""
        return self.rule(task).max_share or self.max_share

    def rule(self, task: str) -> TaskRule:
        """Return what is different for one task."""
        return self.tasks.get(task, TaskRule())

    def check_names(self, metrics: Mapping[str, list[str]]) -> None:
        """Raise UsageError for a task or a metric that the baseline does not have; `metrics`: task -> its metrics."""
        for task, rule in self.tasks.items():
            if task not in metrics:
                raise unknown("task in gate.yaml", task, metrics, "These are the baseline's tasks.")
            for name in {*rule.margins, *rule.floors} - {DEFAULT}:
                if name not in metrics[task]:
                    raise unknown(f"metric of {task} in gate.yaml", name, metrics[task])
        everywhere = {name for names in metrics.values() for name in names}
        for name in {*self.margins, *self.floors} - {DEFAULT}:
            if name not in everywhere:
                raise unknown("metric in gate.yaml", name, everywhere, "These are the baseline's metrics.")

    def required_tasks(self, known: Mapping[str, object]) -> list[str]:
        """Return the required tasks; raise UsageError for a name that the baseline does not have."""
        if self.required is None:
            return list(known)
        found: dict[str, None] = {}
        for name in self.required:
            mine = [task for task in known if name in (task, task.partition("/")[0])]
            if not mine:
                raise unknown("required task in gate.yaml", name, known, "These are the baseline's tasks.")
            found.update(dict.fromkeys(mine))
        if not found:
            raise UsageError(
                "gate.yaml requires no task, so nothing could ever fail. Name tasks, or leave `required` out."
            )
        return list(found)


def read_spec(path: Path | None) -> GateSpec:
    """Return the gate that a file describes, the default one for None; raise UsageError naming the key that is wrong."""
    if path is None:
        return GateSpec()
    spec: GateSpec = parse(GateSpec, path)
    _refuse_twins(path, yaml.compose(path.read_text("utf-8"), Loader=yaml.SafeLoader))
    return spec


def _refuse_twins(path: Path, node: yaml.Node | None) -> None:
    """YAML keeps the last of two equal keys without a word: a margin stated twice would be a margin lost."""
    if isinstance(node, yaml.MappingNode):
        seen: set[str] = set()
        for key, value in node.value:
            if key.value in seen:
                raise UsageError(f"{path}:{key.start_mark.line + 1}: '{key.value}' is stated twice")
            seen.add(key.value)
            _refuse_twins(path, value)
