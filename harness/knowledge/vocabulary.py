"""The closed vocabularies of the knowledge base. A word outside them is an error of the data."""

from __future__ import annotations


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


NATURES = _words("大寒 寒 微寒 凉 平 微温 温 热 大热")
FLAVOURS = _words("酸 苦 甘 辛 咸 淡 涩 微苦 微甘 微辛 微酸 微咸 微涩")
CHANNELS = _words("肺 心 心包 脾 胃 肝 胆 肾 膀胱 大肠 小肠 三焦")
TOXICITY = _words("无毒 小毒 有毒 大毒")
PREGNANCY = frozenset(("none", "caution", "forbidden"))
KINDS = _words("十八反 十九畏 妊娠禁用 妊娠慎用")
ROLES = _words("君 臣 佐 使 佐使 臣佐")
SYSTEMS = _words("八纲辨证 气血津液辨证 脏腑辨证 六经辨证 卫气营血辨证 三焦辨证 病因辨证 经络辨证 外科辨证 儿科辨证")
DISCIPLINES = frozenset(
    ("Internal Medicine", "Surgery", "Pediatrics", "Diagnostics", "Fundamentals", "Gynecology", "Orthopedics")
)
"""Gynecology and Orthopedics are of the knowledge base only: the benchmark has seven disciplines."""

CATEGORIES = _words(
    "发散风寒药 发散风热药 清热泻火药 清热燥湿药 清热解毒药 清热凉血药 清虚热药 攻下药 润下药 峻下逐水药 祛风寒湿药 祛风湿热药 "
    "祛风湿强筋骨药 化湿药 利水消肿药 利尿通淋药 利湿退黄药 温里药 理气药 消食药 驱虫药 凉血止血药 化瘀止血药 收敛止血药 "
    "温经止血药 活血止痛药 活血调经药 活血疗伤药 破血消癥药 温化寒痰药 清化热痰药 止咳平喘药 重镇安神药 养心安神药 平抑肝阳药 "
    "息风止痉药 开窍药 补气药 补阳药 补血药 补阴药 固表止汗药 敛肺涩肠药 固精缩尿止带药 涌吐药 攻毒杀虫止痒药 拔毒化腐生肌药"
)
FORMULA_CATEGORIES = _words(
    "辛温解表 辛凉解表 扶正解表 寒下 温下 润下 逐水 攻补兼施 和解少阳 调和肝脾 调和寒热 清气分热 清营凉血 清热解毒 清脏腑热 "
    "清虚热 祛暑 温中祛寒 回阳救逆 温经散寒 表里双解 补气 补血 气血双补 补阴 补阳 阴阳双补 固表止汗 敛肺止咳 涩肠固脱 涩精止遗 "
    "固崩止带 重镇安神 滋养安神 凉开 温开 行气 降气 活血祛瘀 止血 疏散外风 平息内风 轻宣外燥 滋阴润燥 燥湿和胃 清热祛湿 利水渗湿 "
    "温化寒湿 祛湿化浊 祛风胜湿 燥湿化痰 清热化痰 润燥化痰 温化寒痰 治风化痰 消食化滞 健脾消食 消痞化积 驱虫 治疡 涌吐"
)
DECOCTIONS = _words("先煎 后下 包煎 另煎 烊化 冲服 研末冲服 兑服 泡服 不宜久煎 入丸散 外用 久煎 生用捣汁")
