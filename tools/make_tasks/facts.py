"""Questions of Fundamentals and Diagnostics, from the closed facts (term, relation, object)."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from functools import cache

from harness.knowledge.entries import Fact
from harness.knowledge.files import facts
from tools.make_tasks.draft import Draft, cite

FIELDS = ("Fundamentals", "Diagnostics")
BLANK = "____"
DESCRIPTIONS = frozenset({"定义为", "表现为", "临床表现为", "辨证要点为", "特点为", "舌象为"})
"""Relations whose objects describe the term so fully that an object of any other term is wrong: classes may be mixed."""
_TRIVIAL = frozenset({"鉴别要点为"})
"""Relations whose object repeats the term."""


@cache
def closed(field: str) -> tuple[Fact, ...]:
    """Return the facts of a discipline that admit provably wrong distractors."""
    return tuple(f for f in facts() if f.discipline == field and f.closed and f.relation not in _TRIVIAL)


def pool_of(fact: Fact) -> str:
    """Return the name of the pool that a fact's options are drawn from."""
    return fact.relation if fact.relation in DESCRIPTIONS else f"{fact.relation}/{fact.kind}"


def cloze(fact: Fact, part: str) -> str | None:
    """Return the statement with `part` left out; None where it does not stand there exactly once (or last, as the object)."""
    statement = fact.statement.rstrip("。")
    times = statement.count(part)
    if times == 1:
        return statement.replace(part, BLANK)
    if times > 1 and statement.endswith(part) and part in fact.object:
        return statement[: -len(part)] + BLANK
    return None


@cache
def same_subject(field: str) -> dict[tuple[str, str], frozenset[str]]:
    """Return (term, relation) -> all objects, of open facts too."""
    found: dict[tuple[str, str], set[str]] = defaultdict(set)
    for fact in facts():
        if fact.discipline == field:
            found[fact.term, fact.relation].update(fact.object)
    return {key: frozenset(objects) for key, objects in found.items()}


@cache
def same_object(field: str) -> dict[tuple[str, str], frozenset[str]]:
    """Return (relation, object) -> all terms."""
    found: dict[tuple[str, str], set[str]] = defaultdict(set)
    for fact in facts():
        if fact.discipline == field:
            for one in fact.object:
                found[fact.relation, one].add(fact.term)
    return {key: frozenset(terms) for key, terms in found.items()}


@cache
def same_gap(field: str) -> dict[str, frozenset[str]]:
    """Return statement with a part left out -> all parts that fill it truly."""
    found: dict[str, set[str]] = defaultdict(set)
    for fact in facts():
        if fact.discipline == field:
            for part in (fact.term, *fact.object):
                gap = cloze(fact, part)
                if gap:
                    found[gap].add(part)
    return {gap: frozenset(parts) for gap, parts in found.items()}


def single(field: str) -> Iterator[Draft]:
    """Yield one-answer questions of one discipline: object asked for, and term asked for."""
    for fact in closed(field):
        if len(fact.object) != 1:
            continue
        one = fact.object[0]
        question = cloze(fact, one)
        if question:
            excluded = same_subject(field)[fact.term, fact.relation] | same_gap(field)[question]
            yield _draft(fact, "object", question, one, excluded)
        question = cloze(fact, fact.term)
        terms = same_object(field)[fact.relation, one] | same_gap(field).get(question or "", frozenset())
        if question and fact.relation != "出自":
            yield _draft(fact, "term", question, fact.term, terms)


def _draft(fact: Fact, kind: str, question: str, right: str, excluded: frozenset[str]) -> Draft:
    siblings = [f for f in closed(fact.discipline) if f.kind == fact.kind and f.relation == fact.relation]
    near = frozenset(f.term for f in siblings) if kind == "term" else frozenset(o for f in siblings for o in f.object)
    return Draft(
        template=f"fact-{kind}",
        discipline=fact.discipline,
        pool=f"{kind} {pool_of(fact)}",
        question=f"{question}。横线处应填",
        right=(right,),
        facts=(fact.id,),
        entity=f"fact:{fact.id}",
        explanation=f"{cite(fact.source)}：{fact.statement}",
        source=fact.source,
        difficulty=1 if kind == "object" else 2,
        group=fact.id,
        excluded=excluded,
        near=near,
    )
