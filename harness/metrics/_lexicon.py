"""The TCM terms that term-aware metrics look for, and the longest match that finds them in a text."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from harness.errors import UsageError
from harness.registry import Options
from harness.text import fold_widths, simplify

# Name first, then other written forms of the same thing. Forms that deny (无汗) are listed beside what they deny, so
# that the match takes them whole and the reader of negation does not carry 无 on to the next symptom.
_TERMS = """
阴阳 表里 寒热 虚实 气血 津液 五脏 六腑 肝 脾 肺 肾 心包 胆 胃 小肠 大肠 膀胱 三焦 经络 经脉 奇经八脉
望诊 闻诊 问诊 切诊 四诊 八纲辨证 脏腑辨证 六经辨证 卫气营血辨证 三焦辨证
气虚 血虚 阴虚 阳虚 气滞 血瘀=瘀血 痰湿 痰热 湿热 寒湿 风寒 风热 食积=食滞 气血两虚 气滞血瘀 痰瘀互结
脾气虚=脾气虚弱 脾阳虚=脾阳不足 脾虚湿困 肾阴虚=肾阴不足 肾阳虚=肾阳不足 脾肾阳虚 肝肾阴虚 肝郁气滞=肝气郁结
肝郁脾虚 肝阳上亢 肝火上炎 肝血虚 心血虚 心气虚 心肾不交 肺气虚 肺阴虚 肺脾气虚 胃阴虚=胃阴不足 风寒束表 风热犯肺
恶寒 发热 寒热往来 头痛 头晕 眩晕 咳嗽 气喘 胸闷 心悸 失眠=不寐 多梦 健忘 口渴=渴 不渴=口不渴 汗出=汗 无汗=不汗出 自汗 盗汗
食少=纳少=纳呆 腹胀 腹痛 便溏 便秘 泄泻 呕吐 胁痛 腰膝酸软 畏寒 肢冷 五心烦热 乏力 神疲 少气懒言 面色萎黄 水肿 耳鸣 黄疸
舌红 舌淡 舌胖 齿痕 苔白 苔黄 苔腻 无苔 少苔 白滑 脉浮 脉沉 脉数 脉迟 脉弦 脉滑 脉细 脉弱 脉涩 脉紧 脉缓 浮脉 沉脉 数脉 迟脉 弦脉 滑脉 细脉
解表 清热 泻火 温里 补气=益气 补血=养血 滋阴=养阴 温阳 健脾 疏肝 理气=行气 活血 化瘀=祛瘀 化痰 利水 渗湿 安神 平肝 息风 和胃 止咳 平喘 通便
麻黄汤 桂枝汤 小柴胡汤 四君子汤 四物汤 六味地黄丸=六味地黄汤 逍遥散 二陈汤 补中益气汤 归脾汤 半夏白术天麻汤 银翘散 白虎汤 天麻钩藤饮
麻黄 桂枝 杏仁=苦杏仁 甘草 炙甘草 人参 党参 黄芪 白术 茯苓 陈皮 半夏 当归 川芎 白芍 熟地黄=熟地 柴胡 黄芩 黄连 栀子 牡丹皮=丹皮
山药 枸杞子 附子 干姜 天麻 钩藤 枳实 厚朴 大黄 金银花=银花 连翘 薄荷 桔梗 丹参 酸枣仁 远志 藜芦 芫花
感冒 咳嗽病 哮病 喘证 胸痹 心悸病 中风 胃痛 痞满 黄疸病 鼓胀 水肿病 淋证 消渴 痹证 痿证 内伤发热
"""


def written_forms() -> Mapping[str, str]:
    """Return each written form of a term and the name it stands for; a name stands for itself."""
    entries = (entry.split("=") for entry in _TERMS.split())
    return {form: names[0] for names in entries for form in names}


def terms() -> frozenset[str]:
    """Return every written form of every term."""
    return frozenset(written_forms())


def plain(text: str) -> str:
    """Return the text in simplified characters, half width and lower case; the enumeration comma stays what it is.

    `harness.text.fold` would make one comma of 、 and ，; but a denial goes on over the one and ends at the other.
    """
    return simplify(fold_widths(text)).lower()


@dataclass(frozen=True, slots=True)
class Lexicon:
    """Terms ready for longest match: plain form -> name, and by first character the lengths to try, longest first."""

    names: Mapping[str, str]
    lengths: Mapping[str, tuple[int, ...]]
    signature: str

    @staticmethod
    def of(forms: Mapping[str, str] | Iterable[str]) -> Lexicon:
        """Return the lexicon of `form -> name`, or of terms that are their own names; both are put in plain form."""
        pairs = forms.items() if isinstance(forms, Mapping) else ((term, term) for term in forms)
        names = {plain(form): plain(name) for form, name in sorted(pairs) if form.strip()}
        lengths: dict[str, set[int]] = {}
        for form in names:
            lengths.setdefault(form[0], set()).add(len(form))
        lines = "\n".join(f"{form}\t{name}" for form, name in sorted(names.items()))
        digest = hashlib.sha256(lines.encode()).hexdigest()[:8]
        longest_first = {first: tuple(sorted(sizes, reverse=True)) for first, sizes in lengths.items()}
        return Lexicon(names, longest_first, f"lexicon:{digest}/{len(names)}")

    def at(self, line: str, start: int) -> str | None:
        """Return the longest form that begins at `start` of a plain line, None when there is none."""
        for length in self.lengths.get(line[start], ()):
            form = line[start : start + length]
            if form in self.names:
                return form
        return None


def lexicon_of(options: Options) -> Lexicon:
    """Return the lexicon of the file `options["lexicon"]`, else the harness's own.

    The file is UTF-8, one term a line: its name, then tab-separated other forms. Raises UsageError when it cannot be
    read or has no term.
    """
    path = options.get("lexicon")
    return _own() if path is None else _from_file(str(path))


@cache
def _own() -> Lexicon:
    return Lexicon.of(written_forms())


@cache
def _from_file(path: str) -> Lexicon:
    try:
        lines = Path(path).read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"cannot read the lexicon '{path}': {error}") from error
    entries = [[form.strip() for form in line.split("\t") if form.strip()] for line in lines]
    forms = {form: entry[0] for entry in entries for form in entry}
    if not forms:
        raise UsageError(f"the lexicon '{path}' has no term: write one a line, other forms after tabs")
    return Lexicon.of(forms)


_REST = re.compile(r"[0-9]+(?:\.[0-9]+)?|[a-z]+|\S")


def tokens(line: str, lexicon: Lexicon | Iterable[str]) -> list[str]:
    """Return the words of a text: terms by longest match, under their names; numbers and Latin words whole.

    Every other character that is not white space is a word of its own. The text is put in plain form first.
    """
    known = lexicon if isinstance(lexicon, Lexicon) else Lexicon.of(lexicon)
    folded, words, i = plain(line), [], 0
    while i < len(folded):
        form = known.at(folded, i)
        if form:
            words.append(known.names[form])
            i += len(form)
        elif rest := _REST.match(folded, i):
            words.append(rest.group())
            i = rest.end()
        else:
            i += 1
    return words
