"""The answers to a fill-in item, in the order of its blanks, as the model wrote them.

Tried in this order: the inside of `<answer>`; a JSON list or object; the stem repeated with its blanks filled in; as
many bold words as there are blanks; a numbered list; one answer a line; one line with separators. The first that
gives exactly as many answers as the item has blanks counts; where none does, the reply cannot be read. Explanations
after the answers are cut, lead-ins (答案是, 应填) and wrapping brackets are taken off, and nothing else is changed.
"""

from __future__ import annotations

import json
import re
import unicodedata
from typing import Any

from harness.extract.free_text import free_text
from harness.text import simplify

_LONGEST = 80  # characters of one answer; what is longer is an explanation
_CAP = 20_000  # characters read at all: answers to blanks stand at the beginning
_STEM_BLANK = re.compile(r"[（(【\[][ \u3000\t]*[）)】\]]|[_＿]{2,}|…{2,}|\.{4,}")
_EXPLAINS = re.compile(
    r"[\n。；;，,（( ] {0,3}(?:[#【\[*]{0,3}) ?(?:答案)?(?:解析|解释|分析|说明|理由|依据|原因|注[:：]|注意|备注|参考文献|补充|出自|因为|由于|其中|这是因为|这是|"
    r"(?i:explanation|reason|because|since|note)\b)|[（(] ?因"
)
_LEAD = re.compile(
    r"\s{0,4}(?:[-•·*>#]\s?)?(?:(?:好的|您好|你好|当然)[,，。!！]\s?)?(?:(?:根据|按照|依据)[^,，。\n]{1,30}[,，]\s?)?(?:本题|此题|这道题|该题|题目|空格|横线|括号|空白处?|以下是|填空)*的?(?:处|中|里|内|上)?的?(?:应该?|依次|分别|需|可以|可)*"
    r"(?:(?:正确|参考|标准|最终|填空)*的?答案(?:依次|分别|应该?|就)*(?:是|为|如下)?|应?填(?:入|写|空|的是)?(?:内容)?(?:依次|分别)?(?:是|为)?|依次(?:是|为|填)|分别(?:是|为|填)|[答解](?=\s?[:：])"
    r"|第?[一二三四五六七八九十0-9]{1,2}(?:个)?空(?:应?填|答案)?(?:是|为)?|空[格]?[一二三四五六七八九十0-9]{1,2}(?:应?填)?(?:是|为)?"
    r"|(?i:the )?(?i:correct |final )?(?i:answers?|blanks?)(?: \d{1,2})?(?i: is| are)?(?= ?[:：]|\s(?!is|are)))\s?[:：]?\s{0,3}"
)
_MARK = re.compile(
    r"(?:(?<=[\s。；;,，、:：])|^)(?:第?(?P<a>[0-9]{1,2})(?:[.．](?![0-9])|[、)）:：]|空[:：是为]?|\s(?=[^\s0-9~～\-]))"
    r"|[（(](?P<b>[0-9]{1,2})[)）]|第(?P<d>[一二三四五六七八九十])(?:个)?空[:：是为]?|空格?(?P<e>[0-9一二三四五六七八九])[:：])|(?P<c>[①②③④⑤⑥⑦⑧⑨⑩])",
    re.MULTILINE,
)
_NUMERALS = {c: i for i, c in enumerate("一二三四五六七八九十", 1)} | {c: i for i, c in enumerate("①②③④⑤⑥⑦⑧⑨⑩", 1)}
_BOLD = re.compile(r"\*\*([^*\n]{1,80})\*\*|__([^_\n]{1,80})__")
_LABEL = re.compile(r"(?:答案|解析|分析|说明|解释|注意?|填空|理由|(?i:answers?|explanation))[^:：]{0,4}[:：]?")
_MARKUP = re.compile(
    r"\*\*|__(?!_)|`{1,3}(?:json|text)?|^#{1,6} |\$|\\boxed|\\text|</?(?:b|u|strong|em)>", re.MULTILINE
)
_REFUSES = re.compile(
    r"\s*(?:很?抱歉|对不起|很遗憾|作为(?:一个)?(?:AI|人工智能)|我?(?:无法|不能|不知道|不太?清楚|不太?确定|不是很(?:确定|清楚))|暂无|未知答案|没有提供|请提供|"
    r"(?i:i(?:'m| am) (?:sorry|not sure|unable)|sorry|i (?:can't|cannot|don't|do not)|as an ai|unfortunately|error\b|api))"
)
_PAIRS = {
    "（": "）",
    "(": ")",
    "【": "】",
    "[": "]",
    "“": "”",
    '"': '"',
    "'": "'",
    "‘": "’",
    "「": "」",
    "『": "』",
    "《": "》",
    "{": "}",
    "_": "_",
}
_SEPARATORS = (r"[；;]", r"[|｜]", r"[,，]", r"、", r"\s*/\s*", r"\s{2,}|\t", r"\s+", r"和|与|及")


def blanks(text: str, n: int, *, stem: str = "") -> tuple[str, ...] | None:
    """The `n` answers in order, or None where the reply cannot be read as exactly `n` answers.

    `text` is the reply without its reasoning; `stem` the question with its blanks （　）, ____ or (). Raises ValueError
    where `n` is not positive, never for any text; linear in the text.
    """
    if n < 1:
        raise ValueError(f"an item has at least one blank, not {n}")
    body = (free_text(text[:_CAP] if "<" not in text else text) or "")[:_CAP]
    if not body or _REFUSES.match(body):
        return None
    for answers in (_from_json(body, n), _from_stem(body, n, stem), _from_bold(body, n)):
        if answers is not None:
            return answers
    section = _answer_section(_MARKUP.sub("", body))
    for answers in (_from_numbers(section, n), _from_lines(section, n), _from_separators(section, n)):
        if answers is not None:
            return answers
    return None


def _checked(parts: list[str], n: int) -> tuple[str, ...] | None:
    """The cleaned parts if they are n answers and none of them is empty, a sentence-long text or still a blank."""
    if len(parts) != n:
        return None
    answers = tuple(_clean(part) for part in parts)
    return answers if all(0 < len(a) <= _LONGEST and "\n" not in a for a in answers) else None


def _clean(part: str) -> str:
    part = _MARKUP.sub("", part).strip()
    lead = _LEAD.match(part)
    if lead and (lead.end() < len(part)) and (lead[0].rstrip()[-1:] in ":：是为填入写" or lead[0].endswith(" ")):
        part = part[lead.end() :]
    explained = _EXPLAINS.search(part, 1)
    if explained:
        part = part[: explained.start()]
    for _ in range(3):
        part = part.strip(" \t\u3000。.，,；;、:：\n|-_＿")
        if len(part) > 1 and _PAIRS.get(part[0]) == part[-1] and part[-1] not in part[1:-1]:
            part = part[1:-1]
    return part


def _from_json(text: str, n: int) -> tuple[str, ...] | None:
    start, end = (
        min((i for i in (text.find("["), text.find("{")) if i >= 0), default=-1),
        max(text.rfind("]"), text.rfind("}")),
    )
    if not 0 <= start < end < start + 5000:
        return None
    for spelling in (text[start : end + 1], text[start : end + 1].replace("'", '"')):
        try:
            return _json_answers(json.loads(spelling), n)
        except (ValueError, RecursionError):
            continue
    return None


def _json_answers(value: Any, n: int) -> tuple[str, ...] | None:
    if isinstance(value, dict):
        named = {str(k).strip().lower(): v for k, v in value.items()}
        inner = next((named[k] for k in ("answers", "answer", "答案", "填空", "blanks", "result") if k in named), None)
        if inner is None and len(value) == n:
            inner = list(value.values())
        return _json_answers(inner, n) if inner is not None else None
    if isinstance(value, str):
        return blanks(value, n) if value.strip()[:1] not in "[{" else None
    if isinstance(value, list) and all(isinstance(v, str | int | float) for v in value):
        return _checked([str(v) for v in value], n)
    return None


def _letters(text: str) -> tuple[str, list[int]]:
    """The letters and digits of a text in one spelling, and the place of each in it."""
    letters: list[str] = []
    places: list[int] = []
    for i, character in enumerate(text):
        for c in unicodedata.normalize("NFKC", character).lower():
            if c.isalnum():
                letters.append(c)
                places.append(i)
    joined = "".join(letters)
    simple = simplify(joined)
    return (simple if len(simple) == len(joined) else joined), places


def _from_stem(text: str, n: int, stem: str) -> tuple[str, ...] | None:
    segments = [_letters(s)[0] for s in _STEM_BLANK.split(stem[:4000])]
    if len(segments) != n + 1:
        return None
    sizes = [1]  # blanks with nothing but punctuation between them are filled, and then read, together
    for segment in segments[1:-1]:
        if segment:
            sizes.append(1)
        else:
            sizes[-1] += 1
    segments = [segments[0], *(s for s in segments[1:-1] if s), segments[-1]]
    text = _MARKUP.sub("", text)
    letters, places = _letters(text)
    first = segments[0][-12:]
    at = letters.find(first)
    for _ in range(5):
        if at < 0 or (at > 0 and not first):
            return None
        parts = _filled(text, letters, places, at + len(first), segments)
        answers = _checked(_apart(parts, sizes), n) if parts else None
        if answers is not None and not any(len(first) > 3 and first in _letters(a)[0] for a in answers):
            return answers
        at = letters.find(first, at + 1)
    return None


def _apart(parts: list[str], sizes: list[int]) -> list[str]:
    answers: list[str] = []
    for part, size in zip(parts, sizes, strict=True):
        answers.extend(re.split(r"[、，,；;]|和|与", part) if size > 1 else [part])
    return answers


def _filled(text: str, letters: str, places: list[int], at: int, segments: list[str]) -> list[str] | None:
    parts: list[str] = []
    for segment in segments[1:]:
        start = places[at - 1] + 1 if at else 0
        key = segment[:12]
        found = letters.find(key, at + 1) if key else -1
        if key and found < 0:
            return None
        if key:
            parts.append(text[start : places[found]].strip(" \u3000（()）【】[]_＿，,。；;、"))
            at = found + len(segment) if letters.startswith(segment, found) else found + len(key)
        else:
            line = re.split(r"[。\n]", text[start : start + 2 * _LONGEST].lstrip(" \u3000:：（(【[_＿，,"), maxsplit=1)[
                0
            ]
            parts.append(
                line.strip(" \u3000_＿") if re.search(r"[（(【\[]", line) else line.strip(" \u3000()（）【】[]_＿")
            )
    return parts


def _from_bold(text: str, n: int) -> tuple[str, ...] | None:
    spans = [(m[1] or m[2]).strip() for m in _BOLD.finditer(text)]
    spans = [span for span in spans if not _LABEL.fullmatch(span) and not _MARK.fullmatch(span)]
    if len(spans) != n or any(span.endswith((":", "：")) for span in spans):
        return None
    return _checked(spans, n)


def _answer_section(text: str) -> str:
    """The text from its answers on: without a heading like 以下是答案： and without the explanation that follows."""
    cue = re.search(
        r"(?:^|\n|[。；;]) ?[\[【#* ]{0,4}(?:正确|参考|最终|填空)?答案(?:是|为|如下|依次为|分别为|分别是|依次是)?[\]】]? ?[:：]?\s{0,3}(?!解析|分析)",
        text,
    )
    if cue and cue.end() < len(text):
        text = text[cue.end() :]
    else:
        lead = re.match(r"[^\n]{0,60}[:：] ?\n+", text)
        text = text[lead.end() :] if lead else text
    explained = re.search(
        r"\n\s{0,3}[#【\[*（(]{0,4} ?(?:答案)?(?:解析|解释|分析|说明|理由|依据|原因|注|备注|补充|(?i:explanation|reason|note))",
        text,
    )
    return (text[: explained.start()] if explained and explained.start() else text).strip()


def _from_numbers(text: str, n: int) -> tuple[str, ...] | None:
    marks = list(_MARK.finditer(text))
    numbers = [
        next(int(g) if g.isdigit() and g.isascii() else _NUMERALS[g] for g in m.groups() if g) for m in marks[: n + 1]
    ]
    if numbers[:n] != list(range(1, n + 1)) or (len(numbers) > n and numbers[n] == n + 1) or marks[0].start() > 40:
        return None
    ends = [m.start() for m in marks[1:n]] + [len(text)]
    parts = [text[m.end() : end].strip() for m, end in zip(marks, ends, strict=False)]
    if n > 1 or parts[0]:
        parts[-1] = parts[-1].split("\n", 1)[0]
    return _checked([_first_sentence(part.split("\n", 1)[0]) for part in parts], n)


def _from_lines(text: str, n: int) -> tuple[str, ...] | None:
    paragraph = re.split(r"\n\s*\n", text, maxsplit=1)[0]
    for block in (text, paragraph):
        lines = [line for line in block.split("\n") if line.strip()]
        if n > 1 and len(lines) == n and not any(re.search(r"[；;]", line) for line in lines):
            return _checked([_first_sentence(re.sub(r"^\s*[-•·*]\s", "", line)) for line in lines], n)
    return None


def _from_separators(text: str, n: int) -> tuple[str, ...] | None:
    line = next((line for line in text.split("\n") if line.strip()), "")
    lead = _LEAD.match(line)
    if lead and lead.end() < len(line):
        line = line[lead.end() :]
    line = _first_sentence(line)
    if n == 1:
        sentence = line.isascii() and line.count(" ") > 7
        return None if sentence else _checked([line], 1)
    explained = _EXPLAINS.search(line, 1)
    line = (line[: explained.start()] if explained else line).strip(" 。.；;，,")
    for separator in _SEPARATORS:
        parts = [part for part in re.split(separator, line) if part.strip()]
        if len(parts) == n:
            return _checked(parts, n)
        if len(parts) > 1 and separator == r"[；;]":
            return None
    return None


def _first_sentence(line: str) -> str:
    """The line up to its first full stop, where more follows; a dot inside a number is none."""
    return re.split(r"。|[!！]|\.\s(?=[A-Z\u4e00-\u9fff])", line.strip(), maxsplit=1)[0]
