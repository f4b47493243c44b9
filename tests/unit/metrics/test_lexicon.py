from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.errors import UsageError
from harness.metrics._lexicon import Lexicon, lexicon_of, terms, tokens, written_forms
from harness.metrics.overlap import rouge_l
from harness.registry import get_metric
from harness.types import Reference, Sample

texts = st.text(st.sampled_from("脾气虚证湿困肝郁20g.a "), max_size=20) | st.text(max_size=20)


def test_the_longest_term_wins() -> None:
    assert tokens("脾虚湿困证", ["脾", "虚", "脾虚", "脾虚湿困"]) == ["脾虚湿困", "证"]
    assert tokens("脾虚肝", ["脾", "脾虚湿"]) == ["脾", "虚", "肝"]


def test_another_written_form_becomes_the_name() -> None:
    assert tokens("丹皮与牡丹皮", Lexicon.of({"牡丹皮": "牡丹皮", "丹皮": "牡丹皮"})) == ["牡丹皮", "与", "牡丹皮"]


def test_traditional_and_full_width_texts_give_the_same_words() -> None:
    assert tokens("脾氣虛，黃芪２０ｇ", ["脾气虚", "黄芪"]) == tokens("脾气虚,黄芪20g", ["脾气虚", "黄芪"])


def test_numbers_and_latin_words_stay_whole() -> None:
    assert tokens("附子1.5 g，Fuling 20g", ["附子"]) == ["附子", "1.5", "g", ",", "fuling", "20", "g"]


@given(text=texts)
@settings(deadline=None)
def test_without_terms_no_character_is_lost(text: str) -> None:
    from harness.metrics._lexicon import plain

    assert "".join(tokens(text, [])) == "".join(plain(text).split())


@given(one=texts, other=texts)
@settings(deadline=None)
def test_rouge_l_of_terms_is_rouge_score_s_on_the_same_words(one: str, other: str) -> None:
    from rouge_score.rouge_scorer import RougeScorer

    class Words:
        def tokenize(self, text: str) -> list[str]:
            return tokens(text, lexicon_of({}))

    theirs = RougeScorer(["rougeL"], tokenizer=Words()).score(other, one)["rougeL"].fmeasure
    words = Words()
    assert rouge_l(words.tokenize(one), words.tokenize(other)) == pytest.approx(theirs, abs=1e-9)


def test_the_own_list_names_each_term_once() -> None:
    forms = written_forms()
    assert len(terms()) >= 150
    assert all(forms[name] == name for name in forms.values())


def test_a_lexicon_file_replaces_the_own_list_and_shows_in_the_signature(tmp_path: Path) -> None:
    file = tmp_path / "terms.txt"
    file.write_text("牡丹皮\t丹皮\n白术\n", encoding="utf-8")
    metric, options = get_metric("rouge_l_tcm"), {"lexicon": str(file)}
    sample = Sample("7", "talk", {}, Reference(("牡丹皮",)))
    assert metric.score([(sample, "丹皮")], options)[0].value == 1
    assert "/3" in metric.signature(options) and metric.signature(options) != metric.signature({})


@pytest.mark.parametrize(
    ("content", "message"), [(None, "cannot read"), (b"\xff\xfe\xff", "cannot read"), (b"\n \n", "no term")]
)
def test_a_lexicon_that_cannot_be_used_gives_one_message(tmp_path: Path, content: bytes | None, message: str) -> None:
    file = tmp_path / "terms.txt"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(UsageError, match=message):
        lexicon_of({"lexicon": str(file)})
