"""A folder or a hub name -> a checkpoint ready to answer, with all that identifies it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from harness.errors import Fatal, UsageError
from model_adapters.hf._fingerprint import digest, digest_text
from model_adapters.hf._place import Settings, device_of, dtype_of, first_line, folder_of, weights_of

TODAY = date(2025, 1, 1)
"""The day that chat templates are told. A template that prints today's date would change the prompt overnight."""

_DATED = re.compile(r"strftime_now\(\s*(['\"])(.*?)\1\s*\)")

REASONING = re.compile(r"[<◁]/?(?:think|thinking|reasoning|analysis)[>▷]", re.I)
_VOCABULARY = ("tokenizer.json", "vocab.*", "*.model", "*.tiktoken", "tekken.json")
_TOKENIZER = (
    "tokenizer*",
    "vocab*",
    "merges.txt",
    "tekken.json",
    "added_tokens.json",
    "special_tokens_map.json",
    "*.model",
    "*.tiktoken",
)


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A loaded model and its tokenizer.

    `stop_ids` end an answer, `hidden` are the special tokens that no answer shows, `rows` is the size of the embedding table;
    `context` is in tokens, None where the configuration states no limit.
    """

    name: str
    model: Any
    tokenizer: Any
    identity: Mapping[str, str]
    device: str
    stop_ids: tuple[int, ...]
    pad_id: int
    hidden: frozenset[int]
    rows: int
    context: int | None

    def render(self, messages: list[dict[str, str]]) -> str:
        """Return the prompt that the chat template makes of the messages; raise what the template raises."""
        prompt: str = self.tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True)
        return prompt

    def encode(self, text: str) -> list[int]:
        """Return the token ids of a rendered prompt. The template has written all special tokens, so that none is added."""
        ids: list[int] = self.tokenizer(text, add_special_tokens=False)["input_ids"]
        return ids

    def decode(self, ids: list[int]) -> str:
        """Return the text of an answer without special tokens; reasoning tags stay, special tokens or not."""
        text: str = self.tokenizer.decode([one for one in ids if one not in self.hidden], skip_special_tokens=False)
        return text


def load(model: str, settings: Settings) -> Checkpoint:
    """Return the checkpoint `model`: a folder, or a name on the hub.

    Raises UsageError for what the user can mend (no such checkpoint, unreadable, no chat template, no such device), Fatal when the
    device cannot hold it.
    """
    for package in ("torch", "transformers"):
        if find_spec(package) is None:
            raise UsageError(
                f"hf/{model}: package '{package}' is not installed. Install it: pip install 'tcm-eval[hf]'"
            )
    from transformers.utils import logging

    logging.set_verbosity_error()  # advice to developers would drown what the run itself has to say
    logging.disable_progress_bar()
    device = device_of(model, settings.device)
    dtype = dtype_of(model, settings.dtype, device)
    folder, commit = folder_of(model, settings)
    weights = weights_of(model, folder, settings)
    tokenizer = _tokenizer(model, folder, settings)
    template = _template(model, tokenizer, settings.chat_template)
    network = _network(model, folder, settings, device, dtype)
    stop_ids = _stop_ids(network, tokenizer)
    _forget_generation_defaults(network)
    name = folder.resolve().name if commit is None else model
    identity = {
        "provider": "hf",
        "model": name,
        **({"revision": commit} if commit else {}),
        **_contents(folder, weights, template, settings),
        "stop_ids": ",".join(map(str, stop_ids)),
        "dtype": dtype,
        "device": device.partition(":")[0],
        "attention": str(getattr(network.config, "_attn_implementation", "")),
        "engine": f"transformers {version('transformers')}, torch {version('torch')}",
    }
    added = tokenizer.added_tokens_decoder
    special = {one for one, token in added.items() if token.special} | set(tokenizer.all_special_ids)
    readable = {one for one in special if REASONING.fullmatch(str(tokenizer.convert_ids_to_tokens(one)))}
    pad = tokenizer.pad_token_id
    text_config = network.config.get_text_config(decoder=True)
    return Checkpoint(
        name=f"hf/{name}",
        model=network,
        tokenizer=tokenizer,
        identity=identity,
        device=device,
        stop_ids=stop_ids,
        pad_id=pad if pad is not None else (*stop_ids, 0)[0],
        hidden=frozenset(special - readable),
        rows=network.get_input_embeddings().weight.shape[0],
        context=settings.max_context or getattr(text_config, "max_position_embeddings", None),
    )


def _contents(folder: Path, weights: list[Path], template: str, settings: Settings) -> dict[str, str]:
    """Return the fingerprints of all files that shape an answer. Of generation_config.json nothing but the end ids is used."""
    tokenizer = {file for pattern in _TOKENIZER for file in folder.glob(pattern) if file.is_file()}
    return {
        "weights": digest(weights),
        "config": digest([folder / "config.json"]),
        "tokenizer": digest(tokenizer),
        "template": digest_text(template),
        **({"template_date": TODAY.isoformat()} if _DATED.search(template) else {}),
        **({"code": digest(folder.glob("*.py"))} if settings.trust_remote_code else {}),
    }


def _tokenizer(model: str, folder: Path, settings: Settings) -> Any:
    from transformers import AutoTokenizer

    # Without a vocabulary transformers makes up an empty tokenizer, which reads every prompt as nothing.
    if not settings.trust_remote_code and not any(file for pattern in _VOCABULARY for file in folder.glob(pattern)):
        raise UsageError(f"hf/{model}: no tokenizer: {folder} has none of {', '.join(_VOCABULARY)}")
    try:
        return AutoTokenizer.from_pretrained(
            folder, trust_remote_code=settings.trust_remote_code, local_files_only=True
        )
    except Exception as error:  # noqa: BLE001 - every kind means the same: the tokenizer's files cannot be read
        raise UsageError(f"hf/{model}: cannot read the tokenizer in {folder}: {_why(error)}") from None


def _template(model: str, tokenizer: Any, given: str | None) -> str:
    """Return the chat template's source, the user's or the checkpoint's own, after a trial."""
    from jinja2 import TemplateError

    if given is not None:
        try:
            tokenizer.chat_template = Path(given).expanduser().read_text("utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise UsageError(f"hf/{model}: cannot read the chat template {given}: {error}") from None
    try:
        template: str = tokenizer.get_chat_template()
    except ValueError:
        raise UsageError(
            f"hf/{model}: its tokenizer has no chat template, so nobody knows how it wants to be asked (a base model?). "
            "Give one: chat_template=FILE, a Jinja file such as the chat_template.jinja of the model's chat version."
        ) from None
    tokenizer.chat_template = _DATED.sub(lambda call: repr(TODAY.strftime(call[2])), template)
    try:
        said = tokenizer.apply_chat_template([{"role": "user", "content": "?"}], tokenize=False)
    except (TemplateError, TypeError, ValueError) as error:
        where = given or "of the checkpoint"
        raise UsageError(f"hf/{model}: the chat template {where} does not work: {first_line(error)}") from None
    if "?" not in said:
        raise UsageError(f"hf/{model}: the chat template leaves the user's message out: it gave {said[:80]!r}")
    return template


def _network(model: str, folder: Path, settings: Settings, device: str, dtype: str) -> Any:
    import torch
    from transformers import AutoModelForCausalLM

    place = {} if device == "cpu" else {"device_map": device}
    try:
        network, report = AutoModelForCausalLM.from_pretrained(
            folder,
            dtype=getattr(torch, dtype),
            use_safetensors=not settings.allow_pickle or any(folder.glob("*.safetensors")),
            trust_remote_code=settings.trust_remote_code,
            local_files_only=True,
            output_loading_info=True,
            **place,
        )
    except (torch.OutOfMemoryError, MemoryError) as error:
        raise Fatal(f"hf/{model}: the weights do not fit on {device} in {dtype}: {first_line(error)}") from None
    except Exception as error:  # noqa: BLE001 - every kind means the same: the checkpoint cannot be read
        raise UsageError(f"hf/{model}: cannot read the checkpoint in {folder}: {_why(error)}") from None
    lacking = sorted(map(str, report["missing_keys"]))
    if lacking:  # transformers fills them with random numbers and goes on
        raise UsageError(
            f"hf/{model}: the checkpoint in {folder} is incomplete: {len(lacking)} weights are missing, {lacking[0]} the first"
        )
    if network.config.is_encoder_decoder:
        raise UsageError(
            f"hf/{model}: an encoder-decoder model does not continue a prompt; this adapter asks causal models"
        )
    return network.eval()


def _stop_ids(network: Any, tokenizer: Any) -> tuple[int, ...]:
    """Return the ids that end an answer: those the model declares (a chat model has several), and the tokenizer's own."""
    own = network.generation_config.eos_token_id
    declared = own if own is not None else network.config.get_text_config(decoder=True).eos_token_id
    ids = [*(declared if isinstance(declared, list | tuple) else [declared]), tokenizer.eos_token_id]
    return tuple(sorted({int(one) for one in ids if one is not None}))


def _forget_generation_defaults(network: Any) -> None:
    """Drop the model's own generation settings: `generate` fills every field that is not set from them."""
    from transformers import GenerationConfig

    network.generation_config = GenerationConfig()


def _why(error: BaseException) -> str:
    if "trust_remote_code" in str(error):
        return "it brings code of its own, which is not run unless asked: set trust_remote_code=true if you trust it"
    return f"{type(error).__name__}: {first_line(error)}"
