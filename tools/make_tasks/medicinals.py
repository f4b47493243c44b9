"""Which medicinals may be asked for: those of the Pharmacopoeia of 2020, and those that the textbook classes."""

from __future__ import annotations

from functools import cache

from harness.knowledge.entries import Herb
from harness.knowledge.files import formulas, herbs

_TAUGHT = frozenset(
    [
        "合欢皮",
        "灵芝",
        "地肤子",
        "海金沙",
        "垂盆草",
        "虎杖",
        "金钱草",
        "佩兰",
        "花蕊石",
        "降香",
        "鹅不食草",
        "木贼",
        "浮萍",
        "覆盆子",
        "蜈蚣",
        "炉甘石",
        "仙鹤草",
        "白及",
        "血余炭",
        "番泻叶",
        "土荆皮",
        "大蒜",
        "蛇床子",
        "蟾酥",
        "石榴皮",
        "洋金花",
        "自然铜",
        "苏木",
        "马钱子",
        "骨碎补",
        "川牛膝",
        "月季花",
        "泽兰",
        "王不留行",
        "鸡血藤",
        "稻芽",
        "阿魏",
        "瓦楞子",
        "胖大海",
        "决明子",
        "密蒙花",
        "淡竹叶",
        "青葙子",
        "谷精草",
        "白鲜皮",
        "半边莲",
        "土茯苓",
        "大血藤",
        "大青叶",
        "山豆根",
        "拳参",
        "木蝴蝶",
        "漏芦",
        "穿心莲",
        "重楼",
        "金荞麦",
        "青果",
        "马齿苋",
        "鱼腥草",
        "鸦胆子",
        "锦灯笼",
        "胡椒",
        "荜澄茄",
        "佛手",
        "娑罗子",
        "玫瑰花",
        "甘松",
        "荔枝核",
        "香橼",
        "三棱",
        "斑蝥",
        "乌梢蛇",
        "伸筋草",
        "威灵仙",
        "徐长卿",
        "海风藤",
        "穿山龙",
        "蕲蛇",
        "路路通",
        "青风藤",
        "五加皮",
        "千年健",
        "狗脊",
        "丝瓜络",
        "桑枝",
        "老鹳草",
        "豨莶草",
        "党参",
        "刺五加",
        "太子参",
        "红景天",
        "冬虫夏草",
        "核桃仁",
        "胡芦巴",
        "韭菜子",
        "鹿茸",
        "明党参",
        "桑椹",
        "黄精",
        "榧子",
        "雷丸",
    ]
)
"""Medicinals that the textbook classes although no formula of the knowledge base uses them."""


@cache
def _in_recipes() -> frozenset[str]:
    used = {i.herb for f in formulas() for i in f.composition}
    return frozenset(used | {h.base for h in herbs() if h.name in used and h.base})


AVOIDED = frozenset({"大皂角", "天山雪莲"})
"""The Pharmacopoeia says 忌 of these in pregnancy, neither 禁用 nor 慎用: not asked for, and no distractors."""


def official(herb: Herb) -> bool:
    """Tell whether the Pharmacopoeia of 2020 has the medicinal (some stood in the one of 2015 only)."""
    return herb.source.work == "中华人民共和国药典" and herb.source.edition.startswith("2020")


def in_textbook(herb: Herb) -> bool:
    """Tell whether the textbook classes the medicinal; for others the knowledge base's class is its writers' own."""
    return herb.name in _TAUGHT or herb.name in _in_recipes()
