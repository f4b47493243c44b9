"""A bandit: one question, the right letter must become the model's answer; with shuffled rewards it must not."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from ladder_trainer import grpo
from ladder_trainer.data import gather
from ladder_trainer.recipe import Recipe
from ladder_trainer.rewards import correctness
from ladder_trainer.start import load_tokenizer, prepare_start
from ladder_trainer.train import Sources, _texts
from tests.trainer.conftest import write_suite

Make = Callable[..., Recipe]
LETTERS = "ABCDE"


def bandit(make: Make) -> Recipe:
    # one token is one pull of an arm; right are the letter D and its option's text, 2 of about 70 tokens
    return make(
        data={"limit": 2},
        grpo={
            "batch": 32,
            "group": 16,
            "steps": 40,
            "epochs": 100,
            "save_every": 40,
            "learning_rate": 1e-2,
            "schedule": "constant",
            "max_completion_tokens": 1,
            "log_every": 40,
        },
    )


def one_question(folder: Path) -> Path:
    options = dict(zip(LETTERS, ("甲", "乙", "丙", "丁", "戊"), strict=True))
    splits = ("train", "train", "test")
    items = [
        {"id": f"q{i}", "question": f"问{i}", "options": options, "answer": "D", "split": split}
        for i, split in enumerate(splits)
    ]
    return write_suite(folder, items)


def expected_correctness(model: Any, tokenizer: Any, questions: Sequence[Any]) -> float:
    """Return the exact expectation of the reward `correctness`: every token is tried, and weighed by its probability."""
    import torch

    texts = tokenizer.batch_decode([[token] for token in range(len(tokenizer))], skip_special_tokens=True)
    found: list[float] = []
    for question in questions:
        ids = tokenizer.apply_chat_template(
            question.messages, add_generation_prompt=True, tokenize=True, return_dict=True, return_tensors="pt"
        )["input_ids"]
        with torch.no_grad():
            p = model(input_ids=ids).logits[0, -1].softmax(-1).tolist()
        found.append(sum(chance * correctness(text, question) for chance, text in zip(p, texts, strict=True)))
    return sum(found) / len(found)


def trained(recipe: Recipe, places: Sources, folder: Path, *, shuffled: bool) -> tuple[float, float]:
    """Return the expected correctness before and after training; `shuffled` deals each batch's rewards out at random."""
    seen = gather(recipe, places.catalogue(), lambda _chat: 0)
    tokenizer = load_tokenizer(recipe, _texts(seen))
    start = prepare_start(recipe, tokenizer, folder / "start")
    trainer = grpo.build(recipe, start, tokenizer, seen.train, [], folder / "grpo")
    if shuffled:
        draw = random.Random(0)
        for place, judge in enumerate(trainer.reward_funcs):

            def dealt(judge: Any = judge, **given: Any) -> list[float]:
                rewards: list[float] = judge(**given)
                draw.shuffle(rewards)
                return rewards

            dealt.__name__ = judge.__name__
            trainer.reward_funcs[place] = dealt
    trainer.model.eval()
    before = expected_correctness(trainer.model, tokenizer, seen.train)
    trainer.train()
    trainer.model.eval()
    return before, expected_correctness(trainer.model, tokenizer, seen.train)


def test_a_bandit_reaches_its_optimum(recipe: Make, tmp_path: Path) -> None:
    places = Sources((one_question(tmp_path / "herbs"),))
    before, after = trained(bandit(recipe), places, tmp_path, shuffled=False)
    assert before < 0.05
    assert after > 0.95


@pytest.mark.parametrize("seed", [1, 2])
def test_shuffled_rewards_teach_nothing(recipe: Make, tmp_path: Path, seed: int) -> None:
    places = Sources((one_question(tmp_path / "herbs"),))
    changed = bandit(recipe).model_copy(update={"seed": seed})
    before, after = trained(changed, places, tmp_path, shuffled=True)
    assert before < 0.05
    assert after < 0.3
