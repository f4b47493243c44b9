from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from harness.errors import UsageError
from ladder_trainer.arguments import grpo_arguments, sft_arguments
from ladder_trainer.config import RECIPES, differences, fingerprint, load_recipe, recipe_names
from ladder_trainer.recipe import Recipe

SHIPPED = [
    "ladder-base-authors",
    "ladder-base-authors-lora",
    "ladder-base-paper",
    "ladder-base-paper-lora",
    "ladder-tiny",
    "ladder-tiny-lora",
]


def test_the_promised_recipes_ship_under_their_own_names() -> None:
    assert recipe_names() == SHIPPED
    for name in SHIPPED:
        assert load_recipe(name).name == name


@pytest.mark.parametrize("name", [n for n in SHIPPED if n.startswith("ladder-base")])
def test_a_recipe_of_a_published_model_says_what_it_cannot_reproduce(name: str) -> None:
    recipe = load_recipe(name)
    assert recipe.cannot_reproduce and all(len(point) > 30 for point in recipe.cannot_reproduce)
    assert recipe.alias == "ladder-base"


def test_the_paper_recipe_has_the_papers_numbers() -> None:
    recipe = load_recipe("ladder-base-paper")
    g, w = recipe.grpo, recipe.rewards.weights
    assert (recipe.start.base, g.group, g.batch, g.epochs) == ("Qwen/Qwen2.5-7B-Instruct", 6, 12, 2)
    assert (g.temperature, g.top_p, g.epsilon, g.beta, g.loss) == (0.7, 0.8, 0.2, 0.01, "grpo")
    assert (w.correctness, w.format, w.tags) == (5, 1, 1)
    assert (recipe.rewards.variant, recipe.data.system) == ("harness", "ladder-paper")


def test_the_authors_recipe_has_their_configurations_numbers() -> None:
    recipe = load_recipe("ladder-base-authors")
    g = recipe.grpo
    assert (g.beta, g.loss, g.learning_rate, g.schedule, g.warmup, g.accumulate) == (
        0.0,
        "bnpo",
        5e-7,
        "cosine",
        0.1,
        4,
    )
    assert (recipe.data.max_prompt_tokens, g.max_completion_tokens) == (512, 512)
    assert (g.temperature, g.top_p) == (0.9, 1.0)
    assert (g.save_every, g.keep, g.evaluate_every, recipe.seed) == (50, 10, 0, 42)
    assert recipe.rewards.variant == "authors"


def test_a_lora_recipe_differs_from_its_full_one_only_in_adapters_and_learning_rate() -> None:
    full, lora = load_recipe("ladder-base-paper"), load_recipe("ladder-base-paper-lora")
    changed = {line.partition(":")[0] for line in differences(full.determining(), lora.determining())}
    assert changed == {"name", "start.lora", "grpo.learning_rate"}


PAPER_OBJECTIVE = {
    "num_generations": 6,
    "temperature": 0.7,
    "top_p": 0.8,
    "top_k": 0,
    "epsilon": 0.2,
    "epsilon_high": None,
    "delta": None,
    "beta": 0.01,
    "num_iterations": 1,
    "loss_type": "grpo",
    "scale_rewards": "group",
    "importance_sampling_level": "token",
    "use_bias_correction_kl": False,
    "multi_objective_aggregation": "sum_then_normalize",
    "reward_weights": [5.0, 1.0, 1.0],
    "mask_truncated_completions": False,
    "entropy_coef": 0.0,
    "top_entropy_quantile": 1.0,
    "use_vllm": False,
    "max_completion_length": 512,
}


def test_trl_gets_exactly_the_arguments_that_keep_the_papers_objective(tmp_path: Path) -> None:
    from trl import GRPOConfig

    from ladder_trainer.quiet import quiet

    quiet()
    recipe = load_recipe("ladder-base-paper", ["report_to=[]"])
    config = GRPOConfig(**grpo_arguments(recipe, tmp_path))
    assert {name: getattr(config, name) for name in PAPER_OBJECTIVE} == PAPER_OBJECTIVE
    assert (config.per_device_train_batch_size, config.generation_batch_size) == (12, 48)
    assert (config.metric_for_best_model, config.greater_is_better) == ("eval_reward", True)


def test_trl_gets_the_authors_arguments(tmp_path: Path) -> None:
    from trl import GRPOConfig

    from ladder_trainer.quiet import quiet

    quiet()
    config = GRPOConfig(**grpo_arguments(load_recipe("ladder-base-authors", ["report_to=[]"]), tmp_path))
    assert (config.loss_type, config.beta, config.learning_rate, config.warmup_steps) == ("bnpo", 0.0, 5e-7, 0.1)
    assert (config.temperature, config.top_p, config.eval_strategy) == (0.9, 1.0, "no")


def test_every_shipped_recipe_makes_valid_trainer_arguments(tmp_path: Path) -> None:
    from trl import GRPOConfig, SFTConfig

    from ladder_trainer.quiet import quiet

    quiet()
    for name in SHIPPED:
        recipe = load_recipe(name)
        assert GRPOConfig(**grpo_arguments(recipe, tmp_path)).report_to == ["tensorboard"]
        assert SFTConfig(**sft_arguments(recipe, tmp_path)).max_length is None


def test_vllm_rollouts_are_passed_on(tmp_path: Path) -> None:
    recipe = load_recipe("ladder-base-paper", ["grpo.vllm={mode: server, server: 'http://127.0.0.1:9000'}"])
    arguments = grpo_arguments(recipe, tmp_path)
    assert (arguments["use_vllm"], arguments["vllm_mode"]) == (True, "server")
    assert arguments["vllm_server_base_url"] == "http://127.0.0.1:9000"
    inside = grpo_arguments(load_recipe("ladder-base-paper", ["grpo.vllm={}"]), tmp_path)
    assert (inside["vllm_mode"], inside["vllm_server_base_url"]) == ("colocate", None)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ("grpo.temprature=1", "unknown key 'grpo.temprature'. Did you mean 'temperature'?"),
        ("start.lora={rnak: 4}", "unknown key 'start.lora.rnak'. Did you mean 'rank'?"),
        ("rewards.weights.corectness=1", "Did you mean 'correctness'?"),
        ("alais=x", "unknown key 'alais'. Did you mean 'alias'?"),
        ("grpo.learning_rate=fast", "grpo.learning_rate: Input should be a valid number"),
        ("data.split=test", "data.split: Input should be 'train'"),
        ("grpo.group=5", "must be a multiple of group (5)"),
        ("grpo.save_every=75", "save_every (75) must be a multiple of evaluate_every (50)"),
        ("data.validation_samples=0", "evaluate_every needs data.validation_samples above 0"),
        ("stages=[grpo, sft]", "stages must be [sft], [grpo] or [sft, grpo]"),
        ("grpo.steps", "expected KEY=VALUE"),
        ("start.base=null", "either 'base'"),
    ],
)
def test_a_wrong_setting_is_one_clear_message(change: str, said: str) -> None:
    with pytest.raises(UsageError) as error:
        load_recipe("ladder-base-paper", [change])
    assert said in str(error.value)


def test_saves_must_fall_between_generations_else_a_resumed_run_would_differ(recipe: Callable[..., Recipe]) -> None:
    with pytest.raises(ValueError, match="share one generation"):
        recipe(grpo={"iterations": 2, "save_every": 3})
    assert recipe(grpo={"iterations": 2, "save_every": 4}).grpo.iterations == 2


def test_an_unknown_recipe_names_the_nearest() -> None:
    with pytest.raises(UsageError, match="Did you mean: ladder-base-paper"):
        load_recipe("ladder-base-papr")


def test_a_file_of_ones_own_may_extend_a_shipped_recipe(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text("extends: ladder-base-paper\nname: mine\ngrpo: {temperature: 1.1}\n", "utf-8")
    mine = load_recipe(str(path))
    assert (mine.name, mine.grpo.temperature, mine.grpo.top_p) == ("mine", 1.1, 0.8)
    path.write_text("extends: no-such\nname: mine\n", "utf-8")
    with pytest.raises(UsageError, match="extends it"):
        load_recipe(str(path))
    path.write_text("extends: mine\nname: mine\n", "utf-8")
    with pytest.raises(UsageError, match="extends itself"):
        load_recipe(str(path))
    path.write_text("[1, 2]", "utf-8")
    with pytest.raises(UsageError, match="expected keys and values"):
        load_recipe(str(path))


def test_the_fingerprint_sees_what_determines_the_weights_and_nothing_else() -> None:
    plain = fingerprint(load_recipe("ladder-base-paper"))
    assert fingerprint(load_recipe("ladder-base-paper", ["report_to=[]", "evaluation.limit=3", "title=x"])) == plain
    assert fingerprint(load_recipe("ladder-base-paper", ["grpo.beta=0.02"])) != plain


def test_the_recipes_lie_in_the_package() -> None:
    assert (RECIPES / "ladder-base-paper.yaml").is_file()
    assert RECIPES.parent.name == "ladder_trainer"


def test_full_training_keeps_weights_in_float32_for_small_updates_are_lost_in_bfloat16(tmp_path: Path) -> None:
    import torch

    full = grpo_arguments(load_recipe("ladder-base-paper", ["report_to=[]"]), tmp_path)
    lora = grpo_arguments(load_recipe("ladder-base-paper-lora", ["report_to=[]"]), tmp_path)
    assert full["model_init_kwargs"]["dtype"] == "float32" and full["bf16"] is True
    assert lora["model_init_kwargs"]["dtype"] == "bfloat16"
    weight = torch.tensor(0.02)
    assert weight - 5e-7 != weight
    assert weight.bfloat16() - 5e-7 == weight.bfloat16()
