"""Questions of Internal Medicine, Surgery and Pediatrics, from the textbooks' diseases and their patterns."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache

from harness.knowledge.entries import Disease, DiseasePattern
from harness.knowledge.files import diseases, formulas, syndromes
from tools.make_tasks.draft import Draft, cite

BOOKS = {"Internal Medicine": "中医内科学", "Surgery": "中医外科学", "Pediatrics": "中医儿科学"}
_NAMES_WITH_A_JOINT = ("苏合香丸", "百合固金汤", "双合汤")
OVERLAP = (
    {"血证", "鼻衄", "齿衄", "咳血", "吐血", "便血", "尿血", "紫斑"},
    {"癌病", "肝癌", "肺癌", "大肠癌"},
    {"哮病", "喘证", "肺胀"},
    {"厥证", "痫病", "中风"},
    {"痴呆", "癫狂"},
    {"麻疹", "风痧", "奶麻", "丹痧"},
    {"积滞", "厌食", "疳证"},
    {"疖", "痈", "有头疽", "颜面部疔疮"},
    {"乳核", "乳岩", "乳癖"},
)
"""Diseases whose definitions could be taken for each other's, or contain each other."""


@dataclass(frozen=True, slots=True)
class Case:
    """One pattern of one disease."""

    disease: Disease
    pattern: DiseasePattern

    @property
    def name(self) -> str:
        """Return the disease and the pattern as one phrase: 咳嗽（外感咳嗽·风寒袭肺证）."""
        return f"{self.disease.name}（{self.pattern.name.replace('-', '·')}）"

    @property
    def bare(self) -> str:
        """Return the pattern without its stage or group: 风寒袭肺证."""
        return self.pattern.name.split("-")[-1].split("（")[0]

    @property
    def fact(self) -> str:
        """Return the fact's id up to its attribute."""
        return f"disease:{self.disease.name}/{self.pattern.name}"


def parts(formula: str) -> tuple[str, ...]:
    """Return the formulas that an entry such as `A合B或C` names."""
    for number, name in enumerate(_NAMES_WITH_A_JOINT):
        formula = formula.replace(name, f"<{number}>")
    found = [p for p in re.split(r"合|或|，|送服|急用|继用", formula) if p]
    return tuple(re.sub(r"<(\d)>", lambda m: _NAMES_WITH_A_JOINT[int(m[1])], p) for p in found)


_AKIN = (
    ("肾气丸", "金匮肾气丸", "附桂八味丸", "济生肾气丸", "河车八味丸"),
    ("理中丸", "附子理中丸", "附子理苓汤", "茵陈理中汤", "连理汤"),
    ("二妙散", "加味二妙散", "三妙丸", "四妙丸"),
    ("六味地黄丸", "加味六味地黄丸", "六味地黄丸加肉桂", "六味地黄丸加黄芪", "麦味地黄丸", "杞菊地黄丸", "知柏地黄丸"),
    ("四君子汤", "异功散", "六君子汤", "香砂六君子汤", "加味四君子汤"),
    ("清暑益气汤", "王氏清暑益气汤"),
    ("二陈平胃散", "二陈平胃汤", "平胃散", "香砂平胃散"),
    ("麻杏石甘汤", "麻黄杏仁甘草石膏汤", "五虎汤"),
    ("大柴胡汤", "复方大柴胡汤"),
    ("逍遥散", "丹栀逍遥散", "加味逍遥散", "逍遥蒌贝散"),
)
"""Formulas that are forms of one another: not distractors for one another."""


@cache
def _kin() -> dict[str, str]:
    """Return formula name -> one name for all its forms and aliases."""
    known = {alias: f.name for f in formulas() for alias in f.aliases}
    known.update({f.name: f.name for f in formulas()})
    for names in _AKIN:
        known.update({alias: names[0] for alias, name in list(known.items()) if name in names or alias in names})
        known.update(dict.fromkeys(names, names[0]))
    return known


@cache
def kinds(formula: str) -> frozenset[str]:
    """Return what an entry's formulas are, whatever form or alias it names: 理中汤 and 理中丸 are one."""
    return frozenset(_kin().get(p, p)[:-1] if len(p) > 2 else p for p in parts(formula))


@cache
def cases(field: str) -> tuple[Case, ...]:
    """Return all patterns of a discipline's diseases."""
    return tuple(Case(d, p) for d in diseases() if d.discipline == field for p in d.patterns)


@cache
def _all_cases() -> tuple[Case, ...]:
    return tuple(Case(d, p) for d in diseases() for p in d.patterns)


@cache
def formulas_for(bare: str, principle: str) -> frozenset[str]:
    """Return every kind of formula that the knowledge base names for a pattern of this name or with this principle."""
    found = {
        kind
        for case in _all_cases()
        if (case.bare == bare or case.pattern.principle == principle) and case.pattern.formula
        for kind in kinds(case.pattern.formula)
    }
    for s in syndromes():
        if bare == s.name or bare in s.aliases or s.principle == principle:
            found.update(kind for name in s.formulas for kind in kinds(name))
    return frozenset(found)


def single(field: str) -> Iterator[Draft]:
    """Yield one-answer questions of one discipline."""
    for case in cases(field):
        yield from _formula(field, case)
        yield from _principle(field, case)
        yield from _pattern(field, case)
    for disease in diseases():
        if disease.discipline == field:
            yield from _definition(field, disease)


def explain(case: Case) -> str:
    """Return what the textbook states."""
    formula = f"，代表方{case.pattern.formula}" if case.pattern.formula else ""
    return f"{cite(case.disease.source)}：{case.name}治法为{case.pattern.principle}{formula}。"


def draft_of(field: str, case: Case, kind: str, question: str, right: str, **more: frozenset[str]) -> Draft:
    """Return a question about one pattern of a disease. `more`: excluded, near."""
    attribute = "principle" if "principle" in kind else "formula"
    return Draft(
        template=f"disease-{kind}",
        discipline=field,
        pool=f"disease {kind}",
        question=question,
        right=(right,),
        facts=(f"{case.fact}#{attribute}",),
        entity=f"disease:{case.disease.name}",
        explanation=explain(case),
        source=case.disease.source,
        difficulty=2,
        group=case.fact,
        excluded=more.get("excluded", frozenset()),
        near=more.get("near", frozenset()),
    )


def _formula(field: str, case: Case) -> Iterator[Draft]:
    own = case.pattern.formula
    if not own:
        return
    unfit = set(unfit_formulas(case, cases(field)))
    excluded = frozenset(c.pattern.formula for c in cases(field) if c.pattern.formula) - unfit
    near = frozenset(p.formula for p in case.disease.patterns if p.formula)
    question = f"据《{BOOKS[field]}》，{case.name}的代表方是"
    yield draft_of(field, case, "formula", question, own, excluded=excluded, near=near)


def unfit_formulas(case: Case, among: Sequence[Case]) -> list[str]:
    """Return the formulas of other patterns that the knowledge base nowhere gives for a pattern like this one."""
    fitting = formulas_for(case.bare, case.pattern.principle) | kinds(case.pattern.formula or "")
    texts = {c.pattern.formula for c in among if c.pattern.formula and not kinds(c.pattern.formula) & fitting}
    return sorted(texts - {c.pattern.formula for c in among if c.disease != case.disease and _akin(case, c)})


def _akin(case: Case, other: Case) -> bool:
    """Tell whether two patterns sound so alike that what is given for one could be defended for the other."""
    own, theirs = set(case.bare) - set("证之"), set(other.bare) - set("证之")
    return len(own & theirs) >= 3 or own <= theirs or theirs <= own


def unfit_principles(case: Case, among: Sequence[Case]) -> list[str]:
    """Return the principles of other patterns that differ enough from this one's, and whose patterns do too."""
    own = case.pattern.principle
    alike = {c.pattern.principle for c in among if c.bare == case.bare or _shares_pathology(case, c)}
    return sorted({c.pattern.principle for c in among if characters_shared(own, c.pattern.principle) <= 0.5} - alike)


def _shares_pathology(case: Case, other: Case) -> bool:
    return len((set(case.bare) & set(other.bare)) - set("证之虚")) >= 2


def characters_shared(a: str, b: str) -> float:
    """Return the share of the shorter text's characters that stand in the other too."""
    own, other = set(a) - set("，、"), set(b) - set("，、")
    return len(own & other) / min(len(own), len(other))


def _principle(field: str, case: Case) -> Iterator[Draft]:
    unfit = set(unfit_principles(case, cases(field)))
    excluded = frozenset(c.pattern.principle for c in cases(field)) - unfit
    near = frozenset(p.principle for p in case.disease.patterns)
    question = f"据《{BOOKS[field]}》，{case.name}的治法是"
    yield draft_of(field, case, "principle", question, case.pattern.principle, excluded=excluded, near=near)


def _pattern(field: str, case: Case) -> Iterator[Draft]:
    """From the principle and the formula back to the pattern.

    A pattern of another disease is no distractor where the principle, or this pattern's name, has two of its characters:
    it could be defended.
    """
    own = case.pattern
    if not own.formula or case.bare != own.name.split("-")[-1] or not case.bare.endswith("证"):
        return
    fitting, texts = kinds(own.formula), [set(text) - set("，证之") for text in (own.principle, case.bare)]
    excluded = frozenset(
        c.bare
        for c in _all_cases()
        if (c.pattern.formula and kinds(c.pattern.formula) & fitting)
        or characters_shared(c.pattern.principle, own.principle) > 0.5
        or (c.disease != case.disease and any(len(set(c.bare) & named) >= 2 for named in texts))
    )
    near = frozenset(c.bare for c in cases(field) if c.disease == case.disease)
    question = f"据《{BOOKS[field]}》，{case.disease.name}某证型治以{own.principle}，代表方为{own.formula}，该证型是"
    yield draft_of(field, case, "pattern", question, case.bare, excluded=excluded, near=near)


def _definition(field: str, disease: Disease) -> Iterator[Draft]:
    alike = frozenset(name for names in OVERLAP if disease.name in names for name in names)
    alike |= frozenset(
        d.name
        for d in diseases()
        if d.discipline == field and (d.name in disease.definition or disease.name in d.definition)
    )
    if disease.name in disease.definition:
        return
    meanings = frozenset(d.definition for d in diseases() if d.name in alike)
    question = f"据《{BOOKS[field]}》，“{disease.definition.rstrip('。')}”，所指的病证是"
    yield Draft(
        template="disease-name",
        discipline=field,
        pool="disease name",
        question=question,
        right=(disease.name,),
        facts=(f"disease:{disease.name}#definition",),
        entity=f"disease:{disease.name}",
        explanation=f"{cite(disease.source)}：{disease.name}是{disease.definition}",
        source=disease.source,
        difficulty=1,
        group=f"disease:{disease.name}#definition",
        excluded=alike,
    )
    yield Draft(
        template="disease-definition",
        discipline=field,
        pool="disease definition",
        question=f"据《{BOOKS[field]}》，关于{disease.name}的定义，正确的是",
        right=(disease.definition.rstrip("。"),),
        facts=(f"disease:{disease.name}#definition",),
        entity=f"disease:{disease.name}",
        explanation=f"{cite(disease.source)}：{disease.name}是{disease.definition}",
        source=disease.source,
        difficulty=1,
        group=f"disease:{disease.name}#definition",
        excluded=frozenset(m.rstrip("。") for m in meanings),
    )
