"""Rules of names and sources: every line has its source, and no name leads to two things."""

from __future__ import annotations

from collections.abc import Iterator

from harness.knowledge.check.lines import Lines, Problem
from harness.knowledge.entries import Source


def _named(lines: Lines) -> Iterator[tuple[str, int, str, Source]]:
    for line, herb in lines.herbs:
        yield "herbs", line, herb.name, herb.source
    for line, formula in lines.formulas:
        yield "formulas", line, formula.name, formula.source
    for line, syndrome in lines.syndromes:
        yield "syndromes", line, syndrome.name, syndrome.source
    for line, disease in lines.diseases:
        yield "diseases", line, disease.name, disease.source
    for name, facts in (("fundamentals", lines.fundamentals), ("diagnostics", lines.diagnostics)):
        for line, fact in facts:
            yield name, line, fact.id, fact.source
    for line, rule in lines.incompatibilities:
        yield "incompatibilities", line, f"{rule.kind} {rule.a} {rule.b}", rule.source


def check_sources(lines: Lines) -> Iterator[Problem]:
    for file, line, name, source in _named(lines):
        for part in ("work", "edition", "entry"):
            if not getattr(source, part):
                yield file, line, "error", f"'{name}' names no {part} as its source"


def check_unique_names(lines: Lines) -> Iterator[Problem]:
    first: dict[tuple[str, str], int] = {}
    for file, line, name, _ in _named(lines):
        if (file, name) in first:
            yield file, line, "error", f"'{name}' stands in line {first[file, name]} too"
        first.setdefault((file, name), line)


def check_aliases(lines: Lines) -> Iterator[Problem]:
    """Yield the names that lead to two herbs, two formulas, two patterns or two diseases."""
    owners: dict[str, str] = {herb.name: herb.name for _, herb in lines.herbs}
    for line, herb in lines.herbs:
        same = [form for form in herb.processed if form.relation == "same"]
        for alias in {*herb.aliases, *(name for form in same for name in (form.name, *form.aliases))}:
            owner = owners.setdefault(alias, herb.name)
            if owner != herb.name:
                yield "herbs", line, "error", f"'{alias}' would mean {owner} and {herb.name}"
    tables = (("formulas", lines.formulas), ("syndromes", lines.syndromes), ("diseases", lines.diseases))
    for file, entries in tables:
        known = {entry.name: entry.name for _, entry in entries}
        for line, entry in entries:
            for alias in entry.aliases:
                owner = known.setdefault(alias, entry.name)
                if owner != entry.name:
                    yield file, line, "error", f"'{alias}' would mean {owner} and {entry.name}"
