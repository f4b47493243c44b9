from __future__ import annotations

import pytest

from harness.knowledge import above_dose, herb, in_pregnancy, incompatibilities, incompatible, without_precaution


@pytest.mark.parametrize(
    ("names", "kind", "pairs"),
    [
        (["附子", "法半夏"], "十八反", 1),
        (["附片", "姜半夏"], "十八反", 1),
        (["制川乌", "浙贝母", "瓜蒌皮"], "十八反", 2),
        (["炙甘草", "甘遂"], "十八反", 1),
        (["甘草", "海藻", "芫花", "京大戟"], "十八反", 3),
        (["藜芦", "党参", "细辛", "赤芍"], "十八反", 3),
        (["丁香", "郁金"], "十九畏", 1),
        (["红参", "五灵脂"], "十九畏", 1),
        (["肉桂", "赤石脂"], "十九畏", 1),
        (["芒硝", "三棱"], "十九畏", 1),
        (["玄明粉", "硫黄"], "十九畏", 1),
        (["巴豆霜", "牵牛子"], "十九畏", 1),
    ],
)
def test_each_pair_is_found_in_its_forms_and_says_why(names: list[str], kind: str, pairs: int) -> None:
    clashes = incompatible(names)
    assert len(clashes) == pairs and {clash.kind for clash in clashes} == {kind}
    assert all(clash.one in clash.why and clash.other in clash.why for clash in clashes)


@pytest.mark.parametrize(
    "names",
    [
        ["白附子", "半夏"],
        ["桂枝", "赤石脂"],
        ["党参", "五灵脂"],
        ["太子参", "藜芦"],
        ["人参", "甘草", "白术", "茯苓"],
        ["附子"],
        [],
        ["西红柿", "半夏"],
    ],
)
def test_what_the_rules_do_not_name_is_no_clash(names: list[str]) -> None:
    assert incompatible(names) == []


def test_every_rule_fires_on_its_own_names() -> None:
    for rule in incompatibilities():
        if rule.b:
            for one in (*rule.a, *rule.a_forms):
                assert incompatible([one, rule.b[0]]), (one, rule.b[0])
            for other in (*rule.b, *rule.b_forms):
                assert incompatible([rule.a[0], other]), (rule.a[0], other)
        else:
            assert len(in_pregnancy(rule.a)) == len(rule.a)


def test_forbidden_and_cautious_herbs_of_a_pregnancy_are_told_apart() -> None:
    levels = {warning.herb: warning.level for warning in in_pregnancy(["麝香", "三棱", "桃仁", "附子", "黄芪", "白术"])}
    assert levels == {"麝香": "forbidden", "三棱": "forbidden", "桃仁": "caution", "附子": "caution"}


def test_a_dose_above_the_range_is_told_and_one_at_its_end_is_not() -> None:
    warning = above_dose("细辛", 6)
    assert warning is not None and "1～3g" in warning.why
    assert above_dose("细辛", 3) is None
    assert above_dose("芦根", 60) is not None and above_dose("鲜芦根", 60) is None
    assert above_dose("西红柿", 500) is None
    assert above_dose("炉甘石", 500) is None


def test_a_raw_toxic_form_does_not_borrow_the_range_of_the_prepared_drug() -> None:
    found = herb("生附子")
    assert found is not None and found.form == "生附子"
    assert above_dose("生附子", 60) is None
    assert without_precaution(["生附子"], "生附子10g")
    assert without_precaution(["生半夏"], "生半夏9g") and not without_precaution(["半夏"], "半夏9g")


@pytest.mark.parametrize(
    ("names", "text", "missing"),
    [
        (["附子"], "附子10g、白术10g", ["附子"]),
        (["附子"], "附子10g（先煎）、白术10g", []),
        (["附子"], "附子10g、白术10g。附子先煎一小时。", []),
        (["附子", "制川乌"], "附子10g先煎、制川乌3g、白术10g、桂枝6g、甘草6g", ["制川乌"]),
        (["附子"], "附子、白术、茯苓、生姜、白芍、薄荷后下", ["附子"]),
        (["黄芪", "半夏"], "黄芪30g、半夏9g", []),
        (["朱砂"], "朱砂0.3g", ["朱砂"]),
        (["朱砂"], "朱砂0.3g研末冲服", []),
        (["附子"], "附子10g，先煎", []),
        (["附子"], "製附子10g，先煎，附子", []),
    ],
)
def test_a_toxic_herb_needs_its_handling_stated(names: list[str], text: str, missing: list[str]) -> None:
    assert [warning.herb for warning in without_precaution(names, text)] == missing
