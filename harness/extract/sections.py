"""The headings of a case answer (疾病诊断, 治法, 药物组成 ...) and the text under each of them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

Slot = Literal["disease", "pattern", "principle", "formula", "herbs", "recipe", "other"]
"""What stands under a heading; `recipe` may be a formula's name, its herbs or both, `other` is none of ours."""

_WORDS: dict[Slot, str] = {
    "disease": "中医疾病诊断 疾病诊断 中医病名诊断 中医病名 病名诊断 病名 中医诊断结果 中医诊断 疾病名称 诊断结果 诊断结论 诊断 中医辨病 辨病 疾病 "
    "tcm¤disease¤diagnosis tcm¤disease disease¤diagnosis disease tcm¤diagnosis diagnosis",
    "pattern": "中医证候诊断 证候诊断 中医证候 证候类型 证候名称 证候分型 证候 中医证型 证型诊断 证型名称 证型 辨证分型 辨证结果 辨证结论 辨证诊断 中医辨证 辨证 "
    "证名 tcm¤pattern pattern¤differentiation pattern¤diagnosis pattern tcm¤syndrome syndrome¤differentiation syndrome",
    "principle": "中医治法 治则治法 治法治则 治则与治法 治法与治则 治疗原则 治疗法则 治疗大法 治法 治则 立法 "
    "treatment¤principle therapeutic¤principle principle¤of¤treatment treatment¤principles principle",
    "formula": "方剂名称 代表方剂 代表方 推荐方剂 选用方剂 方剂选择 处方名称 方名 选方 主方 基础方 方剂 formula¤name base¤formula formula",
    "herbs": "药物组成及剂量 药物组成与剂量 药物组成及用量 药物组成 中药组成 方剂组成 方药组成 处方组成 处方用药 具体药物 具体用药 推荐用药 药物及剂量 药物剂量 "
    "用药 药物 药味 组成 药用 herbal¤composition herbs¤and¤doses ingredients composition herbs",
    "recipe": "中药处方 推荐处方 参考处方 具体处方 方剂与药物 方剂及药物 处方 方药 中药方剂 中药 herbal¤prescription prescription",
    "other": "中医辨病辨证依据 辨病辨证依据 辨证依据 辨病依据 诊断依据 病因病机分析 病因病机 病机分析 病机 辨证分析 辨证要点 证候分析 证机概要 证候特点 分析 依据 "
    "方解 方义 方剂解析 配伍意义 用药分析 用药说明 用法用量 用法 煎服法 煎服方法 服法 服用方法 煎法 随症加减 随证加减 加减 医嘱 调护建议 调护 "
    "预防调护 生活调护 注意事项 注意 禁忌 说明 剂量说明 剂数 主诉 现病史 既往史 症状 舌象 脉象 舌脉 舌诊 脉诊 针灸 饮食 预后 西医诊断 鉴别诊断 护理 随访 "
    "rationale explanation analysis pathogenesis administration usage modifications modification precautions notes note",
}
_SLOTS: dict[str, Slot] = {word.replace("¤", " "): slot for slot, words in _WORDS.items() for word in words.split()}
_ANY = "|".join(sorted(map(re.escape, _SLOTS), key=len, reverse=True))
_NUMBER = r"(?:[(]?(?:[一二三四五六七八九十]{1,3}|\d{1,2})[)、.:]\s?)?"
_HEADING = re.compile(
    rf"(?:^[ \t#>*\-•·]{{0,8}}{_NUMBER}[*_【\[ ]{{0,4}}|(?<=[。;,，\s])[*_【\[]{{0,3}})"
    rf"(?P<word>{_ANY})(?:\([^()\n]{{0,30}}\))?"
    rf"(?:[*_】\] ]{{0,4}}[:][*_ ]{{0,4}}|[】\]][*_ ]{{0,4}}|[*_ ]{{0,4}}$)",
    re.MULTILINE,
)


@dataclass(frozen=True, slots=True)
class Section:
    """What stands under one heading; the text is in plain form, stripped."""

    slot: Slot
    text: str


def sections(text: str) -> list[Section]:
    """Return the headings of a text in plain form and what stands under each, in order; empty where there is none.

    A heading stands at the beginning of a line (with or without number and markdown) and ends with a colon, with 】 or with
    the line; inside a line it needs the colon. Linear in the text.
    """
    found = list(_HEADING.finditer(text))
    ends = [*(heading.start() for heading in found[1:]), len(text)][: len(found)]
    return [
        Section(_SLOTS[heading["word"]], text[heading.end() : end].strip())
        for heading, end in zip(found, ends, strict=True)
    ]
