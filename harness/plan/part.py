"""One task of a run, worded: its prompter, its data, the metrics that score it, and the id that each number is compared under."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from harness.datasets import stream
from harness.judge import Panel
from harness.plan.selection import Selection
from harness.prompts import Ask, Prompter, Style
from harness.registry import get_extractor, get_metric
from harness.specs import MetricUse, TaskSpec
from harness.suites import Catalogue, file_sha256, refuse_unfit, shared_prompts
from harness.types import Sample, Sampling

VERSION = "0.1"
"""The part of tcm-eval's version that may change a number; it stands in every signature."""


@dataclass(frozen=True, slots=True)
class Encoder:
    """The model that BERTScore and Ladder-Score compare meanings with: a folder or hub id, and the layer to read."""

    model: str
    layer: int | None = None


SEMANTIC = ("bertscore", "ladder_score", "compat_embedding_cosine")
"""The metrics that need an encoder. Without one they are not asked for by default; a task that lists them gets them unscored."""


@dataclass(frozen=True, slots=True)
class Part:
    """One task of a run, worded."""

    task: TaskSpec
    prompter: Prompter
    data: Mapping[str, str]
    encoder: Encoder | None = None
    panel: Panel | None = None

    @property
    def ask(self) -> Ask:
        """Return whether answers are generated, or options scored by the log-probability of their letters or texts."""
        return self.prompter.style.ask

    def metrics(self) -> tuple[MetricUse, ...]:
        """Return the metrics that score this part: the task's, or those of option log-probabilities."""
        if self.ask == "generate" or not self.task.is_choice:
            return self._with_panel(self._with_encoder(self.task.metric_uses))
        names = ("accuracy_letter",) if self.ask == "letter" else ("accuracy_text", "accuracy_text_norm")
        return tuple(MetricUse(name=name) for name in names)

    def _with_encoder(self, uses: tuple[MetricUse, ...]) -> tuple[MetricUse, ...]:
        """Return the metrics of a text task with the run's encoder, and BERTScore and Ladder-Score added to them."""
        if self.encoder is None or not self.task.is_text:
            return uses
        named = {use.name for use in uses}
        weights = shared_prompts()["ladder_score"]
        added = [
            MetricUse(name=n, options=o) for n, o in (("bertscore", {}), ("ladder_score", weights)) if n not in named
        ]
        encoder = {"model": self.encoder.model} | ({} if self.encoder.layer is None else {"layer": self.encoder.layer})
        return tuple(
            use.model_copy(update={"options": {**encoder, **use.options}}) if use.name in SEMANTIC else use
            for use in (*uses, *added)
        )

    @property
    def has_rubric(self) -> bool:
        """Tell whether a judge has criteria here: a rubric is about the last answer, so not where every turn is scored."""
        return self.task.columns.rubric is not None and self.task.score_turns == "last"

    def _with_panel(self, uses: tuple[MetricUse, ...]) -> tuple[MetricUse, ...]:
        """Return the metrics of a text task with those of the run's judges, and their mark of meaning in Ladder-Score if asked."""
        if self.panel is None or not self.task.is_text:
            return uses
        judged = {"panel": self.panel}
        names = ("judge_rubric", "judge_semantic") if self.has_rubric else ("judge_semantic",)
        kept = [use for use in uses if use.name not in ("judge_rubric", "judge_semantic")]
        if self.panel.ladder:
            kept = [use for use in kept if use.name != "ladder_score"]
            stated = next((use.options for use in uses if use.name == "ladder_score"), shared_prompts()["ladder_score"])
            weights = {name: value for name, value in stated.items() if name in ("w_term", "w_sem", "lexicon")}
            kept.append(MetricUse(name="ladder_score", options={**weights, "semantic": "judge", **judged}))
        return (*kept, *(MetricUse(name=name, options=judged) for name in names))

    def comparison_id(self, use: MetricUse, selection: Selection) -> str:
        """Return what must be equal for two numbers to be compared: task, data, prompt, sampling, shots, metric.

        A prompt or a token budget of the model's own is not part of it: these are the subject's.
        """
        metric, s, style = get_metric(use.name), self.prompter.common_sampling, self.prompter.style
        said = metric.signature(use.options)
        sampling = (
            f"temp:{s.temperature:g}|top_p:{s.top_p:g}|top_k:{s.top_k}|rep:{s.repetition_penalty:g}|max:{s.max_tokens}"
        )
        stop = f"|stop:{_short(list(s.stop))}" if s.stop else ""
        reader = get_extractor(self.task.extractor).signature if self.ask == "generate" else f"argmax-{self.ask}"
        return (
            f"tcm-eval:{VERSION}|task:{self.task.id}@{self.task.version}|data:{_short(self.data)}|{selection.signature()}"
            f"|prompt:{self.prompter.fingerprint}|{sampling}{stop}|seed:{s.seed}"
            f"|shots:{style.shots}{f'@{style.seed}' if style.shots else ''}|read:{reader}"
            f"|metric:{metric.name}@{metric.version}{f'({said})' if said else ''}"
        )


def _short(value: Any) -> str:
    text = json.dumps(value, sort_keys=True, ensure_ascii=False, default=dict)
    return hashlib.sha256(text.encode()).hexdigest()[:6]


def prepare(
    catalogue: Catalogue,
    task: TaskSpec,
    style: Style,
    selection: Selection,
    sampling: Mapping[str, Any],
    encoder: Encoder | None = None,
) -> Part:
    """Return one task worded; raise UsageError for missing or changed data, a metric that is unknown or unfit, or too few examples."""
    refuse_unfit(task)
    data = {path.name: file_sha256(path) for path in catalogue.data_files(task)}
    decoding = replace(Sampling(**{**task.sampling.model_dump(), "seed": selection.seed}), **sampling)
    examples: Sequence[Sample] = ()
    if style.shots:
        examples = [s for s in stream(catalogue, task) if s.split in ("validation", "train")]
    shape = {"columns": task.columns.shape(), "split": task.split.model_dump(mode="json")}
    return Part(task, Prompter(task, style, decoding, examples), {**data, "": _short(shape)}, encoder)
