"""Fill-in questions: one blank, several, ranges with a unit, and answers with alternatives."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping

from harness.knowledge.entries import Fact, Formula
from harness.knowledge.files import diseases, formulas, herbs
from tools.make_tasks import facts
from tools.make_tasks.diseases import BOOKS, cases, explain, parts
from tools.make_tasks.draft import BlankDraft, cite
from tools.make_tasks.formulas import ROLES_DIFFER, title
from tools.make_tasks.formulas import explain as explain_formula
from tools.make_tasks.herbs import dose_of
from tools.make_tasks.herbs import explain as explain_herb
from tools.make_tasks.medicinals import official

LONGEST = 6
"""Characters of the longest answer that can fairly be asked word for word."""
_WORDED = facts.DESCRIPTIONS | {
    *("主", "辨证为", "主要病机为", "主要损伤为", "病候为", "理论依据为", "生理特性为", "概括为", "表现为证候"),
    *("主要反映", "所辨为", "病位病性为"),
    *("脉象为", "应时脉象为", "至数为", "共同特征为", "部位为", "四肢分布为", "循行部位为", "循行经过"),
}
"""Relations whose objects describe rather than name: others could say them in other words, and be right."""


def blank(field: str, splits: Mapping[str, str]) -> Iterator[BlankDraft]:
    """Yield the fill-in drafts of a discipline whose answers do not stand in the question."""
    if field == "Pharmacognosy":
        made = _herbs()
    elif field == "Herbal Formulas":
        made = _formulas()
    elif field in facts.FIELDS:
        made = _facts(field, splits)
    else:
        made = _diseases(field)
    for draft in made:
        if not any(text in draft.question for one in draft.answer for text in one):
            yield draft


def _herbs() -> Iterator[BlankDraft]:
    for herb in herbs():
        if not official(herb):
            continue
        name = f"herb:{herb.name}"
        dose = dose_of(herb)
        if dose:
            yield BlankDraft(
                template="blank-dose",
                discipline="Pharmacognosy",
                question=f"《中国药典》规定{herb.name}煎服的用量为____（写出范围和单位）。",
                answer=((dose, dose.replace("g", "克")),),
                facts=(f"{name}#dose",),
                entity=name,
                explanation=f"{cite(herb.source)}：{herb.name}用量{dose}。",
                source=herb.source,
                difficulty=2,
                group=name,
            )
        toxic = herb.toxicity != "无毒"
        yield BlankDraft(
            template="blank-toxicity" if toxic else "blank-nature",
            discipline="Pharmacognosy",
            question=(
                f"《中国药典》载{herb.name}药性为____，其毒性标为____（填大毒、有毒或小毒）。"
                if toxic
                else f"《中国药典》载{herb.name}药性为____；按《中药学》功效分类，它属于____药。"
            ),
            answer=(
                _nature(herb.nature),
                (herb.toxicity,) if toxic else (herb.category.removesuffix("药"), herb.category),
            ),
            facts=(f"{name}#nature", f"{name}#{'toxicity' if toxic else 'category'}"),
            entity=name,
            explanation=explain_herb(herb),
            source=herb.source,
            difficulty=2,
            group=name,
        )


def _nature(nature: str) -> tuple[str, ...]:
    return (nature, f"性{nature}", f"{nature}性")


def _formulas() -> Iterator[BlankDraft]:
    for formula in formulas():
        yield from _missing_herb(formula)
        roles: dict[str, list[str]] = defaultdict(list)
        for i in formula.composition:
            if i.role:
                roles[i.role].append(i.herb)
        alone = {role: found[0] for role, found in roles.items() if len(found) == 1}
        if (
            len(formula.composition) > 2
            and "君" in alone
            and formula.name not in ROLES_DIFFER
            and alone["君"][:2] not in formula.name
        ):
            asked = ("臣", "使", "佐使", "佐") if len(formula.composition) <= 5 else ()
            second = next((r for r in asked if r in alone and alone[r][:2] not in formula.name), None)
            question = f"{title(formula)}的君药是____" + (f"，{second}药是____。" if second else "。")
            answer = tuple(_herb_names(alone[r]) for r in ("君", second) if r)
            yield _of_formula(formula, "roles", question, answer)


def _herb_names(name: str) -> tuple[str, ...]:
    for herb in herbs():
        if herb.name == name:
            return (name, *herb.aliases)
    return (name,)


def _missing_herb(formula: Formula) -> Iterator[BlankDraft]:
    if not 3 <= len(formula.composition) <= 8:
        return
    left_out = [
        i
        for i in formula.composition
        if i.herb[:2] not in formula.name and i.herb not in ("甘草", "炙甘草", "生姜", "大枣")
    ]
    if not left_out:
        return
    missing = left_out[sum(map(ord, formula.name)) % len(left_out)]
    rest = "、".join(i.herb for i in formula.composition if i is not missing)
    question = f"{title(formula)}由{rest}和____组成。"
    yield _of_formula(formula, "missing", question, (_herb_names(missing.herb),))


def _of_formula(formula: Formula, kind: str, question: str, answer: tuple[tuple[str, ...], ...]) -> BlankDraft:
    return BlankDraft(
        template=f"blank-{kind}",
        discipline="Herbal Formulas",
        question=question,
        answer=answer,
        facts=(f"formula:{formula.name}#composition",),
        entity=f"formula:{formula.name}",
        explanation=explain_formula(formula),
        source=formula.source,
        difficulty=2,
        group=f"formula:{formula.name}",
    )


def _diseases(field: str) -> Iterator[BlankDraft]:
    aliases = {name: (f.name, *f.aliases) for f in formulas() for name in (f.name, *f.aliases)}
    for case in cases(field):
        formula = case.pattern.formula or ""
        names = parts(formula)
        if (
            not names
            or "，" in formula
            or "送服" in formula
            or any(p.split("加")[0] != p for p in names if p not in aliases)
        ):
            continue
        if "或" in formula and "合" in formula:
            continue
        accepted = [tuple(dict.fromkeys((n, *aliases.get(n, ())))) for n in names]
        if "合" in formula.replace("苏合香丸", "").replace("百合固金汤", "").replace("双合汤", ""):
            gaps, answer = "合".join(["____"] * len(names)), tuple(accepted)
        else:
            gaps, answer = "____", (tuple(dict.fromkeys(n for one in accepted for n in one)),)
        yield BlankDraft(
            template="blank-formula",
            discipline=field,
            question=f"据《{BOOKS[field]}》，{case.name}治宜{case.pattern.principle}，代表方为{gaps}。",
            answer=answer,
            facts=(f"{case.fact}#formula", f"{case.fact}#principle"),
            entity=f"disease:{case.disease.name}",
            explanation=explain(case),
            source=case.disease.source,
            difficulty=2,
            group=case.fact,
        )
    for disease in diseases():
        if disease.discipline == field:
            yield BlankDraft(
                template="blank-name",
                discipline=field,
                question=f"据《{BOOKS[field]}》，{disease.definition.rstrip('。')}，称为____。",
                answer=((disease.name, *disease.aliases),),
                facts=(f"disease:{disease.name}#definition",),
                entity=f"disease:{disease.name}",
                explanation=f"{cite(disease.source)}：{disease.name}是{disease.definition}",
                source=disease.source,
                difficulty=2,
                group=f"disease:{disease.name}#definition",
            )


def _facts(field: str, splits: Mapping[str, str]) -> Iterator[BlankDraft]:
    """One blank where the object is short; two facts of one term and split make two blanks."""
    by_term: dict[tuple[str, str], list[tuple[Fact, str]]] = defaultdict(list)
    for fact in facts.closed(field):
        if len(fact.object) == 2 and all(o in fact.statement for o in fact.object):
            question = fact.statement
            for one in fact.object:
                question = question.replace(one, facts.BLANK, 1)
            if question.count(facts.BLANK) == 2:
                both = tuple(fact.object)
                yield _of_fact((fact,), question, (both, both[::-1]))
            continue
        if (
            len(fact.object) != 1
            or len(fact.object[0]) > LONGEST
            or len(facts.same_subject(field)[fact.term, fact.relation]) > 1
        ):
            continue
        gap = facts.cloze(fact, fact.object[0])
        worded = fact.relation in _WORDED or fact.relation.endswith("表现为")
        if gap and not worded and len(facts.same_gap(field)[gap]) == 1:
            yield _of_fact((fact,), f"{gap}。", (_spellings(fact),))
            by_term[fact.term, splits[f"fact:{fact.id}"]].append((fact, gap))
    for pairs in by_term.values():
        for (left, first), (right, second) in zip(pairs[::2], pairs[1::2], strict=False):
            if left.object[0] not in second and right.object[0] not in first and left.object[0] != right.object[0]:
                yield _of_fact((left, right), f"{first}；{second}。", (_spellings(left), _spellings(right)))


def _spellings(fact: Fact) -> tuple[str, ...]:
    """Return the object with the forms that mean the same: 《X》 and X, 肝 and 肝脏."""
    text = fact.object[0]
    found = [text]
    if text.startswith("《"):
        found.append(text.strip("《》"))
    if len(text) == 2 and text[0] in "春夏秋冬" and text[1] == "季":
        found.append(text[0])
    if "与" in text:
        found += [text.replace("与", joint) for joint in ("", "、", "和")]
    if text.endswith("脉类"):
        found.append(text.removesuffix("类"))
    if "栗" in text:
        found.append(text.replace("栗", "慄"))
    if "·" in text:
        found.append(text.replace("·", ""))
    if fact.relation.endswith("脏为") and len(text) == 1:
        found.append(f"{text}脏")
    return tuple(found)


def _of_fact(used: tuple[Fact, ...], question: str, answer: tuple[tuple[str, ...], ...]) -> BlankDraft:
    first = used[0]
    return BlankDraft(
        template="blank-fact" if len(answer) == 1 else "blank-facts",
        discipline=first.discipline,
        question=question,
        answer=answer,
        facts=tuple(f.id for f in used),
        entity=f"fact:{first.id}",
        explanation=" ".join(f"{cite(f.source)}：{f.statement}" for f in used),
        source=first.source,
        difficulty=1,
        group=first.id,
    )
