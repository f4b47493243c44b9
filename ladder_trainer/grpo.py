"""The GRPO stage: TRL's trainer with our rows, rewards and bookkeeping."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from harness.errors import UsageError
from ladder_trainer.arguments import grpo_arguments, lora_config, processes
from ladder_trainer.data import Question
from ladder_trainer.quiet import quiet
from ladder_trainer.recipe import Recipe
from ladder_trainer.rewards import as_trl, reward_parts
from ladder_trainer.watched import watched_grpo


def build(
    recipe: Recipe,
    start: str,
    tokenizer: Any,
    train: Sequence[Question],
    validation: Sequence[Question],
    folder: Path,
) -> Any:
    """Return TRL's GRPO trainer, set up by the recipe; `start` is the folder or hub name of the first weights."""
    quiet()
    from trl import GRPOConfig, GRPOTrainer

    g = recipe.grpo
    needed = g.batch * (g.steps_per_generation or g.accumulate) * processes() // g.group
    if len(train) < needed:
        raise UsageError(
            f"one update needs {needed} different questions (batch x accumulate x processes / group), only {len(train)} are there. "
            "Lower grpo.batch or grpo.accumulate, or add tasks."
        )
    folder.mkdir(parents=True, exist_ok=True)
    questions = [*train, *validation]
    return watched_grpo(GRPOTrainer, g.keep)(
        model=start,
        reward_funcs=[as_trl(name, part, questions) for name, (part, _) in reward_parts(recipe.rewards).items()],
        args=GRPOConfig(**grpo_arguments(recipe, folder)),
        train_dataset=_rows(train, 0),
        eval_dataset=_rows(validation, len(train)) if g.evaluate_every else None,
        processing_class=tokenizer,
        peft_config=lora_config(recipe),
    )


def _rows(questions: Sequence[Question], first: int) -> Any:
    """Return the rows for TRL: the prompt, and the number by which the rewards find the question."""
    from datasets import Dataset

    return Dataset.from_list([{"prompt": q.messages, "row": first + i} for i, q in enumerate(questions)])
