"""Formulas as case records write them: several joined (左归丸合二至丸), alternatives, and changes (加减, 去当归)."""

from __future__ import annotations

import re
from collections.abc import Container, Iterator

_BETWEEN = re.compile(
    r"合用|(?<![百苏六双])合(?![剂欢香])|或|加减|加味|化裁|急用|继用|继以|送服|送下|吞服|兼服|配合|(?<!白)及|、|,|，|;|；|\+|\s|和(?=[\u3400-\u9fff]{2,8}(?:汤|散|丸|饮|煎|丹|膏)\Z)"
)
_CHANGE = re.compile(r"(?<=[汤散丸饮煎丹膏方子])[加去][\u3400-\u9fff、,，加去]{1,60}\Z")
_LEAD = re.compile(
    r"\A(?:先用|先服|先|再用|再|后用|后|可用|方用|方选|选用|予|用|急服|灌服|外用|内服|未溃|已溃)(?=.{3})"
)


def split_formulas(written: str, known: Container[str | None]) -> Iterator[str]:
    """Yield the formulas that a text names, in order: 天王补心丹合朱砂安神丸加减 -> 天王补心丹, 朱砂安神丸.

    A name that is known is never taken apart (六味地黄丸加减 is, 加味逍遥散 and 黄连解毒合剂 are not).
    """
    text = re.sub(r"[(（][^()（）]{0,40}[)）]", "", written.strip())
    if not text:
        return
    if text in known:
        yield text
        return
    text = _CHANGE.sub("", re.sub(r"(?:加减|加味|化裁)\Z", "", text))
    if text in known:
        yield text
        return
    since = 0
    for cut in _BETWEEN.finditer(text):
        head = text[since : cut.start()]
        if cut.start() == since or text[since : cut.end()] in known or (not head.strip()):
            if cut.start() == since and cut[0] in ("加减", "加味", "合", "和"):
                continue  # a name may begin with such a word: 加味逍遥散
            since = cut.end() if not head.strip() else since
            continue
        yield from _one(head, known)
        since = cut.end()
    yield from _one(text[since:], known)


def _one(text: str, known: Container[str | None]) -> Iterator[str]:
    name = text.strip(" 。.")
    for form in (name, _CHANGE.sub("", name), _LEAD.sub("", name), _CHANGE.sub("", _LEAD.sub("", name))):
        if form in known:
            yield form
            return
    bare = _CHANGE.sub("", _LEAD.sub("", name))
    if len(bare) > 1:
        yield bare
