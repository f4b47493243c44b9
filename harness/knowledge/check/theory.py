"""Rules of patterns, diseases and facts."""

from __future__ import annotations

from collections.abc import Iterator

from harness.knowledge.check.lines import Lines, Problem, outside
from harness.knowledge.formula_names import split_formulas
from harness.knowledge.vocabulary import DISCIPLINES, SYSTEMS


def check_patterns(lines: Lines) -> Iterator[Problem]:
    names = {syndrome.name for _, syndrome in lines.syndromes}
    formulas = {name for _, f in lines.formulas for name in (f.name, *f.aliases, *(m.name for m in f.modifications))}
    for line, syndrome in lines.syndromes:
        problems = [
            *outside("system", (syndrome.system,), SYSTEMS),
            *outside("discipline", (syndrome.discipline,), DISCIPLINES),
        ]
        if syndrome.parent is not None and (syndrome.parent not in names or syndrome.parent == syndrome.name):
            problems.append(f"its parent '{syndrome.parent}' has no entry of its own")
        yield from (("syndromes", line, "error", f"{syndrome.name}: {problem}") for problem in problems)
        for written in syndrome.formulas:
            for name in _without_entry(written, formulas):
                yield "syndromes", line, "warning", f"{syndrome.name}: formula '{name}' has no entry"
    for line, disease in lines.diseases:
        for problem in outside("discipline", (disease.discipline,), DISCIPLINES):
            yield "diseases", line, "error", f"{disease.name}: {problem}"
        if not disease.patterns:
            yield "diseases", line, "error", f"{disease.name}: no pattern"
        for pattern in disease.patterns:
            for name in _without_entry(pattern.formula or "", formulas):
                yield "diseases", line, "warning", f"{disease.name}, {pattern.name}: formula '{name}' has no entry"


def _without_entry(written: str, known: set[str | None]) -> Iterator[str]:
    """Yield the formulas of a text such as 左归丸合二至丸 that are not known by their name."""
    yield from (name for name in split_formulas(written, known) if name not in known)


def check_facts(lines: Lines) -> Iterator[Problem]:
    for file, facts in (("fundamentals", lines.fundamentals), ("diagnostics", lines.diagnostics)):
        wanted = file.capitalize()
        closed: dict[tuple[str, str], tuple[int, bool]] = {}
        stated: dict[tuple[str, str, str], int] = {}
        for line, fact in facts:
            if fact.discipline != wanted:
                yield file, line, "error", f"{fact.id}: discipline '{fact.discipline}' in {file}"
            if not fact.object or not all(fact.object) or not fact.statement:
                yield file, line, "error", f"{fact.id}: no object or no statement"
            first = closed.setdefault((fact.term, fact.relation), (line, fact.closed))
            if first[1] != fact.closed:
                what = f"{fact.relation} of {fact.term}"
                yield file, line, "error", f"{fact.id}: {what} is closed here or in line {first[0]}, not in both"
            for thing in fact.object:
                earlier = stated.setdefault((fact.term, fact.relation, thing), line)
                if earlier != line:
                    yield file, line, "error", f"{fact.id}: line {earlier} states the same"
