"""Rules of herbs, of formulas and of what must not be given together or in pregnancy."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from harness.knowledge.check.lines import Lines, Problem, every_herb_name, outside
from harness.knowledge.vocabulary import (
    CATEGORIES,
    CHANNELS,
    DECOCTIONS,
    FLAVOURS,
    FORMULA_CATEGORIES,
    KINDS,
    NATURES,
    PREGNANCY,
    ROLES,
    TOXICITY,
)

MOST_GRAMS = 120.0
"""No medicinal of the Pharmacopoeia has a greater daily dose (南瓜子, 60 to 120 g)."""

MOST_BATCH = 5000.0
"""Grams of one herb in a formula: those of pills and pastes are given for a whole batch."""


def check_herbs(lines: Lines) -> Iterator[Problem]:
    names = {herb.name for _, herb in lines.herbs}
    for line, herb in lines.herbs:
        problems = [
            *outside("nature", (herb.nature,), NATURES),
            *outside("flavour", herb.flavours, FLAVOURS),
            *outside("channel", herb.channels, CHANNELS),
            *outside("toxicity", (herb.toxicity,), TOXICITY),
            *outside("pregnancy", (herb.pregnancy,), PREGNANCY),
            *outside("category", (herb.category,), CATEGORIES),
            *outside("decoction", herb.decoction, DECOCTIONS),
            *outside("relation", tuple(form.relation for form in herb.processed), frozenset({"same", "distinct"})),
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


def check_formulas(lines: Lines) -> Iterator[Problem]:
    herbs = every_herb_name(lines)
    for line, formula in lines.formulas:
        problems = [
            *outside("category", (formula.category,), FORMULA_CATEGORIES),
            *outside("role", tuple(one.role for one in formula.composition if one.role), ROLES),
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
        pairs = _pairs(lines, names, herbs)
        if pairs and not formula.incompatible:
            problems.append(f"contains {'; '.join(pairs)}, and 'incompatible' does not say why")
        if formula.incompatible and not pairs:
            problems.append("'incompatible' is set, but no pair of the rules is in it")
        yield from (("formulas", line, "error", f"{formula.name}: {problem}") for problem in problems)


def _pairs(lines: Lines, names: list[str], herbs: Mapping[str, str]) -> list[str]:
    present = {key for name in names for key in (name, herbs.get(name, name))}
    return [
        f"{rule.kind} {'/'.join(sorted(one))} + {'/'.join(sorted(other))}"
        for _, rule in lines.incompatibilities
        if rule.b and (one := present & {*rule.a, *rule.a_forms}) and (other := present & {*rule.b, *rule.b_forms})
    ]


def check_rules(lines: Lines) -> Iterator[Problem]:
    levels = {"妊娠禁用": "forbidden", "妊娠慎用": "caution"}
    herbs, entries = every_herb_name(lines), {herb.name: herb for _, herb in lines.herbs}
    ruled: set[str] = set()
    for line, rule in lines.incompatibilities:
        yield from (("incompatibilities", line, "error", p) for p in outside("kind", (rule.kind,), KINDS))
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
    for line, herb in lines.herbs:
        if herb.pregnancy != "none" and herb.name not in ruled:
            yield "herbs", line, "error", f"{herb.name}: pregnancy '{herb.pregnancy}', but no rule names it"
