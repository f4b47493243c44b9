"""The supervised stage: TRL's trainer on texts that are tokenized here, so that it is plain which tokens are learned."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from harness.errors import UsageError
from ladder_trainer.arguments import lora_config, sft_arguments
from ladder_trainer.data import Document
from ladder_trainer.quiet import quiet
from ladder_trainer.recipe import Recipe
from ladder_trainer.watched import watched

IGNORED = -100
"""Tokens with this label are read, not learned: the number that PyTorch's cross entropy leaves out."""


def build(
    recipe: Recipe,
    start: str,
    tokenizer: Any,
    train: Sequence[Document],
    validation: Sequence[Document],
    folder: Path,
) -> Any:
    """Return TRL's supervised trainer, set up by the recipe; `start` is the folder or hub name of the first weights."""
    quiet()
    from datasets import Dataset
    from trl import SFTConfig, SFTTrainer

    rows = tokenized(recipe, tokenizer, train)
    if not rows:
        raise UsageError(
            f"all {len(train)} supervised texts are longer than sft.max_tokens ({recipe.sft.max_tokens}): raise it"
        )
    checked = tokenized(recipe, tokenizer, validation) if recipe.sft.evaluate_every else []
    folder.mkdir(parents=True, exist_ok=True)
    return watched(SFTTrainer, recipe.sft.keep)(
        model=start,
        args=SFTConfig(**sft_arguments(recipe, folder)),
        train_dataset=Dataset.from_list(rows),
        eval_dataset=Dataset.from_list(checked) if checked else None,
        processing_class=tokenizer,
        peft_config=lora_config(recipe),
    )


def tokenized(recipe: Recipe, tokenizer: Any, documents: Sequence[Document]) -> list[dict[str, list[int]]]:
    """Return token ids and labels of the documents that fit; the reply and its end are learned, the prompt is not."""
    rows = []
    for document in documents:
        given = (
            tokenizer.apply_chat_template(document.given, add_generation_prompt=True, tokenize=True, return_dict=False)
            if document.given
            else []
        )
        learned = [*tokenizer(document.learned, add_special_tokens=False)["input_ids"], tokenizer.eos_token_id]
        if len(given) + len(learned) <= recipe.sft.max_tokens:
            rows.append({"input_ids": [*given, *learned], "labels": [*([IGNORED] * len(given)), *learned]})
    return rows
