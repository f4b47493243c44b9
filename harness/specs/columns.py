"""Which columns of the data hold what: ids, options, disciplines, splits, and the key."""

from __future__ import annotations

import datetime
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, model_validator

from harness.specs.closed import Closed
from harness.types import DISCIPLINES

Name = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_]*$")]


def _as_written(value: Any) -> Any:
    """Return a whole number or a date that stands in YAML without quotes as the text it is in the data."""
    plain = isinstance(value, int | datetime.date) and not isinstance(value, bool)
    return str(value) if plain else value


Word = Annotated[str, BeforeValidator(_as_written)]


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
