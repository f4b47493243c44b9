"""Evaluation while training: the harness judges every checkpoint that is saved, and training does not feel it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from harness.store import read_json
from ladder_trainer import run
from ladder_trainer.evaluate import SAVED
from ladder_trainer.train import Sources
from tests.trainer.running import Make, Stopped, until, weights

EVERY: dict[str, Any] = {"tasks": ["herbs/choice"], "limit": 4, "every_save": True}
KEY = "evaluation herbs/choice accuracy"


def asked_of(output: Path) -> dict[str, int]:
    """Return the name of every run of the harness in the output folder, with the number of its questions."""
    found = {}
    for path in (output / "evaluation" / "runs").glob("*/summary.json"):
        summary = json.loads(path.read_text("utf-8"))
        found[summary["subject"]["name"]] = summary["tasks"]["herbs/choice"]["accuracy"]["n"]
    return found


def test_every_saved_checkpoint_is_judged_by_the_harness_and_drawn(
    recipe: Make, places: Sources, tmp_path: Path
) -> None:
    said: list[str] = []
    steps = {"steps": 4, "save_every": 2, "keep": 1}
    made = recipe(stages=["sft", "grpo"], sft=steps, grpo=steps, evaluation=EVERY)
    final = run(made, output=tmp_path / "out", sources=places, say=said.append)
    saved = [f"{stage} checkpoint-{step}" for stage in ("sft", "grpo") for step in (2, 4)]
    assert asked_of(tmp_path / "out") == {f"tiny-test ({name})": 4 for name in [*saved, "grpo final"]}
    told = [i for i, line in enumerate(said) if line.startswith("evaluation: herbs/choice accuracy ")]
    assert len(told) == 5 and [said[i - 1].split(" ")[0] for i in told[:4]] == ["2/4", "4/4"] * 2
    for stage in ("sft", "grpo"):
        updates = read_json(tmp_path / "out" / stage / SAVED)["updates"]
        assert set(updates) == {"2", "4"} and all(0 <= means[KEY] <= 1 for means in updates.values())
    assert "judged by the harness" in (final / "curves" / "index.html").read_text("utf-8")


@pytest.mark.parametrize("stage", ["sft", "grpo"])
def test_weights_are_the_same_with_and_without_and_after_a_resume(
    recipe: Make, places: Sources, tmp_path: Path, stage: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from ladder_trainer import rewards
    from tests.trainer.test_formula import uneven

    monkeypatch.setattr(rewards, "correctness", uneven)  # else a random model earns nothing and never moves
    plain = recipe(stages=[stage], data={"limit": 4})
    every = recipe(stages=[stage], data={"limit": 4}, evaluation=EVERY)
    wanted = weights(run(plain, output=tmp_path / "plain", sources=places))
    assert weights(run(every, output=tmp_path / "every", sources=places)) == wanted
    with pytest.raises(Stopped):
        run(every, output=tmp_path / "broken", sources=places, say=until(5))
    assert weights(run(every, output=tmp_path / "broken", sources=places, resume=True)) == wanted
    assert set(read_json(tmp_path / "broken" / stage / SAVED)["updates"]) == {"2", "4", "6"}
    assert wanted != weights(tmp_path / "plain" / "start")


@pytest.mark.parametrize("merge", [True, False])
def test_adapters_are_judged_on_the_weights_they_belong_to(
    recipe: Make, places: Sources, tmp_path: Path, *, merge: bool
) -> None:
    said: list[str] = []
    lora = {"lora": {"rank": 2, "merge": merge}}
    made = recipe(stages=["sft"], start=lora, sft={"steps": 4}, evaluation=EVERY)
    final = run(made, output=tmp_path / "out", sources=places, say=said.append)
    names = ("sft checkpoint-2", "sft checkpoint-4", "sft final")
    assert asked_of(tmp_path / "out") == {f"tiny-test ({name})": 4 for name in names}
    assert not (tmp_path / "out" / "evaluation" / "merged").exists()
    assert (final / "adapter_config.json").exists() != merge
    assert any("tcm-eval run cannot load them" in line for line in said) != merge
    assert any(line.startswith("newest checkpoint of") for line in said) == merge
