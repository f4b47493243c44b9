"""Questions with two to four right options."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from harness.knowledge.entries import Formula, Source
from harness.knowledge.files import formulas
from tools.make_tasks import diseases, facts
from tools.make_tasks.deal import WIDTH
from tools.make_tasks.diseases import BOOKS, Case, parts
from tools.make_tasks.draft import Draft, cite, rank
from tools.make_tasks.formulas import ROLES_DIFFER, explain, kin, own_herbs, title
from tools.make_tasks.traits import how_many, shared_property

Splits = Mapping[str, str]


def multiple(field: str, splits: Splits, seed: int) -> Iterator[Draft]:
    """Yield the several-answer drafts of a discipline."""
    if field == "Pharmacognosy":
        yield from shared_property(splits, seed)
    elif field == "Herbal Formulas":
        yield from _members(formulas(), field, seed)
        yield from _from_book(splits, seed)
    elif field in facts.FIELDS:
        yield from _statements(field, splits, seed)
    else:
        yield from _pairs(field, splits, seed)
        yield from _two_hops(field, splits, seed)


# ------------------------------------------------------------------ sets of herbs


def _members(recipes: Iterable[Formula], field: str, seed: int) -> Iterator[Draft]:
    for formula in recipes:
        names = sorted(
            {i.herb for i in formula.composition if i.herb[:2] not in formula.name},
            key=lambda n: rank(seed, formula.name + n),
        )
        if len(names) < 2:
            continue
        yield Draft(
            template="formula-members",
            discipline=field,
            pool="formula members",
            question=f"下列药物中，属于{title(formula)}组成的有",
            right=tuple(names[: how_many(seed, formula.name, len(names))]),
            facts=(f"formula:{formula.name}#composition",),
            entity=f"formula:{formula.name}",
            explanation=explain(formula),
            source=formula.source,
            difficulty=2,
            group=f"formula:{formula.name}",
            excluded=own_herbs(formula),
        )


def _two_hops(field: str, splits: Splits, seed: int) -> Iterator[Draft]:
    """From disease and pattern to the formula, and from the formula to its herbs."""
    known = {name: f for f in formulas() for name in (f.name, *f.aliases)}
    for case in diseases.cases(field):
        names = parts(case.pattern.formula or "")
        formula = known.get(names[0]) if len(names) == 1 else None
        if formula is None or splits[f"formula:{formula.name}"] != splits[f"disease:{case.disease.name}"]:
            continue
        inside = sorted(
            {i.herb for i in formula.composition if i.herb[:2] not in formula.name},
            key=lambda n: rank(seed, case.name + n),
        )
        if len(inside) < 2:
            continue
        yield Draft(
            template="disease-members",
            discipline=field,
            pool="disease members",
            question=f"据《{BOOKS[field]}》，{case.name}代表方的组成药物有",
            right=tuple(inside[: how_many(seed, case.name, len(inside))]),
            facts=(f"{case.fact}#formula", f"formula:{formula.name}#composition"),
            entity=f"disease:{case.disease.name}",
            explanation=diseases.explain(case) + explain(formula),
            source=case.disease.source,
            difficulty=3,
            group=case.fact,
            excluded=own_herbs(formula),
        )


def sovereigns(field: str, splits: Splits) -> Iterator[Draft]:
    """Yield one-answer questions: from disease and pattern to the formula, and to its sovereign herb."""
    known = {name: f for f in formulas() for name in (f.name, *f.aliases)}
    for case in diseases.cases(field):
        names = parts(case.pattern.formula or "")
        formula = known.get(names[0]) if len(names) == 1 else None
        if formula is None or splits[f"formula:{formula.name}"] != splits[f"disease:{case.disease.name}"]:
            continue
        chiefs = [i.herb for i in formula.composition if i.role == "君"]
        if len(chiefs) != 1 or len(formula.composition) < 4 or formula.name in ROLES_DIFFER:
            continue
        yield Draft(
            template="disease-sovereign",
            discipline=field,
            pool="disease sovereign",
            question=f"据《{BOOKS[field]}》，{case.name}代表方的君药是",
            right=(chiefs[0],),
            facts=(f"{case.fact}#formula", f"formula:{formula.name}#composition"),
            entity=f"disease:{case.disease.name}",
            explanation=diseases.explain(case) + explain(formula),
            source=case.disease.source,
            difficulty=3,
            group=case.fact,
            excluded=kin().get(chiefs[0], frozenset()),
            near=frozenset(i.herb for i in formula.composition if i.role not in ("君", None)),
        )


def _from_book(splits: Splits, seed: int) -> Iterator[Draft]:
    """Formulas that come from one book."""
    textbook = [f for f in formulas() if f.textbook == "方剂学" and not f.source.work.startswith(("中医", "方剂"))]
    for split in sorted(set(splits.values())):
        books: dict[str, list[Formula]] = defaultdict(list)
        for formula in textbook:
            if splits[f"formula:{formula.name}"] == split:
                books[formula.source.work].append(formula)
        for work, inside in sorted(books.items()):
            akin = {"伤寒论", "金匮要略"} if work in ("伤寒论", "金匮要略") else {work}
            same = frozenset(f.name for f in textbook if f.source.work in akin or work in f.source.work)
            ordered = sorted(inside, key=lambda f: rank(seed, f.name))
            for start in range(0, len(ordered), 4):
                chosen = ordered[start : start + how_many(seed, f"{work}{start}", 4)]
                if len(chosen) > 1:
                    yield _of_book(work, chosen, same)


def _of_book(work: str, chosen: Sequence[Formula], same: frozenset[str]) -> Draft:
    return Draft(
        template="formulas-source",
        discipline="Herbal Formulas",
        pool="formulas source",
        question=f"据《方剂学》，下列方剂中出自《{work}》的有",
        right=tuple(f.name for f in chosen),
        facts=tuple(f"formula:{f.name}#source" for f in chosen),
        entity=f"formula:{chosen[0].name}",
        explanation="；".join(f"{f.name}出自{cite(f.source)}" for f in chosen) + "。",
        source=chosen[0].source,
        difficulty=2,
        group=f"formula:{chosen[0].name}",
        excluded=same,
    )


# ------------------------------------------------------------------ true and false statements


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


def _statements(field: str, splits: Splits, seed: int) -> Iterator[Draft]:
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


def _pairs(field: str, splits: Splits, seed: int) -> Iterator[Draft]:
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


def _unfit(case: Case, cases: Sequence[Case], attribute: str, splits: Splits) -> list[str]:
    """Return values of other patterns of the same split that are wrong for this one."""
    here = [c for c in cases if splits[f"disease:{c.disease.name}"] == splits[f"disease:{case.disease.name}"]]
    return diseases.unfit_formulas(case, here) if attribute == "formula" else diseases.unfit_principles(case, here)
