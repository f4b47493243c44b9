"""Questions with several right options on statements: some true, some made false by another's value."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from harness.knowledge.entries import Source
from tools.make_tasks import diseases, facts
from tools.make_tasks.deal import WIDTH
from tools.make_tasks.diseases import BOOKS, Case
from tools.make_tasks.draft import Draft, rank
from tools.make_tasks.traits import how_many


@dataclass(frozen=True, slots=True)
class _Claim:
    """A true statement, the false ones that other values make of it, and where it comes from."""

    key: str
    value: str
    form: str
    unfit: tuple[str, ...]
    entity: str
    group: str
    explanation: str
    source: Source
    near: frozenset[str] = frozenset()

    def said(self, value: str) -> str:
        """Return the statement with this value in it."""
        return self.form.replace(facts.BLANK, value)


def _mixed(claims: Sequence[_Claim], field: str, template: str, question: str, seed: int) -> Iterator[Draft]:
    """Yield questions on five claims each, some turned false; every claim stands once."""
    ordered = sorted((c for c in claims if c.unfit), key=lambda c: rank(seed, c.key))
    balance: Counter[str] = Counter()
    for start in range(0, len(ordered) - WIDTH + 1, WIDTH):
        five = ordered[start : start + WIDTH]
        true = five[: how_many(seed, five[0].key, 4)]
        balance.update(c.value for c in true)
        wrong: list[str] = []
        for claim in five[len(true) :]:
            taken = {*wrong, *(c.said(c.value) for c in five)}
            free = [v for v in claim.unfit if claim.said(v) not in taken]
            if not free:
                break
            due = [v for v in free if balance[v] > 0] or free
            rate = {v: (v in claim.near, balance[v], rank(seed, claim.key + v)) for v in due}
            value = max(due, key=lambda v, r=rate: r[v])  # type: ignore[misc]
            balance[value] -= 1
            wrong.append(claim.said(value))
        if len(true) + len(wrong) < WIDTH:
            continue
        yield Draft(
            template=template,
            discipline=field,
            pool=template,
            question=question,
            right=tuple(c.said(c.value) for c in true),
            facts=tuple(c.key for c in five),
            entity=five[0].entity,
            explanation=" ".join(c.explanation for c in five),
            source=five[0].source,
            difficulty=2,
            group=five[0].group,
            wrong=tuple(wrong),
        )


def statements(field: str, splits: Mapping[str, str], seed: int) -> Iterator[Draft]:
    """Yield questions on five statements of one topic of Fundamentals or Diagnostics."""
    pools: dict[tuple[str, str], list[_Claim]] = defaultdict(list)
    for fact in facts.closed(field):
        if len(fact.object) != 1:
            continue
        own = facts.same_subject(field)[fact.term, fact.relation]
        gap = facts.cloze(fact, fact.object[0])
        if gap is None:
            continue
        unfit = {
            o
            for f in facts.closed(field)
            if f.relation == fact.relation and f.kind == fact.kind
            for o in f.object
            if not any(o in x or x in o for x in own) and o not in gap
        }
        entity = f"fact:{fact.id}"
        claim = _Claim(fact.id, fact.object[0], gap, tuple(sorted(unfit)), entity, fact.id, fact.statement, fact.source)
        pools[fact.topic, splits[f"fact:{fact.id}"]].append(claim)
    for (topic, _), claims in sorted(pools.items()):
        yield from _mixed(claims, field, "fact-statements", f"下列关于{topic}的叙述，正确的有", seed)


def pairs(field: str, splits: Mapping[str, str], seed: int) -> Iterator[Draft]:
    """Yield questions on five pairs of a pattern with a formula or a principle."""
    cases = diseases.cases(field)
    for attribute, word in (("formula", "代表方"), ("principle", "治法")):
        pools: dict[str, list[_Claim]] = defaultdict(list)
        for case in cases:
            value = case.pattern.formula if attribute == "formula" else case.pattern.principle
            if value:
                split = splits[f"disease:{case.disease.name}"]
                pools[split].append(_pair(case, value, _unfit(case, cases, attribute, splits), attribute))
        for _, claims in sorted(pools.items()):
            question = f"据《{BOOKS[field]}》，下列病证与{word}的搭配，正确的有"
            yield from _mixed(claims, field, f"disease-pairs-{attribute}", question, seed)


def _pair(case: Case, value: str, unfit: Iterable[str], attribute: str) -> _Claim:
    return _Claim(
        key=f"{case.fact}#{attribute}",
        value=value,
        form=f"{case.name}——{facts.BLANK}",
        unfit=tuple(unfit),
        entity=f"disease:{case.disease.name}",
        group=case.fact,
        explanation=diseases.explain(case),
        source=case.disease.source,
        near=frozenset(p.principle if attribute == "principle" else p.formula or "" for p in case.disease.patterns),
    )


def _unfit(case: Case, cases: Sequence[Case], attribute: str, splits: Mapping[str, str]) -> list[str]:
    """Return values of other patterns of the same split that are wrong for this one."""
    here = [c for c in cases if splits[f"disease:{c.disease.name}"] == splits[f"disease:{case.disease.name}"]]
    return diseases.unfit_formulas(case, here) if attribute == "formula" else diseases.unfit_principles(case, here)
