"""Questions of Pharmacognosy, from what the Pharmacopoeia and the textbook state of each medicinal."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from harness.knowledge.entries import Herb
from harness.knowledge.files import herbs
from tools.make_tasks.draft import Draft, cite
from tools.make_tasks.medicinals import AVOIDED, in_textbook, official

FIELD = "Pharmacognosy"
NATURES = {
    "大寒": "寒",
    "寒": "寒",
    "微寒": "寒",
    "凉": "凉",
    "平": "平",
    "微温": "温",
    "温": "温",
    "热": "热",
    "大热": "热",
}


def single() -> Iterator[Draft]:
    """Yield one-answer questions."""
    everything = herbs()
    stated = [h for h in everything if official(h)]
    yield from _natures(stated)
    yield from _channels(stated)
    yield from _flavours(stated)
    yield from _doses(stated)
    taught = tuple(h for h in everything if in_textbook(h))
    yield from _categories(taught)
    yield from _of_category(taught)
    yield from _toxic(stated)
    yield from _pregnancy(stated)


def explain(herb: Herb) -> str:
    """Return what the source states of the herb's properties."""
    toxic = "" if herb.toxicity == "无毒" else f"；{herb.toxicity}"
    return (
        f"{cite(herb.source)}：{herb.name}味{'、'.join(herb.flavours)}，性{herb.nature}{toxic}，"
        f"归{channels_of(herb)}；《中药学》归入{herb.category}。"
    )


def channels_of(herb: Herb) -> str:
    """Return the channels as the Pharmacopoeia writes them: 肺、脾经."""
    return "、".join(herb.channels) + "经"


def draft_of(
    herb: Herb, kind: str, question: str, right: str, *, pool: str, excluded: frozenset[str] = frozenset()
) -> Draft:
    """Return a question about one herb."""
    return Draft(
        template=f"herb-{kind}",
        discipline=FIELD,
        pool=pool,
        question=question,
        right=(right,),
        facts=(f"herb:{herb.name}#{kind.split('-')[0]}",),
        entity=f"herb:{herb.name}",
        explanation=explain(herb),
        source=herb.source,
        difficulty=1,
        group=f"herb:{herb.name}",
        excluded=excluded,
    )


def _natures(stated: list[Herb]) -> Iterator[Draft]:
    for herb in stated:
        yield draft_of(herb, "nature", f"《中国药典》载{herb.name}的药性为", herb.nature, pool="nature")


def _channels(stated: list[Herb]) -> Iterator[Draft]:
    for herb in stated:
        yield draft_of(herb, "channels", f"《中国药典》载{herb.name}的归经为", channels_of(herb), pool="channels")


def _flavours(stated: list[Herb]) -> Iterator[Draft]:
    for herb in stated:
        right = "、".join(herb.flavours)
        yield draft_of(herb, "flavours", f"《中国药典》载{herb.name}的药味是", right, pool="flavours")


def dose_of(herb: Herb) -> str | None:
    """Return the range as the Pharmacopoeia prints it, 3～10g; None where no decoction dose stands alone."""
    if herb.dose is None or herb.dose.route != "煎服" or herb.dose_note:
        return None
    return f"{herb.dose.low:g}～{herb.dose.high:g}g"


def _doses(stated: list[Herb]) -> Iterator[Draft]:
    for herb in stated:
        own = dose_of(herb)
        if own is not None:
            yield draft_of(herb, "dose", f"《中国药典》规定{herb.name}煎服的用量为", own, pool="dose")


def _categories(everything: tuple[Herb, ...]) -> Iterator[Draft]:
    for herb in everything:
        yield draft_of(herb, "category", f"按《中药学》功效分类，{herb.name}属于", herb.category, pool="category")


def _of_category(everything: tuple[Herb, ...]) -> Iterator[Draft]:
    for herb in everything:
        same = frozenset(h.name for h in everything if h.category == herb.category)
        question = f"下列药物中，按《中药学》分类属于{herb.category}的是"
        yield draft_of(herb, "category-of", question, herb.name, pool="herb of category", excluded=same)


def _opposed(
    stated: list[Herb], kind: str, classes: tuple[str, str], of: Callable[[Herb], str], questions: tuple[str, str]
) -> Iterator[Draft]:
    """Yield questions for one class among the other and the other way round, so that no herb is always the answer."""
    first = [h for h in stated if of(h) == classes[0]]
    second = [h for h in stated if of(h) == classes[1]]
    for chosen, others, question, word in ((first, second, questions[0], "a"), (second, first, questions[1], "b")):
        same = frozenset(h.name for h in chosen)
        for herb in chosen[:: max(1, len(chosen) // max(1, len(others)))]:
            yield draft_of(herb, f"{kind}-{word}", question, herb.name, pool=kind, excluded=same)


def _toxic(stated: list[Herb]) -> Iterator[Draft]:
    def of(herb: Herb) -> str:
        return "无毒" if herb.toxicity == "无毒" else "有毒"

    yield from _opposed(
        stated,
        "toxicity",
        ("有毒", "无毒"),
        of,
        (
            "下列药物中，《中国药典》标明有毒性（小毒、有毒或大毒）的是",
            "下列药物中，《中国药典》性味项下未标明毒性的是",
        ),
    )


def _pregnancy(stated: list[Herb]) -> Iterator[Draft]:
    yield from _opposed(
        stated,
        "pregnancy",
        ("forbidden", "caution"),
        lambda herb: "avoided" if herb.name in AVOIDED else herb.pregnancy,
        (
            "下列药物中，《中国药典》规定孕妇禁用（而非慎用）的是",
            "下列药物中，《中国药典》规定孕妇慎用（而非禁用）的是",
        ),
    )
