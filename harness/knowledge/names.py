"""Herb names as prescriptions write them -> the entry they mean, and the form found.

    herb("炙黄芪") herb("黃耆（炙）30g") herb("川贝粉") herb("双花")

A name is looked up as it stands; then without dose and parentheses; then without a word of preparation before it
(麸炒, 盐, 煅 ...) or a shape after it (炭, 片, 粉 ...). What has an entry of its own always wins: 炙甘草 is never read as 炙 + 甘草.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import TypeVar

from harness.errors import unknown
from harness.knowledge import files
from harness.knowledge.entries import Disease, Formula, Herb, Syndrome
from harness.text import fold_widths, simplify

LONGEST = 40
"""No herb's name is longer; longer texts are no names and are not looked at."""

_PREPARED = (
    "麸炒|清炒|土炒|米炒|砂炒|盐炒|酒炒|醋炒|姜炒|蜜炒|蜜炙|酒炙|醋炙|盐炙|姜炙|油炙|炙|炒焦|炒黄|炒炭|炒|蜜|盐水|盐|酒蒸|酒|"
    "醋煮|醋淬|醋|麸煨|麸|煅|生|制|焦|炮|煨|姜汁|姜|熟|鲜|净|漂|水飞|飞|清蒸|蒸|煮|烫|砂烫|酥|去皮|去心|去核|去毛|去油|打碎|捣|碎"
)
_GROWN = "川|杭|怀|广|云|关|正|真|陈"
_PREFIX = re.compile(rf"(?:{_PREPARED}|{_GROWN})")
_SUFFIX = re.compile(r"(?:配方颗粒|颗粒|饮片|炭|片|粉|末|块|丝|段|条|干|汁|炒|炙)\Z")
_BRACKETS = re.compile(r"[(\[<{]([^()\[\]<>{}]{0,30})[)\]>}]?")
_DOSE = re.compile(
    r"[\d.~\-–一二三四五六七八九十百半两各约]{1,12} ?(?:g|克|公克|mg|毫克|kg|钱|两|ml|毫升|分|枚|片|条|只|个|粒|支|根|对|枝|茎|包|袋|具|把|撮|升|合|斤|cm|寸)"
    r".*\Z|\d[\d.~-]*\Z",
    re.DOTALL,
)
_NOISE = re.compile(r"[\s\"'*_`#·•\-.。:：]+")

JOINED: Mapping[str, tuple[str, ...]] = {
    "焦三仙": ("焦山楂", "焦神曲", "焦麦芽"),
    "炒三仙": ("炒山楂", "炒神曲", "炒麦芽"),
    "焦四仙": ("焦山楂", "焦神曲", "焦麦芽", "焦槟榔"),
    "龙牡": ("龙骨", "牡蛎"),
    "生龙牡": ("生龙骨", "生牡蛎"),
    "煅龙牡": ("煅龙骨", "煅牡蛎"),
    "乳没": ("乳香", "没药"),
    "制乳没": ("制乳香", "制没药"),
    "炙乳没": ("制乳香", "制没药"),
    "谷麦芽": ("谷芽", "麦芽"),
    "炒谷麦芽": ("炒谷芽", "炒麦芽"),
    "赤白芍": ("赤芍", "白芍"),
    "苍白术": ("苍术", "白术"),
    "二术": ("苍术", "白术"),
    "青陈皮": ("青皮", "陈皮"),
    "天麦冬": ("天冬", "麦冬"),
    "二冬": ("天冬", "麦冬"),
    "知柏": ("知母", "黄柏"),
    "荆防": ("荆芥", "防风"),
    "羌独活": ("羌活", "独活"),
    "二活": ("羌活", "独活"),
    "桃红": ("桃仁", "红花"),
    "川草乌": ("川乌", "草乌"),
    "制川草乌": ("制川乌", "制草乌"),
    "南北沙参": ("南沙参", "北沙参"),
    "二地": ("生地黄", "熟地黄"),
    "生熟地": ("生地黄", "熟地黄"),
    "二母": ("知母", "浙贝母"),
    "棱莪": ("三棱", "莪术"),
    "三棱莪术": ("三棱", "莪术"),
    "生熟薏苡仁": ("薏苡仁", "炒薏苡仁"),
    "砂蔻仁": ("砂仁", "豆蔻"),
    "丹栀": ("牡丹皮", "栀子"),
}
"""Names for two or more herbs at once, as prescriptions write them."""


@dataclass(frozen=True, slots=True)
class Found:
    """A herb's entry, and the name of the form found: the herb's own, or a prepared one (炙黄芪)."""

    herb: Herb
    form: str

    @property
    def base(self) -> str:
        """The herb that this one is a prepared form of, or its own name."""
        return self.herb.base or self.herb.name


def plain(text: str) -> str:
    """Return the text in simplified characters, half width and lower case; the enumeration comma stays what it is.

    `harness.text.fold` would make one comma of 、 and ，; but a denial goes on over the one and ends at the other.
    """
    return simplify(fold_widths(text)).lower()


def plain_all(texts: Iterable[str]) -> list[str]:
    """Return the plain form of each text: one conversion for all, because each start of the converter costs time."""
    listed = list(texts)
    together = plain("\n".join(listed)).split("\n")
    return together if len(together) == len(listed) else [plain(text) for text in listed]


@cache
def herb_forms() -> Mapping[str, Found]:
    """Return every name of every herb, in plain form, and what it means. An entry's own name goes before any alias."""
    forms: list[tuple[str, Found]] = []
    entries = {entry.name: entry for entry in files.herbs()}
    forms += [(name, Found(entry, name)) for name, entry in entries.items()]
    for entry in entries.values():
        forms.append((entry.traditional, Found(entry, entry.name)))
        for made in entry.processed:
            own = entries.get(made.name)
            found = Found(own, own.name) if own else Found(entry, made.name)
            forms += [(name, found) for name in (made.name, *made.aliases)]
    for entry in entries.values():
        forms += [(name, Found(entry, entry.name)) for name in entry.aliases]
    table: dict[str, Found] = {}
    for name, (_, found) in zip(plain_all(name for name, _ in forms), forms, strict=True):
        table.setdefault(name, found)
    return table


def herb(name: str) -> Found | None:
    """Return the herb that a name in a prescription means, None when the knowledge base has none. See the module."""
    return _seek(name) if len(name) <= LONGEST else None


@lru_cache(maxsize=16384)
def _seek(name: str) -> Found | None:
    text, known = _NOISE.sub("", plain(name)), herb_forms()
    for candidate in _spellings(text):
        if candidate in known:
            return known[candidate]
    for candidate in _spellings(text):
        if found := _bared(candidate):
            return found
    return None


def _spellings(text: str) -> Iterable[str]:
    yield text
    inside = _BRACKETS.search(text)
    outside = _BRACKETS.sub("", text)
    bare = _DOSE.sub("", outside)
    if inside and bare and (made := _DOSE.sub("", inside[1])):
        yield made + bare
        yield bare + made
    if outside != text:
        yield outside
    if bare != outside:
        yield bare


def _bared(text: str) -> Found | None:
    """Return the herb left when up to two words of preparation and one of shape are taken off; the longest one."""
    known = herb_forms()
    endings = dict.fromkeys((text, _SUFFIX.sub("", text)))
    starts = {0}
    for _ in range(2):
        starts |= {prefix.end() for start in starts if (prefix := _PREFIX.match(text, start))}
    for start in sorted(starts):
        for ending in endings:
            if (candidate := ending[start:]) in known:
                found = known[candidate]
                return Found(found.herb, text if start or ending != text else found.form)
    return None


def normal(name: str) -> str:
    """Return the standard name of a herb; a name that is not known comes back without dose, parentheses and marks."""
    if found := herb(name):
        return found.herb.name
    bare = _DOSE.sub("", _BRACKETS.sub("", _NOISE.sub("", plain(name[: LONGEST * 2]))))
    return bare or plain(name[: LONGEST * 2]).strip()


@cache
def ingredients() -> Mapping[str, str]:
    """Return what formulas and prescriptions hold beside medicinals (黄酒, 金箔), and drugs without an entry: form -> name."""
    words = [row for _, row in files.rows(files.HERE / "words.jsonl") if row["class"] == "ingredient"]
    return {plain(form): row["name"] for row in words for form in (row["name"], *row["forms"])}


def known(name: str) -> bool:
    """Return whether a name in a prescription means anything the knowledge base names: a herb or another ingredient."""
    if herb(name) is not None:
        return True
    return len(name) <= LONGEST and _is_ingredient(name)


@lru_cache(maxsize=16384)
def _is_ingredient(name: str) -> bool:
    text = _NOISE.sub("", plain(name))
    return text in ingredients() or text in JOINED


def find_herb(name: str) -> Found:
    """Return the herb that a name means; raise UsageError with close names when there is none."""
    if found := herb(name):
        return found
    raise unknown("herb", name, herb_forms())


# ------------------------------------------------------------------ the other entries

_ABOUT = re.compile(r"(?:加减|加味|化裁|原方|汤剂|主之)+\Z")


@cache
def formula_forms() -> Mapping[str, Formula]:
    """Return every name of every formula, in plain form."""
    return _named(files.formulas())


@cache
def syndrome_forms() -> Mapping[str, Syndrome]:
    """Return every name of every pattern, in plain form."""
    return _named(files.syndromes())


@cache
def disease_forms() -> Mapping[str, Disease]:
    """Return every name of every disease, in plain form."""
    return _named(files.diseases())


_Entry = TypeVar("_Entry", Formula, Syndrome, Disease)


def _named(entries: tuple[_Entry, ...]) -> dict[str, _Entry]:
    table: dict[str, _Entry] = dict(zip(plain_all(e.name for e in entries), entries, strict=True))
    pairs = [(alias, entry) for entry in entries for alias in entry.aliases]
    for alias, (_, entry) in zip(plain_all(alias for alias, _ in pairs), pairs, strict=True):
        table.setdefault(alias, entry)
    return table


def formula(name: str) -> Formula | None:
    """Return the formula that a name means, with or without 加减 or 加味 after it; None when it is not known."""
    key = "".join(plain(name[:LONGEST]).split())
    known = formula_forms()
    return known.get(key) or known.get(_ABOUT.sub("", key))


def syndrome(name: str) -> Syndrome | None:
    """Return the pattern that a name means, with or without 证 or 型 at its end; None when it is not known."""
    key = "".join(plain(name[:LONGEST]).split())
    known = syndrome_forms()
    bare = re.sub(r"(?:证型|证候|证|型)\Z", "", key)
    return known.get(key) or known.get(bare + "证") or known.get(bare)


def disease(name: str) -> Disease | None:
    """Return the disease that a name means, with or without 病 or 证 at its end; None when it is not known."""
    key = "".join(plain(name[:LONGEST]).split())
    known = disease_forms()
    bare = re.sub(r"[病证症]\Z", "", key)
    for form in (key, bare, bare + "病", bare + "证", bare + "症"):
        if form in known:
            return known[form]
    return None
