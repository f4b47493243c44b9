"""A recipe -> the arguments of TRL's trainers. Every setting that matters is passed by name, so no default can move under us."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from harness.errors import UsageError
from ladder_trainer.recipe import Grpo, Recipe, Steps


def sharded() -> str | None:
    """Return 'deepspeed' or 'fsdp' when `accelerate launch` set one up for this process, else None."""
    if os.environ.get("ACCELERATE_USE_DEEPSPEED", "false").lower() == "true":
        return "deepspeed"
    return "fsdp" if os.environ.get("ACCELERATE_USE_FSDP", "false").lower() == "true" else None


def processes() -> int:
    """Return how many processes train together."""
    return int(os.environ.get("WORLD_SIZE", "1"))


def on_cpu(recipe: Recipe) -> bool:
    """Tell whether training runs on the CPU: the recipe says so, or no accelerator is there."""
    import torch

    return recipe.device == "cpu" or not torch.cuda.is_available()


def weights_dtype(recipe: Recipe) -> str:
    """Return the number format of the weights in memory while training.

    Full training keeps them in float32 even where it computes in bfloat16: an update of 5e-7 is below what bfloat16 can add to
    a weight, so it would be lost. DeepSpeed has float32 copies of its own, and frozen weights below adapters take no updates.
    """
    if recipe.start.lora is not None or sharded() == "deepspeed":
        return recipe.start.dtype
    return "float32"


def common(recipe: Recipe, steps: Steps, folder: Path, best: str) -> dict[str, Any]:
    """Return what both trainers take. `best` names the validation figure by which the best checkpoint is chosen."""
    validated = steps.evaluate_every > 0
    return {
        "output_dir": str(folder),
        "seed": recipe.seed,
        "data_seed": recipe.seed,
        "use_cpu": on_cpu(recipe),
        "bf16": recipe.start.dtype == "bfloat16",
        "fp16": False,
        "report_to": list(_loggers(recipe)),
        "num_train_epochs": steps.epochs,
        "max_steps": steps.steps,
        "per_device_train_batch_size": steps.batch,
        "gradient_accumulation_steps": steps.accumulate,
        "learning_rate": steps.learning_rate,
        "lr_scheduler_type": steps.schedule,
        "warmup_steps": steps.warmup,
        "weight_decay": steps.weight_decay,
        "max_grad_norm": steps.max_grad_norm,
        "optim": "adamw_torch",
        "adam_beta1": 0.9,
        "adam_beta2": 0.999,
        "adam_epsilon": 1e-8,
        "gradient_checkpointing": steps.checkpointing,
        "gradient_checkpointing_kwargs": {"use_reentrant": False},
        "logging_strategy": "steps",
        "logging_steps": steps.log_every,
        "logging_first_step": True,
        "disable_tqdm": True,
        "save_strategy": "steps",
        "save_steps": steps.save_every,
        "save_total_limit": None,  # checkpoint.rotate does it, after the new checkpoint is known to be whole
        "eval_strategy": "steps" if validated else "no",
        "eval_steps": steps.evaluate_every or None,
        "metric_for_best_model": best if validated else None,
        "greater_is_better": not best.endswith("loss") if validated else None,
        "load_best_model_at_end": False,
        "dataloader_num_workers": 0,
        "remove_unused_columns": False,
        "model_init_kwargs": {"dtype": weights_dtype(recipe), "attn_implementation": recipe.start.attention},
    }


def grpo_arguments(recipe: Recipe, folder: Path) -> dict[str, Any]:
    """Return the arguments of `GRPOConfig`.

    **Source:** the objective of Shao et al. 2024 (arXiv 2402.03300) in the settings of TRL 1.16 that keep it: per-sequence mean,
    token-level ratios, plain k3 estimate of the KL term, no entropy bonus, no masks beyond the completion's own.
    """
    g, weights = recipe.grpo, recipe.rewards.weights
    return {
        **common(recipe, g, folder, "eval_reward"),
        "per_device_eval_batch_size": max(1, g.batch // g.validation_group) * g.validation_group,
        "num_generations": g.group,
        "num_generations_eval": g.validation_group,
        "steps_per_generation": g.steps_per_generation,
        "num_iterations": g.iterations,
        "max_completion_length": g.max_completion_tokens,
        "temperature": g.temperature,
        "top_p": g.top_p,
        "top_k": g.top_k,
        "min_p": None,
        "repetition_penalty": 1.0,
        "epsilon": g.epsilon,
        "epsilon_high": None,
        "delta": None,
        "beta": g.beta,
        "loss_type": g.loss,
        "scale_rewards": g.scale,
        "importance_sampling_level": "token",
        "multi_objective_aggregation": "sum_then_normalize",
        "reward_weights": [weights.correctness, weights.format, weights.tags],
        "use_bias_correction_kl": g.bias_correction_kl,
        "mask_truncated_completions": g.mask_truncated,
        "sync_ref_model": False,
        "top_entropy_quantile": 1.0,
        "entropy_coef": 0.0,
        "disable_dropout": False,
        "shuffle_dataset": True,
        "log_completions": False,  # ladder_trainer writes its own samples
        **_vllm(g),
    }


def _vllm(g: Grpo) -> dict[str, Any]:
    if g.vllm is None:
        return {"use_vllm": False}
    return {
        "use_vllm": True,
        "vllm_mode": g.vllm.mode,
        "vllm_server_base_url": g.vllm.server if g.vllm.mode == "server" else None,
        "vllm_gpu_memory_utilization": g.vllm.memory_share,
        "vllm_tensor_parallel_size": g.vllm.tensor_parallel,
        "vllm_importance_sampling_correction": g.vllm.correction,
    }


def sft_arguments(recipe: Recipe, folder: Path) -> dict[str, Any]:
    """Return the arguments of `SFTConfig`; the rows are tokenized already and carry their labels."""
    return {
        **common(recipe, recipe.sft, folder, "eval_loss"),
        "per_device_eval_batch_size": recipe.sft.batch,
        "max_length": None,
        "packing": False,
        "loss_type": "nll",
        "dataset_kwargs": {"skip_prepare_dataset": True},
    }


def lora_config(recipe: Recipe) -> Any:
    """Return the PEFT configuration, None without adapters."""
    lora = recipe.start.lora
    if lora is None:
        return None
    from peft import LoraConfig

    return LoraConfig(
        r=lora.rank,
        lora_alpha=lora.alpha,
        lora_dropout=lora.dropout,
        target_modules=lora.targets if isinstance(lora.targets, str) else list(lora.targets),
        bias="none",
        task_type="CAUSAL_LM",
    )


def _loggers(recipe: Recipe) -> tuple[str, ...]:
    from importlib.util import find_spec

    for name in recipe.report_to:
        if find_spec(name) is None:
            raise UsageError(
                f"report_to names {name}, which is not installed: pip install {name}, or do without: --set report_to=[]"
            )
    return recipe.report_to
