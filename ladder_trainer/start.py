"""Where training starts: the tokenizer, and a folder or hub name of the first weights."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from harness.errors import UsageError
from harness.models import shipped
from ladder_trainer.characters import character_tokenizer
from ladder_trainer.checkpoint import checkpoints_root, whole_model
from ladder_trainer.recipe import Recipe, Shape

CHARACTERS = "characters"


def resolve_base(base: str) -> str:
    """Return the folder or hub name that `base` means.

    That is a folder, `package:PACKAGE/FOLDER` (a checkpoint that ships), the newest local checkpoint of that name, or a hub name.
    """
    if base.startswith("package:"):
        return str(shipped(base.removeprefix("package:")))
    if Path(base).expanduser().is_dir():
        return str(Path(base).expanduser().resolve())
    local = checkpoints_root() / base / "latest"
    if "/" not in base:
        if local.is_dir():
            return str(local.resolve())
        raise UsageError(
            f"base model '{base}' is missing: there is no such folder and no local checkpoint {local}. "
            "Give a folder, OWNER/NAME of the hub, or train that recipe first."
        )
    return base


def load_tokenizer(recipe: Recipe, texts: Iterable[str] = ()) -> Any:
    """Return the tokenizer, with its chat template; raise UsageError when the model or the template is missing.

    `texts` make the vocabulary of a recipe whose tokenizer is `characters`.
    """
    from transformers import AutoTokenizer

    name = recipe.start.tokenizer or resolve_base(recipe.start.base or "")
    if name == CHARACTERS:
        return character_tokenizer(texts)
    try:
        tokenizer = AutoTokenizer.from_pretrained(name, padding_side="left", truncation_side="left")
    except (OSError, ValueError, KeyError) as error:
        raise _missing(name, error) from None
    if tokenizer.chat_template is None:
        raise UsageError(
            f"{name}: its tokenizer has no chat template, so questions cannot be worded for it. Take an instruct model, or "
            "add chat_template.jinja to the folder."
        )
    return tokenizer


def prepare_start(recipe: Recipe, tokenizer: Any, folder: Path) -> str:
    """Return the folder or hub name to load the first weights from; random weights are written to `folder` once."""
    if recipe.start.shape is None:
        base = resolve_base(recipe.start.base or "")
        load_config(base)
        return base
    if not whole_model(folder):
        write_random(recipe.start.shape, recipe.seed, tokenizer, folder)
    return str(folder)


def load_config(base: str) -> Any:
    """Return a model's configuration; raise UsageError when there is none."""
    from transformers import AutoConfig

    try:
        return AutoConfig.from_pretrained(base)
    except (OSError, ValueError, KeyError) as error:
        raise _missing(base, error) from None


def _missing(name: str, error: Exception) -> UsageError:
    offline = " HF_HUB_OFFLINE is set, so nothing was downloaded." if os.environ.get("HF_HUB_OFFLINE") == "1" else ""
    first = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
    return UsageError(
        f"base model '{name}' is missing or damaged: {first}{offline} Give a folder (--set start.base=FOLDER), or fetch it once: "
        f"hf download {name}"
    )


def shape_config(shape: Shape, vocabulary: int) -> Any:
    """Return the configuration of a Qwen2 model of this shape."""
    from transformers import Qwen2Config

    return Qwen2Config(
        vocab_size=max(vocabulary, shape.vocabulary or 0),
        hidden_size=shape.hidden,
        intermediate_size=shape.mlp,
        num_hidden_layers=shape.layers,
        num_attention_heads=shape.heads,
        num_key_value_heads=shape.kv_heads,
        max_position_embeddings=shape.positions,
        tie_word_embeddings=shape.tied,
        bos_token_id=None,
        eos_token_id=None,
        pad_token_id=None,
    )


def write_random(shape: Shape, seed: int, tokenizer: Any, folder: Path) -> None:
    """Write a Qwen2 of this shape with random weights, and its tokenizer, to `folder`."""
    from transformers import Qwen2ForCausalLM, set_seed

    set_seed(seed)
    model = Qwen2ForCausalLM(shape_config(shape, len(tokenizer)))
    model.config.eos_token_id = tokenizer.eos_token_id
    model.config.pad_token_id = tokenizer.pad_token_id
    model.generation_config.eos_token_id = tokenizer.eos_token_id
    model.generation_config.pad_token_id = tokenizer.pad_token_id
    folder.mkdir(parents=True, exist_ok=True)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
