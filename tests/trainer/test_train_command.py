from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import yaml

from ladder_trainer.config import recipe_names
from ladder_trainer.recipe import Recipe

Call = Callable[..., tuple[int, str, str]]


def test_a_recipe_file_is_trained_from_the_command_line_and_its_alias_finds_the_checkpoint(
    tcm_eval: Call, recipe: Callable[..., Recipe], herbs: Path, tmp_path: Path
) -> None:
    shape = {
        "hidden": 32,
        "layers": 2,
        "heads": 2,
        "kv_heads": 1,
        "mlp": 64,
        "positions": 2048,
    }  # the paper's prompt is long
    made = recipe(stages=["sft"], alias="ladder-base", sft={"steps": 2}, start={"shape": shape})
    file = tmp_path / "mine.yaml"
    file.write_text(yaml.safe_dump(made.model_dump(mode="json")), "utf-8")
    code, out, err = tcm_eval("train", file, "--task-path", herbs, "--set", "seed=7")
    assert code == 0, err
    assert "data: 16 questions" in out and "2/2  loss" in out and "finished: " in out
    assert "newest checkpoint of: tiny-test, ladder-base" in out
    code, out, err = tcm_eval(
        *("run", "--model", "ladder-base", "--tasks", "herbs", "--task-path", herbs, "--max-tokens", "8"),
        *("--system", "plain-zh", "--output", tmp_path / "r", "--quiet"),
    )
    assert code == 0, err


def test_mistakes_are_one_message_and_exit_code_two(tcm_eval: Call) -> None:
    code, _, err = tcm_eval("train", "ladder-base-papr")
    assert code == 2 and "Did you mean: ladder-base-paper" in err
    code, _, err = tcm_eval("train", "ladder-base-paper", "--set", "grpo.bta=1")
    assert code == 2 and "Did you mean 'beta'?" in err
    code, _, err = tcm_eval("train", "ladder-base-paper")
    assert code == 2 and "tcm-eval data pull tcm_ladder" in err


def test_naming_the_command_loads_no_heavy_package() -> None:
    heavy = "[m for m in ('torch', 'transformers', 'trl', 'matplotlib') if m in sys.modules]"
    code = f"import sys; import ladder_trainer; print({heavy})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_the_help_names_every_recipe_that_ships(tcm_eval: Call) -> None:
    _, out, _ = tcm_eval("train", "--help")
    plain = {name for name in recipe_names() if not name.endswith("-lora")}
    assert {f"{name}-lora" for name in plain} | plain == set(recipe_names())
    line = next(line for line in out.splitlines() if line.startswith("recipes: "))
    assert set(re.findall(r"ladder-[a-z-]+", line)) == plain and "each also with -lora" in line
