from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.errors import UsageError
from harness.metrics import overlap
from harness.registry import get_metric
from harness.types import Blanks, Case, Reference, Sample, Value

NAMES = ("bleu4", "rouge_1", "rouge_2", "rouge_l", "rouge_l_tcm", "meteor")
few = "气血阴阳虚Aa1.,-，。 （）%g\n"
mixed = st.text(st.sampled_from(few), max_size=25) | st.text(max_size=25)
written = mixed.filter(lambda text: bool(text.strip()))
clusters = st.lists(st.tuples(mixed, st.lists(written, min_size=2, max_size=2)), min_size=1, max_size=6)


def sample(*texts: str) -> Sample:
    return Sample("7", "talk", {}, Reference(texts))


def value(name: str, answer: str, *texts: str) -> Value:
    (found,) = get_metric(name).score([(sample(*texts), answer)], {})
    assert found.value is not None
    return found


class Characters:
    """A tokenizer as rouge-score expects it."""

    def tokenize(self, text: str) -> list[str]:
        return [char for char in text if not char.isspace()]


@given(line=mixed)
@settings(deadline=None)
def test_the_quick_tokenizer_gives_the_tokens_of_sacrebleu(line: str) -> None:
    from sacrebleu.tokenizers.tokenizer_zh import TokenizerZh

    theirs: Any = TokenizerZh
    assert overlap.bleu_tokens(line) == theirs()(line.rstrip()).split()


@given(answer=mixed, texts=st.lists(written, min_size=1, max_size=3))
@settings(deadline=None)
def test_bleu_of_one_answer_is_sacrebleu_s_with_effective_order(answer: str, texts: list[str]) -> None:
    from sacrebleu.metrics.bleu import BLEU

    theirs = BLEU(tokenize="zh", effective_order=True).sentence_score(answer, texts).score / 100
    assert value("bleu4", answer, *texts).value == pytest.approx(theirs, abs=1e-9)


@given(rows=clusters)
@settings(deadline=None)
def test_bleu_of_a_corpus_is_sacrebleu_s_from_the_summed_parts(rows: list[tuple[str, list[str]]]) -> None:
    from sacrebleu.metrics.bleu import BLEU

    metric = get_metric("bleu4")
    values = metric.score([(sample(*texts), answer) for answer, texts in rows], {})
    sums = np.array([[v.parts[name] for name in metric.parts] for v in values]).sum(axis=0)
    streams = list(zip(*(texts for _, texts in rows), strict=True))
    theirs = BLEU(tokenize="zh").corpus_score([answer for answer, _ in rows], streams).score / 100
    assert metric.combine is not None
    assert metric.combine(sums[None, :]) == pytest.approx([theirs], abs=1e-9)


def test_bleu_resamples_many_rows_at_once() -> None:
    metric = get_metric("bleu4")
    pairs = [
        ("脾气虚证，治宜健脾益气", "脾气虚证，健脾益气"),
        ("肝郁气滞，宜疏肝", "肝郁气滞，疏肝理气"),
        ("", "肾阳虚证"),
    ]
    values = metric.score([(sample(text), answer) for answer, text in pairs], {})
    parts = np.array([[v.parts[name] for name in metric.parts] for v in values])
    rows = np.array([parts[[0, 1, 2]].sum(axis=0), parts[[0, 0, 1]].sum(axis=0), parts[[2, 2, 2]].sum(axis=0)])
    assert metric.combine is not None
    together = metric.combine(rows)
    assert together.shape == (3,)
    assert [metric.combine(row[None, :])[0] for row in rows] == pytest.approx(list(together))
    assert together[2] == 0 and np.isfinite(together).all()


@pytest.mark.parametrize(("name", "theirs"), [("rouge_1", "rouge1"), ("rouge_2", "rouge2"), ("rouge_l", "rougeL")])
@given(answer=mixed, texts=st.lists(written, min_size=1, max_size=3))
@settings(deadline=None)
def test_rouge_is_rouge_score_s_with_a_character_tokenizer(
    name: str, theirs: str, answer: str, texts: list[str]
) -> None:
    from rouge_score.rouge_scorer import RougeScorer

    best = RougeScorer([theirs], tokenizer=Characters()).score_multi(texts, answer)[theirs].fmeasure
    assert value(name, answer, *texts).value == pytest.approx(best, abs=1e-9)


@given(a=st.lists(st.sampled_from("气血阴"), max_size=80), b=st.lists(st.sampled_from("气血阳"), max_size=80))
@settings(deadline=None)
def test_the_longest_common_subsequence_is_that_of_the_plain_table(a: Sequence[str], b: Sequence[str]) -> None:
    row = [0] * (len(b) + 1)
    for x in a:
        previous, row = row, [0]
        for j, y in enumerate(b):
            row.append(previous[j] + 1 if x == y else max(previous[j + 1], row[j]))
    assert overlap.longest_common_subsequence(a, b) == row[-1]


@given(answer=mixed, texts=st.lists(written, min_size=1, max_size=3))
@settings(deadline=None)
def test_meteor_is_nltk_s_without_synonyms(answer: str, texts: list[str]) -> None:
    from nltk.translate.meteor_score import single_meteor_score

    class Nothing:
        def synsets(self, _word: str) -> list[str]:
            return []

    split = Characters().tokenize
    theirs = max(single_meteor_score(split(text), split(answer), wordnet=Nothing()) for text in texts)
    assert value("meteor", answer, *texts).value == pytest.approx(theirs, abs=1e-9)


@pytest.mark.parametrize("name", NAMES)
@given(answer=mixed, texts=st.lists(written, min_size=1, max_size=3))
@settings(deadline=None, max_examples=40)
def test_every_value_lies_between_0_and_1_and_more_references_never_lower_the_best(
    name: str, answer: str, texts: list[str]
) -> None:
    found = value(name, answer, *texts).value
    assert found is not None and 0 <= found <= 1 + 1e-12
    if name != "bleu4":
        assert found == pytest.approx(max(value(name, answer, text).value or 0 for text in texts))


@pytest.mark.parametrize("name", ["rouge_1", "rouge_2", "rouge_l", "rouge_l_tcm"])
@given(one=written, other=written)
@settings(max_examples=40, deadline=None)
def test_rouge_f1_does_not_care_which_text_is_the_reference(name: str, one: str, other: str) -> None:
    assert value(name, one, other).value == pytest.approx(value(name, other, one).value)


@pytest.mark.parametrize("name", ["rouge_1", "rouge_l", "rouge_l_tcm", "bleu4"])
@given(text=written)
@settings(max_examples=40, deadline=None)
def test_an_identical_text_scores_1(name: str, text: str) -> None:
    text += "虚"  # a text of invisible characters only has no token
    assert value(name, text, text).value == pytest.approx(1)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("empty", ["", "  \n", "\u3000"])
def test_an_empty_answer_scores_0(name: str, empty: str) -> None:
    assert value(name, empty, "脾气虚证").value == 0


def test_an_empty_answer_still_weighs_in_the_corpus_value() -> None:
    assert value("bleu4", "", "脾气虚证").parts["reference_length"] == 4


def test_nothing_is_cut_off_a_long_text() -> None:
    text = "脾气虚证治宜健脾益气" * 2000
    for name in ("bleu4", "rouge_1", "rouge_2", "rouge_l"):
        assert value(name, text, text).value == pytest.approx(1)
        changed = value(name, text + "肝", text).value
        assert changed is not None and 0.99 < changed < 1


@pytest.mark.parametrize("name", NAMES)
def test_blanks_are_refused(name: str) -> None:
    metric = get_metric(name)
    assert "blanks" not in metric.family
    with pytest.raises(UsageError, match="exact_match or char_f1"):
        metric.score([(Sample("7", "talk", {}, Blanks((("寒",),))), "寒")], {})


def test_a_diagnostic_case_is_compared_with_its_texts() -> None:
    case = Sample("7", "talk", {}, Case(("脾气虚证",)))
    (found,) = get_metric("rouge_l").score([(case, "脾气虚证")], {})
    assert found.value == 1


def test_letters_instead_of_a_text_are_refused() -> None:
    with pytest.raises(UsageError, match="needs a text"):
        get_metric("bleu4").score([(sample("脾气虚证"), frozenset("A"))], {})


def test_each_signature_names_its_tokenizer_and_its_library() -> None:
    signatures = {name: get_metric(name).signature({}) for name in NAMES}
    assert all("tok:" in signature for signature in signatures.values())
    assert "tok:zh" in signatures["bleu4"] and "sacrebleu:" in signatures["bleu4"]
    assert "exact+stem" in signatures["meteor"] and "nltk:" in signatures["meteor"]
    assert "lexicon:" in signatures["rouge_l_tcm"]
