"""The slots of a case answer: disease, pattern, principle, formula and herbs, with headings and without."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from harness.extract.herbs import Item, prescription
from harness.extract.sections import Section, Slot, sections
from harness.knowledge.lexicon import segment
from harness.knowledge.names import disease, formula, known, plain, syndrome


@dataclass(frozen=True, slots=True)
class Slots:
    """What an answer says, in plain form and as it is written; None, or no herbs, where it says nothing readable."""

    disease: str | None
    pattern: str | None
    principle: str | None
    formula: str | None
    herbs: tuple[Item, ...]


_BOLD = re.compile(r"[*_`#]+")
_PATTERN_INSIDE = re.compile(r"\A(?P<disease>[^()\n]{1,20}?)\s?\((?P<pattern>[^()\n]{2,24})\)")
_FORMULA = re.compile(
    r"[\u3400-\u9fff]{1,10}?(?:汤|散|丸|饮子|饮|煎|丹|膏|方|颗粒|胶囊|剂)(?:加减|加味|化裁)?(?![\u3400-\u9fff]{0,1}(?:服|送))"
)
_FORMULA_LINE = re.compile(
    r"[\u3400-\u9fff]{1,30}(?:汤|散|丸|饮|饮子|煎|丹|膏|方)(?:加减|加味|化裁)?(?:[加去][\u3400-\u9fff、,去加]{2,24})?"
)
_CUES = {
    "disease": re.compile(
        r"(?:中医)?(?:疾病)?(?:诊断|辨病|病名)(?:为|是|属于|属|考虑为|考虑)[ \"“「]{0,2}(?P<value>[^,。;\n\"”」]{1,24})"
        r"|(?:属于?|归属于?|当属)(?:中医学?)?[ \"“「]{0,2}(?P<value2>[^,。;\n\"”」]{1,12})[\"”」]?(?:病)?(?:的)?范畴"
    ),
    "pattern": re.compile(
        r"(?:辨证|辨为|证候|证型|证属|证当属|证)(?:考虑)?(?:为|属于|属|是|当属|,属)?[ \"“「]{0,2}(?P<value>(?:[^。;\n\"”」:为]{2,24}?证(?:\([^()\n]{1,12}\)|\))?|(?<=[为属是])[^,。;\n\"”」:]{2,16}))"
        r"|(?:属于?|为|是)[ \"“「]{0,2}(?P<value2>[^,。;\n\"”」:属为是]{2,16}证)(?![候据])"
    ),
    "principle": re.compile(
        r"(?:治法|治则|治疗|治)(?:上|原则)?(?:宜|以|当|应|为|拟|法)(?:以|用)?[ \"“「]{0,2}(?P<value>[^。;\n\"”」:]{3,40}?)(?:为主|为法|为治)?(?:[。;\n]|,?方[用选以药]|,?选[用方]|\Z)"
        r"|(?:法当|当以|宜以|拟以|拟)(?P<value2>[^。;\n\"”」:]{3,30}?)(?:为主|为法|为治)?(?:[。;\n]|,?方[用选以药]|\Z)"
    ),
    "formula": re.compile(
        r"(?:方用|方选|方以|选方|方取|方予|方药用|处方用|选用|拟用|予以|予|投以|主方|用|开|以)(?:为|是)?[ \"“「《]{0,2}(?P<value>[^,。;:\n\"”」》]{2,24})(?P<value2>\Z.)?"
    ),
}


def slots(text: str) -> Slots:
    """Return what a case answer says of disease, pattern, principle, formula and herbs.

    Under headings their text is taken; what has no heading is read from phrases (诊断为, 辨证为, 治以, 方用), then from lines that
    the knowledge base knows. Linear in the text.
    """
    line = plain(text)
    parts = sections(line)
    named = {slot: value for slot in ("disease", "pattern", "principle", "formula") if (value := _under(parts, slot))}
    herbs = prescription(line)
    if "formula" not in named and (recipe := _recipe(parts)):
        named["formula"] = recipe
    if "disease" in named:
        _split_diagnosis(named)
    running = _without_sections(line, parts)
    for slot in ("disease", "pattern", "principle", "formula"):
        if slot not in named and (value := _by_phrase(slot, running) or _by_line(slot, running)):
            named[slot] = value
    return Slots(named.get("disease"), named.get("pattern"), named.get("principle"), named.get("formula"), herbs)


def _under(parts: list[Section], slot: Slot | str) -> str | None:
    """Return the first line with content under the first heading of a slot."""
    for part in parts:
        if part.slot == slot:
            for row in part.text.split("\n"):
                if value := _clean(row):
                    return value
    return None


def _clean(row: str) -> str:
    return _BOLD.sub("", row).strip(" \t。.;,、:-•·\"'“”[]<>《》「」【】")


def _recipe(parts: list[Section]) -> str | None:
    """Return the formula's name at the head of a section that may hold name, herbs or both."""
    for part in parts:
        if part.slot in ("recipe", "herbs"):
            head = _clean(part.text.split("\n", 1)[0])
            first = re.split(r"[:,。;、 ]", head, maxsplit=1)[0]
            if not known(first) and (_formula_in(first) or formula(first)):
                return first
    return None


def _formula_in(text: str) -> bool:
    return bool(_FORMULA.fullmatch(text.strip())) or any(s.term.kind == "formula" for s in segment(text))


def _split_diagnosis(named: dict[str, str]) -> None:
    """Move a pattern that stands with the disease (胸痹（气虚血瘀证）, 咳嗽-风热犯肺证) into its own slot."""
    value = named["disease"]
    inside = _PATTERN_INSIDE.match(value)
    if inside and "pattern" not in named and (inside["pattern"].endswith(("证", "型")) or syndrome(inside["pattern"])):
        named["disease"], named["pattern"] = inside["disease"].strip(), inside["pattern"]
        return
    pieces = [piece for piece in re.split(r"[,;、 \-/]+", value) if piece]
    if len(pieces) > 1 and (disease(pieces[0]) or pieces[0].endswith("病")):
        rest = pieces[-1]
        if "pattern" not in named and (rest.endswith("证") or syndrome(rest)):
            named["disease"], named["pattern"] = pieces[0], rest


def _without_sections(line: str, parts: list[Section]) -> str:
    """Return the text in which phrases are looked for: all of it; where headings stand, what is under other ones."""
    if not parts:
        return line
    head = line[: line.find(parts[0].text)] if parts[0].text else line
    other = "\n".join(part.text for part in parts if part.slot in ("other", "recipe", "herbs", "pattern", "disease"))
    return f"{head}\n{other}"


def _by_phrase(slot: str, text: str) -> str | None:
    """Return what a phrase states: the first statement that the knowledge base knows, else the first that can be it."""
    first = None
    for found in _CUES[slot].finditer(text):
        value = _clean(found["value"] or found["value2"] or "")
        value = re.sub(r"(?:的)?(?:范畴|类型)\Z", "", value)
        if not value:
            continue
        if _fits(slot, value):
            return value
        if first is None and _plausible(slot, value, found[0]):
            first = value
    return first


def _fits(slot: str, value: str) -> bool:
    if slot == "disease":
        return disease(value) is not None or disease(value.split("(")[0]) is not None
    if slot == "pattern":
        return any(syndrome(piece) is not None for piece in re.split(r"[-之()]", value))
    if slot == "formula":
        return formula(value) is not None or any(span.term.kind == "formula" for span in segment(value))
    return _share(value, ("principle",)) >= 0.5


def _plausible(slot: str, value: str, phrase: str) -> bool:
    if slot == "formula":
        return phrase[0] in "方选主处" and _FORMULA.match(value) is not None
    if slot == "pattern":
        named = value.endswith("证") and not value.endswith(("辨证", "诸证", "病证"))
        return named or (phrase.startswith(("辨证", "证候", "证型")) and 2 <= len(value) <= 12 and value != "辨证")
    return slot == "principle" and _share(value, ("principle",)) > 0


def _is_pattern(row: str) -> bool:
    if _fits("pattern", row):
        return True
    return row.endswith("证") and disease(row) is None and "为" not in row and "诊断" not in row


def _share(text: str, kinds: tuple[str, ...]) -> float:
    """Return the share of a text's characters, but for separators, that are terms of some kinds."""
    body = len(re.sub(r"[\s,、。;]", "", text))
    return sum(s.end - s.start for s in segment(text) if s.term.kind in kinds) / body if body else 0.0


def _by_line(slot: str, text: str) -> str | None:
    """Return the first line or sentence that as a whole is what the slot holds; for formulas also the first mentioned."""
    for row in _rows(text):
        whole = len(row) <= 40 and (
            (slot == "disease" and disease(row.split("(")[0]) is not None)
            or (slot == "pattern" and len(row) <= 24 and _is_pattern(row))
            or (slot == "principle" and _share(row, ("principle",)) >= 0.6)
            or (slot == "formula" and _FORMULA_LINE.fullmatch(row) is not None and "证" not in row)
        )
        if whole:
            return row
    kinds = {"disease": "disease", "pattern": "syndrome", "formula": "formula"}
    kind = kinds.get(slot)
    return next((span.form for span in segment(text) if span.term.kind == kind), None) if kind else None


def _rows(text: str) -> Iterator[str]:
    for row in re.split(r"[。;\n]", text):
        if cleaned := _clean(row):
            yield cleaned
