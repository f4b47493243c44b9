"""Holds the knowledge base to its rules: `check(folder)` lists every line that breaks one, with `file:line` and the reason."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeVar

from harness.errors import UsageError
from harness.knowledge import files
from harness.knowledge.entries import Disease, Fact, Formula, Herb, Incompatibility, Source, Syndrome
from harness.knowledge.formula_names import split_formulas
from harness.knowledge.vocabulary import (
    CATEGORIES,
    CHANNELS,
    DECOCTIONS,
    DISCIPLINES,
    FLAVOURS,
    FORMULA_CATEGORIES,
    KINDS,
    NATURES,
    PREGNANCY,
    ROLES,
    SYSTEMS,
    TOXICITY,
)

MOST_GRAMS = 120.0
"""No medicinal of the Pharmacopoeia has a greater daily dose (南瓜子, 60 to 120 g)."""

MOST_BATCH = 5000.0
"""Grams of one herb in a formula: those of pills and pastes are given for a whole batch."""

Severity = Literal["error", "warning"]
_Item = TypeVar("_Item")
_Lines = list[tuple[int, _Item]]


@dataclass(frozen=True, slots=True)
class Finding:
    """One line that breaks a rule. A warning is a gap that may stay; an error must be mended."""

    where: str
    severity: Severity
    reason: str

    def __str__(self) -> str:
        return f"{self.where}: {self.severity}: {self.reason}"


@dataclass(frozen=True, slots=True)
class Base:
    """The lines of a knowledge base, each with its number."""

    herbs: _Lines[Herb]
    formulas: _Lines[Formula]
    syndromes: _Lines[Syndrome]
    diseases: _Lines[Disease]
    fundamentals: _Lines[Fact]
    diagnostics: _Lines[Fact]
    incompatibilities: _Lines[Incompatibility]
    ingredients: frozenset[str]


def check(folder: Path = files.HERE) -> list[Finding]:
    """Return what is wrong with the knowledge base in a folder, errors first, each in the order of files and lines.

    A file that is missing or a line that is no entry ends the check with that one finding.
    """
    try:
        base = _read(folder)
    except UsageError as error:
        where, _, reason = str(error).partition(": ")
        return [Finding(where, "error", reason or where)]
    found: list[Finding] = []
    checks: tuple[Callable[[Base], Iterator[tuple[str, int, Severity, str]]], ...] = (
        _sources,
        _unique_names,
        _herbs,
        _aliases,
        _formulas,
        _patterns,
        _facts,
        _rules,
    )
    for one in checks:
        found += [Finding(f"{folder / name}.jsonl:{line}", how, why) for name, line, how, why in one(base)]
    return sorted(found, key=lambda finding: finding.severity)


def unchecked(folder: Path = files.HERE) -> dict[str, tuple[int, int]]:
    """Return for each file (lines without a text they were compared with, all lines): the data card prints their share."""
    counts: dict[str, tuple[int, int]] = {}
    for name in files.FILES:
        lines = [row for _, row in files.rows(folder / f"{name}.jsonl")]
        counts[name] = (sum(row["checked_against"] is None for row in lines), len(lines))
    return counts


def _read(folder: Path) -> Base:
    words = files.rows(folder / "words.jsonl")
    named = {form for _, row in words if row["class"] == "ingredient" for form in (row["name"], *row["forms"])}
    return Base(
        list(files.read(folder, "herbs", files.herb_of)),
        list(files.read(folder, "formulas", files.formula_of)),
        list(files.read(folder, "syndromes", files.syndrome_of)),
        list(files.read(folder, "diseases", files.disease_of)),
        list(files.read(folder, "fundamentals", files.fact_of)),
        list(files.read(folder, "diagnostics", files.fact_of)),
        list(files.read(folder, "incompatibilities", files.incompatibility_of)),
        frozenset(named),
    )


Problem = tuple[str, int, Severity, str]


def _named(base: Base) -> Iterator[tuple[str, int, str, Source]]:
    for line, herb in base.herbs:
        yield "herbs", line, herb.name, herb.source
    for line, formula in base.formulas:
        yield "formulas", line, formula.name, formula.source
    for line, syndrome in base.syndromes:
        yield "syndromes", line, syndrome.name, syndrome.source
    for line, disease in base.diseases:
        yield "diseases", line, disease.name, disease.source
    for name, facts in (("fundamentals", base.fundamentals), ("diagnostics", base.diagnostics)):
        for line, fact in facts:
            yield name, line, fact.id, fact.source
    for line, rule in base.incompatibilities:
        yield "incompatibilities", line, f"{rule.kind} {rule.a} {rule.b}", rule.source


def _sources(base: Base) -> Iterator[Problem]:
    for file, line, name, source in _named(base):
        for part in ("work", "edition", "entry"):
            if not getattr(source, part):
                yield file, line, "error", f"'{name}' names no {part} as its source"


def _unique_names(base: Base) -> Iterator[Problem]:
    first: dict[tuple[str, str], int] = {}
    for file, line, name, _ in _named(base):
        if (file, name) in first:
            yield file, line, "error", f"'{name}' stands in line {first[file, name]} too"
        first.setdefault((file, name), line)


def _outside(what: str, values: tuple[str, ...], allowed: frozenset[str]) -> Iterator[str]:
    for value in values:
        if value not in allowed:
            yield f"{what} '{value}' is not one of: {' '.join(sorted(allowed))}"


def _herbs(base: Base) -> Iterator[Problem]:
    names = {herb.name for _, herb in base.herbs}
    for line, herb in base.herbs:
        problems = [
            *_outside("nature", (herb.nature,), NATURES),
            *_outside("flavour", herb.flavours, FLAVOURS),
            *_outside("channel", herb.channels, CHANNELS),
            *_outside("toxicity", (herb.toxicity,), TOXICITY),
            *_outside("pregnancy", (herb.pregnancy,), PREGNANCY),
            *_outside("category", (herb.category,), CATEGORIES),
            *_outside("decoction", herb.decoction, DECOCTIONS),
            *_outside("relation", tuple(form.relation for form in herb.processed), frozenset({"same", "distinct"})),
        ]
        if herb.dose is None and not herb.dose_note:
            problems.append("no dose and no note why")
        if herb.dose is not None and (herb.dose.unit != "g" or not 0 < herb.dose.low <= herb.dose.high <= MOST_GRAMS):
            problems.append(f"dose {herb.dose.low:g} to {herb.dose.high:g} {herb.dose.unit} is out of reason")
        if herb.dose and herb.toxicity == "大毒" and herb.dose.high > 15:
            problems.append(f"a dose of {herb.dose.high:g} g of a herb that is 大毒")
        if herb.base is not None and herb.base not in names:
            problems.append(f"its base '{herb.base}' has no entry")
        problems += [
            f"'{form.name}' is said to be distinct and has no entry"
            for form in herb.processed
            if form.relation == "distinct" and form.name not in names
        ]
        yield from (("herbs", line, "error", f"{herb.name}: {problem}") for problem in problems)


def _aliases(base: Base) -> Iterator[Problem]:
    """No name may lead to two herbs, to two formulas or to two diseases; patterns may share one with a warning."""
    owners: dict[str, str] = {herb.name: herb.name for _, herb in base.herbs}
    for line, herb in base.herbs:
        same = [form for form in herb.processed if form.relation == "same"]
        for alias in {*herb.aliases, *(name for form in same for name in (form.name, *form.aliases))}:
            owner = owners.setdefault(alias, herb.name)
            if owner != herb.name:
                yield "herbs", line, "error", f"'{alias}' would mean {owner} and {herb.name}"
    tables = (("formulas", base.formulas), ("syndromes", base.syndromes), ("diseases", base.diseases))
    for file, lines in tables:
        known = {entry.name: entry.name for _, entry in lines}
        for line, entry in lines:
            for alias in entry.aliases:
                owner = known.setdefault(alias, entry.name)
                if owner != entry.name:
                    yield file, line, "error", f"'{alias}' would mean {owner} and {entry.name}"


def _formulas(base: Base) -> Iterator[Problem]:
    herbs = _every_herb_name(base)
    for line, formula in base.formulas:
        problems = [
            *_outside("category", (formula.category,), FORMULA_CATEGORIES),
            *_outside("role", tuple(one.role for one in formula.composition if one.role), ROLES),
        ]
        if not formula.composition:
            problems.append("no composition")
        names = [one.herb for one in formula.composition]
        problems += [f"'{name}' is no herb of the knowledge base" for name in names if name not in herbs]
        problems += [f"'{name}' stands in it twice" for name in dict.fromkeys(names) if names.count(name) > 1]
        problems += [
            f"{one.dose:g} g of {one.herb} is out of reason"
            for one in formula.composition
            if one.dose is not None and not 0 < one.dose <= MOST_BATCH
        ]
        pairs = _pairs(base, names, herbs)
        if pairs and not formula.incompatible:
            problems.append(f"contains {'; '.join(pairs)}, and 'incompatible' does not say why")
        if formula.incompatible and not pairs:
            problems.append("'incompatible' is set, but no pair of the rules is in it")
        yield from (("formulas", line, "error", f"{formula.name}: {problem}") for problem in problems)


def _patterns(base: Base) -> Iterator[Problem]:
    names = {syndrome.name for _, syndrome in base.syndromes}
    formulas = {name for _, f in base.formulas for name in (f.name, *f.aliases, *(m.name for m in f.modifications))}
    for line, syndrome in base.syndromes:
        problems = [
            *_outside("system", (syndrome.system,), SYSTEMS),
            *_outside("discipline", (syndrome.discipline,), DISCIPLINES),
        ]
        if syndrome.parent is not None and (syndrome.parent not in names or syndrome.parent == syndrome.name):
            problems.append(f"its parent '{syndrome.parent}' has no entry of its own")
        yield from (("syndromes", line, "error", f"{syndrome.name}: {problem}") for problem in problems)
        for written in syndrome.formulas:
            for name in _without_entry(written, formulas):
                yield "syndromes", line, "warning", f"{syndrome.name}: formula '{name}' has no entry"
    for line, disease in base.diseases:
        for problem in _outside("discipline", (disease.discipline,), DISCIPLINES):
            yield "diseases", line, "error", f"{disease.name}: {problem}"
        if not disease.patterns:
            yield "diseases", line, "error", f"{disease.name}: no pattern"
        for pattern in disease.patterns:
            for name in _without_entry(pattern.formula or "", formulas):
                yield "diseases", line, "warning", f"{disease.name}, {pattern.name}: formula '{name}' has no entry"


def _without_entry(written: str, known: set[str | None]) -> Iterator[str]:
    """Yield the formulas of a text such as 左归丸合二至丸 that are not known by their name."""
    yield from (name for name in split_formulas(written, known) if name not in known)


def _facts(base: Base) -> Iterator[Problem]:
    for file, facts in (("fundamentals", base.fundamentals), ("diagnostics", base.diagnostics)):
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


def _rules(base: Base) -> Iterator[Problem]:
    levels = {"妊娠禁用": "forbidden", "妊娠慎用": "caution"}
    herbs, entries = _every_herb_name(base), {herb.name: herb for _, herb in base.herbs}
    ruled: set[str] = set()
    for line, rule in base.incompatibilities:
        yield from (("incompatibilities", line, "error", p) for p in _outside("kind", (rule.kind,), KINDS))
        if bool(rule.b) == (rule.kind in levels):
            yield (
                "incompatibilities",
                line,
                "error",
                f"{rule.kind} of {'、'.join(rule.a)} has the wrong number of sides",
            )
        for name in (*rule.a, *rule.b, *rule.a_forms, *rule.b_forms):
            if name not in herbs:
                yield "incompatibilities", line, "error", f"{rule.kind}: '{name}' is no herb of the knowledge base"
        for name in rule.a if rule.kind in levels else ():
            ruled.add(name)
            if name in entries and entries[name].pregnancy != levels[rule.kind]:
                told = entries[name].pregnancy
                yield "incompatibilities", line, "error", f"{rule.kind} of {name}, but its entry says '{told}'"
    for line, herb in base.herbs:
        if herb.pregnancy != "none" and herb.name not in ruled:
            yield "herbs", line, "error", f"{herb.name}: pregnancy '{herb.pregnancy}', but no rule names it"


def _every_herb_name(base: Base) -> Mapping[str, str]:
    """Return each name of a herb, prepared forms too, and the entry it belongs to; other ingredients stand for themselves."""
    names = {name: name for name in base.ingredients}
    for _, herb in base.herbs:
        for form in herb.processed:
            if form.relation == "same":
                names.update(dict.fromkeys((form.name, *form.aliases), herb.name))
        names.update(dict.fromkeys(herb.aliases, herb.name))
    names.update({herb.name: herb.name for _, herb in base.herbs})
    return names


def _pairs(base: Base, names: list[str], herbs: Mapping[str, str]) -> list[str]:
    present = {key for name in names for key in (name, herbs.get(name, name))}
    return [
        f"{rule.kind} {'/'.join(sorted(one))} + {'/'.join(sorted(other))}"
        for _, rule in base.incompatibilities
        if rule.b and (one := present & {*rule.a, *rule.a_forms}) and (other := present & {*rule.b, *rule.b_forms})
    ]
