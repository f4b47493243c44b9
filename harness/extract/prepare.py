"""A reply made plain for reading letters off it: one spelling, no markup, no echo of the question."""

from __future__ import annotations

import functools
import re

from harness.text import fold_widths, simplify

# An answer that stands deep inside a longer text than this is not an answer to a multiple-choice item; the limit
# bounds the work on degenerate output (models that repeat themselves for a megabyte).
_HEAD, _TAIL = 4_000, 60_000

_SPELLING = str.maketrans(
    {
        **dict.fromkeys("【〔〖［[】〕〗］]", " "),
        **dict.fromkeys('“”„‟〝〞"「」『』«»`*_#$|{}', ""),
        **dict.fromkeys("‐‑‒–—―−﹣－─━", "-"),
        **dict.fromkeys("〜～∼", "~"),
        **dict.fromkeys("‘’", "'"),
        **dict.fromkeys("✔✓☑✅", "√"),
        **dict.fromkeys("✗✘✖❌❎", "×"),
        **dict.fromkeys("⇒→➡⟶➜", ">"),
        "｡": "。",
    }
)
_STRUCK = re.compile(r"~~[^~\n]{0,80}~~|<(?:del|s|strike)>[^<>\n]{0,80}</(?:del|s|strike)>", re.IGNORECASE)
_BREAK = re.compile(r"<(?:br|/?p|/?div|/?li)[^<>\n]{0,40}>|\\\\|\\n", re.IGNORECASE)
_TAG = re.compile(r"</?[A-Za-z][^<>\n]{0,40}>")
_BOXED = re.compile(r"\\(?:boxed|fbox)\s?(?=\{)")
_LATEX = re.compile(
    r"\\(?:text|textbf|textit|mathrm|mathbf|mathbb|mathsf|bm|left|right|quad|displaystyle)\b ?|\\[()\[\],;!]"
)
_SPACES = re.compile(r"[^\S\n]+")
_LINES = re.compile(r" ?\n[ \n]*")
_BULLET = re.compile(
    r"^(?:[>\-+•·▪●○◆►◦] ?|第?[0-9]{1,3}(?:[.、)](?![0-9])|题?:(?![0-9])|题) ?|\([0-9]{1,3}\) ?|Q[0-9]{1,3}[.:] ?){1,3}",
    re.M,
)
_APOSTROPHE = re.compile(r"(?<![A-Za-z])'|'(?![A-Za-z])")
_SMALL = re.compile(
    r"((?:答案|答|选|选项|选择)[\s:是为选项(]{0,6}"
    r"|(?i:\b(?:answers?|choose|select|pick)(?: is| are)?(?: option| choice| letter)?[\s:(]{1,4}))"
    r"([a-j])(?![A-Za-z0-9']| [a-z])"
    r"|\b((?i:option|choice) )([a-j])(?![A-Za-z0-9'])"
)
_RANGE = re.compile(r"(?<=[0-9])( ?(?:g|mg|ml|克|毫克|毫升))? ?[-~至到] ?(?=[0-9])")
_UNIT = re.compile(r"(?<=[0-9]) ?(克|毫克|毫升|公斤|g|mg|ml|kg)(?![A-Za-z])")
_UNITS = {"克": "g", "毫克": "mg", "毫升": "ml", "公斤": "kg"}
_ONLY_SMALL = re.compile(r"\(?[a-j]\)?[.。]?")


def plain(text: str) -> str:
    """The text in half width and simplified characters, without markup, quotation marks, bullets and double spaces.

    Lines are kept; 。 and 、 stay apart from the dot and the comma because they end sentences and join lists.
    """
    if len(text) > _HEAD + _TAIL:
        text = text[:_HEAD] + "\n" + text[-_TAIL:]
    text = _BREAK.sub("\n", _STRUCK.sub(" ", text))
    text = _TAG.sub("", text)
    text = _LATEX.sub("", _BOXED.sub(" 答案:", text))
    text = simplify(fold_widths(text).translate(_SPELLING))
    text = _APOSTROPHE.sub("", text)
    text = _LINES.sub("\n", _SPACES.sub(" ", text)).strip()
    text = _one_quantity(_BULLET.sub("", text))
    if _ONLY_SMALL.fullmatch(text):
        return text.upper()
    return _SMALL.sub(lambda m: (m[1] or m[3]) + (m[2] or m[4]).upper(), text)


@functools.lru_cache(maxsize=4096)
def plain_option(text: str) -> str:
    """An option's or a stem's text in the same spelling, in lower case and without the punctuation at its end."""
    folded = simplify(fold_widths(text[:_HEAD]).translate(_SPELLING))
    folded = _LATEX.sub("", _TAG.sub("", _APOSTROPHE.sub("", folded)))
    return _one_quantity(" ".join(folded.split())).lower().strip(" .。,;:!?、")


def _one_quantity(text: str) -> str:
    return _UNIT.sub(lambda m: _UNITS.get(m[1], m[1]), _RANGE.sub(r"-", text))


def without_stem(text: str, stem: str) -> str:
    """The plain text with every literal repetition of the stem taken out."""
    bare = plain_option(stem)
    if len(bare) < 8:
        return text
    parts: list[str] = []
    lower, since = text.lower(), 0
    while (at := lower.find(bare, since)) >= 0:
        parts.append(text[since:at])
        since = at + len(bare)
    return "\n".join([*parts, text[since:]]).strip(" \n:。.?") if parts else text
