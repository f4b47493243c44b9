"""The configured TRL against the formula of the GRPO paper, computed here once more with NumPy and plain autograd.

**Source:** Shao et al. 2024, DeepSeekMath (arXiv 2402.03300), equations 3 and 4: clipped ratio times the group's normalised
reward, minus beta times exp(ref - p) - (ref - p) - 1, mean over a completion's tokens, then over completions.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ladder_trainer import grpo
from ladder_trainer.data import Question, gather
from ladder_trainer.recipe import Recipe
from ladder_trainer.start import load_tokenizer, prepare_start
from ladder_trainer.train import Sources, _texts

Make = Callable[..., Recipe]
TEMPERATURE, BETA, EPSILON = 0.7, 0.01, 0.2
SEED = 5
"""A start from which the random model sometimes ends its turn before the limit, so that lengths vary."""


class Seen:
    """One forward and backward pass of TRL: the weights and the batch before it, the loss and the gradients after it."""

    def __init__(self, weights: dict[str, Any], inputs: dict[str, Any]) -> None:
        self.weights, self.inputs = weights, inputs
        self.loss = float("nan")
        self.gradients: dict[str, Any] = {}


def uneven(text: str, _question: Question) -> float:
    """A reward on which a random model varies: the share of characters with an odd number."""
    return sum(ord(c) % 2 for c in text) / max(1, len(text))


def recorded(
    recipe: Recipe, places: Sources, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> tuple[Any, list[Seen], str]:
    """Train by the recipe with the reward `uneven` as correctness, and record every pass."""
    from ladder_trainer import rewards

    monkeypatch.setattr(rewards, "correctness", uneven)
    seen = gather(recipe, places.catalogue(), lambda _chat: 0)
    tokenizer = load_tokenizer(recipe, _texts(seen))
    start = prepare_start(recipe, tokenizer, folder / "start")
    trainer = grpo.build(recipe, start, tokenizer, seen.train, [], folder / "grpo")
    passes: list[Seen] = []
    compute, step = trainer._compute_loss, trainer.training_step

    def watch_loss(model: Any, inputs: dict[str, Any]) -> Any:
        one = Seen({k: v.detach().clone() for k, v in model.state_dict().items()}, copy.deepcopy(inputs))
        passes.append(one)
        loss = compute(model, inputs)
        one.loss = float(loss.detach())
        return loss

    def watch_step(model: Any, inputs: Any, items: Any) -> Any:
        before = {n: (p.grad.clone() if p.grad is not None else None) for n, p in model.named_parameters()}
        loss = step(model, inputs, items)
        for name, p in model.named_parameters():
            if p.grad is not None:
                old = before[name]
                passes[-1].gradients[name] = p.grad.clone() - (old if old is not None else 0)
        return loss

    trainer._compute_loss, trainer.training_step = watch_loss, watch_step
    trainer.train()
    return trainer, passes, start


def log_probabilities(model: Any, inputs: dict[str, Any], temperature: float = TEMPERATURE) -> Any:
    """Return log p of each completion token, shape (completions, tokens): softmax of logits / temperature."""
    import torch

    ids = torch.cat([inputs["prompt_ids"], inputs["completion_ids"]], dim=1)
    mask = torch.cat([inputs["prompt_mask"], inputs["completion_mask"]], dim=1)
    logits = model(input_ids=ids, attention_mask=mask).logits[:, :-1] / temperature
    length = inputs["completion_ids"].size(1)
    return logits[:, -length:].log_softmax(-1).gather(2, inputs["completion_ids"].unsqueeze(2)).squeeze(2)


def objective(p: Any, old: Any, ref: Any, advantage: Any, mask: Any, lib: Any) -> tuple[Any, Any]:
    """Return (loss, mean KL) of the formula; `lib` is numpy or torch, every array (completions, tokens)."""
    ratio = lib.exp(p - old)
    clipped = lib.clip(ratio, 1 - EPSILON, 1 + EPSILON)
    gain = lib.minimum(ratio * advantage[:, None], clipped * advantage[:, None])
    kl = lib.exp(ref - p) - (ref - p) - 1
    per_completion = ((gain - BETA * kl) * mask).sum(1) / mask.sum(1)
    return -per_completion.mean(), (kl * mask).sum() / mask.sum()


def by_hand(
    one: Seen, model: Any, reference: Any, *, accumulate: int, old: Any = None
) -> tuple[float, float, dict[str, Any]]:
    """Return (loss, KL, gradients) of the formula on what TRL saw, in double precision."""
    import torch

    model.load_state_dict(one.weights)
    model = model.double()
    mask, advantage = one.inputs["completion_mask"].double(), one.inputs["advantages"].double()
    p = log_probabilities(model, one.inputs)
    with torch.no_grad():
        ref = log_probabilities(reference, one.inputs)
    before = p.detach() if old is None else old
    loss, kl = objective(p, before, ref, advantage, mask, torch)
    model.zero_grad()
    (loss / accumulate).backward()
    gradients = {n: q.grad.clone() for n, q in model.named_parameters() if q.grad is not None}
    own, other, reference_, up, real = (x.detach().numpy() for x in (p, before, ref, advantage, mask))
    again, kl_again = objective(own, other, reference_, up, real, np)
    assert abs(loss.item() - again) < 1e-12 and abs(kl.item() - kl_again) < 1e-12
    return float(again) / accumulate, float(kl_again), gradients


def models(start: str) -> tuple[Any, Any]:
    from transformers import Qwen2ForCausalLM

    return Qwen2ForCausalLM.from_pretrained(start), Qwen2ForCausalLM.from_pretrained(start).double()


def setting(make: Make, **grpo_changes: Any) -> Recipe:
    fixed = {
        "temperature": TEMPERATURE,
        "top_p": 0.8,
        "beta": BETA,
        "epsilon": EPSILON,
        "learning_rate": 5e-2,
        "steps": 4,
        "save_every": 4,
        "max_completion_tokens": 40,
        "schedule": "constant",
    }
    return make(grpo={**fixed, **grpo_changes}, seed=SEED)


@pytest.mark.parametrize("accumulate", [1, 2])
def test_loss_kl_and_gradients_are_the_papers_formula(
    recipe: Make, places: Sources, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, accumulate: int
) -> None:
    trainer, passes, start = recorded(setting(recipe, accumulate=accumulate), places, tmp_path, monkeypatch)
    model, reference = models(start)
    assert len(passes) == 4 * accumulate
    kls = []
    for one in passes:
        loss, kl, gradients = by_hand(one, model.float(), reference, accumulate=accumulate)
        kls.append(kl)
        assert abs(one.loss - loss) < 1e-5
        worst = max(float((one.gradients[n].double() - g).abs().max()) for n, g in gradients.items())
        largest = max(float(g.abs().max()) for g in gradients.values())
        assert worst < 1e-5 and largest > 1e-3, (worst, largest)
    logged = [log["kl"] for log in trainer.state.log_history if "kl" in log]
    for step, value in enumerate(logged):
        assert abs(value - float(np.mean(kls[step * accumulate : (step + 1) * accumulate]))) < 1e-5
    assert kls[-1] > 1e-4  # the KL term was exercised
    lengths = [set(one.inputs["completion_mask"].sum(1).tolist()) for one in passes]
    assert any(len(different) > 1 for different in lengths)  # else the mean over tokens would do as well


def test_clipping_acts_in_the_second_iteration_as_the_formula_says(
    recipe: Make, places: Sources, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import torch

    trainer, passes, start = recorded(setting(recipe, iterations=2), places, tmp_path, monkeypatch)
    model, reference = models(start)
    clipped = []
    for first, second in zip(passes[::2], passes[1::2], strict=True):
        assert torch.equal(first.inputs["completion_ids"], second.inputs["completion_ids"])
        model.load_state_dict(first.weights)
        with torch.no_grad():
            old = log_probabilities(model.double(), first.inputs)
        real = first.inputs["completion_mask"].bool()
        assert float((first.inputs["old_per_token_logps"].double() - old)[real].abs().max()) < 1e-5
        for one in (first, second):
            loss, _, gradients = by_hand(one, model.float(), reference, accumulate=1, old=old)
            assert abs(one.loss - loss) < 1e-5
            worst = max(float((one.gradients[n].double() - g).abs().max()) for n, g in gradients.items())
            assert worst < 1e-5
        with torch.no_grad():
            model.float().load_state_dict(second.weights)
            ratio = (log_probabilities(model.double(), second.inputs) - old).exp()
        up = second.inputs["advantages"].double()[:, None]
        outside = ((ratio > 1 + EPSILON) & (up > 0)) | ((ratio < 1 - EPSILON) & (up < 0))
        clipped.append(float(outside[real].double().mean()))
    logged = [log["clip_ratio/region_mean"] for log in trainer.state.log_history if "clip_ratio/region_mean" in log]
    assert min(clipped) > 0.01, "the second pass must clip something, else nothing was tested"
    assert np.allclose(logged[1::2], clipped, atol=1e-6) and np.allclose(logged[::2], 0)


def test_advantages_are_the_groups_normalised_weighted_rewards(
    recipe: Make, places: Sources, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import json

    recipe_, gaps = setting(recipe, batch=4), []
    recorded(recipe_, places, tmp_path, monkeypatch)
    lines = [json.loads(x) for x in (tmp_path / "grpo" / "completions.jsonl").read_text("utf-8").splitlines()]
    assert len(lines) == 16  # four updates, one group of four completions each, all of them kept
    for step in range(4):
        group = lines[4 * step : 4 * step + 4]
        assert len({json.dumps(one["prompt"]) for one in group}) == 1
        rewards = np.array(
            [5 * x["rewards"]["correctness"] + x["rewards"]["format"] + x["rewards"]["tags"] for x in group]
        )
        trl = (rewards - rewards.mean()) / (rewards.std(ddof=1) + 1e-4)
        assert np.allclose([one["advantage"] for one in group], trl, atol=1e-5)
        if rewards.std() > 0:
            printed = (rewards - rewards.mean()) / rewards.std()
            gaps.append(float(np.abs(trl / printed)[printed != 0].mean()))
    # The gap to the printed formula: the sample deviation makes advantages of a group of 4 smaller by sqrt(3/4), of 6 by sqrt(5/6).
    assert gaps and np.allclose(gaps, np.sqrt(3 / 4), atol=2e-3)


def test_the_gap_to_the_formula_without_temperature_is_what_the_documentation_says(
    recipe: Make, places: Sources, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """TRL's probabilities are those of logits / temperature: at 0.7 they are not the model's own."""
    import torch

    _, passes, start = recorded(setting(recipe, steps=1, save_every=1), places, tmp_path, monkeypatch)
    model, _ = models(start)
    model.load_state_dict(passes[0].weights)
    with torch.no_grad():
        own = log_probabilities(model.double(), passes[0].inputs, temperature=1.0)
        divided = log_probabilities(model, passes[0].inputs)
    assert float((own - divided).abs().max()) > 1e-3
