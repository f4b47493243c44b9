"""Questions with two to four right options."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence

from harness.knowledge.entries import Formula
from harness.knowledge.files import formulas
from tools.make_tasks import claims, diseases, facts
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
        yield from claims.statements(field, splits, seed)
    else:
        yield from claims.pairs(field, splits, seed)
        yield from _two_hops(field, splits, seed)


def _members(recipes: Iterable[Formula], field: str, seed: int) -> Iterator[Draft]:
    for formula in recipes:
        names = _askable(formula, formula.name, seed)
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


def _askable(formula: Formula, key: str, seed: int) -> list[str]:
    """Return the formula's herbs that its name does not give away, in an order that depends on `key`."""
    names = {i.herb for i in formula.composition if i.herb[:2] not in formula.name}
    return sorted(names, key=lambda name: rank(seed, key + name))


def _prescribed(field: str, splits: Splits) -> Iterator[tuple[Case, Formula]]:
    """Yield the cases that have one known formula, with it, where both are of one split."""
    known = {name: f for f in formulas() for name in (f.name, *f.aliases)}
    for case in diseases.cases(field):
        names = parts(case.pattern.formula or "")
        formula = known.get(names[0]) if len(names) == 1 else None
        if formula is not None and splits[f"formula:{formula.name}"] == splits[f"disease:{case.disease.name}"]:
            yield case, formula


def _two_hops(field: str, splits: Splits, seed: int) -> Iterator[Draft]:
    """From disease and pattern to the formula, and from the formula to its herbs."""
    for case, formula in _prescribed(field, splits):
        inside = _askable(formula, case.name, seed)
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
    for case, formula in _prescribed(field, splits):
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
