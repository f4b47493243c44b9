"""What suite.yaml and task.yaml may say. The schema is closed: an unknown key is an error with the nearest known one."""

from __future__ import annotations

import datetime
import difflib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, get_args

import yaml
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, field_validator, model_validator

from harness.errors import UsageError
from harness.types import DISCIPLINES

Kind = Literal["single_choice", "multiple_choice", "fill_blank", "dialogue", "free_text"]
CHOICE_KINDS: tuple[Kind, ...] = ("single_choice", "multiple_choice")
TEXT_KINDS: tuple[Kind, ...] = ("dialogue", "free_text")
KINDS: tuple[Kind, ...] = get_args(Kind)
Name = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_]*$")]
Language = Literal["zh", "en"]


def _as_written(value: Any) -> Any:
    """Return a whole number or a date that stands in YAML without quotes as the text it is in the data."""
    plain = isinstance(value, int | datetime.date) and not isinstance(value, bool)
    return str(value) if plain else value


Word = Annotated[str, BeforeValidator(_as_written)]


class Closed(BaseModel):
    """A model that refuses unknown keys."""

    model_config = ConfigDict(extra="forbid", frozen=True)


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


class OptionColumn(Closed):
    """Where the options of a choice question stand.

    `dict`: a mapping letter -> text; `list`: ["A.text", ...] or plain texts; `string`: "A. x B. y" in one text; `columns`: a
    column a letter; `inline`: in the stem itself, after the question.
    """

    form: Literal["dict", "list", "string", "columns", "inline"]
    column: str | None = None
    columns: tuple[str, ...] = ("A", "B", "C", "D", "E")

    @model_validator(mode="after")
    def _has_its_column(self) -> OptionColumn:
        if self.form in ("dict", "list", "string") and self.column is None:
            raise ValueError(f"form '{self.form}' needs 'column'")
        return self


class DisciplineColumn(Closed):
    """Which discipline a sample belongs to: one for all, or a column with a map of its values. Never guessed."""

    constant: str | None = None
    column: str | None = None
    map: Mapping[Word, str] = {}

    @model_validator(mode="after")
    def _known(self) -> DisciplineColumn:
        for name in (*([self.constant] if self.constant else []), *self.map.values()):
            if name not in DISCIPLINES:
                raise ValueError(f"discipline '{name}' is none of: {', '.join(DISCIPLINES)}")
        return self


class SplitRule(Closed):
    """How samples fall into splits: a column, all in one, or our own seeded division of groups."""

    column: str | None = None
    map: Mapping[Word, str] = {}
    constant: str | None = None
    divide: Mapping[Literal["train", "validation", "test"], float] | None = None
    seed: int = 0
    stratify: tuple[str, ...] = ()


class Columns(Closed):
    """Which column of the data holds what. A dotted path goes into nested objects."""

    id: str | None = None
    question: str | None = None
    options: OptionColumn | None = None
    answer: str = "answer"
    discipline: DisciplineColumn | None = None
    group: str | None = None
    turns: str | None = None
    slots: Mapping[Literal["disease", "pattern", "principle", "formula", "herbs"], str] = {}
    rubric: str | None = None
    terms: str | None = None
    tags: Mapping[Name, str] = {}
    fields: Mapping[str, str] = {}
    where: Mapping[str, Word | tuple[Word, ...]] = {}

    def shape(self) -> dict[str, Any]:
        """Return what of the map decides over numbers: no labels, and `rubric` and `terms` only where they are set."""
        unset = {name for name in ("rubric", "terms") if getattr(self, name) is None}
        return self.model_dump(mode="json", exclude={"tags"} | unset)


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


def parse(model: type[Any], file: Path, **defaults: str) -> Any:
    """Return the YAML file as `model`; raise UsageError naming the key, with the nearest known one."""
    try:
        raw = yaml.safe_load(file.read_text("utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{file} cannot be read: {error}") from None
    except yaml.YAMLError as error:
        raise UsageError(f"{file} is not YAML: {error}".replace('in "<unicode string>", ', "in ")) from None
    if not isinstance(raw, dict):
        raise UsageError(f"{file}: expected keys and values, found {type(raw).__name__}")
    try:
        return model.model_validate({**defaults, **raw})
    except ValidationError as error:
        raise UsageError(faults(model, file, error)) from None


def faults(model: type[BaseModel], file: Path, error: ValidationError, under: str = "") -> str:
    """Return a line for each thing that is wrong in a file's keys below `under`, with the nearest known key."""
    return "\n".join(_explain(model, file, one, under) for one in error.errors())


def _explain(model: type[BaseModel], file: Path, error: Any, under: str) -> str:
    where = ".".join([*([under] if under else []), *(str(part) for part in error["loc"])])
    if error["type"] != "extra_forbidden":
        said = error["msg"].removeprefix("Value error, ")
        return f"{file}: {where}: {said}" if where else f"{file}: {said}"
    known = _known_keys(model, [str(part) for part in error["loc"][:-1]])
    close = difflib.get_close_matches(str(error["loc"][-1]), known, n=1, cutoff=0.5)
    meant = f" Did you mean '{close[0]}'?" if close else ""
    return f"{file}: unknown key '{where}'.{meant} Known: {', '.join(known)}."


def _known_keys(model: type[BaseModel], path: list[str]) -> list[str]:
    for part in path:
        field = model.model_fields.get(part)
        inner = (
            [t for t in _types(field.annotation) if isinstance(t, type) and issubclass(t, BaseModel)] if field else []
        )
        if not inner:
            continue
        model = inner[0]
    return sorted(set(model.model_fields) - {"suite", "folder"})


def _types(annotation: Any) -> list[Any]:
    parts = get_args(annotation)
    return [annotation, *(inner for part in parts for inner in _types(part))]
