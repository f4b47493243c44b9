"""What stands in figures, in English and in Chinese."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

Language = Literal["en", "zh"]

_WORDS: Mapping[str, tuple[str, str]] = {
    "Diagnostics": ("Diagnostics", "诊断学"),
    "Pharmacognosy": ("Pharmacognosy", "中药学"),
    "Surgery": ("Surgery", "外科学"),
    "Herbal Formulas": ("Herbal Formulas", "方剂学"),
    "Internal Medicine": ("Internal Medicine", "内科学"),
    "Pediatrics": ("Pediatrics", "儿科学"),
    "Fundamentals": ("Fundamentals", "基础理论"),
    "mean": ("Mean", "平均"),
    "accuracy": ("Accuracy", "准确率"),
    "ladder_score": ("Ladder-Score", "Ladder-Score"),
    "exact_match": ("Exact Match", "填空准确率"),
    "score": ("Score", "得分"),
    "interval": ("95% interval", "95% 置信区间"),
    "run": ("measured here", "本次实测"),
    "published": ("published by others", "他人发表"),
    "digitised": ("digitised from others' figure", "由他人图中读取"),
    "chance": ("guessing", "随机猜测"),
    "tokens": ("Output tokens per answer", "每次回答的输出 token 数"),
    "cost": ("Cost of 1,000 answers", "每千次回答的费用"),
    "unpriced": ("no price known", "价格未知"),
    "stated": ("in the unit of --price", "单位同 --price"),
    "difficulty": ("Difficulty", "难度"),
    "tagged": (
        "{tag} as labelled in the data; its levels may differ in their kinds of questions.",
        "{tag}为数据自带标注，各级的题型构成可能不同。",
    ),
    "missing": ("No {metric}: {models}.", "无{metric}：{models}。"),
    "none": ("{metric}: not scored in these runs.", "{metric}：这些运行未评此项。"),
    "left": (
        "Not shown ({metric}): asked other questions or in another way: {models}.",
        "未列入（{metric}）：题目或提问方式不同：{models}。",
    ),
    "trained": ("†\u00a0facts seen in training.", "†\u00a0训练时见过本题集的知识点。"),
    "incomplete": (
        "*\u00a0incomplete: some calls failed or were not scored.",
        "*\u00a0不完整：部分调用失败或未能评分。",
    ),
    "others": (
        "Others' numbers were not reproduced here; data split and prompts differ.",
        "他人数值未在此复现，其数据划分与提示词不同。",
    ),
    "formula": (
        "The published Ladder-Score's formula is not confirmed: do not compare it with ours.",
        "已发表的 Ladder-Score 公式未经证实，不可与本次数值直接比较。",
    ),
    "source": ("Source: {source}.", "来源：{source}。"),
    "about": ("Suite {suite}; lines are 95% intervals.", "题集 {suite}；线段为 95% 置信区间。"),
    "priced": (
        "Cost: all tokens of a run at the price per token, without discounts. Runs without a price stand at their tokens.",
        "费用：按单价计一次运行的全部 token，不计折扣。价格未知者以 token 数列出。",
    ),
    "usage": (
        "Tokens as the providers count them, over all answers of a run.",
        "token 数由服务方计，按一次运行的全部回答平均。",
    ),
    "silent": ("Not shown, for they told no tokens: {models}.", "未告知 token 数、故未列入：{models}。"),
}


def say(language: Language, key: str, values: Mapping[str, str] | None = None) -> str:
    """Return a word or sentence with `values` filled in; a key without an entry (a metric's name) stands as it is."""
    if key not in _WORDS:
        return key.replace("_", " ")
    text = _WORDS[key][language == "zh"]
    filled = {
        name: say(language, value) if name in ("metric", "tag") else value for name, value in (values or {}).items()
    }
    for name, value in filled.items():
        text = text.replace("{" + name + "}", value)
    return text
