"""The lines of a knowledge base, each with its number, and what several of its rules look up in them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeVar

from harness.knowledge import files
from harness.knowledge.entries import Disease, Fact, Formula, Herb, Incompatibility, Syndrome

Severity = Literal["error", "warning"]
_Item = TypeVar("_Item")
_Lines = list[tuple[int, _Item]]

Problem = tuple[str, int, Severity, str]
"""The file, the line, how grave it is, and the reason."""


@dataclass(frozen=True, slots=True)
class Lines:
    """The lines of a knowledge base, each with its number."""

    herbs: _Lines[Herb]
    formulas: _Lines[Formula]
    syndromes: _Lines[Syndrome]
    diseases: _Lines[Disease]
    fundamentals: _Lines[Fact]
    diagnostics: _Lines[Fact]
    incompatibilities: _Lines[Incompatibility]
    ingredients: frozenset[str]


def read_lines(folder: Path) -> Lines:
    """Return the lines of a folder; raise UsageError for a file that is missing or a line that is no entry."""
    words = files.rows(folder / "words.jsonl")
    named = {form for _, row in words if row["class"] == "ingredient" for form in (row["name"], *row["forms"])}
    return Lines(
        list(files.read(folder, "herbs", files.herb_of)),
        list(files.read(folder, "formulas", files.formula_of)),
        list(files.read(folder, "syndromes", files.syndrome_of)),
        list(files.read(folder, "diseases", files.disease_of)),
        list(files.read(folder, "fundamentals", files.fact_of)),
        list(files.read(folder, "diagnostics", files.fact_of)),
        list(files.read(folder, "incompatibilities", files.incompatibility_of)),
        frozenset(named),
    )


def every_herb_name(lines: Lines) -> Mapping[str, str]:
    """Return each name of a herb, prepared forms too, and the entry it belongs to; other ingredients stand for themselves."""
    names = {name: name for name in lines.ingredients}
    for _, herb in lines.herbs:
        for form in herb.processed:
            if form.relation == "same":
                names.update(dict.fromkeys((form.name, *form.aliases), herb.name))
        names.update(dict.fromkeys(herb.aliases, herb.name))
    names.update({herb.name: herb.name for _, herb in lines.herbs})
    return names


def outside(what: str, values: tuple[str, ...], allowed: frozenset[str]) -> Iterator[str]:
    """Yield a reason for each value that is not allowed."""
    for value in values:
        if value not in allowed:
            yield f"{what} '{value}' is not one of: {' '.join(sorted(allowed))}"
