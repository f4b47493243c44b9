"""The checkpoint that ships: small, whole, the one its card describes, better than chance, and never ranked."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from pathlib import Path

import pytest

from harness.datasets import stream
from harness.models import resolve, shipped
from harness.pipeline import Done, RunSpec, leaderboard, run
from harness.suites import Catalogue
from ladder_trainer.config import load_recipe
from ladder_trainer.start import resolve_base
from ladder_trainer.tiny.drill import TASKS
from ladder_trainer.tiny.publish import LARGEST, chosen
from ladder_trainer.tiny.rows import facts_of, read

pytest.importorskip("transformers")
SINGLE = "tcm_core/single_choice"


@pytest.fixture(scope="module")
def folder() -> Path:
    return shipped("ladder_trainer/checkpoints/ladder_tiny")


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> Done:
    spec = RunSpec("ladder-tiny", (SINGLE,), output=tmp_path_factory.mktemp("runs"))
    [one] = run(replace(spec, selection=replace(spec.selection, split="validation", limit=64)))
    return one


def test_it_is_small_and_all_its_files_are_there(folder: Path) -> None:
    files = [path for path in folder.rglob("*") if path.is_file()]
    assert sum(path.stat().st_size for path in files) <= LARGEST
    names = {path.relative_to(folder).as_posix() for path in files}
    assert {"README.md", "training.json", "model.safetensors", "tokenizer.json", "curves/supervised.png"} <= names


def test_its_card_speaks_of_these_weights(folder: Path) -> None:
    known = json.loads((folder / "training.json").read_text("utf-8"))
    card = (folder / "README.md").read_text("utf-8")
    assert known["weights"] == hashlib.sha256((folder / "model.safetensors").read_bytes()).hexdigest()
    assert known["weights"] in card and known["data"] in card
    assert "license: apache-2.0" in card and "Facts seen in training" in card
    assert known["ships"]["why"] in card and known["trained_on"] == ["tcm_core"]
    wanted = (known["ships"]["stage"], SINGLE, "test", "accuracy")
    [single] = [s for s in known["scores"] if (s["stage"], s["task"], s["split"], s["metric"]) == wanted]
    assert f"{single['mean']:.3f} | {single['low']:.3f} to {single['high']:.3f}" in card


def test_what_ships_was_the_better_one_on_validation(folder: Path) -> None:
    known = json.loads((folder / "training.json").read_text("utf-8"))
    figures = {
        score["stage"]: score["mean"]
        for score in known["scores"]
        if (score["task"], score["split"], score["metric"]) == (SINGLE, "validation", "accuracy")
    }
    assert known["ships"] == chosen(figures["supervised"], figures["grpo"])
    assert known["data"] == known["judged_data"], "it is judged on the suite that it was trained on"


def test_its_folder_is_marked_as_its_alias_is(folder: Path) -> None:
    assert resolve(f"hf/{folder}", {})[0].trained_on == resolve("ladder-tiny", {})[0].trained_on == ("tcm_core",)


def test_no_fact_that_it_was_asked_in_training_is_asked_by_the_test_today(folder: Path) -> None:
    """The suite goes on changing; this fails when a change moves a question that the checkpoint has learned into the test."""
    learned = set(json.loads((folder / "asked.json").read_text("utf-8")))
    tested = {fact for task in TASKS for row in read(Catalogue(), task, "test") for fact in facts_of(row)}
    assert len(learned) > 1000 and len(tested) > 1000 and not learned & tested


def test_it_is_a_qwen2_of_one_to_three_million_parameters(folder: Path) -> None:
    from transformers import AutoModelForCausalLM, AutoTokenizer

    model = AutoModelForCausalLM.from_pretrained(folder)
    known = json.loads((folder / "training.json").read_text("utf-8"))
    assert type(model).__name__ == "Qwen2ForCausalLM" and model.dtype.itemsize == 2
    assert 1_000_000 <= sum(p.numel() for p in model.parameters()) == known["parameters"] <= 3_000_000
    assert len(AutoTokenizer.from_pretrained(folder)) == model.config.vocab_size


def test_it_answers_questions_it_has_not_seen_better_than_chance(done: Done) -> None:
    """64 questions of five options: chance gives more than 21 right once in a hundred runs."""
    row = done.summary["tasks"][SINGLE]["accuracy"]
    assert done.complete and row["n"] == 64
    assert row["mean"] > 22 / 64


def test_its_row_says_that_it_was_trained_on_the_suite_and_has_no_rank(done: Done) -> None:
    assert done.summary["subject"]["trained_on"] == ["tcm_core"]
    board, _ = leaderboard(done.folder.parent.parent, "table", published=False)
    lines = [line for line in board.splitlines() if "ladder-tiny" in line]
    assert lines[0].startswith("–") and "†" in lines[0]
    assert "† facts seen in training: shown, not ranked" in board


def test_every_prompt_of_the_bundled_suite_fits_into_it(folder: Path) -> None:
    from transformers import AutoConfig, AutoTokenizer

    tokenizer, most = AutoTokenizer.from_pretrained(folder), AutoConfig.from_pretrained(folder).max_position_embeddings
    catalogue = Catalogue()
    longest = 0
    for task in catalogue.tasks("tcm_core"):
        for sample in stream(catalogue, task, "validation"):
            longest = max(longest, len(tokenizer(str(dict(sample.fields)))["input_ids"]))
    assert 0 < longest < most / 2


def test_its_recipe_goes_on_from_the_checkpoint_that_ships(folder: Path) -> None:
    for name in ("ladder-tiny", "ladder-tiny-lora"):
        recipe = load_recipe(name)
        assert recipe.stages == ("grpo",)
        assert Path(resolve_base(recipe.start.base or "")) == folder
