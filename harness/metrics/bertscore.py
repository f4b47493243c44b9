"""BERTScore by the bert-score package's own functions, with guards where the package is silent or breaks.

Raw BERTScore has a high floor: unrelated texts often reach 0.5 to 0.7. Read it beside `shuffled_floor` (`ladder.py`).
Baseline rescaling is never applied: for a local encoder the package would silently skip it.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from importlib.metadata import version
from math import isfinite
from pathlib import Path
from typing import Any

import orjson

from harness.errors import UsageError
from harness.metrics._targets import references, text
from harness.registry import Answer, Family, Metric, Options, add_metric
from harness.types import Sample, Value

INSTALL = "pip install 'tcm-eval[bertscore]'"
Triple = tuple[float, float, float]


@dataclass(frozen=True, slots=True)
class Encoder:
    """A loaded encoder. `limit` counts tokens with the special ones, `special` the special ones alone."""

    model: Any
    tokenizer: Any
    limit: int
    special: int

    def length(self, line: str) -> int:
        """Return the number of tokens of a text, special ones included, before anything is cut."""
        return len(self.tokenizer(line.strip(), verbose=False)["input_ids"])


def weights_of(model: str) -> tuple[Path, ...]:
    """Return the weight files of a folder or of a hub model in the local cache, () when there is none."""
    if Path(model).is_dir():
        folder = Path(model)
    else:
        from huggingface_hub import try_to_load_from_cache

        config = try_to_load_from_cache(model, "config.json")
        if not isinstance(config, str):
            return ()
        folder = Path(config).parent
    for pattern in ("*.safetensors", "pytorch_model*.bin"):
        if found := sorted(folder.glob(pattern)):
            return tuple(found)
    return ()


@lru_cache(maxsize=8)
def _sha256(files: tuple[tuple[str, int, int], ...]) -> str:
    digest = hashlib.sha256()
    for path, _changed, _size in files:
        with Path(path).open("rb") as stream:
            while block := stream.read(1 << 20):
                digest.update(block)
    return digest.hexdigest()


def _stamps(model: str) -> tuple[tuple[str, int, int], ...]:
    """Return what tells that a checkpoint was replaced at the same path: (file, time of change, size)."""
    return tuple((str(path), path.stat().st_mtime_ns, path.stat().st_size) for path in weights_of(model))


def load_encoder(model: str, layer: int | None, device: str) -> Encoder:
    """Return an encoder in float32 that ends after `layer` transformer layers (None: all), loaded once per checkpoint.

    Raises UsageError when the packages, the folder, the layer, the device or the tokenizer's limit is not there.
    """
    if not Path(model).is_dir() and ((model.count("/") != 1 and "/" in model) or model.startswith((".", "~"))):
        raise UsageError(f"encoder '{model}': there is no such folder; give a folder with config.json or a hub id")
    return _load(model, layer, device, _stamps(model) if Path(model).is_dir() else ())


@lru_cache(maxsize=2)
def _load(model: str, layer: int | None, device: str, _checkpoint: tuple[tuple[str, int, int], ...]) -> Encoder:
    try:
        import torch
        from transformers import AutoModel, AutoTokenizer
        from transformers.utils import logging
    except ImportError as error:
        raise UsageError(f"an encoder needs torch and transformers: {INSTALL}") from error
    if device.startswith("cuda") and not torch.cuda.is_available():
        raise UsageError("device 'cuda' was asked for, but torch sees no CUDA device; use device: cpu")
    logging.disable_progress_bar()
    try:
        tokenizer = AutoTokenizer.from_pretrained(model)
        net = AutoModel.from_pretrained(model, dtype=torch.float32)
    except (OSError, ValueError, KeyError, RuntimeError) as error:
        why = (str(error).splitlines() or [type(error).__name__])[0]
        raise UsageError(f"cannot load the encoder '{model}': {why}") from error
    if layer is not None:
        _end_after(net, layer, model)
    limit = _limit(tokenizer, net.config, model)
    tokenizer.model_max_length = limit
    return Encoder(net.eval().to(device), tokenizer, limit, len(tokenizer("")["input_ids"]))


def _end_after(net: Any, layer: int, model: str) -> None:
    """Drop the layers above `layer`, as bert-score does, so that the last hidden state is the one asked for."""
    owner, name = (net, "layers") if hasattr(net, "layers") else (getattr(net, "encoder", None), "layer")
    layers = getattr(owner, name, None)
    if layers is None:
        raise UsageError(
            f"encoder '{model}' ({net.config.model_type}) has neither encoder.layer nor layers: use one of BERT's family, or "
            "a decoder such as Qwen2"
        )
    if not 1 <= layer <= len(layers):
        raise UsageError(f"encoder '{model}' has layers 1 to {len(layers)}; layer {layer} was asked for")
    setattr(owner, name, layers[:layer])


def _limit(tokenizer: Any, config: Any, model: str) -> int:
    positions = getattr(config, "max_position_embeddings", None)
    if positions and ("roberta" in config.model_type or config.model_type in ("camembert", "mpnet")):
        positions -= config.pad_token_id + 1  # this family counts positions from behind the padding index
    limit = min(int(tokenizer.model_max_length), positions or int(tokenizer.model_max_length))
    if limit > 1_000_000:
        raise UsageError(f"encoder '{model}' states no limit of length: set model_max_length in tokenizer_config.json")
    return limit


def _layer(options: Options) -> int:
    """Return the layer in use: the option, else bert-score's own choice for a hub id that it knows."""
    if options.get("layer") is not None:
        return _whole(options, "layer", 0)
    known: dict[str, int] = _package().model2layers
    if options["model"] not in known or Path(str(options["model"])).is_dir():
        raise UsageError(
            f"bertscore: name the layer of encoder '{options['model']}', for example --encoder-layer 8 (in a task's YAML layer: 8)"
        )
    return known[options["model"]]


def _whole(options: Options, name: str, default: int) -> int:
    value = options.get(name, default)
    if not isinstance(value, int) or value < 1:
        raise UsageError(f"bertscore: {name} is a whole number of 1 or more, not {value!r}")
    return value


def _package() -> Any:
    try:
        import bert_score.utils
    except ImportError as error:
        raise UsageError(f"bertscore needs the bert-score package: {INSTALL}") from error
    return bert_score.utils


def _score(pairs: Sequence[tuple[Sample, Answer]], options: Options) -> list[Value]:
    """Return the F1 of each answer with its best reference; parts P, R, F and `cut`.

    `cut` is 1 when the answer or that reference is longer than the encoder's limit and was judged only up to it.
    Without a model every value is None: unscored, never zero. An empty answer is 0.
    **Source:** Zhang et al. 2020, "BERTScore: Evaluating text generation with BERT", as computed by bert-score.
    """
    if not options.get("model"):
        return [Value(None) for _ in pairs]
    _package()
    encoder = load_encoder(str(options["model"]), _layer(options), str(options.get("device", "cpu")))
    asked = [(text(sample, answer).strip(), [r.strip() for r in references(sample)]) for sample, answer in pairs]
    lengths = {line: encoder.length(line) for answer, texts in asked for line in (answer, *texts)}
    wanted = {(a, r) for a, texts in asked for r in texts if min(lengths[a], lengths[r]) > encoder.special}
    found = _similarities(
        encoder, sorted(wanted, key=lambda p: (max(map(len, p)), p)), _whole(options, "batch_size", 64)
    )
    return [_value(answer, texts, lengths, found, encoder) for answer, texts in asked]


def _value(
    answer: str, texts: Sequence[str], lengths: dict[str, int], found: dict[tuple[str, str], Triple], encoder: Encoder
) -> Value:
    usable = [reference for reference in texts if lengths[reference] > encoder.special]
    if not usable:
        return Value(None)
    if lengths[answer] <= encoder.special:
        return Value(0.0, {"P": 0.0, "R": 0.0, "F": 0.0, "cut": 0.0})
    best = max(usable, key=lambda reference: found[answer, reference][2])
    precision, recall, f1 = found[answer, best]
    cut = float(max(lengths[answer], lengths[best]) > encoder.limit)
    return Value(f1, {"P": precision, "R": recall, "F": f1, "cut": cut})


def _similarities(encoder: Encoder, pairs: Sequence[tuple[str, str]], batch_size: int) -> dict[tuple[str, str], Triple]:
    """Return (P, R, F) of each (answer, reference), neither of them empty.

    Pairs come sorted by length and each call holds one batch of texts, because the package would sort Chinese texts
    by their number of spaces, and in a different order in every process.
    """
    package, tokenizer = _package(), encoder.tokenizer
    weights: dict[int, float] = defaultdict(lambda: 1.0)
    for special in (tokenizer.sep_token_id, tokenizer.cls_token_id):
        weights[special] = 0.0
    found: dict[tuple[str, str], Triple] = {}
    for batch in _batches(pairs, max(1, batch_size // 2)):
        answers, texts = [a for a, _ in batch], [r for _, r in batch]
        device = next(encoder.model.parameters()).device
        triples = package.bert_cos_score_idf(
            encoder.model, texts, answers, tokenizer, weights, batch_size=2 * len(batch), device=device
        ).tolist()
        for pair, (precision, recall, f1) in zip(batch, triples, strict=True):
            # The package turns an F that is not a number into 0; P and R still tell.
            if not (isfinite(precision) and isfinite(recall)):
                raise UsageError("the encoder gives NaN or infinite embeddings: the checkpoint is damaged")
            found[pair] = (precision, recall, f1)
    return found


def _batches(pairs: Sequence[tuple[str, str]], size: int) -> Iterable[Sequence[tuple[str, str]]]:
    return (pairs[start : start + size] for start in range(0, len(pairs), size))


def encoder_signature(model: str) -> str:
    """Return the encoder's hub id or folder name and the first 12 hex digits of its weights' SHA-256."""
    if not Path(model).is_dir():
        load_encoder(model, None, "cpu")  # brings a hub model into the cache, where its weights can be read
    name = Path(model).resolve().name if Path(model).is_dir() else model
    stamps = _stamps(model)
    causal = "|attention:causal" if _is_decoder(model) else ""
    return f"model:{name}|weights:{_sha256(stamps)[:12] if stamps else 'unknown'}{causal}"


def _is_decoder(model: str) -> bool:
    """Tell whether a checkpoint is a decoder, whose tokens see only what stands before them."""
    configs = [path.parent / "config.json" for path in weights_of(model)[:1]]
    read = [orjson.loads(path.read_bytes()) for path in configs if path.is_file()]
    return any("CausalLM" in name for config in read for name in config.get("architectures") or ())


def signature(options: Options) -> str:
    """Return encoder, weights, layer and versions; `model:none` when no encoder is named."""
    if not options.get("model"):
        return "model:none"
    layer = _layer(options)
    versions = "|".join(f"{name}:{version(name)}" for name in ("bert-score", "transformers", "torch"))
    return (
        f"{encoder_signature(str(options['model']))}|layer:{layer}|dtype:float32|idf:no|rescale:no|refs:best|{versions}"
    )


TEXTS: tuple[Family, ...] = ("text", "case")
BERTSCORE = add_metric(
    Metric(
        "bertscore",
        1,
        TEXTS,
        _score,
        signature,
        parts=("P", "R", "F", "cut"),
        bounds=(None, None),
        options=("model", "layer", "device", "batch_size"),
    )
)
