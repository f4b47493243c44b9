"""Where a plain reply names options: letters, lists of letters, and the options' own texts."""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace

from harness.extract.phrases import ALL_OF_THEM, LIST_END, NONE_OF_THEM
from harness.extract.prepare import plain_option

_LETTERS = re.compile(
    r"(?<![A-Za-z0-9°%])([A-J]{1,10})(?![A-Za-z0-9°%']|\s?(?:型|超|族|级|期|类(?!似)|区(?!分|别)|组(?!成|合|方|的?是)"
    r"|淋巴|细胞|反应|抗原|抗体|蛋白|受体|链|轮|膜|方案)|-[0-9a-z])"
)
# "A" and "I" are words in English; before a small letter they name an option only where one of these follows.
_WORD = re.compile(
    r" (?!(?:is|are|was|were|and|or|because|since|as|but|rather|not|instead|fits|matches|would|can|should|seems|looks)\b)[a-z]"
)
_NAMED = re.compile(r"(?i:\b(?:options?|choices?|answers?|letters?|statements?)\s?:?\s?\(?)\Z")
_GLOSS = re.compile(r"\s?[.、:,)=]?\s?[-:]{0,2}\s?\(?")
_NAME_SUFFIX = re.compile(r"\)?\s?(?:选项|项(?!目))\)?|\)")
_LABEL = re.compile(r"\s?[.、:)]")
_ASIDE = re.compile(r"\s?\((?![A-J]\))[^()\n√×对错误]{1,30}\)")
_LETTER_AFTER = re.compile(r"\s?[(,]?\s?(?i:option |choice |选项|即|为)?([A-J])\)?(?![A-Za-z0-9])")
_JOINT = re.compile(
    r"\s?(?:[、,;/&+]|和|与|及|以及|还有|并|(?i:\band\b|\bor\b|\bas well as\b)|或者?是?|还是)?\s?(?:和|以及|(?i:and\b|or\b))?\s?(?:选项)?"
    r"(?i:option )?\(?"
)
_OR = re.compile(r"或|还是|(?i:\bor\b)")
_RANGE = re.compile(r"\s?[-~至到]\s?")
_TEXT_END = re.compile(
    r"[\s,。;:!?()、.>=\-√×]|证|型|之|的|这|所|是|为|加|方|因|与|和|及|而|不|才|最|对|错|正|均|都|项|符|或|也|以|无|较|更|等"
)


@dataclass(frozen=True, slots=True)
class Options:
    """The options of one item, ready to be looked for: letters, plain texts, and what stands for all or none of them."""

    letters: str
    texts: dict[str, str]
    pattern: re.Pattern[str] | None
    all_of_them: str | None
    none_of_them: str | None


@dataclass(frozen=True, slots=True)
class Mention:
    """A place that names options. `breaks` are the (end, start) of the joints at which the list might be cut in two."""

    start: int
    end: int
    letters: str
    by_text: bool = False
    glossed: bool = False
    alternatives: bool = False
    is_range: bool = False
    conflict: bool = False
    opens_walk: bool = False
    breaks: tuple[tuple[int, int, int, str], ...] = ()

    def before(self, cut: tuple[int, int, int, str]) -> Mention:
        """The part of the list up to a joint."""
        kept = tuple(b for b in self.breaks if b[0] < cut[0])
        return replace(self, end=cut[0], letters=self.letters[: cut[2]], breaks=kept)

    def after(self, cut: tuple[int, int, int, str]) -> Mention:
        """The part of the list after a joint."""
        kept = tuple((e, s, n - cut[2], j) for e, s, n, j in self.breaks if e > cut[0])
        return replace(self, start=cut[1], letters=self.letters[cut[2] :], breaks=kept)


@functools.lru_cache(maxsize=256)
def read_options(pairs: tuple[tuple[str, str], ...]) -> Options:
    """The options of an item; an option without a text is none, unless no option has one (a picture shows them)."""
    plain = {letter: plain_option(text) for letter, text in pairs}
    if any(plain.values()):
        plain = {letter: text for letter, text in plain.items() if text}
    letters = "".join(sorted(plain))
    texts: dict[str, str] = {}
    for letter, text in plain.items():
        for form in {text, text.removesuffix("证") if len(text) > 3 else text}:
            if len(form) == 1 and form.isascii() and form.isalpha():
                continue
            texts[form] = texts.get(form, "") + letter
    named = {text: letter for text, letter in texts.items() if letter and text}
    ordered = sorted(named, key=len, reverse=True)
    pattern = re.compile("|".join(map(_bounded, ordered))) if ordered else None
    return Options(
        letters,
        named,
        pattern,
        next((letter for letter, t in plain.items() if len(t) < 24 and ALL_OF_THEM.match(t)), None),
        next((letter for letter, t in plain.items() if len(t) < 24 and NONE_OF_THEM.match(t)), None),
    )


def _bounded(text: str) -> str:
    before = r"(?<![a-z0-9])" if re.match("[a-z0-9]", text) else ""
    after = r"(?![a-z0-9])" if re.search(r"[a-z0-9]\Z", text) else ""
    return before + re.escape(text) + after


def find_mentions(text: str, options: Options) -> list[Mention]:
    """All places that name options, in order and not overlapping; neighbours in a list are one mention."""
    found: list[Mention] = []
    for item in _items(text, options):
        joined = _join(found[-1], item, text) if found else None
        if joined is None:
            found.append(item)
        else:
            found[-1] = joined
    return found


def _items(text: str, options: Options) -> Iterator[Mention]:
    lower = text.lower()
    spans: dict[int, tuple[int, str]] = {}
    if options.pattern is not None:
        spans = {m.start(): (m.end(), options.texts[m[0]]) for m in options.pattern.finditer(lower)}
    shared = {start for start, (_, letters) in spans.items() if len(letters) > 1}
    spans.update(_classes(text, options))
    starts = sorted([*spans, *(m.start() for m in _LETTERS.finditer(text))])
    done = 0
    for start in dict.fromkeys(starts):
        if start < done:
            continue
        if start in shared:
            continue  # a text that two options share names neither of them, and only explains a letter before it
        if start in spans:
            item = _text_item(text, start, *spans[start])
        else:
            letters = _LETTERS.match(text, start)
            item = _letter_item(text, letters, spans) if letters else None
        if item is not None:
            done = item.end
            yield item


def _classes(text: str, options: Options) -> Iterator[tuple[int, tuple[int, str]]]:
    for found in ALL_OF_THEM.finditer(text):
        yield found.start(), (found.end(), options.all_of_them or options.letters)
    if options.none_of_them:
        for found in NONE_OF_THEM.finditer(text):
            if text[max(0, found.start() - 3) : found.start()].strip(" \n,。:;是为选)、") == "":
                yield found.start(), (found.end(), options.none_of_them)


def _text_item(text: str, start: int, end: int, letters: str) -> Mention | None:
    named = _LETTER_AFTER.match(text, end)
    if named and named[1] in letters and (text[named.start() : named.start(1)].strip() or named[0].endswith(")")):
        return Mention(start, named.end(), named[1], glossed=True)
    if end - start < 3 and end < len(text) and not _TEXT_END.match(text, end) and not text[end].isascii():
        return None
    return Mention(start, end, letters, by_text=True)


def _letter_item(text: str, found: re.Match[str], spans: dict[int, tuple[int, str]]) -> Mention | None:
    letters, start, end = found[1], found.start(), found.end()
    if letters in "AI" and _WORD.match(text, end) and not _NAMED.search(text, max(0, start - 12), start):
        return None
    if len(letters) > 1 and (len(set(letters)) < len(letters) or not LIST_END.match(text, end)):
        return None
    if start and text[start - 1] == "(":
        start -= 1
    suffix = _NAME_SUFFIX.match(text, end)
    end = suffix.end() if suffix else end
    glossed = conflict = False
    if len(letters) == 1:
        gloss = _GLOSS.match(text, end)
        at = gloss.end() if gloss else end
        if at in spans:
            stop, owner = spans[at]
            if letters in owner:
                glossed, end = True, stop
                end += text[at - 1] == "(" and text[end : end + 1] == ")"
            elif _LABEL.match(text, found.end()) and text[stop : stop + 1] in ("", "\n", "。", ")", ",", "."):
                conflict, end = True, stop
    aside = _ASIDE.match(text, end)
    if aside:
        end = aside.end()
    return Mention(start, end, letters, glossed=glossed, conflict=conflict)


def _join(a: Mention, b: Mention, text: str) -> Mention | None:
    gap = text[a.end : b.start]
    if len(gap) > 16 or a.by_text != b.by_text or a.conflict or b.conflict:
        return None
    if (
        _RANGE.fullmatch(gap)
        and len(b.letters) == 1
        and not a.glossed
        and not b.glossed
        and not a.breaks
        and len(a.letters) == 1
    ):
        if a.letters < b.letters:
            letters = "".join(map(chr, range(ord(a.letters), ord(b.letters) + 1)))
            return Mention(a.start, b.end, letters, is_range=True)
        return None
    if "\n" in gap:
        if not (a.glossed and b.glossed and not gap.strip(" \n,;。、")):
            return None
    elif not _JOINT.fullmatch(gap):
        return None
    elif not gap.strip():
        bracketed = text[a.end - 1] == ")" and text[b.start] == "("
        if a.by_text or a.glossed != b.glossed or not (gap or bracketed):
            return None
    repeated = bool(set(a.letters) & set(b.letters))
    if repeated and gap.strip():
        return None
    cut = (a.end, b.start, len(a.letters), gap.strip() or " ")
    return Mention(
        a.start,
        b.end,
        a.letters + b.letters,
        by_text=a.by_text,
        glossed=a.glossed and b.glossed,
        alternatives=a.alternatives or bool(_OR.search(gap)),
        conflict=repeated,  # A A A B B B is noise, not a list
        breaks=(*a.breaks, cut),
    )
