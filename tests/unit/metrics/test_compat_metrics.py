from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

from harness.errors import UsageError
from harness.metrics import compat
from harness.registry import get_metric
from harness.types import Reference, Sample, Value


def score(name: str, answer: str, *texts: str, **options: Any) -> Value:
    (value,) = get_metric(name).score([(Sample("7", "talk", {}, Reference(texts)), answer)], options)
    return value


@pytest.fixture(scope="session")
def encoder(tmp_path_factory: pytest.TempPathFactory) -> str:
    torch = pytest.importorskip("torch")
    from transformers import BertConfig, BertModel, BertTokenizer

    folder = tmp_path_factory.mktemp("encoders") / "random-bert"
    pieces = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *"脾气虚证健益肝郁"]
    BertTokenizer(vocab={piece: i for i, piece in enumerate(pieces)}).save_pretrained(folder)
    torch.manual_seed(0)
    sizes = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 32}
    BertModel(BertConfig(vocab_size=len(pieces), max_position_embeddings=32, **sizes)).save_pretrained(folder)
    return str(folder)


def test_the_cosine_is_that_of_the_mean_vectors_with_the_special_tokens(encoder: str) -> None:
    import torch
    from transformers import AutoTokenizer, BertModel

    tokenizer, net = AutoTokenizer.from_pretrained(encoder), BertModel.from_pretrained(encoder).eval()
    with torch.no_grad():
        means = [
            net(**tokenizer(line, return_tensors="pt")).last_hidden_state[0].mean(dim=0)
            for line in ("脾虚", "脾气虚证")
        ]
    expected = float(torch.dot(*means) / (means[0].norm() * means[1].norm()))
    value = score("compat_embedding_cosine", "脾虚", "脾气虚证", model=encoder)
    assert value.value == pytest.approx(expected, abs=1e-6)
    assert value.parts == {"cut": 0}
    assert score("compat_embedding_cosine", "脾虚" * 20, "脾", model=encoder).parts == {"cut": 1}


def test_the_cosine_takes_the_best_reference_and_0_for_an_empty_answer(encoder: str) -> None:
    single = [score("compat_embedding_cosine", "脾虚", text, model=encoder).value or 0 for text in ("肝郁", "健脾")]
    both = score("compat_embedding_cosine", "脾虚", "肝郁", "健脾", model=encoder).value
    assert both == pytest.approx(max(single), abs=1e-6)
    assert score("compat_embedding_cosine", "", "肝郁", model=encoder).value == 0


def test_without_an_encoder_the_cosine_is_unscored() -> None:
    assert score("compat_embedding_cosine", "脾虚", "脾虚") == Value(None)


def test_the_cosine_s_signature_names_where_it_comes_from(encoder: str) -> None:
    signature = get_metric("compat_embedding_cosine").signature({"model": encoder})
    assert signature.startswith("compat:tcm-ladder-repo|model:random-bert|weights:")
    with pytest.raises(UsageError, match="unknown option"):
        score("compat_embedding_cosine", "脾", "虚", model=encoder, layer=2)


def test_bleu_of_jieba_words_gives_the_numbers_of_the_script() -> None:
    pytest.importorskip("jieba")
    for text in ("望诊", "肝", "饥不欲食"):
        assert score("compat_bleu_jieba", text, text).value == pytest.approx(0.1 ** (3 / 4), abs=1e-9)
    assert score("compat_bleu_jieba", "寒", "热").value == 0
    assert score("compat_bleu_jieba", "", "热").value == 0
    assert get_metric("compat_bleu_jieba").signature({}).startswith("compat:tcm-ladder-repo|tok:jieba")


def test_bleu_of_jieba_words_is_nltk_s_on_the_same_words() -> None:
    jieba = pytest.importorskip("jieba")
    from nltk.translate.bleu_score import SmoothingFunction, sentence_bleu

    answer, texts = "舌淡胖苔白滑，脉沉细无力，治宜温补脾肾", ("舌淡苔白滑，脉沉细无力，宜温补脾肾之阳", "温补脾肾")
    cut = jieba.Tokenizer().lcut
    theirs = sentence_bleu([cut(t) for t in texts], cut(answer), smoothing_function=SmoothingFunction().method1)
    assert score("compat_bleu_jieba", answer, *texts).value == pytest.approx(theirs, abs=1e-9)


def test_without_jieba_there_is_one_line_that_says_how_to_get_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    compat._cutter.cache_clear()
    monkeypatch.setitem(sys.modules, "jieba", None)
    with pytest.raises(UsageError, match="pip install jieba"):
        score("compat_bleu_jieba", "脾", "虚")
