"""Tables as terminal text, Markdown, CSV, JSON and LaTeX, every text made harmless for the form it goes into."""

from __future__ import annotations

import csv
import io
import shutil
import unicodedata
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from math import ceil
from typing import Any, Literal

from harness.tables.harmless import for_csv, for_latex, for_markdown, plain_json, printable

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


def terminal_width(elsewhere: int) -> int:
    """Return how many columns the terminal has; `elsewhere` where output is none, as in a pipe, and COLUMNS is not set."""
    return shutil.get_terminal_size((elsewhere, 40)).columns


def render(tables: Sequence[Table], form: Form, *, width: int = 100) -> str:
    """Return all tables in one form, ready to print or to save."""
    if form == "json":
        return plain_json({"schema": 1, "tables": [_plain(t) for t in tables]}, indent=1)
    if form == "csv":
        return _csv(tables)
    draw = {"table": lambda t: _terminal(t, width), "markdown": _markdown, "latex": _latex}[form]
    return "\n\n".join(draw(table) for table in tables)


def _plain(table: Table) -> dict[str, Any]:
    rows = [
        {"name": str(name), "cells": {column: _cell(cell) for column, cell in zip(table.columns, cells, strict=True)}}
        for name, cells in table.rows
    ]
    return {
        "title": table.title,
        "kind": table.kind,
        "columns": list(table.columns),
        "rows": rows,
        "notes": list(table.notes),
    }


def _cell(cell: Cell) -> dict[str, Any]:
    shown = {"value": cell.value, "low": cell.low, "high": cell.high, "text": cell.text, "marks": cell.marks.strip()}
    return {**{k: v for k, v in shown.items() if v not in (None, "")}, **cell.detail}


def _width(text: str) -> int:
    return sum(2 if unicodedata.east_asian_width(c) in "WF" else 0 if unicodedata.combining(c) else 1 for c in text)


def _pad(text: str, width: int) -> str:
    return text + " " * max(0, width - _width(text))


def _terminal(table: Table, width: int) -> str:
    """Return aligned columns; intervals are left out first, then columns fold onto further blocks, when the line is too short."""
    interval = True
    blocks = _blocks(table, width, interval=True)
    if len(blocks) > 1:
        interval = len(_blocks(table, width, interval=False)) == len(blocks)
        blocks = _blocks(table, width, interval=interval)
    lines = [printable(table.title)]
    for columns in blocks:
        grid = _grid(table, columns, interval=interval)
        widths = [max(_width(row[i]) for row in grid) for i in range(len(grid[0]))]
        drawn = ["  ".join(_pad(cell, w) for cell, w in zip(row, widths, strict=True)).rstrip() for row in grid]
        rule = "─" * min(width, sum(widths) + 2 * (len(widths) - 1))
        lines += [rule, drawn[0], rule, *drawn[1:]]
    return "\n".join([*lines, *(f"  {printable(note)}" for note in table.notes)])


def _grid(table: Table, columns: Sequence[int], *, interval: bool) -> list[list[str]]:
    head = ["", *(printable(table.columns[i]) for i in columns)]
    return [
        head,
        *(
            [printable(str(name)), *(printable(cells[i].show(interval=interval)) for i in columns)]
            for name, cells in table.rows
        ),
    ]


def _blocks(table: Table, width: int, *, interval: bool) -> list[list[int]]:
    everything = range(len(table.columns))
    grid = _grid(table, everything, interval=interval)
    widths = [max(_width(row[i]) for row in grid) for i in range(len(grid[0]))]
    blocks: list[list[int]] = [[]]
    used = widths[0]
    for column in everything:
        needed = 2 + widths[column + 1]
        if blocks[-1] and used + needed > width:
            blocks.append([])
            used = widths[0]
        blocks[-1].append(column)
        used += needed
    return blocks


def _markdown(table: Table) -> str:
    head = f"| {for_markdown(table.of)} | " + " | ".join(for_markdown(c) for c in table.columns) + " |"
    rule = "| --- |" + " ---: |" * len(table.columns)
    body = [
        f"| {for_markdown(str(name))} | "
        + " | ".join(_stressed(cell, for_markdown, _MARKDOWN) for cell in cells)
        + " |"
        for name, cells in table.rows
    ]
    notes = [f"\n{for_markdown(note)}" for note in table.notes]
    legend = [for_markdown(table.legend), ""] if table.legend else []
    return "\n".join([f"### {for_markdown(table.title)}", "", *legend, head, rule, *body, *notes])


_MARKDOWN: Mapping[Emphasis, tuple[str, str]] = {"": ("", ""), "bold": ("**", "**"), "italic": ("_", "_")}
_SET: Mapping[Emphasis, tuple[str, str]] = {"": ("", ""), "bold": (r"\textbf{", "}"), "italic": (r"\textit{", "}")}


def _stressed(cell: Cell, safe: Callable[[str], str], signs: Mapping[Emphasis, tuple[str, str]]) -> str:
    """Return a cell whose number is emphasised in one form's signs."""
    number, rest = cell.split()
    before, after = signs[cell.emphasis]
    return before + safe(number) + after + safe(rest)


_READABLE = 100
"""So many characters a line LaTeX sets in about three quarters of the letters of an article; a wider table is folded."""


def _latex(table: Table) -> str:
    """Return a table whose columns fold into blocks below each other where they would be shrunk too small to read."""
    blocks = _stacked(table)
    inner = [line for block in blocks for line in [r"\midrule", *_block(table, block, len(blocks[0]))]]
    said = [for_latex(note) + r"\par" for note in table.notes]
    box = r"\begin{minipage}{\linewidth}\footnotesize\raggedright"
    notes = [r"\par\smallskip", box, *said, r"\end{minipage}"] if said else []
    title = for_latex(table.title)
    legend = f". {for_latex(table.legend)}" if table.legend else ""
    return "\n".join(
        [
            r"\begin{table}",
            r"\centering",
            rf"\caption[{{{title}}}]{{\raggedright {title}{legend}}}",
            r"\resizebox{\ifdim\width>\linewidth\linewidth\else\width\fi}{!}{%",  # a table wider than the line is made to fit
            rf"\begin{{tabular}}{{l{'r' * len(blocks[0])}}}",
            r"\toprule",
            *inner[1:],
            r"\bottomrule",
            r"\end{tabular}}",
            *notes,
            r"\end{table}",
        ]
    )


def _stacked(table: Table) -> list[list[int]]:
    """Return the columns in the fewest blocks of about equal length that, one below the other, are narrow enough to read."""
    everything = list(range(len(table.columns)))
    grid = _grid(table, everything, interval=True)
    widths = [max(_width(row[i]) for row in grid) for i in range(len(grid[0]))]
    blocks = [everything]
    for each in sorted({ceil(len(everything) / number) for number in range(1, len(everything) + 1)}, reverse=True):
        blocks = [everything[at : at + each] for at in range(0, len(everything), each)]
        needed = (max(widths[1 + block[place]] for block in blocks if place < len(block)) for place in range(each))
        if widths[0] + sum(2 + one for one in needed) <= _READABLE:
            break
    return blocks


def _block(table: Table, block: Sequence[int], places: int) -> list[str]:
    """Return the lines of one block, each row filled up to so many places."""
    head = [for_latex(table.of.capitalize()), *(for_latex(table.columns[i]) for i in block)]
    body = [
        [for_latex(str(name)), *(_stressed(cells[i], for_latex, _SET) for i in block)] for name, cells in table.rows
    ]
    empty = [""] * (places - len(block))
    first, *rest = [_line([*row, *empty]) for row in [head, *body]]
    return [first, r"\midrule", *rest]


def _line(row: Sequence[str]) -> str:
    """Return a row of a tabular; a bracket or star at its beginning must not become an option of the line break before it."""
    return ("{}" if row[0].startswith(("[", "*")) else "") + " & ".join(row).rstrip() + r" \\"


def _csv(tables: Sequence[Table]) -> str:
    """Return one long table: a line a cell, so that tables of different columns fit into one file."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(_CSV)
    for table in tables:
        asked = table.asked or [("", "")] * len(table.columns)
        for name, cells in table.rows:
            who = name if isinstance(name, Name) else Name(name)
            rank = None if who.rank == "–" else who.rank
            for i, cell in enumerate(cells):
                if cell.value is None and cell.text is None:
                    continue
                task, metric = who.asked or asked[i]
                model = table.whose[i] if table.whose else who.bare
                row: list[str | float | None] = [table.title, table.kind, model, rank, who.marks + cell.marks.strip()]
                row += [
                    table.columns[i],
                    task,
                    metric,
                    cell.value,
                    cell.low,
                    cell.high,
                    cell.detail.get("n"),
                    cell.text,
                ]
                row.append(cell.detail.get("comparison_id"))
                writer.writerow([for_csv(one) if isinstance(one, str) else one for one in row])
    return out.getvalue()


_OF = ("table", "kind", "model", "rank", "marks", "column", "task", "metric")
_CSV = (*_OF, "value", "low", "high", "n", "text", "comparison_id")
