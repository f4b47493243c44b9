"""Tables for LaTeX: folded where they are too wide to read, continued where they are too long for a page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from math import ceil

from harness.tables.harmless import for_latex
from harness.tables.parts import Emphasis, Table, stressed, texts, width_of

_SET: Mapping[Emphasis, tuple[str, str]] = {"": ("", ""), "bold": (r"\textbf{", "}"), "italic": (r"\textit{", "}")}

_READABLE = 100
"""So many characters a line LaTeX sets in about three quarters of the letters of an article; a wider table is folded."""


_PAGE = 48
"""So many lines of a table, its title and some notes fill a page of an article; a longer table is continued in another."""


def for_paper(table: Table) -> str:
    """Return a table whose columns fold into blocks below each other where they would be shrunk too small to read.

    One that is longer than a page is continued, block by block and then row by row, under the same number.
    """
    blocks = _stacked(table)
    pages: list[tuple[Table, list[list[int]]]] = []
    for at in range(0, max(1, len(table.rows)), _PAGE):
        part = replace(table, rows=table.rows[at : at + _PAGE])
        each = max(1, _PAGE // (1 + len(part.rows)))
        pages += [(part, blocks[first : first + each]) for first in range(0, len(blocks), each)]
    last = len(pages) - 1
    return "\n\n".join(
        _page(part, group, len(blocks[0]), first=i == 0, last=i == last) for i, (part, group) in enumerate(pages)
    )


def _page(table: Table, blocks: Sequence[Sequence[int]], places: int, *, first: bool, last: bool) -> str:
    """Return the lines of one page of a table: the first has the legend, the last the notes."""
    inner = [line for block in blocks for line in [r"\midrule", *_block(table, block, places)]]
    said = [for_latex(note) + r"\par" for note in table.notes] if last else []
    box = r"\begin{minipage}{\linewidth}\footnotesize\raggedright"
    notes = [r"\par\smallskip", box, *said, r"\end{minipage}"] if said else []
    title = for_latex(table.title)
    legend = f". {for_latex(table.legend)}" if table.legend else ""
    caption = rf"\caption[{{{title}}}]{{\raggedright {title}{legend}}}"
    again = [r"\addtocounter{table}{-1}", rf"\caption[]{{\raggedright {title} (continued)}}"]
    return "\n".join(
        [
            r"\begin{table}",
            r"\centering",
            *([caption] if first else again),
            r"\resizebox{\ifdim\width>\linewidth\linewidth\else\width\fi}{!}{%",  # a table wider than the line is made to fit
            rf"\begin{{tabular}}{{l{'r' * places}}}",
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
    grid = texts(table, everything, interval=True)
    widths = [max(width_of(row[i]) for row in grid) for i in range(len(grid[0]))]
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
    body = [[for_latex(str(name)), *(stressed(cells[i], for_latex, _SET) for i in block)] for name, cells in table.rows]
    empty = [""] * (places - len(block))
    first, *rest = [_line([*row, *empty]) for row in [head, *body]]
    return [first, r"\midrule", *rest]


def _line(row: Sequence[str]) -> str:
    """Return a row of a tabular; a bracket or star at its beginning must not become an option of the line break before it."""
    return ("{}" if row[0].startswith(("[", "*")) else "") + " & ".join(row).rstrip() + r" \\"
