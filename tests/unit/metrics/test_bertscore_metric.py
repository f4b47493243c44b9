from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from harness.errors import UsageError
from harness.metrics import bertscore
from harness.registry import get_metric
from harness.types import Blanks, Reference, Sample, Value

pytest.importorskip("torch")
pytest.importorskip("bert_score")

TEXT = "脾气虚证治宜健益用四君子汤加减恶寒发热头痛无汗肝郁滞疏理，。"
LIMIT = 32


@pytest.fixture(scope="session")
def encoder(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A random BERT of four layers, with a tokenizer that states no limit of its own."""
    import torch
    from transformers import BertConfig, BertModel, BertTokenizer

    folder = tmp_path_factory.mktemp("encoders") / "random-bert"
    pieces = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *sorted(set(TEXT))]
    BertTokenizer(vocab={piece: i for i, piece in enumerate(pieces)}).save_pretrained(folder)
    torch.manual_seed(0)
    sizes = {"hidden_size": 32, "num_hidden_layers": 4, "num_attention_heads": 2, "intermediate_size": 64}
    BertModel(BertConfig(vocab_size=len(pieces), max_position_embeddings=LIMIT, **sizes)).save_pretrained(folder)
    return str(folder)


def sample(*texts: str) -> Sample:
    return Sample("7", "talk", {}, Reference(texts))


def score(pairs: Sequence[tuple[str, tuple[str, ...]]], **options: Any) -> list[Value]:
    return get_metric("bertscore").score([(sample(*texts), answer) for answer, texts in pairs], options)


PAIRS = [
    ("脾气虚证，治宜健脾益气", "脾气虚证，用四君子汤加减"),
    ("肝郁气滞", "肝郁脾虚，治宜疏肝理气"),
    ("恶寒发热，无汗", "恶寒发热，头痛无汗。"),
    ("健", "益"),
    ("头痛", "头痛"),
    ("黄连", "脾虚"),
]


def own_numbers(encoder: str, layer: int) -> list[tuple[float, float, float]]:
    """What bert-score itself says, once the tokenizer states its limit."""
    import bert_score

    p, r, f = bert_score.score(
        [a for a, _ in PAIRS], [b for _, b in PAIRS], model_type=encoder, num_layers=layer, device="cpu"
    )
    return list(zip(p.tolist(), r.tolist(), f.tolist(), strict=True))


@pytest.mark.parametrize("layer", [2, 4])
@pytest.mark.parametrize("batch_size", [1, 3, 64])
def test_the_numbers_are_bert_score_s_own(encoder: str, tmp_path: Path, layer: int, batch_size: int) -> None:
    limited = tmp_path / "limited"
    shutil.copytree(encoder, limited)
    config = limited / "tokenizer_config.json"
    config.write_text(json.dumps({**json.loads(config.read_text()), "model_max_length": LIMIT}))
    theirs = own_numbers(str(limited), layer)
    ours = score([(a, (b,)) for a, b in PAIRS], model=encoder, layer=layer, batch_size=batch_size)
    for value, (p, r, f) in zip(ours, theirs, strict=True):
        assert (value.parts["P"], value.parts["R"], value.value) == pytest.approx((p, r, f), abs=1e-6)
    assert ours[4].value == pytest.approx(1, abs=1e-6)
    assert len({round(value.value or 0, 6) for value in ours}) > 3


def test_without_a_model_every_answer_is_unscored_never_zero() -> None:
    assert score([("脾虚", ("脾虚",)), ("", ("脾虚",))]) == [Value(None), Value(None)]
    assert get_metric("bertscore").signature({}) == "model:none"


@pytest.mark.parametrize("empty", ["", " \n", "\u3000", "\u200b\x00"])
def test_an_empty_answer_scores_0_and_its_neighbours_are_not_touched(encoder: str, empty: str, capfd: Any) -> None:
    values = score([(empty, ("脾虚",)), ("脾虚", ("脾虚",))], model=encoder, layer=2)
    assert values[0] == Value(0.0, {"P": 0, "R": 0, "F": 0, "cut": 0})
    assert values[1].value == pytest.approx(1, abs=1e-6)
    assert "Warning" not in capfd.readouterr().err


def test_a_reference_without_a_token_is_left_out_and_none_left_means_unscored(encoder: str) -> None:
    values = score([("脾虚", ("\x00", "脾虚")), ("脾虚", ("\x00",))], model=encoder, layer=2)
    assert values[0].value == pytest.approx(1, abs=1e-6)
    assert values[1].value is None


def test_the_best_reference_counts_with_its_own_precision_and_recall(encoder: str) -> None:
    both, one, other = score(
        [("肝郁", ("肝郁脾虚", "头痛")), ("肝郁", ("肝郁脾虚",)), ("肝郁", ("头痛",))], model=encoder, layer=2
    )
    assert both.value == pytest.approx(max(one.value or 0, other.value or 0), abs=1e-6)
    best = one if (one.value or 0) > (other.value or 0) else other
    assert both.parts == pytest.approx(best.parts, abs=1e-6)


def test_a_text_beyond_the_limit_is_cut_and_counted(encoder: str) -> None:
    fits, cut, other_side = "脾" * (LIMIT - 2), "脾" * (LIMIT - 1), ("脾" * 600,)
    values = score([(fits, (fits,)), (cut, (fits,)), (fits, other_side)], model=encoder, layer=2)
    assert [value.parts["cut"] for value in values] == [0, 1, 1]
    assert values[1].value == pytest.approx(1, abs=1e-6)  # what was judged of it is the same text


def test_the_order_of_the_pairs_does_not_matter(encoder: str) -> None:
    pairs = [(a, (b,)) for a, b in PAIRS]
    forth, back = score(pairs, model=encoder, layer=2), score(pairs[::-1], model=encoder, layer=2)
    assert [v.value for v in forth] == pytest.approx([v.value for v in back[::-1]], abs=1e-6)


def test_the_signature_names_folder_weights_layer_and_versions(encoder: str, tmp_path: Path) -> None:
    signature = get_metric("bertscore").signature({"model": encoder, "layer": 2})
    assert signature.startswith("model:random-bert|weights:") and str(Path(encoder).parent) not in signature
    assert "|layer:2|" in signature
    for name in ("bert-score", "transformers", "torch"):
        assert f"|{name}:" in signature
    assert signature != get_metric("bertscore").signature({"model": encoder, "layer": 3})


def test_a_new_checkpoint_at_the_same_path_is_loaded_and_signed_anew(encoder: str, tmp_path: Path) -> None:
    import torch
    from transformers import BertModel

    folder = tmp_path / "checkpoint"
    shutil.copytree(encoder, folder)
    options, pair = {"model": str(folder), "layer": 2}, (PAIRS[0][0], (PAIRS[0][1],))
    before = score([pair], **options)[0].value, get_metric("bertscore").signature(options)
    torch.manual_seed(1)
    net = BertModel.from_pretrained(folder)
    for weights in net.parameters():
        weights.data.add_(torch.randn_like(weights) / 10)
    net.save_pretrained(folder)
    after = score([pair], **options)[0].value, get_metric("bertscore").signature(options)
    assert before[0] != after[0] and before[1] != after[1]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "name the layer"),
        ({"layer": 5}, "layers 1 to 4"),
        ({"layer": 0}, "whole number"),
        ({"layer": "2"}, "whole number"),
        ({"layer": 2, "batch_size": 0}, "whole number"),
        ({"layer": 2, "rescale": True}, "unknown option.*Known: batch_size, device, layer, model"),
    ],
)
def test_an_option_that_cannot_be_meant_gives_one_message(encoder: str, options: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        score([("脾", ("虚",))], model=encoder, **options)


def test_cuda_asked_for_and_absent_gives_one_message(encoder: str) -> None:
    import torch

    if torch.cuda.is_available():
        pytest.skip("there is a CUDA device")
    with pytest.raises(UsageError, match="no CUDA device"):
        score([("脾", ("虚",))], model=encoder, layer=2, device="cuda")


def test_a_folder_that_is_not_there_or_holds_no_encoder_gives_one_message(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no such folder"):
        score([("脾", ("虚",))], model=str(tmp_path / "absent"), layer=2)
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(UsageError, match="cannot load the encoder"):
        score([("脾", ("虚",))], model=str(tmp_path), layer=2)


def test_a_damaged_checkpoint_is_an_error_and_not_a_zero(encoder: str, tmp_path: Path) -> None:
    from transformers import BertModel

    folder = tmp_path / "damaged"
    shutil.copytree(encoder, folder)
    net = BertModel.from_pretrained(folder)
    net.embeddings.word_embeddings.weight.data.fill_(float("nan"))
    net.save_pretrained(folder)
    with pytest.raises(UsageError, match="NaN"):
        score([("脾虚", ("脾虚",))], model=str(folder), layer=2)


def test_a_missing_package_gives_the_pip_line(encoder: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "bert_score", None)
    monkeypatch.setitem(sys.modules, "bert_score.utils", None)
    with pytest.raises(UsageError, match=r"pip install 'tcm-eval\[bertscore\]'"):
        score([("脾", ("虚",))], model=encoder, layer=2)


def test_blanks_are_refused(encoder: str) -> None:
    with pytest.raises(UsageError, match="reference text"):
        get_metric("bertscore").score(
            [(Sample("7", "t", {}, Blanks((("寒",),))), "寒")], {"model": encoder, "layer": 2}
        )


def test_ladder_score_weighs_terms_and_meaning_and_reports_both(encoder: str) -> None:
    options = {"w_term": 0.4, "w_sem": 0.6, "semantic": "bertscore", "model": encoder, "layer": 2}
    metric = get_metric("ladder_score")
    pair = (sample("脾气虚，用四君子汤"), "脾气虚，治宜健脾")
    (value,) = metric.score([pair], options)
    (term,) = get_metric("term_score").score([pair], {})
    (meaning,) = get_metric("bertscore").score([pair], {"model": encoder, "layer": 2})
    assert term.value == pytest.approx(0.5) and meaning.value is not None
    assert value.value == pytest.approx(0.4 * 0.5 + 0.6 * meaning.value, abs=1e-6)
    assert value.parts == pytest.approx({"term": term.value, "sem": meaning.value, "cut": 0.0}, abs=1e-6)
    assert "sem:bertscore@1[model:random-bert|weights:" in metric.signature(options)
    (empty,) = metric.score([(pair[0], "")], options)
    assert empty.value == 0


def test_the_limit_of_a_roberta_counts_positions_behind_its_padding() -> None:
    class Tokenizer:
        model_max_length = 10**30

    class Config:
        model_type, max_position_embeddings, pad_token_id = "xlm-roberta", 514, 1

    assert bertscore._limit(Tokenizer(), Config(), "x") == 512
    Config.max_position_embeddings = None  # type: ignore[assignment]
    with pytest.raises(UsageError, match="states no limit"):
        bertscore._limit(Tokenizer(), Config(), "x")


def test_a_decoder_serves_as_encoder_and_the_signature_says_that_its_attention_is_causal(tmp_path: Path) -> None:
    import torch
    from transformers import Qwen2Config, Qwen2ForCausalLM

    from ladder_trainer.tiny.vocabulary import make_tokenizer

    tokenizer = make_tokenizer(["脾气虚证"], [TEXT])
    tokenizer.model_max_length = LIMIT
    torch.manual_seed(0)
    sizes = {"hidden_size": 32, "num_hidden_layers": 3, "num_attention_heads": 2, "num_key_value_heads": 1}
    config = Qwen2Config(vocab_size=len(tokenizer), intermediate_size=64, max_position_embeddings=LIMIT, **sizes)
    folder = tmp_path / "decoder"
    Qwen2ForCausalLM(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)

    same, other = score([("脾虚", ("脾虚",)), ("脾虚", ("头痛",))], model=str(folder), layer=2)

    assert same.value == pytest.approx(1.0, abs=1e-5) and other.value is not None and other.value < 0.999
    assert "|attention:causal|layer:2|" in get_metric("bertscore").signature({"model": str(folder), "layer": 2})
    assert len(bertscore.load_encoder(str(folder), 2, "cpu").model.layers) == 2
