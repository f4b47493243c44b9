"""What a reply says of each option it names: chosen, true, wrong, ruled out, or only mentioned."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Literal

from harness.extract import phrases as say
from harness.extract.mentions import Mention, Options

Kind = Literal["answer", "unclear", "reject", "chosen", "true", "wrong", "weak", "named"]

_OUTSIDE = re.compile(r"\s?(?:选项|项)?\s?(?:(?:以|之)?外|,?\s?(?:其余|其他|其它|都|均|皆|全))")
_REFUTED = re.compile(
    r"\s?(?:选项|项)?(?:的?说法)?(?:是|为|都|均|皆|就|也)?(?:错|不对|不正确|不符|不成立|不妥|不行|不可|有误|×)"
    r"|\s?(?i:(?:is|are|would be|was)\s(?:also |clearly )?(?:wrong|incorrect|false|not)\b)"
)
_COMMAS = re.compile(r"[,;\s]|(?i:and)|和|与")
_LINE_END = re.compile(
    r"\s?(?:选项|项|图)?\s?\)?(?:\Z|\s?\n|\s?[。,;:!]|\s?\.(?![A-Za-z0-9])|\s?--|\s-\s|\s?=|因|\(|而[非不]|不选|\s?(?i:because|since|as|due)\b)"
)
_STRICT_END = re.compile(r"\Z|[\s,。;:!.)、(]|证|型|无疑")
_LEAD = re.compile(r"\A(?:选项|选|图|(?i:(?:the )?(?:answer )?(?:option|choice|letter|both|only))\b)\s?")
_NEW_CLAUSE = re.compile(
    r"\s?(?:选项|项)?(?:是(?!对|正确|错|符|本)|为(?!正确|错|本)|属|可|应(?!选)|的)|\s?(?i:is|can|could|would|should)\b"
)
_UNIT_WORD = re.compile(r"(?:选项|项|图|[一二两三四五]项)[\s。.!]*")
_CLAUSE_END = re.compile(r"[\s。.!)~;,]*\Z")
_FAR_TRUE = re.compile(
    r"(?<!不)(?<!否)(?<![不没]是)(?:正确|符合|√|一致|吻合)(?!与否|的?(?:用法|认识))|(?i:(?<!not )(?<!in)\b(?:correct|true|matches)\b)"
)
_FAR_WRONG = re.compile(
    r"错误|不正确|不对|不符|排除|×|不属于|有误|不一致|不吻合|不选|(?i:\b(?:incorrect|wrong|false|not correct|does(?:n't| not) match)\b)"
)


@dataclass(frozen=True, slots=True)
class Statement:
    """One thing said of some options; `added` joins it to the answer before, `hedged` says that it is only possible."""

    kind: Kind
    letters: str
    start: int
    end: int
    added: bool = False
    hedged: bool = False
    by_text: bool = False


def statements(text: str, mentions: list[Mention], options: Options, *, many: bool, negative: bool) -> list[Statement]:
    """All that the text says of its options, in order. `negative`: the item asks which statement is wrong."""
    found: list[Statement] = []
    for i, mention in enumerate(mentions):
        bare = _bare(text, mentions, i, options)
        if bare is not None:
            found.append(bare)
            continue
        left, _ = _windows(text, mention)
        if _is_echo(mention, options) and (not many or _ECHO_LEFT.search(left)):
            continue
        walked = "\n" in left[-3:] and _opens_a_walk(text, mentions, i, options)
        following = next((m.start for m in mentions[i + 1 : i + 2]), len(text))
        for part, cut in _parts(text, replace(mention, opens_walk=walked), many=many):
            statement = _classify(text, part, options, cut=cut, negative=negative, until=following)
            if isinstance(statement, Statement):
                found.append(statement)
            elif statement is not None:
                found.extend(statement)
    found.extend(_the_rest(text, found, options))
    return sorted(found, key=lambda s: s.start)


def _windows(text: str, mention: Mention) -> tuple[str, str]:
    left = text[max(0, mention.start - say.LEFT) : mention.start]
    return left, text[mention.end : mention.end + say.RIGHT].split("\n", 1)[0]


def _bare(text: str, mentions: list[Mention], i: int, options: Options) -> Statement | None:
    """An answer that consists of nothing but the option: the whole text, its first line or its last."""
    mention = mentions[i]
    rest = text[mention.end :] if len(text) - mention.end < 8 else "longer"
    before = _LEAD.sub("", text[: mention.start]).strip(" \n(.:。-") if mention.start < 16 else "longer"
    first, last = not before, bool(_CLAUSE_END.match(rest)) or bool(_UNIT_WORD.fullmatch(rest))
    own_line = mention.start == 0 or text[mention.start - 1] == "\n"
    kind: Kind = "answer"
    if not (first or (last and own_line)) or _is_echo(mention, options):
        return None
    if mention.alternatives or mention.conflict or mention.is_range or not set(mention.letters) <= set(options.letters):
        kind = "unclear"
    if mention.by_text and len(mention.breaks) and kind == "answer":
        kind = "named"
    if first and last:
        return Statement(kind, mention.letters, mention.start, mention.end, by_text=mention.by_text)
    right = text[mention.end : mention.end + say.RIGHT]
    if first and not last:
        if mention.by_text and not re.match(r"\s?[。,\n(]|\.\s|而[非不]", right):
            return None
        clean = (
            _LINE_END.match(right)
            or (mention.glossed and right[:1] == "\n")
            or re.match(r" (?=[\u4e00-\u9fff])", right)
            or (mention.glossed and all(set(m.letters) <= set(mention.letters) for m in mentions))
        )
        if (
            not clean
            or say.WRONG.match(right)
            or say.REJECTED.match(right)
            or say.TRUE.match(right)
            or say.DOUBTED.match(right)
        ):
            return None
        if right[:1] != "\n" and say.BETWEEN.match(right):
            return None
    if first and _opens_a_walk(text, mentions, i, options):
        return None
    if not first and i and _label_line_before(text, mentions[i - 1], mention):
        return None
    return Statement(kind, mention.letters, mention.start, mention.end, by_text=mention.by_text)


def _is_echo(mention: Mention, options: Options) -> bool:
    return mention.glossed and len(mention.breaks) > 0 and mention.letters == options.letters


_ECHO_LEFT = re.compile(r"(?:选项|选择题?|题目|问题|(?i:\b(?:options|choices|question)))\s?[:=]?\s?\Z")


def _opens_a_walk(text: str, mentions: list[Mention], i: int, options: Options) -> bool:
    """Whether the first mention is only the first of the options gone through one by one."""
    first = mentions[i]
    alone = text[first.end : first.end + 1] == "\n"
    if len(first.letters) != 1 or (alone and not first.glossed):
        return False
    following = options.letters[options.letters.find(first.letters) + 1 :][:1]
    for later in mentions[i + 1 :]:
        labelled = re.match(r"\s?(?:[.:、)-]|选项|项)", text[later.end : later.end + 4]) or later.glossed
        if len(later.letters) == 1 and labelled and _starts_clause(text, later):
            return later.letters == following and (first.letters == options.letters[0] or not alone)
    return False


def _starts_clause(text: str, mention: Mention) -> bool:
    return mention.start == 0 or text[mention.start - 1] in "\n 。;,(" or text.endswith("选项", 0, mention.start)


def _label_line_before(text: str, before: Mention, mention: Mention) -> bool:
    at_line = before.start == 0 or text[before.start - 1] == "\n"
    return at_line and before.glossed and mention.glossed and "\n" not in text[before.end : mention.start - 1]


def _parts(text: str, mention: Mention, *, many: bool) -> Iterator[tuple[Mention, bool]]:
    """The mention, or the two parts of it where a new clause begins inside (选B，C、D均错); True for the first part."""
    left, right = _windows(text, mention)
    cuts = [cut for cut in mention.breaks if _COMMAS.fullmatch(cut[3])]
    cuts = [cut for cut in cuts if cut[3] in ",;"] or cuts
    if not cuts or mention.glossed or not (say.ANSWERED.search(left) or say.RIGHT_ARE.search(left)):
        yield mention, False
        return
    mixed = any(cut[3] == "、" for cut in mention.breaks if cut[0] > cuts[0][0])
    if _REFUTED.match(right) or say.REJECTED.match(right) or say.WRONG.match(right):
        cut = cuts[0] if mixed or not many else cuts[-1]
    elif not say.LIST_END.match(right) or _NEW_CLAUSE.match(right):
        cut = cuts[-1]
    else:
        yield mention, False
        return
    yield mention.before(cut), True
    yield mention.after(cut), False


def _classify(
    text: str, mention: Mention, options: Options, *, cut: bool, negative: bool, until: int
) -> Statement | tuple[Statement, ...] | None:
    left, right = _windows(text, mention)
    if cut:
        right = ","

    def said(kind: Kind, *, added: bool = False) -> Statement:
        hedged = bool(say.HEDGED.search(left))
        return Statement(kind, mention.letters, mention.start, mention.end, added, hedged, mention.by_text)

    if say.NOT_WRONG.match(right):
        return None
    if say.INSISTED.search(left) or (left.endswith("非") and re.match("莫属|不可", right)):
        return said("answer")
    if say.DOUBTED.match(right) or say.QUOTED.search(left) or say.BETWEEN.match(right):
        return None
    all_but = _all_but(left, right, mention, options)
    if all_but:
        return all_but
    strict = not mention.by_text or mention.end - mention.start > 1 or bool(_STRICT_END.match(right))
    invalid = mention.conflict or mention.alternatives or not set(mention.letters) <= set(options.letters)
    whole_range = not mention.is_range or bool(re.match(r"\s?(?:[全均都皆]|选项[全均都皆])", right))
    if say.WRONG_ARE.search(left):
        return said("wrong")
    if say.DENIED.search(left):
        return said("reject")
    right_are = say.RIGHT_ARE.search(left)
    if right_are and negative and "题" not in right_are[0]:
        return said("true")
    if not mention.opens_walk and (right_are or (say.ANSWERED.search(left) and not left.endswith("非"))) and strict:
        if _REFUTED.match(right) or say.REJECTED.match(right):
            return said("reject")
        if invalid or not whole_range:
            return said("unclear")
        if mention.by_text and not _STRICT_END.match(right) and not say.CLEAN.match(right):
            return said("weak")
        return said("answer", added=bool(say.ADDED.search(left)))
    if invalid or not whole_range:
        return None
    verdict = _verdict(text, mention, left, right, until)
    if verdict:
        return said(verdict)
    if say.CONCLUDED.search(left) and strict and say.CLEAN.match(right) and not _is_echo(mention, options):
        final = _CLAUSE_END.match(text, mention.end)
        if final or not re.search(r"(?:^|[,;。.\n])\s?\Z", left):
            return said("weak", added=bool(say.ADDED.search(left)))
    return said("named") if mention.by_text and mention.end - mention.start > 1 else None


def _verdict(text: str, mention: Mention, left: str, right: str, until: int) -> Kind | None:
    if not mention.by_text and not (say.FREE_LEFT.search(left) and say.PLAIN_WORD_LEFT.search(left)):
        return None
    if say.REJECTED.match(right):
        return "reject"
    if say.WRONG.match(right):
        return "wrong"
    if say.CHOSEN.match(right) or (say.ONLY_LEFT.search(left) and say.ONLY_RIGHT.match(right)):
        return "chosen"
    if say.TRUE.match(right):
        return "true"
    if (mention.start == 0 or text[mention.start - 1] == "\n") and len(mention.letters) == 1 and not mention.by_text:
        line = text[mention.end : min(until, mention.end + 160)].split("\n", 1)[0]
        true, wrong = _FAR_TRUE.search(line), _FAR_WRONG.search(line)
        if bool(true) != bool(wrong):
            return "true" if true else "wrong"
    return None


def _all_but(left: str, right: str, mention: Mention, options: Options) -> tuple[Statement, ...] | None:
    others = "".join(letter for letter in options.letters if letter not in mention.letters)
    if say.EXCEPT_LEFT.search(left) and _OUTSIDE.match(right):
        clause = re.split(r"[。;!?\n]", right, maxsplit=1)[0]
    elif left_match := say.ALL_BUT_LEFT.search(left):
        clause = left_match[0] + re.split(r"[.;!?\n。]", right, maxsplit=1)[0]
    else:
        return None
    if say.NEGATIVE.search(clause) or re.search(r"(?i:\bnone\b)", clause):
        true, wrong = mention.letters, others
    elif say.POSITIVE.search(clause) or not re.search("外", clause):
        true, wrong = others, mention.letters
    else:
        return None
    at = mention.start, mention.end
    return Statement("true", true, *at), Statement("wrong", wrong, *at)


def _the_rest(text: str, found: list[Statement], options: Options) -> Iterator[Statement]:
    """Verdicts on the options that were not named (D错误，其余正确)."""
    for rest in say.THE_REST.finditer(text):
        judged = [
            s for s in found if s.end <= rest.start() and s.kind in ("true", "wrong", "reject", "chosen", "answer")
        ]
        sentence = [s for s in judged if "\n" not in text[s.end : rest.start()]]
        named = "".join(s.letters for s in sentence)
        others = "".join(letter for letter in options.letters if letter not in named)
        if sentence and others:
            kind: Kind = "true" if rest["yes"] or rest["yes2"] else "wrong"
            yield Statement(kind, others, rest.start(), rest.end())
