"""Questions of Pharmacognosy with several right options: which medicinals share a property."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from harness.knowledge.entries import Herb, Source
from harness.knowledge.files import herbs
from tools.make_tasks.draft import Draft, rank
from tools.make_tasks.medicinals import AVOIDED, in_textbook, official

Splits = Mapping[str, str]


def how_many(seed: int, key: str, most: int) -> int:
    """Return how many options of a question shall be right: two to four, at most `most`."""
    return min(most, 2 + rank(seed, f"right{key}") % 3)


@dataclass(frozen=True, slots=True)
class _Trait:
    """A property that some members of a set have: its question, who has it, and who must not be a distractor."""

    kind: str
    value: str
    question: str
    has: frozenset[str]
    near: frozenset[str]


def _traits() -> Iterator[_Trait]:
    stated = [h for h in herbs() if official(h)]

    def those(test: Callable[[Herb], bool]) -> frozenset[str]:
        return frozenset(h.name for h in stated if test(h))

    for channel in sorted({c for h in stated for c in h.channels}):
        has = those(lambda h, c=channel: c in h.channels)  # type: ignore[misc]
        yield _Trait("channels", channel, f"下列药物中，《中国药典》载其归{channel}经的有", has, has)
    for category in sorted({h.category for h in stated}):
        same = frozenset(h.name for h in herbs() if h.category == category)
        taught = frozenset(h.name for h in herbs() if h.category == category and in_textbook(h))
        yield _Trait("category", category, f"下列药物中，《中药学》归入{category}的有", taught, same)
    for flavour in ("酸", "苦", "甘", "辛", "咸", "淡", "涩"):
        has = those(lambda h, f=flavour: f in h.flavours)  # type: ignore[misc]
        near = those(lambda h, f=flavour: any(f in one for one in h.flavours))  # type: ignore[misc]
        yield _Trait("flavours", flavour, f"下列药物中，《中国药典》载其味有{flavour}的有", has, near)
    toxic, harmless = those(lambda h: h.toxicity != "无毒"), those(lambda h: h.toxicity == "无毒")
    yield _Trait("toxicity-a", "有毒", "下列药物中，《中国药典》性味项下标明毒性的有", toxic, toxic)
    yield _Trait("toxicity-b", "无毒", "下列药物中，《中国药典》性味项下未标明毒性的有", harmless, harmless)
    forbidden = those(lambda h: h.pregnancy == "forbidden" and h.name not in AVOIDED)
    caution = those(lambda h: h.pregnancy == "caution")
    yield _Trait("pregnancy-a", "forbidden", "下列药物中，《中国药典》规定孕妇禁用的有", forbidden, forbidden)
    yield _Trait("pregnancy-b", "caution", "下列药物中，《中国药典》规定孕妇慎用（而非禁用）的有", caution, caution)


def shared_property(splits: Splits, seed: int) -> Iterator[Draft]:
    by_name = {h.name: h for h in herbs()}
    for split in sorted(set(splits.values())):
        for trait in _traits():
            inside = [name for name in trait.has if splits[f"herb:{name}"] == split]
            ordered = sorted(inside, key=lambda n: rank(seed, trait.kind + trait.value + n))
            for start in range(0, min(len(ordered), 40), 5):
                key = f"{trait.kind}{trait.value}{start}{split}"
                chosen = tuple(ordered[start : start + how_many(seed, key, 4)])
                if len(chosen) > 1:
                    yield _of_trait(trait, [by_name[name] for name in chosen])


def _of_trait(trait: _Trait, chosen: Sequence[Herb]) -> Draft:
    return Draft(
        template=f"herbs-{trait.kind}",
        discipline="Pharmacognosy",
        pool=f"herbs {trait.kind[:5]}",
        question=trait.question,
        right=tuple(h.name for h in chosen),
        facts=tuple(f"herb:{h.name}#{trait.kind.split('-')[0]}" for h in chosen),
        entity=f"herb:{chosen[0].name}",
        explanation="；".join(_about(h, trait.kind) for h in chosen) + "。",
        source=chosen[0].source if trait.kind != "category" else _TEXTBOOK,
        difficulty=2,
        group=f"herb:{chosen[0].name}",
        excluded=trait.has | trait.near,
    )


_TEXTBOOK = Source("中药学", "全国中医药行业高等教育“十四五”规划教材", "各论")


def _about(herb: Herb, kind: str) -> str:
    said = {
        "channels": f"归{'、'.join(herb.channels)}经",
        "category": f"属{herb.category}",
        "flavours": f"味{'、'.join(herb.flavours)}",
        "toxicity": "未标明毒性" if herb.toxicity == "无毒" else herb.toxicity,
        "pregnancy": "孕妇禁用" if herb.pregnancy == "forbidden" else "孕妇慎用",
    }
    return f"{herb.name}{said[kind.split('-')[0]]}"
