"""What suite.yaml and task.yaml may say."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, field_validator, model_validator

from harness.specs.closed import Closed
from harness.specs.columns import Columns, Name, SplitRule, Word

Kind = Literal["single_choice", "multiple_choice", "fill_blank", "dialogue", "free_text"]
CHOICE_KINDS: tuple[Kind, ...] = ("single_choice", "multiple_choice")
TEXT_KINDS: tuple[Kind, ...] = ("dialogue", "free_text")
Language = Literal["zh", "en"]


class DataFile(Closed):
    """One file of a suite. `sha256: null` means that the source publishes no version we could check."""

    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")] | None = None
    url: str | None = None
    size: int | None = None


class Suite(Closed):
    """suite.yaml: what the suite is, whose it is, and its files."""

    name: Name
    title: str
    version: Word = "1"
    language: Language = "zh"
    licence: str
    source: str = ""
    citation: str = ""
    notes: str = ""
    files: Mapping[str, DataFile] = {}


class MetricUse(Closed):
    """One metric of a task, and its options."""

    name: str
    options: Mapping[str, Any] = {}


class SamplingSpec(Closed):
    """Decoding settings that a task asks for; the command line may change them."""

    temperature: Annotated[float, Field(ge=0)] = 0.0
    top_p: Annotated[float, Field(gt=0, le=1)] = 1.0
    top_k: Annotated[int, Field(ge=0)] = 0
    repetition_penalty: Annotated[float, Field(gt=0)] = 1.0
    max_tokens: Annotated[int, Field(ge=1)] = 1024
    stop: tuple[str, ...] = ()


class TaskSpec(Closed):
    """task.yaml: one question type on one kind of file.

    `history: given` puts the reference turns of a dialogue into the prompt; `history: own` keeps the model's own turns and
    plays the patient's from the data. `score_turns` says whether the last turn or every turn is scored. `tolerate` is how many
    malformed rows of a foreign file are left out before one stops the run.
    """

    name: Name
    type: Kind
    version: int = 1
    title: str = ""
    language: Language = "zh"
    data: tuple[str, ...]
    columns: Columns = Columns()
    split: SplitRule = SplitRule(constant="test")
    prompt: Mapping[Language, str] = {}
    system: Mapping[Language, str] = {}
    history: Literal["given", "own"] = "given"
    score_turns: Literal["last", "every"] = "last"
    extract: str | None = None
    metrics: tuple[MetricUse, ...] = ()
    headline: str | None = None
    sampling: SamplingSpec = SamplingSpec()
    tolerate: Annotated[int, Field(ge=0)] = 0
    suite: str = ""
    folder: Path = Path()

    @field_validator("metrics", mode="before")
    @classmethod
    def _names_or_mappings(cls, value: Any) -> Any:
        if isinstance(value, list | tuple):
            return tuple({"name": one} if isinstance(one, str) else one for one in value)
        return value

    @field_validator("prompt", "system", mode="before")
    @classmethod
    def _text_or_mapping(cls, value: Any) -> Any:
        return {"zh": value, "en": value} if isinstance(value, str) else value

    @model_validator(mode="after")
    def _whole(self) -> TaskSpec:
        if self.is_choice and self.columns.options is None:
            raise ValueError("a choice task needs columns.options")
        if not self.is_text and (self.columns.rubric or self.columns.terms):
            raise ValueError("columns.rubric and columns.terms are for answers that are texts: dialogue and free_text")
        names = [use.name for use in self.metrics]
        if len(set(names)) < len(names):
            raise ValueError(f"a metric is named twice: {', '.join(names)}")
        return self

    @property
    def id(self) -> str:
        """Return `suite/task`."""
        return f"{self.suite}/{self.name}"

    @property
    def is_choice(self) -> bool:
        """Tell whether the answers are letters of options."""
        return self.type in CHOICE_KINDS

    @property
    def is_text(self) -> bool:
        """Tell whether the answers are texts, which an encoder and a judge can read."""
        return self.type in TEXT_KINDS

    @property
    def extractor(self) -> str:
        """Return the name of the extractor: the task's own, or its type's."""
        return self.extract or _EXTRACTORS[self.type]

    @property
    def metric_uses(self) -> tuple[MetricUse, ...]:
        """Return the task's metrics, or its type's, the headline first."""
        uses = self.metrics or tuple(MetricUse(name=name) for name in _METRICS[self.type])
        return tuple(sorted(uses, key=lambda use: use.name != self.headline))

    @property
    def headline_metric(self) -> str:
        """Return the name of the metric that a leaderboard shows first."""
        return self.headline or self.metric_uses[0].name


_EXTRACTORS: dict[str, str] = {
    "single_choice": "choice",
    "multiple_choice": "choices",
    "fill_blank": "blanks",
    "dialogue": "free_text",
    "free_text": "free_text",
}
_TEXT = ("rouge_l", "bleu4", "meteor", "term_score")
_METRICS: dict[str, tuple[str, ...]] = {
    "single_choice": ("accuracy",),
    "multiple_choice": ("accuracy", "option_f1", "partial_mtcmb", "partial_proportional"),
    "fill_blank": ("exact_match", "exact_match_strict", "exact_match_all", "char_f1"),
    "dialogue": _TEXT,
    "free_text": _TEXT,
}
