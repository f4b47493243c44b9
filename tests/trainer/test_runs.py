"""Whole runs of a tiny model: resumed ones continue bit for bit, the best is kept, an early stop stops."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from ladder_trainer import run
from ladder_trainer.checkpoint import checkpoints_root, whole_model
from ladder_trainer.recipe import Recipe
from ladder_trainer.train import Sources
from tests.trainer.running import Make, Stopped, until, weights


def broken_off_and_resumed(recipe: Recipe, places: Sources, output: Path, step: int) -> Path:
    with pytest.raises(Stopped):
        run(recipe, output=output, sources=places, say=until(step))
    return run(recipe, output=output, sources=places, resume=True)


CONTINUED: dict[str, dict[str, Any]] = {
    "at the end of an epoch": {"data": {"limit": 4}},
    "within the second epoch": {"data": {"limit": 4}, "grpo": {"save_every": 3}},
    "with validation": {"data": {"limit": 4, "validation_samples": 4}, "grpo": {"evaluate_every": 1}},
    "with accumulation": {"data": {"limit": 8}, "grpo": {"accumulate": 2}},
    "with two iterations": {"data": {"limit": 8}, "grpo": {"iterations": 2, "learning_rate": 1e-2}},
    "with adapters": {"data": {"limit": 4}, "start": {"lora": {"rank": 2}}},
}


@pytest.mark.parametrize("case", CONTINUED)
def test_a_resumed_grpo_run_ends_bit_for_bit_as_an_unbroken_one(
    recipe: Make, places: Sources, tmp_path: Path, case: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from ladder_trainer import rewards
    from tests.trainer.test_formula import uneven

    monkeypatch.setattr(rewards, "correctness", uneven)  # else a random model earns nothing and never moves
    one = recipe(**CONTINUED[case])
    unbroken = run(one, output=tmp_path / "unbroken", sources=places)
    resumed = broken_off_and_resumed(one, places, tmp_path / "broken", 5)
    assert weights(resumed) == weights(unbroken)
    assert weights(unbroken) != weights(tmp_path / "unbroken" / "start")


def test_a_resumed_sft_run_ends_bit_for_bit_as_an_unbroken_one(recipe: Make, places: Sources, tmp_path: Path) -> None:
    one = recipe(stages=["sft"], data={"limit": 8})
    unbroken = run(one, output=tmp_path / "unbroken", sources=places)
    resumed = broken_off_and_resumed(one, places, tmp_path / "broken", 5)
    assert weights(resumed) == weights(unbroken) != weights(tmp_path / "unbroken" / "start")


def test_a_run_broken_in_its_second_stage_keeps_the_first(recipe: Make, places: Sources, tmp_path: Path) -> None:
    said: list[str] = []
    one = recipe(stages=["sft", "grpo"], grpo={"steps": 4}, sft={"steps": 2})

    def stop_in_grpo(text: str) -> None:
        said.append(text)
        if text.startswith("3/4"):
            raise Stopped

    with pytest.raises(Stopped):
        run(one, output=tmp_path / "out", sources=places, say=stop_in_grpo)
    said.clear()
    final = run(one, output=tmp_path / "out", sources=places, resume=True, say=said.append)
    assert "sft: finished before, skipped" in said and "grpo: going on after checkpoint-2" in said
    assert final == tmp_path / "out" / "grpo" / "final"
    facts = json.loads((final / "training.json").read_text("utf-8"))
    assert set(facts["checkpoints_used"]) == {"grpo"} and facts["trained_on"] == ["herbs"]


def test_the_best_validation_reward_is_what_is_kept(
    recipe: Make, places: Sources, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from ladder_trainer import rewards
    from tests.trainer.test_formula import uneven

    monkeypatch.setattr(rewards, "correctness", uneven)
    one = recipe(
        data={"validation_samples": 8},
        grpo={"steps": 8, "evaluate_every": 2, "keep": 1, "learning_rate": 3e-2, "max_completion_tokens": 12},
    )
    final = run(one, output=tmp_path / "out", sources=places)
    state = json.loads((final.parent / "checkpoint-8" / "trainer_state.json").read_text("utf-8"))
    by_step = {log["step"]: log["eval_reward"] for log in state["log_history"] if "eval_reward" in log}
    best = max(by_step, key=lambda step: (by_step[step], -step))
    facts = json.loads((final / "training.json").read_text("utf-8"))
    assert facts["checkpoints_used"]["grpo"] == f"checkpoint-{best}"
    assert weights(final) == weights(final.parent / f"checkpoint-{best}")


def test_training_stops_when_validation_gets_no_better(recipe: Make, places: Sources, tmp_path: Path) -> None:
    said: list[str] = []
    one = recipe(data={"validation_samples": 4}, grpo={"steps": 8, "evaluate_every": 1, "save_every": 8, "patience": 2})
    final = run(one, output=tmp_path / "out", sources=places, say=said.append)
    assert any("stopped early after 3 updates" in text for text in said)
    assert (final.parent / "checkpoint-3").is_dir() and whole_model(final)


def test_adapters_are_merged_or_kept_as_asked(recipe: Make, places: Sources, tmp_path: Path) -> None:
    one = recipe(stages=["sft"], start={"lora": {"rank": 2}}, sft={"steps": 2})
    merged = run(one, output=tmp_path / "merged", sources=places)
    assert not (merged / "adapter_config.json").exists() and weights(merged) != weights(tmp_path / "merged" / "start")
    two = recipe(stages=["sft"], start={"lora": {"rank": 2, "merge": False}}, sft={"steps": 2})
    kept = run(two, output=tmp_path / "kept", sources=places)
    assert (kept / "adapter_config.json").exists() and (kept / "adapter_model.safetensors").exists()


def test_the_default_output_lies_in_the_data_folder_named_by_the_settings(recipe: Make) -> None:
    from ladder_trainer.checkpoint import default_output

    one, other = default_output(recipe()), default_output(recipe(seed=7))
    assert one.parent == other.parent == checkpoints_root() / "tiny-test" and one != other
