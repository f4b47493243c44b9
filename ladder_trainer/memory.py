"""How much memory a training run will need, before it starts."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.errors import UsageError
from ladder_trainer.arguments import on_cpu, processes, sharded, weights_dtype
from ladder_trainer.recipe import Recipe, StageName
from ladder_trainer.start import load_config, shape_config

GB = 1e9
BYTES = {"bfloat16": 2, "float32": 4}


@dataclass(frozen=True, slots=True)
class Need:
    """Bytes per device, by what needs them; a rough figure, meant to be within a third of the truth."""

    parts: Mapping[str, float]

    @property
    def total(self) -> float:
        return sum(self.parts.values())

    def __str__(self) -> str:
        listed = ", ".join(f"{name} {size / GB:.1f}" for name, size in self.parts.items() if size >= 0.05 * GB)
        return f"about {self.total / GB:.1f} GB" + (f" ({listed})" if listed else "")


def parameters(config: Any) -> int:
    """Return how many parameters a model of this configuration has; nothing is allocated."""
    import torch
    from transformers import AutoModelForCausalLM

    with torch.device("meta"):
        return int(AutoModelForCausalLM.from_config(config).num_parameters())


def estimate(recipe: Recipe, stage: StageName, config: Any) -> Need:
    """Return what one device needs while training this stage.

    Counted: weights, gradients and Adam's two moments in float32, the reference model, what the backward pass keeps of each
    layer, the largest piece of logits, and the key-value cache of the rollouts. Sharding divides the first four.
    """
    size = parameters(config)
    shards = processes() if sharded() else 1
    width = BYTES[weights_dtype(recipe)]
    lora = recipe.start.lora
    trained = size if lora is None else adapter_parameters(config, lora.rank)
    full_copies = 4 if sharded() == "deepspeed" and lora is None else 0  # DeepSpeed's float32 master weights
    parts = {
        "weights": size * width / shards,
        "gradients": trained * (width if lora is None else 4) / shards,
        "optimizer": trained * (8 + full_copies) / shards,
    }
    if lora is not None:
        parts["adapters"] = trained * 4 / shards
    steps = recipe.grpo if stage == "grpo" else recipe.sft
    if stage == "grpo":
        tokens = recipe.data.max_prompt_tokens + recipe.grpo.max_completion_tokens
        if recipe.grpo.beta > 0 and lora is None:
            parts["reference model"] = size * width / shards
        if recipe.grpo.vllm is None:
            heads = getattr(config, "num_key_value_heads", config.num_attention_heads)
            per_token = 2 * config.num_hidden_layers * heads * (config.hidden_size // config.num_attention_heads)
            rolled = steps.batch * (recipe.grpo.steps_per_generation or steps.accumulate)
            parts["rollout cache"] = rolled * tokens * per_token * BYTES[recipe.start.dtype]
    else:
        tokens = recipe.sft.max_tokens
    parts["activations"] = _activations(config, steps.batch * tokens, BYTES[recipe.start.dtype], steps.checkpointing)
    parts["logits"] = 1024.0 * config.vocab_size * 4 * 3
    return Need(parts)


def adapter_parameters(config: Any, rank: int) -> int:
    """Return how many parameters LoRA adds to all linear layers of a Qwen2 or Llama shape."""
    hidden, mlp = config.hidden_size, config.intermediate_size
    kv = hidden // config.num_attention_heads * config.num_key_value_heads
    pairs = 2 * (hidden + hidden) + 2 * (hidden + kv) + 3 * (hidden + mlp)
    return int(config.num_hidden_layers * rank * pairs)


def _activations(config: Any, tokens: int, width: int, checkpointing: bool) -> float:  # noqa: FBT001 - a recipe's own switch
    layer = tokens * (14 * config.hidden_size + 4 * config.intermediate_size) * width
    if checkpointing:
        return float(config.num_hidden_layers * tokens * config.hidden_size * width + layer)
    return float(config.num_hidden_layers * layer)


def available(recipe: Recipe) -> float:
    """Return the bytes that are free for training: on the accelerator, or in the machine's memory and its container's limit."""
    if not on_cpu(recipe):
        import torch

        return float(torch.cuda.mem_get_info()[0])
    free = float(os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"))
    info = Path("/proc/meminfo")
    if info.exists():
        line = next((x for x in info.read_text("ascii").splitlines() if x.startswith("MemAvailable:")), None)
        free = float(line.split()[1]) * 1024 if line else free
    limit, used = Path("/sys/fs/cgroup/memory.max"), Path("/sys/fs/cgroup/memory.current")
    if limit.exists() and used.exists() and (text := limit.read_text("ascii").strip()).isdecimal():
        free = min(free, float(text) - float(used.read_text("ascii")))
    return free


def check(recipe: Recipe, start: str | None, vocabulary: int) -> str:
    """Return a line about the memory needed and free; raise UsageError when the run cannot fit.

    `start` is the folder or hub name of the first weights; None: the recipe's shape with this vocabulary.
    """
    shape = recipe.start.shape
    config = shape_config(shape, vocabulary) if shape is not None else load_config(start or "")
    needs = {stage: estimate(recipe, stage, config) for stage in recipe.stages}
    stage, need = max(needs.items(), key=lambda one: one[1].total)
    free = available(recipe)
    if recipe.memory == "check" and need.total > free:
        raise UsageError(
            f"the {stage} stage needs {need} on each device, but only {free / GB:.1f} GB are free.\nWays out:"
            f"{_ways_out(recipe, stage, config)}\n  - start anyway, for this is an estimate: --set memory=ignore"
        )
    return f"memory: {stage} needs {need}, {free / GB:.1f} GB are free"


def _ways_out(recipe: Recipe, stage: StageName, config: Any) -> str:
    text = ""
    if recipe.start.lora is None:
        with_lora = recipe.model_validate({**recipe.model_dump(), "start": {**recipe.start.model_dump(), "lora": {}}})
        text += f"\n  - adapters: --set start.lora.rank=16 ({estimate(with_lora, stage, config)})"
        text += "\n  - several GPUs: accelerate launch --config_file ladder_trainer/launch/zero3-8gpu.yaml -m harness.cli train ..."
    steps = recipe.grpo if stage == "grpo" else recipe.sft
    if not steps.checkpointing:
        text += f"\n  - recompute activations: --set {stage}.checkpointing=true"
    if steps.batch > 1:
        text += f"\n  - smaller batches: --set {stage}.batch=... and a larger {stage}.accumulate"
    return text
