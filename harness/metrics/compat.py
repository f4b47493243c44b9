"""What the script of the TCM-Ladder repository computes, for comparing with numbers made by it, under true names.

Neither is a measure to rank models by. Its "BERTScore" is the cosine of two mean vectors; its BLEU-4 gives identical
answers of one word 0.18. One difference stays: the script leaves empty answers out of its mean, here they count 0.
**Source:** scripts/performance.py of the repository orangeshushu/TCM-Ladder, read and rewritten, not copied.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from importlib import import_module
from importlib.metadata import version
from typing import Any

from harness.errors import UsageError
from harness.metrics._targets import references, text
from harness.metrics.bertscore import TEXTS, Encoder, encoder_signature, load_encoder
from harness.registry import Answer, Metric, Options, add_metric
from harness.types import Sample, Value

COMPAT = "compat:tcm-ladder-repo"


# ------------------------------------------------------------------ the cosine that was called BERTScore


def _cosine(pairs: Sequence[tuple[Sample, Answer]], options: Options) -> list[Value]:
    """Return the cosine of the mean token vectors of answer and reference, the best reference; part `cut`.

    Every token counts, [CLS] and [SEP] too; the last layer; texts are cut at the encoder's limit and counted in `cut`.
    Options: model (folder or hub id; the script used bert-base-chinese) and device. Without a model: None.
    """
    if not options.get("model"):
        return [Value(None) for _ in pairs]
    encoder = load_encoder(str(options["model"]), None, str(options.get("device", "cpu")))
    asked = [(text(sample, answer).strip(), [r.strip() for r in references(sample)]) for sample, answer in pairs]
    means = {line: _mean_vector(encoder, line) for answer, texts in asked for line in (answer, *texts) if line}
    values = []
    for answer, texts in asked:
        if not answer:
            values.append(Value(0.0, {"cut": 0.0}))
            continue
        cosines = [(_between(means[answer], means[reference]), reference) for reference in texts]
        cosine, best = max(cosines, key=lambda found: found[0])
        cut = max(encoder.length(answer), encoder.length(best)) > encoder.limit
        values.append(Value(cosine, {"cut": float(cut)}))
    return values


def _mean_vector(encoder: Encoder, line: str) -> Any:
    """Return the mean of the last layer's vectors, shape (1, width): one text at a time, so that no padding counts."""
    import torch

    inputs = encoder.tokenizer(line, return_tensors="pt", truncation=True).to(encoder.model.device)
    with torch.no_grad():
        return encoder.model(**inputs).last_hidden_state.mean(dim=1)


def _between(one: Any, other: Any) -> float:
    import torch

    cosine = float(torch.nn.functional.cosine_similarity(one, other))
    if cosine != cosine:
        raise UsageError("the encoder gives NaN embeddings: the checkpoint is damaged")
    return cosine


def _cosine_signature(options: Options) -> str:
    if not options.get("model"):
        return f"{COMPAT}|model:none"
    versions = f"transformers:{version('transformers')}|torch:{version('torch')}"
    return (
        f"{COMPAT}|{encoder_signature(str(options['model']))}|layer:last|pool:mean|dtype:float32|refs:best|{versions}"
    )


add_metric(
    Metric(
        "compat_embedding_cosine",
        1,
        TEXTS,
        _cosine,
        _cosine_signature,
        parts=("cut",),
        bounds=(-1.0, 1.0),
        options=("model", "device"),
    )
)

# ------------------------------------------------------------------ BLEU of jieba's words


@cache
def _cutter() -> Callable[[str], list[str]]:
    """Return a jieba cutter of our own, so that a dictionary loaded elsewhere in the process changes nothing here."""
    try:
        jieba = import_module("jieba")  # not among our extras, and without types
    except ImportError as error:
        raise UsageError("compat_bleu_jieba needs the jieba package: pip install jieba") from error
    jieba.setLogLevel("WARNING")
    tokenizer = jieba.Tokenizer()
    tokenizer.cache_file = "tcm-eval-jieba.cache"  # jieba-fast writes another content under jieba's own name
    cut: Callable[[str], list[str]] = tokenizer.lcut
    return cut


def _jieba_bleu(pairs: Sequence[tuple[Sample, Answer]], _options: Options) -> list[Value]:
    """Return nltk's sentence BLEU-4 (smoothing method 1) of jieba's words, 0 to 1; several references as nltk does."""
    from nltk.translate.bleu_score import SmoothingFunction, sentence_bleu

    cut, smooth = _cutter(), SmoothingFunction().method1
    values = []
    for sample, answer in pairs:
        words = cut(text(sample, answer).strip())
        wanted = [cut(reference.strip()) for reference in references(sample)]
        values.append(Value(float(sentence_bleu(wanted, words, smoothing_function=smooth)) if words else 0.0))
    return values


def _jieba_signature(_options: Options) -> str:
    _cutter()
    return f"{COMPAT}|tok:jieba-default|smooth:method1|jieba:{version('jieba')}|nltk:{version('nltk')}"


add_metric(Metric("compat_bleu_jieba", 1, TEXTS, _jieba_bleu, _jieba_signature))
