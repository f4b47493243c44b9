"""Tables as terminal text, Markdown, CSV, JSON and LaTeX, every text made harmless for the form it goes into."""

from __future__ import annotations

import csv
import io
import shutil
from collections.abc import Mapping, Sequence
from typing import Any

from harness.tables.harmless import for_csv, for_markdown, plain_json, printable
from harness.tables.latex import for_paper
from harness.tables.parts import Cell, Emphasis, Form, Name, Table, stressed, texts, width_of


def terminal_width(elsewhere: int) -> int:
    """Return how many columns the terminal has; `elsewhere` where output is none, as in a pipe, and COLUMNS is not set."""
    return shutil.get_terminal_size((elsewhere, 40)).columns


def render(tables: Sequence[Table], form: Form, *, width: int = 100) -> str:
    """Return all tables in one form, ready to print or to save."""
    if form == "json":
        return plain_json({"schema": 1, "tables": [_plain(t) for t in tables]}, indent=1)
    if form == "csv":
        return _csv(tables)
    draw = {"table": lambda t: _terminal(t, width), "markdown": _markdown, "latex": for_paper}[form]
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


def _pad(text: str, width: int) -> str:
    return text + " " * max(0, width - width_of(text))


def _terminal(table: Table, width: int) -> str:
    """Return aligned columns; intervals are left out first, then columns fold onto further blocks, when the line is too short."""
    interval = True
    blocks = _blocks(table, width, interval=True)
    if len(blocks) > 1:
        interval = len(_blocks(table, width, interval=False)) == len(blocks)
        blocks = _blocks(table, width, interval=interval)
    lines = [printable(table.title)]
    for columns in blocks:
        grid = texts(table, columns, interval=interval)
        widths = [max(width_of(row[i]) for row in grid) for i in range(len(grid[0]))]
        drawn = ["  ".join(_pad(cell, w) for cell, w in zip(row, widths, strict=True)).rstrip() for row in grid]
        rule = "─" * min(width, sum(widths) + 2 * (len(widths) - 1))
        lines += [rule, drawn[0], rule, *drawn[1:]]
    return "\n".join([*lines, *(f"  {printable(note)}" for note in table.notes)])


def _blocks(table: Table, width: int, *, interval: bool) -> list[list[int]]:
    everything = range(len(table.columns))
    grid = texts(table, everything, interval=interval)
    widths = [max(width_of(row[i]) for row in grid) for i in range(len(grid[0]))]
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
        f"| {for_markdown(str(name))} | " + " | ".join(stressed(cell, for_markdown, _MARKDOWN) for cell in cells) + " |"
        for name, cells in table.rows
    ]
    notes = [f"\n{for_markdown(note)}" for note in table.notes]
    legend = [for_markdown(table.legend), ""] if table.legend else []
    return "\n".join([f"### {for_markdown(table.title)}", "", *legend, head, rule, *body, *notes])


_MARKDOWN: Mapping[Emphasis, tuple[str, str]] = {"": ("", ""), "bold": ("**", "**"), "italic": ("_", "_")}


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
