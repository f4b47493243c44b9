from __future__ import annotations

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.knowledge import plain, segment, surface_forms, terms
from harness.knowledge.lexicon import KINDS, LONGEST


def found(text: str) -> list[tuple[str, str, str]]:
    return [(span.form, span.term.name, span.term.kind) for span in segment(text)]


def test_there_are_more_than_8000_written_forms_of_every_kind() -> None:
    assert len(terms()) >= 8000 and len(surface_forms()) > len(terms())
    kinds = {term.kind for term in terms().values()}
    assert kinds <= set(KINDS)
    assert {"herb", "formula", "syndrome", "disease", "symptom", "tongue", "pulse", "principle"} <= kinds


def test_the_longest_term_wins() -> None:
    assert found("炙甘草") == [("炙甘草", "炙甘草", "herb")]
    assert [form for form, _, _ in found("脾气虚证")] == ["脾气虚证"]


def test_a_tongue_a_pulse_and_a_principle_are_found_under_their_names() -> None:
    assert found("舌质淡，舌苔薄白，脉细弦") == [
        ("舌质淡", "舌淡", "tongue"),
        ("舌苔薄白", "苔薄白", "tongue"),
        ("脉细弦", "脉弦细", "pulse"),
    ]
    assert [name for _, name, _ in found("弦脉")] == ["脉弦"]
    assert [kind for _, _, kind in found("健脾益气，清热解毒")] == ["principle", "principle"]


def test_phrases_of_two_words_are_two_terms() -> None:
    assert [form for form, _, _ in found("恶寒发热")] == ["恶寒", "发热"]


def test_traditional_text_gives_the_same_terms() -> None:
    assert found("黃芪補氣，脾氣虛證") == found("黄芪补气，脾气虚证")


def test_single_characters_are_terms_only_where_the_word_list_says_so() -> None:
    single = {form for form in terms() if len(form) == 1}
    assert single <= set("肝脾肺肾胆胃汗渴咳喘痰醋盐茶汞疖痈")


def test_a_name_stands_for_itself() -> None:
    for term in set(terms().values()):
        if plain(term.name) in terms():
            assert terms()[plain(term.name)].name == term.name


@given(st.text(st.sampled_from("脾气虚证舌淡苔白脉弦细黄芪炙甘草，。a1"), max_size=60) | st.text(max_size=60))
@settings(deadline=None)
def test_spans_stand_in_order_do_not_overlap_and_hold_what_they_say(text: str) -> None:
    line, end = plain(text), 0
    for span in segment(text):
        assert end <= span.start < span.end <= span.start + LONGEST
        assert line[span.start : span.end] == span.form
        end = span.end


@pytest.mark.parametrize(
    "piece", ["脾气虚证，舌淡苔白。", "黄芪", "The patient has a cough. ", "黃芪補氣。", "脾", "阴阳", "😀"]
)
def test_a_megabyte_is_segmented_in_linear_time(piece: str) -> None:
    text = piece * (1_000_000 // len(piece.encode()))
    segment(piece)
    start = time.process_time()
    segment(text)
    assert time.process_time() - start < 5
