"""The options that a reply to a multiple-choice item affirms.

How it decides, in this order: the inside of the last `<answer>` block; a JSON value under a key like "answer"; then
the plain text. There, what the reply says outright (答案是B, 故选B, the answer is B, a bare letter as the whole text or
on its first or last line) goes before verdicts on single options (B正确, C is wrong), these before weaker conclusions
(因此是B), and these before an option's text that stands alone in the reply. Of outright statements the last one wins; a
denial takes its letters away. Nothing else counts: letters in words, examples, questions, hypotheses and the echoed
question are no answers, and where nothing is left or the statements contradict each other the answer is None.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from harness.extract import phrases as say
from harness.extract.free_text import inside_answer_tags
from harness.extract.mentions import Options, find_mentions, read_options
from harness.extract.prepare import plain, without_stem
from harness.extract.statements import Statement, statements

Answer = frozenset[str]

# A reply that names options more often than twice this repeats itself; its beginning and end say what it says.
_MENTIONS = 150
_OBJECT = re.compile(r"\{[^{}]{1,4000}\}")
_LIST = re.compile(r"\s*(?:```(?:json)?\s{0,9})?(\[[^\[\]{}]{1,400}\])\s*(?:```)?\s*\Z")
_KEYS = (
    "final_answer",
    "answer",
    "answers",
    "最终答案",
    "正确答案",
    "答案",
    "choice",
    "choices",
    "option",
    "选项",
    "选择",
    "correct_answer",
    "correct_option",
    "correct",
    "selected",
    "result",
)


def choice(text: str, options: Mapping[str, str], *, stem: str = "", many: bool = False) -> Answer | None:
    """The letters that the reply affirms, always letters of `options`, or None where it states no clear answer.

    `text` is the reply without its reasoning. `options` maps letters (A to J) to texts; an empty text is no option
    unless all are empty. `stem` lets an echoed question be told from an answer, and says whether the item asks for the
    wrong statement. `many` says that several letters may be right; where it is False, several affirmed letters are
    still returned as they are. Never raises; linear in the text.
    """
    known = read_options(tuple(sorted((k, v) for k, v in options.items() if re.fullmatch("[A-J]", k))))
    if not known.letters or not text.strip():
        return None
    inside = inside_answer_tags(text)
    return _read(inside if inside is not None else text, known, stem=stem, many=many)


def _read(text: str, options: Options, *, stem: str, many: bool) -> Answer | None:
    found, value = _json_value(text)
    if found:
        return _from_json(value, options, many=many)
    clean = without_stem(plain(text), stem)
    negative = bool(say.NEGATIVE_STEM.search(stem[-120:]))
    first = say.GOES_ON.search(clean)
    if first and first.start() > 0:
        answer = _decide(clean[: first.start()], options, many=many, negative=negative)
        if answer is not None:
            return answer
    return _decide(clean, options, many=many, negative=negative)


def _json_value(text: str) -> tuple[bool, Any]:
    """Whether the text holds a JSON answer, and the value found; of several objects the last one counts."""
    whole = _LIST.match(text) if len(text) < 1000 else None
    candidates = [whole[1]] if whole else [m[0] for m in _OBJECT.finditer(text[-8000:])][::-1]
    for candidate in candidates[:20]:
        for spelling in (candidate, candidate.replace("'", '"')):
            try:
                value = json.loads(spelling)
            except (ValueError, RecursionError):
                continue
            if isinstance(value, list):
                return True, value
            named = {str(key).strip().lower(): inner for key, inner in value.items()}
            for key in _KEYS:
                if key in named:
                    return True, named[key]
            if value and all(isinstance(v, bool) and re.fullmatch("[A-J]", k) for k, v in value.items()):
                return True, [k for k, v in value.items() if v]
    return False, None


def _from_json(value: Any, options: Options, *, many: bool) -> Answer | None:
    parts = value if isinstance(value, list) else [value]
    letters: set[str] = set()
    for part in parts:
        if not isinstance(part, str) or not part.strip() or len(part) > 2000:
            return None
        answer = _decide(plain("答案:" + part), options, many=many, negative=False)
        if answer is None:
            return None
        letters |= answer
    return frozenset(letters) or None


def _decide(text: str, options: Options, *, many: bool, negative: bool) -> Answer | None:
    mentions = find_mentions(text, options)
    if len(mentions) > 2 * _MENTIONS:
        mentions = mentions[:_MENTIONS] + mentions[-_MENTIONS:]
    said = statements(text, mentions, options, many=many, negative=negative)
    outright = [s for s in said if s.kind in ("answer", "unclear", "reject")]
    if any(s.kind != "reject" for s in outright):
        return _last_outright(text, outright, said)
    verdicts = _from_verdicts(said, many=many, negative=negative)
    if verdicts is not None:
        return verdicts or None
    weak = [s for s in said if s.kind == "weak"]
    if weak and say.UNSURE.search(text):
        return None
    if weak:
        return _agreed(text, weak)
    return _from_texts(said, options, many=many)


def _last_outright(text: str, outright: list[Statement], said: list[Statement]) -> Answer | None:
    pairings = {s.letters for s in outright if s.kind == "answer"}
    if len(pairings) > 2 and all(s.by_text for s in outright if s.kind == "answer"):
        return None  # one remedy for each of several conditions (甲证选用A, 乙证选用B, ...) is no choice
    answer: set[str] | None = None
    last: Statement | None = None
    for s in outright:
        if s.kind == "reject":
            if answer is not None and answer & set(s.letters):
                answer = None
        elif s.kind == "unclear":
            answer = None
        elif (
            last is not None
            and answer
            and not re.search(r"[。!?\n]", text[last.end : s.start])
            and (s.added or (s.hedged and last.hedged))
        ):
            # Two possibilities in one sentence are no answer; what is added (选A，也选C) joins the first.
            answer = answer | set(s.letters) if s.added and not s.hedged else None
        else:
            answer = set(s.letters)
        last = s if s.kind == "answer" else last
    if last is not None:
        doubts = [s for s in said if s.start > last.end and s.kind == "weak" and s.hedged]
        if any(
            answer and not set(s.letters) <= answer and not re.search(r"[。!?\n]", text[last.end : s.start])
            for s in doubts
        ):
            return None
        corrected = [
            s for s in said if s.start > last.end and s.kind in ("chosen", "true") and _retracts(text, last, s)
        ]
        if corrected:
            answer = set(corrected[-1].letters)
    return frozenset(answer) if answer else None


def _retracts(text: str, last: Statement, later: Statement) -> bool:
    return bool(say.RETRACTED.search(text, last.end, later.start))


def _from_verdicts(said: list[Statement], *, many: bool, negative: bool) -> Answer | None:
    """The letters that verdicts make the answer; an empty set where they contradict each other, None without any."""
    last: dict[str, str] = {}
    for s in said:
        if s.kind in ("chosen", "true", "wrong", "reject"):
            for letter in s.letters:
                if not (s.kind == "true" and last.get(letter) == "chosen"):
                    last[letter] = s.kind
    chosen, true, wrong = (frozenset(k for k, v in last.items() if v == kind) for kind in ("chosen", "true", "wrong"))
    if not negative:
        if chosen and not many:
            return chosen
        return (chosen | true) or None
    if chosen:
        return chosen
    if many or len(wrong) == 1:
        return wrong or None
    return true if len(true) == 1 else (frozenset() if true or wrong else None)


def _agreed(text: str, weak: list[Statement]) -> Answer | None:
    letters = {s.letters for s in weak}
    if len(letters) == 1:
        return frozenset(letters.pop())
    if all(s.added for s in weak[1:]) and not any(s.hedged for s in weak):
        return frozenset("".join(letters))
    final = weak[-1]
    concluding = re.search(
        r"(?:因此|所以|综上|总之|故|结论|(?i:therefore|thus|hence))[^。\n]{0,60}\Z",
        text[max(0, final.start - 80) : final.start],
    )
    return frozenset(final.letters) if concluding and not final.hedged else None


def _from_texts(said: list[Statement], options: Options, *, many: bool) -> Answer | None:
    named = [s for s in said if s.kind == "named"]
    denied = {letter for s in said if s.kind in ("reject", "wrong") for letter in s.letters}
    letters = frozenset(letter for s in named for letter in s.letters) - denied
    if not letters or not letters <= set(options.letters):
        return None
    return letters if len(letters) == 1 or (many and len(named) == 1) else None
