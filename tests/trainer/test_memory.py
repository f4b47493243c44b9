from __future__ import annotations

from collections.abc import Callable

import pytest

from harness.errors import UsageError
from ladder_trainer import memory
from ladder_trainer.config import load_recipe
from ladder_trainer.quiet import quiet
from ladder_trainer.recipe import Recipe, Shape
from ladder_trainer.start import shape_config

QWEN_7B = Shape(
    hidden=3584, layers=28, heads=28, kv_heads=4, mlp=18944, tied=False, vocabulary=152064
)  # the published shape of Qwen2.5-7B


def test_the_parameters_are_counted_without_allocating_them() -> None:
    assert memory.parameters(shape_config(QWEN_7B, 0)) == 7_615_616_512


def test_adapters_are_counted_as_peft_makes_them() -> None:
    import torch
    from peft import LoraConfig, get_peft_model
    from transformers import Qwen2ForCausalLM

    quiet()
    config = shape_config(Shape(hidden=64, layers=3, heads=4, kv_heads=2, mlp=96), 50)
    with torch.device("meta"):
        model = get_peft_model(Qwen2ForCausalLM(config), LoraConfig(r=8, target_modules="all-linear"))
    made = sum(p.numel() for p in model.parameters() if p.requires_grad)
    assert memory.adapter_parameters(config, 8) == made


def test_full_training_of_seven_billion_needs_a_cluster_and_adapters_fit_one_gpu() -> None:
    config = shape_config(QWEN_7B, 0)
    full = memory.estimate(load_recipe("ladder-base-paper"), "grpo", config)
    # float32 weights, gradients, two moments: 16 bytes; the reference model 4 more
    assert full.parts["weights"] + full.parts["gradients"] + full.parts["optimizer"] == 16 * 7_615_616_512
    assert full.parts["reference model"] == 4 * 7_615_616_512
    lora = memory.estimate(load_recipe("ladder-base-paper-lora"), "grpo", config)
    assert "reference model" not in lora.parts and lora.parts["weights"] == 2 * 7_615_616_512
    assert lora.total < 80e9 < 140e9 < full.total


def test_deepspeed_divides_the_model_among_its_processes(monkeypatch: pytest.MonkeyPatch) -> None:
    config = shape_config(QWEN_7B, 0)
    monkeypatch.setenv("ACCELERATE_USE_DEEPSPEED", "true")
    monkeypatch.setenv("WORLD_SIZE", "8")
    eight = memory.estimate(load_recipe("ladder-base-paper"), "grpo", config)
    assert eight.parts["weights"] == 2 * 7_615_616_512 / 8
    assert eight.parts["optimizer"] == 12 * 7_615_616_512 / 8  # two moments and the float32 copy
    assert eight.total < 80e9


def test_a_run_that_cannot_fit_is_refused_with_the_ways_out(
    recipe: Callable[..., Recipe], monkeypatch: pytest.MonkeyPatch
) -> None:
    big = recipe(start={"shape": QWEN_7B.model_dump()})
    monkeypatch.setattr(memory, "available", lambda _recipe: 64e9)
    with pytest.raises(UsageError) as error:
        memory.check(big, None, 100)
    said = str(error.value)
    assert (
        "the grpo stage needs about 162.1 GB (weights 30.5, gradients 30.5, optimizer 60.9, reference model 30.5"
        in said
        and "only 64.0 GB are free" in said
    )
    for way in ("start.lora.rank=16", "zero3-8gpu.yaml", "grpo.checkpointing=true", "grpo.batch", "memory=ignore"):
        assert way in said
    assert "64.0 GB are free" in memory.check(big.model_copy(update={"memory": "ignore"}), None, 100)


def test_what_is_free_here_is_a_sensible_figure(recipe: Callable[..., Recipe]) -> None:
    assert 1e8 < memory.available(recipe()) < 1e14
