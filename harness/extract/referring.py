"""Options that speak of other options: 以上都是, A和B都对, 两者均不是, "none of the above", "both A and B".

Turned to another place such an option says something else, so a question that has one is never rotated. An option is taken for one
only when all of its words are of the kinds below and one of them points at other options: 38℃以上, 维生素A, 均青皮, 无汗 and "both
kidneys" are options like any other.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from harness.text import fold

_WORDS: Mapping[str, str] = {
    "above": "以上 上述 上列 上面 前述 前列 above preceding foregoing aforementioned",
    "sides": "二者 两者 三者 四者 五者 诸者 两项 三项 四项 前两项 前三项 前四项 后两项 前二者 前两者 前三者 前二项 两种 both either neither",
    "every": "全部 全都 所有 任何 任一 任意 一切 无一 同时 都 均 皆 全 俱 all none any each every",
    "verdict": "不正确 正确 错误 不属于 属于 不可以 可以 不能 不是 不对 不可 不宜 不符合 不适合 不适用 不包括 没有 并非 可能 符合 适合 适用"
    " 包括 不应 应 是 非 对 错 可 有 无 宜 忌 为 不 否 "
    "are is be not correct incorrect true false right wrong apply applies possible appropriate",
    "option": "选项 答案 说法 叙述 描述 陈述 各项 诸项 几项 情况 option options answer answers choice choices statement statements items",
    "these": "这些 these those them following listed mentioned given",
    "others": "其他 其它 其余 余下 other others rest",
    "glue": "以外 之外 除了 只有 仅有 兼有 除 外 仅 只 选择 选 的 者 项 条 种 个 和 与 及 或 并 同 中 之 又 也 兼 二 两 三 四 五 一"
    " of the and or nor only but except together that two three four one more than combination",
}
_KIND = {word: kind for kind, words in _WORDS.items() for word in words.split()}
_TOKEN = re.compile(
    r"(?P<letter>(?<![A-Za-z])[A-J](?![a-z]))|(?P<between>[\s,.;:/+&()]+)|(?P<latin>[A-Za-z]+)|(?P<word>"
    + "|".join(sorted((w for w in _KIND if not w.isascii()), key=len, reverse=True))
    + ")"
)
_LETTERS_TOGETHER = re.compile(r"(?<![A-Za-z])[A-J]{2,}(?![A-Za-z])")
_ABOUT_ALL_ABOVE = re.compile(
    r"(?:以上|上述|上列|前述)(?![腹肢焦半身部臂颌唇睑眼齿牙背胸脘午旬])[^,.;\d]{0,8}?(?:都|均|皆|全|俱|无一)[^,.;]{0,8}"
)
_NAMED_BY_LETTER = re.compile(r"[A-Za-z](?:型|族|级|期|组|超)?")
_LONGEST = 48


def referring(options: Mapping[str, str]) -> frozenset[str]:
    """Return the letters of the options whose meaning hangs on what other options say or on where they stand."""
    return frozenset(letter for letter, text in options.items() if _refers(letter, text, options))


def _refers(letter: str, text: str, options: Mapping[str, str]) -> bool:
    said = fold(text).strip(" .!;:()\"'")
    if not said or len(said) > _LONGEST:
        return False
    if _ABOUT_ALL_ABOVE.fullmatch(said):
        return True
    read = _read(said)
    if read is None:
        return False
    kinds, letters = read
    if letters:
        others = letters <= set(options) - {letter}
        return others and (len(letters) > 1 or bool(kinds - {"glue"})) and not _named_by_letters(options)
    points = {"above", "others", "these"} & kinds
    judges = {"every", "sides"} & kinds
    return bool(
        ("above" in kinds and len(kinds) > 1)
        or (points and judges)
        or (judges and {"verdict", "option"} & kinds)
        or (kinds == {"sides"} and said.isascii())
        or {"verdict", "option"} <= kinds
    )


def _read(said: str) -> tuple[set[str], set[str]] | None:
    """Return the kinds of an option's words and the letters that it names; None when it has a word of no kind."""
    said = _LETTERS_TOGETHER.sub(lambda found: " ".join(found[0]), said)
    kinds, letters, at = set(), set(), 0
    while at < len(said):
        found = _TOKEN.match(said, at)
        if found is None:
            return None
        at = found.end()
        if found["letter"]:
            letters.add(found["letter"])
        elif not found["between"]:
            kind = _KIND.get(found[0].lower())
            if kind is None:
                return None
            kinds.add(kind)
    return kinds, letters


def _named_by_letters(options: Mapping[str, str]) -> bool:
    """Tell whether some options are single letters themselves, such as blood groups: A, B, AB, O."""
    return any(_NAMED_BY_LETTER.fullmatch(fold(text).strip()) for text in options.values())
