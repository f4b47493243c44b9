"""What a table is, and its cells as text."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from harness.tables.harmless import printable

Form = Literal["table", "markdown", "csv", "json", "latex"]
Emphasis = Literal["", "bold", "italic"]
FORMS: tuple[Form, ...] = ("table", "markdown", "csv", "json", "latex")


@dataclass(frozen=True, slots=True)
class Cell:
    """One number with its interval and marks; `value=None` shows as a dash. `text` replaces the number where given.

    `emphasis` shows in Markdown and LaTeX.
    """

    value: float | None = None
    low: float | None = None
    high: float | None = None
    text: str | None = None
    marks: str = ""
    detail: Mapping[str, Any] = field(default_factory=dict)
    emphasis: Emphasis = ""

    def show(self, *, interval: bool = True) -> str:
        """Return the cell as plain text: three decimals, interval in brackets."""
        number, rest = self.split(interval=interval)
        return number + rest

    def split(self, *, interval: bool = True) -> tuple[str, str]:
        """Return the cell's number, or what stands for it, and what follows: interval and marks."""
        if self.text is not None:
            return self.text, self.marks
        if self.value is None:
            return "–", ""
        known = interval and self.low is not None and self.high is not None
        return f"{self.value:.3f}", (f" [{self.low:.3f}, {self.high:.3f}]" if known else "") + self.marks


@dataclass(frozen=True, slots=True)
class Name:
    """What a row is called, with its rank and marks, which only CSV holds apart from the name.

    `rank` is "–" for a row that a ranking does not rank, and None where nobody is ranked. `asked` is the task and metric of a row
    that is no model.
    """

    bare: str
    rank: int | Literal["–"] | None = None
    marks: str = ""
    asked: tuple[str, str] | None = None

    def __str__(self) -> str:
        """Return all of it as a reader sees it: 1. name, or –  name †."""
        before = "" if self.rank is None else "–  " if self.rank == "–" else f"{self.rank}. "
        return f"{before}{self.bare}{f' {self.marks}' if self.marks else ''}"


@dataclass(frozen=True, slots=True)
class Table:
    """A title, column names, rows of (name, cells), and notes below; `of` says what a row is.

    `asked` says for each column its task, "" where it is of no single one, and its metric; for CSV, and empty where columns are no metrics.
    `whose` says for each column whose numbers it has, where rows are no models; for CSV too.
    `legend` says what emphasis means: part of the caption in LaTeX, below the title in Markdown, elsewhere not shown.
    """

    title: str
    columns: Sequence[str]
    rows: Sequence[tuple[str | Name, Sequence[Cell]]]
    notes: Sequence[str] = ()
    kind: str = "measured"
    of: str = "model"
    legend: str = ""
    asked: Sequence[tuple[str, str]] = ()
    whose: Sequence[str] = ()


def width_of(text: str) -> int:
    """Return how many columns of a terminal a text takes: Chinese characters two each."""
    return sum(2 if unicodedata.east_asian_width(c) in "WF" else 0 if unicodedata.combining(c) else 1 for c in text)


def texts(table: Table, columns: Sequence[int], *, interval: bool) -> list[list[str]]:
    """Return some columns as rows of texts, their names first, each row's name before it."""
    head = ["", *(printable(table.columns[i]) for i in columns)]
    return [
        head,
        *(
            [printable(str(name)), *(printable(cells[i].show(interval=interval)) for i in columns)]
            for name, cells in table.rows
        ),
    ]


def stressed(cell: Cell, safe: Callable[[str], str], signs: Mapping[Emphasis, tuple[str, str]]) -> str:
    """Return a cell whose number is emphasised in one form's signs."""
    number, rest = cell.split()
    before, after = signs[cell.emphasis]
    return before + safe(number) + after + safe(rest)
