from __future__ import annotations

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.errors import UsageError
from harness.knowledge import disease, find_herb, formula, herb, known, normal, syndrome
from harness.knowledge.names import JOINED, herb_forms


@pytest.mark.parametrize(
    ("written", "name", "form"),
    [
        ("黄芪", "黄芪", "黄芪"),
        ("黃芪", "黄芪", "黄芪"),
        ("炙黄芪", "炙黄芪", "炙黄芪"),
        ("黄芪（炙）30g", "炙黄芪", "炙黄芪"),
        ("生黄芪", "黄芪", "黄芪"),
        ("麸炒枳实", "枳实", "麸炒枳实"),
        ("枳壳(麸炒)", "枳壳", "麸炒枳壳"),
        ("盐杜仲", "杜仲", "盐杜仲"),
        ("黄芪30g", "黄芪", "黄芪"),
        ("川贝粉", "川贝母", "川贝母粉"),
        ("双花", "金银花", "金银花"),
        ("丹皮", "牡丹皮", "牡丹皮"),
        ("生姜三片", "生姜", "生姜"),
        ("阿胶(烊化)10g", "阿胶", "阿胶"),
        ("附片 ", "附子", "附子"),
        ("法半夏", "法半夏", "法半夏"),
        ("制半夏", "半夏", "制半夏"),
        ("熟地", "熟地黄", "熟地黄"),
        ("生地", "生地黄", "生地黄"),
    ],
)
def test_a_name_as_prescriptions_write_it_finds_its_entry_and_form(written: str, name: str, form: str) -> None:
    found = herb(written)
    assert found is not None
    assert (found.herb.name, found.form) == (name, form)


def test_an_entry_of_its_own_is_never_read_as_preparation_and_base() -> None:
    for name in ("炙甘草", "土茯苓", "生姜", "干姜", "炮姜", "川木通", "酒萸肉"):
        found = herb(name)
        assert found is not None, name
    roasted = herb("炙甘草")
    assert roasted is not None and roasted.herb.name == "炙甘草" and roasted.base == "甘草"


def test_every_form_of_the_base_finds_the_herb_it_belongs_to() -> None:
    for form, expected in herb_forms().items():
        found = herb(form)
        assert found is not None and found.herb.name == expected.herb.name, form


@pytest.mark.parametrize("written", ["西红柿", "", "。", "Huangqi", "黄芪" * 30, "(((", "30g"])
def test_what_is_no_herb_is_not_made_one(written: str) -> None:
    assert herb(written) is None


def test_the_normal_form_of_an_unknown_name_is_the_name_without_dose_and_brackets() -> None:
    assert normal("西红柿（切）10g") == "西红柿"
    assert normal("麸炒枳实30g") == "枳实"


def test_names_for_several_herbs_mean_known_ones() -> None:
    assert all(herb(one) for several in JOINED.values() for one in several)
    assert known("焦三仙") and known("黄酒") and not known("西红柿")


def test_an_unknown_herb_gets_close_names() -> None:
    with pytest.raises(UsageError, match=r"Did you mean.*黄芪"):
        find_herb("黄芪芪")


def test_formulas_patterns_and_diseases_are_found_by_alias_and_ending() -> None:
    rehmannia, insomnia, spleen = formula("金匮肾气丸加减"), disease("失眠"), syndrome("脾气虚弱")
    assert rehmannia and rehmannia.name == "肾气丸"
    assert insomnia and insomnia.name == "不寐"
    assert spleen and spleen.name == "脾气虚证"
    assert formula("无此方") is None and disease("无此病名") is None and syndrome("无此") is None


@given(st.text(st.sampled_from("黄芪炙炒麸盐()（）30g克钱两 、\u0301Ａ𠀀"), max_size=60) | st.text(max_size=60))
@settings(deadline=None)
def test_no_text_breaks_the_look_up(text: str) -> None:
    found = herb(text)
    assert found is None or found.herb.name
    assert isinstance(normal(text), str)


def test_a_million_new_names_would_take_linear_time() -> None:
    start = time.process_time()
    for i in range(10_000):
        herb(f"炙黄芪{i}g")
    assert time.process_time() - start < 5
