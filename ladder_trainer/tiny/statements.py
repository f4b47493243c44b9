"""The knowledge base as short statements, subject - relation - objects: what the tiny model reads and recalls."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass

from harness.knowledge.entries import Disease, Fact, Formula, Herb
from harness.knowledge.files import diseases, facts, formulas, herbs

INVERSE = "^"
"""Ends the key of a statement that is read from its object to its subject."""

_PREGNANCY = {"forbidden": "禁用", "caution": "慎用", "none": "不忌"}


@dataclass(frozen=True, slots=True)
class Statement:
    """One thing known. `key` is the fact's id as tcm_core writes it; `objects` stand in a fixed order."""

    key: str
    subject: str
    relation: str
    objects: tuple[str, ...]

    def said(self) -> str:
        """Return the whole statement."""
        return f"{self.lead()}{'、'.join(self.objects)}"

    def lead(self, last: str | None = None) -> str:
        """Return the statement up to, and without, the object `last`; without any object for None."""
        before = self.objects[: self.objects.index(last)] if last is not None else ()
        return self.subject + self.relation + "".join(f"{one}、" for one in before)


def book(withheld: Collection[str] = ()) -> dict[str, Statement]:
    """Return fact id -> statement, without the facts whose ids are `withheld`; inverses have the id and `^`."""
    out = frozenset(withheld)
    found: dict[str, Statement] = {}
    for makers in (_of_herbs(herbs()), _of_formulas(formulas()), _of_diseases(diseases())):
        for statement in makers:
            if statement.key.rstrip(INVERSE) not in out:
                found[statement.key] = statement
    found.update(_of_facts([fact for fact in facts() if fact.id not in out]))
    return found


def title(formula: Formula) -> str:
    """Return a formula's name with its source, as questions write it."""
    return f"{formula.name}（《{formula.source.work}》）"


def case_name(disease: str, pattern: str) -> str:
    """Return a disease and one of its patterns as questions write them."""
    return f"{disease}（{pattern.replace('-', '·')}）"


def _of_herbs(all_herbs: Iterable[Herb]) -> Iterator[Statement]:
    for herb in all_herbs:
        said = {
            "category": ("属", herb.category),
            "nature": ("性", herb.nature),
            "channels": ("归", "、".join(herb.channels) + "经"),
            "flavours": ("味", "、".join(herb.flavours)),
            "toxicity": ("毒性", "无毒" if herb.toxicity == "无毒" else "有毒"),
            "pregnancy": ("孕妇", _PREGNANCY[herb.pregnancy]),
        }
        if herb.dose is not None and herb.dose.route == "煎服" and not herb.dose_note:
            said["dose"] = ("用量", f"{herb.dose.low:g}～{herb.dose.high:g}g")
        if herb.toxicity != "无毒":
            said["toxicity degree"] = ("标", herb.toxicity)
        for attribute, (relation, value) in said.items():
            yield Statement(f"herb:{herb.name}#{attribute}", herb.name, relation, (value,))


def _of_formulas(all_formulas: Iterable[Formula]) -> Iterator[Statement]:
    for formula in all_formulas:
        key, name = f"formula:{formula.name}", formula.name
        members = tuple(dict.fromkeys(i.herb for i in formula.composition))
        if members:
            yield Statement(f"{key}#composition", name, "由", members)
        if 3 <= len(members) <= 9:
            yield Statement(f"{key}#composition{INVERSE}", "、".join(members), "合为", (name,))
        for attribute, role in (("sovereign", "君"), ("minister", "臣")):
            chiefs = tuple(dict.fromkeys(i.herb for i in formula.composition if i.role == role))
            if chiefs:
                yield Statement(f"{key}#{attribute}", name, f"{role}药", chiefs)
        yield Statement(f"{key}#category", name, "属", (f"{formula.category}剂",))
        yield Statement(f"{key}#source", name, "出自", (f"《{formula.source.work}》",))


def _of_diseases(all_diseases: Iterable[Disease]) -> Iterator[Statement]:
    for disease in all_diseases:
        meaning = disease.definition.rstrip("。")
        yield Statement(f"disease:{disease.name}#definition", disease.name, "指", (meaning,))
        yield Statement(f"disease:{disease.name}#definition{INVERSE}", meaning, "即", (disease.name,))
        for pattern in disease.patterns:
            key, name = f"disease:{disease.name}/{pattern.name}", case_name(disease.name, pattern.name)
            bare = pattern.name.split("-")[-1].split("（")[0]
            yield Statement(f"{key}#principle", name, "治以", (pattern.principle,))
            if pattern.formula:
                yield Statement(f"{key}#formula", name, "用", (pattern.formula,))
                clue = f"{disease.name}、{pattern.principle}、{pattern.formula}"
                yield Statement(f"{key}#formula{INVERSE}", clue, "证为", (bare,))


def _of_facts(all_facts: Iterable[Fact]) -> dict[str, Statement]:
    """Return id -> statement, and its inverse; facts with one term and relation share a statement, as inverses do."""
    objects: dict[tuple[str, str], dict[str, None]] = defaultdict(dict)
    terms: dict[tuple[str, str], dict[str, None]] = defaultdict(dict)
    known = list(all_facts)
    for fact in known:
        for one in fact.object:
            objects[fact.term, fact.relation][one] = None
            terms[one, fact.relation][fact.term] = None
    found: dict[str, Statement] = {}
    for fact in known:
        key = (fact.term, fact.relation)
        found[fact.id] = Statement(fact.id, fact.term, fact.relation, tuple(objects[key]))
        if len(fact.object) == 1:
            one = fact.object[0]
            whose = tuple(terms[one, fact.relation])
            found[fact.id + INVERSE] = Statement(fact.id + INVERSE, one, f"是其{fact.relation}者", whose)
    return found
