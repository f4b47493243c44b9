"""Questions of Herbal Formulas: composition, sovereign herb, source book, category."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator
from functools import cache

from harness.knowledge.entries import Formula
from harness.knowledge.files import formulas, herbs
from tools.make_tasks.draft import Draft, cite, rank

FIELD = "Herbal Formulas"
FIELD_BOOK = "方剂学"
ROLES_DIFFER = frozenset(
    [
        "五淋散",
        "当归拈痛汤",
        "当归建中汤",
        "苍耳子散",
        "甘草附子汤",
        "加味乌药汤",
        "圣愈汤",
        "桃红四物汤",
        "保元汤",
        "桂枝加葛根汤",
        "五磨饮子",
        "己椒苈黄丸",
        "小金丹",
        "艾附暖宫丸",
        "固冲汤",
        "赤丸",
        "乌头汤",
        "连朴饮",
        "济生肾气丸",
        "茵陈四逆汤",
        "化斑汤",
        "当归龙荟丸",
    ]
)
"""Formulas whose sovereign herb editions and commentators name differently: never asked for."""
_KIN = (
    ("白芍", "赤芍"),
    ("白术", "苍术"),
    ("人参", "党参", "红参", "西洋参", "太子参"),
    ("枳实", "枳壳"),
    ("茯苓", "赤茯苓", "茯苓皮", "茯神"),
    ("地黄", "生地黄", "鲜地黄", "熟地黄"),
    ("桂枝", "肉桂"),
    ("川贝母", "浙贝母", "土贝母", "平贝母", "伊贝母"),
    ("南沙参", "北沙参"),
    ("牛膝", "川牛膝"),
    ("生姜", "干姜", "炮姜"),
    ("木通", "川木通", "关木通"),
    ("川乌", "制川乌", "草乌", "制草乌", "附子"),
    ("陈皮", "橘红", "青皮", "化橘红"),
    ("甘草", "炙甘草"),
    ("香薷", "紫苏叶", "紫苏梗"),
    ("瓜蒌", "瓜蒌皮", "瓜蒌子", "瓜蒌仁"),
    ("龙骨", "煅龙骨"),
    ("牡蛎", "煅牡蛎"),
    ("淡豆豉", "大豆黄卷"),
    ("芒硝", "玄明粉", "硝石"),
    ("犀角", "水牛角"),
    ("淡竹叶", "竹叶", "竹叶心", "竹叶卷心"),
)
"""Herbs that recipes and editions put for one another: never one as a distractor where another stands."""


@cache
def kin() -> dict[str, frozenset[str]]:
    """Return herb -> the herbs that count as the same for the question what a formula contains."""
    groups: dict[str, set[str]] = {}
    for herb in herbs():
        groups.setdefault(herb.base or herb.name, set()).update((herb.name, herb.base or herb.name))
    for names in _KIN:
        merged = set(names)
        for name in names:
            merged |= groups.get(name, set())
        for name in merged:
            groups[name] = groups.get(name, set()) | merged
    whole: dict[str, set[str]] = defaultdict(set)
    for members in groups.values():
        for name in members:
            whole[name] |= members
    return {name: frozenset(members) for name, members in whole.items()}


def own_herbs(formula: Formula) -> frozenset[str]:
    """Return the formula's herbs with all that count as the same."""
    return frozenset(n for i in formula.composition for n in kin().get(i.herb, frozenset({i.herb})) | {i.herb})


def title(formula: Formula) -> str:
    """Return the name with its source, for many names stand for several recipes."""
    return f"{formula.name}（《{formula.source.work}》）"


def explain(formula: Formula) -> str:
    """Return what the source states."""
    parts = "、".join(f"{i.herb}（{i.role}）" if i.role else i.herb for i in formula.composition)
    return f"{cite(formula.source)}：{formula.name}由{parts}组成；《方剂学》归入{formula.category}类。"


def single() -> Iterator[Draft]:
    """Yield one-answer questions."""
    textbook = [f for f in formulas() if f.textbook == FIELD_BOOK]
    for formula in formulas():
        yield from _member(formula)
        yield from _sovereign(formula)
        yield from _recipe(formula)
    for formula in textbook:
        yield from _book(formula)
        yield from _category(formula)


def draft_of(formula: Formula, kind: str, question: str, right: str, **more: frozenset[str]) -> Draft:
    """Return a question about one formula. `more`: excluded, near."""
    return Draft(
        template=f"formula-{kind}",
        discipline=FIELD,
        pool=f"formula {kind}",
        question=question,
        right=(right,),
        facts=(
            f"formula:{formula.name}#{'source' if kind == 'source' else 'category' if kind == 'category' else 'composition'}",
        ),
        entity=f"formula:{formula.name}",
        explanation=explain(formula),
        source=formula.source,
        difficulty=2 if kind in ("recipe", "sovereign") else 1,
        group=f"formula:{formula.name}",
        excluded=more.get("excluded", frozenset()),
        near=more.get("near", frozenset()),
    )


@cache
def _uses() -> Counter[str]:
    return Counter(i.herb for f in formulas() for i in f.composition)


def _member(formula: Formula) -> Iterator[Draft]:
    """Which herb belongs to it: one that some other formula has too, and that the name does not give away."""
    names = [i.herb for i in formula.composition if _uses()[i.herb] > 2 and i.herb[:2] not in formula.name]
    if len(formula.composition) < 3 or not names:
        return
    right = min(names, key=lambda n: rank(3, formula.name + n))
    yield draft_of(formula, "member", f"下列药物中，{title(formula)}的组成药物是", right, excluded=own_herbs(formula))


def _sovereign(formula: Formula) -> Iterator[Draft]:
    chiefs = [i.herb for i in formula.composition if i.role == "君"]
    if len(chiefs) != 1 or len(formula.composition) < 4 or formula.name in ROLES_DIFFER:
        return
    others = frozenset(i.herb for i in formula.composition if i.role not in ("君", None))
    excluded = frozenset(kin().get(chiefs[0], frozenset()))
    yield draft_of(formula, "sovereign", f"{title(formula)}的君药是", chiefs[0], near=others, excluded=excluded)


def _recipe(formula: Formula) -> Iterator[Draft]:
    if len(formula.composition) < 3 or len(formula.composition) > 9:
        return
    herbs_named = {i.herb[:2] for i in formula.composition}
    near = frozenset(other.name for other in formulas() if any(name in other.name for name in herbs_named))
    question = f"由{'、'.join(i.herb for i in formula.composition)}组成的方剂是"
    yield draft_of(formula, "recipe", question, formula.name, excluded=frozenset(formula.aliases), near=near)


@cache
def _recipes() -> dict[str, frozenset[str]]:
    herbs_of = {f.name: frozenset(i.herb for i in f.composition) for f in formulas()}
    return {alias: herbs_of[f.name] for f in formulas() for alias in f.aliases} | herbs_of


def resemble(one: str, other: str) -> bool:
    """Tell whether two formulas share most of their herbs, or one has all of the other's; False where either is unknown."""
    mine, theirs = _recipes().get(one), _recipes().get(other)
    if mine is None or theirs is None:
        return False
    return len(mine & theirs) >= 0.6 * len(mine | theirs) or mine <= theirs or theirs <= mine


SAME_BOOK = (
    ("伤寒论", "金匮要略"),
    ("妇人大全良方", "校注妇人良方"),
    ("备急千金要方", "千金翼方", "外台秘要"),
    ("丹溪心法", "丹溪心法附余"),
)
"""Books that share recipes: neither is a distractor for the other."""


def _book(formula: Formula) -> Iterator[Draft]:
    work = formula.source.work
    if work.startswith("中医") or work in ("方剂学", "中药学"):
        return
    excluded = frozenset(f"《{b}》" for books in SAME_BOOK if work in books for b in books)
    yield draft_of(formula, "source", f"据《方剂学》，{formula.name}出自", f"《{work}》", excluded=excluded)


def _category(formula: Formula) -> Iterator[Draft]:
    yield draft_of(formula, "category", f"据《方剂学》分类，{title(formula)}属于", f"{formula.category}剂")
