"""The herbs of a prescription in free text: names, prepared forms, doses.

Lists are read with any separator (、 , space, line, none at all), under a heading (药物组成, 处方 ...) or bare. Where there is no
list, the herbs that the text mentions and does not deny are the prescription. Everything runs in linear time.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace

from harness.extract.sections import sections
from harness.knowledge.lexicon import segment
from harness.knowledge.names import JOINED, herb, herb_forms, known, normal, plain
from harness.registry import Answer, extractor
from harness.types import Sample


@dataclass(frozen=True, slots=True)
class Item:
    """One herb of a prescription.

    `name` is the standard name (the name as written, cleaned, where the knowledge base has none), `form` what is written;
    `dose` is the number in `unit` (the middle of a range, whose end is `high`), None where none is stated.
    """

    name: str
    form: str
    dose: float | None = None
    unit: str | None = None
    high: float | None = None

    @property
    def grams(self) -> float | None:
        """The dose in grams; a number without unit is grams. None for pieces (枚, 片) and where no dose stands."""
        return None if self.dose is None else _grams(self.dose, self.unit)

    @property
    def most_grams(self) -> float | None:
        """The upper end of the dose in grams."""
        return None if self.high is None else _grams(self.high, self.unit)


_GRAMS = {None: 1.0, "g": 1.0, "mg": 0.001, "kg": 1000.0, "钱": 3.0, "两": 30.0}
"""钱 and 两 as prescriptions of today mean them: 3 g and 30 g."""

_UNITS = {"克": "g", "公克": "g", "毫克": "mg", "千克": "kg", "毫升": "ml"}
_UNIT = r"公克|毫克|千克|毫升|mg|kg|ml|g|克|钱|两|枚|片|条|只|个|粒|根|支|对|包|袋|茎|具|分"
_NUMBER = r"\d{1,5}(?:\.\d{1,4})?"
_DOSE = re.compile(rf"(?:各|约|每味)?(?P<a>{_NUMBER})(?: ?[-~至到] ?(?P<b>{_NUMBER}))? ?(?P<unit>{_UNIT})?")
_CHINESE_DOSE = re.compile(
    r"(?:各|约)?(?P<n>[一二三四五六七八九十两半百]{1,4})(?P<unit>克|钱|两|枚|片|条|只|个|粒|根|对)\Z"
)
_NUMERALS = {c: i for i, c in enumerate("零一二三四五六七八九")} | {"两": 2, "半": 0.5}
_NUMBERING = re.compile(r"^[ \t#>*\-•·]{0,8}[(]?\d{1,2}[.、)](?!\d)[ \t]?", re.MULTILINE)
_PIECE = re.compile(r"(?:[^、,;:\n\t+/|。\"'“”‘’\[\]()<>{}*_#`=\s]|\([^()\n]{0,40}\))+")
_BRACKETS = re.compile(r"\(([^()\n]{0,40})\)")
_HANDLING = re.compile(
    r"(?:先煎|后下|包煎|布包|另煎|另炖|烊化|冲服|冲入|分冲|兑服|吞服|研末|研粉|打碎|捣碎|先下|后入|泡服|久煎|同煎|煎汤代水|去皮|去心|去核|去毛|去节|适量|少许|各等分|等分|等)+"
)
_LABEL = re.compile(
    r"\A(?:君|臣|佐|使|主|辅|佐使|君药|臣药|佐药|使药|佐使药|主药|辅药|方用|药用|加用?|另加|再加|佐以|配以?|以及|及|和|与|并|选用|如|用)(?=.{2})"
)
_NO_HERB = re.compile(
    r"[去煎服剂次日天每治疗证症病方法量加减注意随者时后前其患本为宜忌可应按须请不无]|[汤散丸饮膏]\Z|(?:药物?|组成|处方)\Z"
)
_DENIED = re.compile(
    r"(?:不宜|不可|不能|不用|不得|不选|未用|没有|停用|去掉|减去|去|忌|忌用|禁用|禁|慎用|避免|避免使用|反|畏|而非|并非|不加|勿用|勿|非)[^。;,、\n]{0,3}\Z"
)
_JOINER = re.compile(r"[与和及加配伍合并同、以]+")
_WORD = re.compile(r"[^\W\d_]")
_HERB_WORD = re.compile(r"[\u3400-\u9fff]{2,6}\Z")


def prescription(text: str) -> tuple[Item, ...]:
    """Return the herbs that a text prescribes, in order, each once; empty where there is none.

    The first section 药物组成, 处方 or the like with two herbs counts; without one, the lines that list herbs; without these,
    the herbs mentioned and not denied.
    """
    line = _NUMBERING.sub("", plain(text))
    for section in sections(line):
        if section.slot in ("herbs", "recipe"):
            items = listed(section.text)
            if sum(known(item.form) for item in items) >= 2 or (items and section.slot == "herbs"):
                return items
    lists = "\n".join(part for part in line.split("\n") if _is_list(part))
    if lists and (items := listed(lists)):
        return items
    return _unique(_mentioned(line))


@extractor("herbs")
def herbs(text: str, _sample: Sample) -> Answer | None:
    """Return the standard names of the herbs that a text prescribes, in order; None where it prescribes none."""
    return tuple(item.name for item in prescription(text)) or None


def _is_list(line: str) -> bool:
    """Return whether three pieces or half of the pieces of a line, two at least, are herbs."""
    pieces = [
        piece for piece in _PIECE.findall(line) if _WORD.search(bare := _bare(piece)) and not _DOSE.fullmatch(bare)
    ]
    herbs = sum(1 for piece in pieces if len(piece) <= 24 and known(_name_only(piece)))
    return (herbs >= 2 and herbs * 2 >= len(pieces)) or (herbs == len(pieces) == 1)


def _bare(piece: str) -> str:
    return _HANDLING.sub("", _BRACKETS.sub("", piece))


def _name_only(piece: str) -> str:
    bare = _BRACKETS.sub("", piece)
    dose = _DOSE.search(bare)
    return _LABEL.sub("", _HANDLING.sub("", bare[: dose.start()] if dose and dose.start() else bare))


def listed(text: str) -> tuple[Item, ...]:
    """Return the herbs of a list in plain form, in order, each once.

    What is no known herb counts as an unknown one when it has a dose, or when it looks like a name and stands in a line
    with two known herbs.
    """
    items: list[Item] = []
    for line in _NUMBERING.sub("", text).split("\n"):
        found = list(_line(line))
        certain = sum(known(item.form) for item in found)
        items += [
            item
            for item in found
            if known(item.form) or (certain and item.dose is not None) or (certain > 1 and _like_a_name(item.form))
        ]
    return _unique(items)


def _line(line: str) -> Iterator[Item]:
    """Yield the herbs of one line, a dose alone joined to the herb before it."""
    last: Item | None = None
    for piece in _PIECE.findall(line):
        bare = _bare(piece)
        if alone := _DOSE.fullmatch(bare):
            if last is not None and last.dose is None:
                last = _dosed(last, alone)
            continue
        for item in _piece(piece):
            if last is not None:
                yield last
            last = item
    if last is not None:
        yield last


def _piece(piece: str) -> Iterator[Item]:
    """Yield the herbs of one piece: 黄芪30g, 黄芪(炙)30g党参15g, 黄芪党参."""
    notes, bare = _BRACKETS.findall(piece), _bare(piece)
    if (found := _CHINESE_DOSE.search(bare)) and bare not in herb_forms():
        dose, unit = _chinese_number(found["n"]), _UNITS.get(found["unit"], found["unit"])
        yield from (replace(item, dose=dose, unit=unit, high=dose) for item in _names(bare[: found.start()], notes))
        return
    since = 0
    for dose_found in _DOSE.finditer(bare):
        written = bare[since : dose_found.start()]
        shared = len(JOINED.get(written.strip(), ())) or 1  # 焦三仙30g and 焦三仙各10g are both 10 g of each
        for item in _names(written, notes):
            yield _dosed(item, dose_found, 1 if dose_found[0].startswith("各") else shared)
        since = dose_found.end()
    inside = next((d for note in notes if (d := _DOSE.fullmatch(_HANDLING.sub("", note).strip(" ,、")))), None)
    for item in _names(bare[since:], notes):
        yield _dosed(item, inside) if inside else item


def _names(written: str, notes: list[str]) -> Iterator[Item]:
    """Yield the herbs that stand in a piece between doses: one name, a name for several, or names run together."""
    name = written.strip(" .-~·:各")
    unlabelled = _LABEL.sub("", name)
    if not _known_name(name) and _known_name(unlabelled):
        name = unlabelled
    if not name or len(name) > 400:
        return
    if name in JOINED:
        yield from (Item(normal(one), one) for one in JOINED[name])
        return
    for note in notes:
        if len(note) <= 4 and (found := herb(note + name)) and found != herb(name):
            yield Item(found.herb.name, note + name)
            return
    if _known_name(name) or len(name) < 4:
        yield Item(normal(name), name)
        return
    yield from _run_together(name)


def _run_together(name: str) -> Iterator[Item]:
    """Yield the herbs of names without separators; the whole as one unknown herb when not all of it is herbs."""
    spans = [span for span in segment(name) if span.term.kind == "herb"]
    rest, since = "", 0
    for span in spans:
        rest += name[since : span.start]
        since = span.end
    rest = _JOINER.sub("", rest + name[since:])
    if spans and not rest:
        for span in spans:
            for one in JOINED.get(span.form, (span.form,)):
                yield Item(normal(one), one)
    else:
        yield Item(normal(name), name)


def _known_name(name: str) -> bool:
    return len(name) <= 12 and known(name)


def _like_a_name(form: str) -> bool:
    if not _HERB_WORD.match(form) or _NO_HERB.search(form):
        return False
    return all(span.term.kind == "herb" for span in segment(form))


def _dosed(item: Item, found: re.Match[str], shared: int = 1) -> Item:
    low = float(found["a"]) / shared
    high = float(found["b"]) / shared if found["b"] else low
    unit = found["unit"]
    return replace(item, dose=(low + high) / 2, unit=_UNITS.get(unit, unit), high=max(low, high))


def _chinese_number(text: str) -> float:
    total, digit = 0.0, 0.0
    for c in text:
        if c in "十百":
            total += (digit or 1) * (10 if c == "十" else 100)
            digit = 0
        else:
            digit = _NUMERALS[c]
    return total + digit


def _grams(number: float, unit: str | None) -> float | None:
    factor = _GRAMS.get(unit)
    return None if factor is None else number * factor


def _mentioned(line: str) -> Iterator[Item]:
    """Yield the known herbs of a running text, but those that it denies, in the order of the text."""
    for span in segment(line):
        if span.term.kind == "herb" and not _DENIED.search(line, max(0, span.start - 12), span.start):
            for one in JOINED.get(span.form, (span.form,)):
                yield Item(normal(one), one)


def _unique(items: Iterator[Item] | list[Item]) -> tuple[Item, ...]:
    """Return each herb once, where it first stands; a later dose is taken where the first has none."""
    kept: dict[str, Item] = {}
    for item in items:
        first = kept.get(item.name)
        if first is None:
            kept[item.name] = item
        elif first.dose is None and item.dose is not None:
            kept[item.name] = replace(first, dose=item.dose, unit=item.unit, high=item.high)
    return tuple(kept.values())
