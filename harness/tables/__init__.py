"""Tables as terminal text, Markdown, CSV, JSON and LaTeX. Every text from outside is neutralised for the form it goes into."""

from __future__ import annotations

from harness.tables.drawn import render, terminal_width
from harness.tables.harmless import (
    code_markdown,
    counted,
    for_csv,
    for_latex,
    for_markdown,
    money,
    plain_json,
    printable,
    shortened,
)
from harness.tables.parts import FORMS, Cell, Emphasis, Form, Name, Table

__all__ = [
    "FORMS",
    "Cell",
    "Emphasis",
    "Form",
    "Name",
    "Table",
    "code_markdown",
    "counted",
    "for_csv",
    "for_latex",
    "for_markdown",
    "money",
    "plain_json",
    "printable",
    "render",
    "shortened",
    "terminal_width",
]
