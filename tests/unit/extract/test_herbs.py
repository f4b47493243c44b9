from __future__ import annotations

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.extract.herbs import Item, prescription
from harness.extract.slots import slots
from harness.registry import get_extractor
from harness.types import Reference, Sample

READ = [
    ("黄芪30g、党参15g", "黄芪30g 党参15g"),
    ("黄芪 30g 党参 15g 白术 12", "黄芪30g 党参15g 白术12"),
    ("黄芪30g党参15g白术10g", "黄芪30g 党参15g 白术10g"),
    ("黄芪党参白术", "黄芪 党参 白术"),
    ("黄芪３０克，党参１５克", "黄芪30g 党参15g"),
    ("黃芪三十克，黨參十五克", "黄芪30g 党参15g"),
    ("柴胡三钱，白芍五钱", "柴胡3钱 白芍5钱"),
    ("白芍10-15g、当归10g", "白芍12.5g 当归10g"),
    ("附片（先煎）10g，生姜3片，大枣四枚。水煎服，日一剂。", "附子10g 生姜3片 大枣4枚"),
    ("砂仁6g（后下）、薄荷后下6g", "砂仁6g 薄荷6g"),
    ("黄芪（炙）15g、枳壳（麸炒）9g", "炙黄芪15g 枳壳9g"),
    ("1. 黄芪 30g（炙）\n2. 党参 15g\n3. 白术 10g", "黄芪30g 党参15g 白术10g"),
    ("1、黄芪30g\n2、党参15g", "黄芪30g 党参15g"),
    ("- 黄芪：30g\n- 党参：15g", "黄芪30g 党参15g"),
    ("['玄参', '麦冬', '附片 ', '黄酒']", "玄参 麦冬 附子 黄酒"),
    ("药物组成：黄芪、党参、白术各10g", "黄芪 党参 白术10g"),
    ("方用逍遥散加减。处方：柴胡10克，白芍十二克，焦三仙30g", "柴胡10g 白芍12g 山楂10g 六神曲10g 麦芽10g"),
    ("君药：人参9g；臣药：白术9g；佐药：茯苓9g；使药：炙甘草6g", "人参9g 白术9g 茯苓9g 炙甘草6g"),
    ("**药物组成**：\n黄芪30g，西红柿10g，党参15g", "黄芪30g 西红柿10g 党参15g"),
    ("药物组成：黄芪、党参、仙王草\n用法：水煎服，每日一剂", "黄芪 党参 仙王草"),
    ("方中黄芪补气，白术健脾，不用附子，忌用半夏。", "黄芪 白术"),
    ("用桑叶、菊花疏散风热，再加薄荷利咽喉。", "桑叶 菊花 薄荷"),
    ("黄芪30g、黄芪15g、黄芪", "黄芪30g"),
    ("三七粉3g、半枝莲30g、两面针10g、百合10g、千金子霜0.5g", "三七3g 半枝莲30g 两面针10g 百合10g 千金子霜0.5g"),
    ("组成\n黄芪 党参\n方解\n方中麻黄宣肺", "黄芪 党参"),
    ("治以健脾益气，和胃降逆，方用四君子汤。", ""),
    ("Take two tablets a day.", ""),
    ("", ""),
]


def shown(items: tuple[Item, ...]) -> str:
    return " ".join(f"{i.name}{'' if i.dose is None else f'{i.dose:g}'}{i.unit or ''}" for i in items)


@pytest.mark.parametrize(("text", "expected"), READ)
def test_a_prescription_is_read_as_written(text: str, expected: str) -> None:
    assert shown(prescription(text)) == expected


def test_doses_are_turned_into_grams_where_the_unit_has_grams() -> None:
    items = {item.name: item for item in prescription("柴胡三钱、黄芪30g、朱砂500mg、大枣4枚、白芍10-15g、当归12")}
    assert items["柴胡"].grams == 9 and items["黄芪"].grams == 30 and items["朱砂"].grams == 0.5
    assert items["大枣"].grams is None and items["当归"].grams == 12
    assert items["白芍"].grams == 12.5 and items["白芍"].most_grams == 15


def test_the_extractor_gives_the_names_and_nothing_for_no_prescription() -> None:
    sample = Sample("1", "t", {}, Reference(("略",)))
    assert get_extractor("herbs").read("丹皮10g、生黄芪30g", sample) == ("牡丹皮", "黄芪")
    assert get_extractor("herbs").read("请到医院就诊。", sample) is None


CASE = """### 1. 中医疾病诊断
**胸痹**
二、证候诊断：气虚血瘀证
辨证依据：胸闷气短，舌暗，脉涩。
治法：益气活血，通络止痛
方剂名称：补阳还五汤加减
药物组成：黄芪30g、当归10g、赤芍10g
煎服法：水煎服"""


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (CASE, ("胸痹", "气虚血瘀证", "益气活血,通络止痛", "补阳还五汤加减", 3)),
        (
            "本病诊断为胸痹，辨证为气虚血瘀证。治以益气活血，通络止痛，方用补阳还五汤加减，药用黄芪、当归、赤芍。",
            ("胸痹", "气虚血瘀证", "益气活血,通络止痛", "补阳还五汤加减", 3),
        ),
        (
            "诊断：胸痹（气虚血瘀证）\n处方：补阳还五汤加减：黄芪30g、当归10g",
            ("胸痹", "气虚血瘀证", None, "补阳还五汤加减", 2),
        ),
        ("中医诊断：咳嗽-风热犯肺证；治则：疏风清热；方剂：桑菊饮", ("咳嗽", "风热犯肺证", "疏风清热", "桑菊饮", 0)),
        (
            "Disease: 胸痹\nPattern: 气虚血瘀证\nPrinciple: 益气活血\nFormula: 补阳还五汤\nHerbs: 黄芪30g, 当归10g",
            ("胸痹", "气虚血瘀证", "益气活血", "补阳还五汤", 2),
        ),
        ("痹证\n风寒湿痹\n薏苡仁汤加减\n薏苡仁、苍术、羌活", ("痹证", "风寒湿痹", None, "薏苡仁汤加减", 3)),
        ("中醫疾病診斷：胃痛\n治法：益氣活血", ("胃痛", None, "益气活血", None, 0)),
        ("请及时就医。", (None, None, None, None, 0)),
        ("", (None, None, None, None, 0)),
    ],
)
def test_the_slots_of_a_case_are_found_with_headings_and_without(text: str, expected: tuple[object, ...]) -> None:
    found = slots(text)
    assert (found.disease, found.pattern, found.principle, found.formula, len(found.herbs)) == expected


@given(
    st.text(st.sampled_from("黄芪30g、，。：（）\n诊断证治法方药物组成附子先煎各1.-~#*"), max_size=80)
    | st.text(max_size=80)
)
@settings(deadline=None)
def test_no_text_breaks_the_reader(text: str) -> None:
    found = slots(text)
    names = [item.name for item in found.herbs]
    assert len(names) == len(set(names)) and all(names)


LARGE = (
    "黄芪30g、",
    "患者神疲乏力，纳呆便溏，舌淡苔白。",
    "The patient coughs and has a fever. ",
    "黃芪補氣，當歸補血。\n",
)
SMALLER = ("黄芪", "(((（（", "1", "证", "诊断为", "药物组成：", "\n\n", "一二三", "汤", "黄芪(")


@pytest.mark.parametrize(
    ("piece", "size"), [*((piece, 1_000_000) for piece in LARGE), *((piece, 200_000) for piece in SMALLER)]
)
def test_a_megabyte_of_anything_is_read_in_linear_time(piece: str, size: int) -> None:
    def seconds(length: int) -> float:
        text = piece * (length // len(piece.encode()))
        start = time.process_time()
        slots(text)
        return time.process_time() - start

    seconds(1000)
    tenth, whole = seconds(size // 10), seconds(size)
    assert whole < 20 and whole < 30 * max(tenth, 0.05)
