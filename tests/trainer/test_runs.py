"""Whole runs of a tiny model: resumed ones continue bit for bit, checkpoints are whole, and what is finished loads."""

from __future__ import annotations

import json
import resource
import shutil
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from harness.errors import UsageError
from harness.store import StorageError
from ladder_trainer import run
from ladder_trainer.checkpoint import all_whole, checkpoints_root, last_whole, whole_model
from ladder_trainer.recipe import Recipe
from ladder_trainer.train import Sources

Make = Callable[..., Recipe]


def weights(folder: Path) -> dict[str, bytes]:
    from safetensors.numpy import load_file

    return {name: array.tobytes() for name, array in load_file(folder / "model.safetensors").items()}


class Stopped(Exception):
    """The process goes away in the middle of a run."""


def until(step: int) -> Callable[[str], None]:
    """Return a listener that stops the run when the line of an update comes."""

    def say(text: str) -> None:
        if text.startswith(f"{step}/"):
            raise Stopped

    return say


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


# ------------------------------------------------------------------ the finished checkpoint


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, list[str]]]:
    from tests.trainer.conftest import rows, tiny, write_suite

    root = tmp_path_factory.mktemp("finished")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TCM_EVAL_DATA", str(root / "data"))
        herbs = write_suite(root / "herbs", rows(32))
        said: list[str] = []
        made = tiny(
            stages=["sft", "grpo"],
            alias="tiny-alias",
            data={"validation_samples": 4},
            sft={"steps": 30, "save_every": 30, "learning_rate": 2e-2, "batch": 16},
            grpo={"steps": 4, "evaluate_every": 2, "keep": 1, "max_completion_tokens": 40},
            evaluation={"tasks": ["herbs/choice"], "limit": 4},
            report_to=["tensorboard"],
        )
        final = run(made, output=root / "out", sources=Sources((herbs,)), say=said.append)
        yield final, said


def test_the_card_says_what_a_reader_must_know(finished: tuple[Path, list[str]]) -> None:
    card = (finished[0] / "README.md").read_text("utf-8")
    facts = json.loads((finished[0] / "training.json").read_text("utf-8"))
    for part in (
        "Source",
        "differs from its source",
        "Trained on",
        "Evaluation",
        "Curves",
        "Warnings",
        "Versions",
        "Recipe",
    ):
        assert f"## {part}" in card or part in card
    assert "Suites: herbs (train split only)" in card and facts["data"]["sha256"] in card
    assert facts["versions"]["trl"] and facts["fingerprint"] in card
    assert "| herbs/choice | validation | accuracy | " in card
    assert facts["evaluation"][0]["n"] == 4
    assert facts["recipe"]["name"] == "tiny-test"


def test_the_curves_are_a_picture_and_a_page_that_needs_nothing_else(finished: tuple[Path, list[str]]) -> None:
    folder = finished[0] / "curves"
    assert (folder / "grpo.png").read_bytes().startswith(b"\x89PNG")
    page = (folder / "index.html").read_text("utf-8")
    assert page.count("<svg") >= 8 and "<script" not in page and "http" not in page
    assert "reward" in page and "entropy" in page


def test_every_promised_figure_is_logged(finished: tuple[Path, list[str]]) -> None:
    stage = finished[0].parent
    last = last_whole(stage)
    assert last is not None
    logs = json.loads((last / "trainer_state.json").read_text("utf-8"))["log_history"]
    train = {key for log in logs if "loss" in log for key in log}
    wanted = {f"rewards/{part}/{figure}" for part in ("correctness", "format", "tags") for figure in ("mean", "std")}
    wanted |= {"advantage_std", "frac_reward_zero_std", "kl", "entropy", "completions/mean_length", "grad_norm"}
    wanted |= {
        "completions/clipped_ratio",
        "tokens_per_s",
        "memory_gb",
        "seconds/rollout",
        "seconds/reward",
        "step_time",
    }
    assert wanted <= train
    assert any("eval_reward" in log for log in logs)
    samples = [json.loads(x) for x in (stage / "completions.jsonl").read_text("utf-8").splitlines()]
    assert {"step", "prompt", "completion", "rewards", "advantage"} == set(samples[0])
    assert list(stage.rglob("events.out.tfevents*")), "TensorBoard is the default"


def test_the_newest_checkpoint_is_found_by_recipe_and_alias(finished: tuple[Path, list[str]]) -> None:
    root = finished[0].parents[2] / "data" / "checkpoints"
    for name in ("tiny-test", "tiny-alias"):
        link = root / name / "latest"
        assert link.resolve() == finished[0] and whole_model(link)


def test_the_checkpoint_answers_in_the_harness(
    finished: tuple[Path, list[str]], tcm_eval: Callable[..., tuple[int, str, str]], tmp_path: Path
) -> None:
    herbs = finished[0].parents[2] / "herbs"
    code, out, err = tcm_eval(
        *("run", "--model", f"hf/{finished[0]}", "--tasks", "herbs", "--task-path", herbs),
        *("--output", tmp_path / "r", "--max-tokens", "40", "--json", "--quiet"),
    )
    assert code == 0, err
    summary = json.loads(out.splitlines()[-1])["summary"]
    assert summary["complete"] and summary["tasks"]["herbs/choice"]["accuracy"]["n"] == 8


def test_only_the_last_and_the_best_checkpoints_stay(finished: tuple[Path, list[str]]) -> None:
    stage = finished[0].parent
    kept = [folder.name for folder in all_whole(stage)]
    assert kept[-1] == "checkpoint-4" and len(kept) <= 2
    state = json.loads((stage / "checkpoint-4" / "trainer_state.json").read_text("utf-8"))
    assert Path(state["best_model_checkpoint"]).name in kept


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


# ------------------------------------------------------------------ bad input


def test_another_recipes_output_folder_is_refused(recipe: Make, places: Sources, tmp_path: Path) -> None:
    short = {"steps": 1, "save_every": 1}
    run(recipe(stages=["sft"], sft=short), output=tmp_path / "out", sources=places)
    with pytest.raises(UsageError) as error:
        run(recipe(stages=["sft"], sft={**short, "batch": 2}), output=tmp_path / "out", sources=places)
    assert "holds a checkpoint of another recipe" in str(error.value) and "sft.batch: 4 -> 2" in str(error.value)
    with pytest.raises(UsageError, match="Go on with --resume, or choose another --output"):
        run(recipe(stages=["sft"], sft=short), output=tmp_path / "out", sources=places)


def test_a_foreign_folder_and_an_empty_one_to_resume_are_refused(recipe: Make, places: Sources, tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("x")
    with pytest.raises(UsageError, match="holds no run of ours"):
        run(recipe(), output=tmp_path / "mine", sources=places)
    with pytest.raises(UsageError, match="no run to resume"):
        run(recipe(), output=tmp_path / "nothing", sources=places, resume=True)


def test_changed_data_stops_a_resume(recipe: Make, herbs: Path, tmp_path: Path) -> None:
    places = Sources((herbs,))
    one = recipe(stages=["sft"], sft={"steps": 4})
    with pytest.raises(Stopped):
        run(one, output=tmp_path / "out", sources=places, say=until(3))
    text = (herbs / "choice.jsonl").read_text("utf-8")
    (herbs / "choice.jsonl").write_text(text.replace("0号人参", "0号党参"), "utf-8")
    with pytest.raises(UsageError, match="the training data has changed"):
        run(one, output=tmp_path / "out", sources=places, resume=True)


def test_a_missing_base_model_is_one_message(recipe: Make, places: Sources, tmp_path: Path) -> None:
    plain = {"shape": None, "tokenizer": None}
    with pytest.raises(UsageError, match="no such folder and no local checkpoint"):
        run(recipe(start={**plain, "base": "no-such-model"}), output=tmp_path / "a", sources=places)
    with pytest.raises(UsageError, match=r"base model 'nobody/nothing' is missing or damaged.*HF_HUB_OFFLINE is set"):
        run(recipe(start={**plain, "base": "nobody/nothing"}), output=tmp_path / "b", sources=places)
    (tmp_path / "empty").mkdir()
    with pytest.raises(UsageError, match="missing or damaged"):
        run(recipe(start={**plain, "base": str(tmp_path / "empty")}), output=tmp_path / "c", sources=places)


def test_a_model_without_a_chat_template_is_one_message(
    recipe: Make, places: Sources, tmp_path: Path, finished: tuple[Path, list[str]]
) -> None:
    base = tmp_path / "base"
    shutil.copytree(finished[0], base)
    (base / "chat_template.jinja").unlink()
    start = {"shape": None, "tokenizer": None, "base": str(base)}
    with pytest.raises(UsageError, match="its tokenizer has no chat template"):
        run(recipe(start=start), output=tmp_path / "out", sources=places)


def test_too_few_questions_for_one_update_are_one_message(recipe: Make, places: Sources, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="one update needs 2 different questions"):
        run(recipe(data={"limit": 1}), output=tmp_path / "out", sources=places)


def test_a_reward_that_raises_stops_training(
    recipe: Make, places: Sources, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from ladder_trainer import rewards
    from ladder_trainer.rewards import RewardError

    def broken(_text: str, _question: Any) -> float:
        raise KeyError("no such slot")

    monkeypatch.setattr(rewards, "correctness", broken)
    with pytest.raises(RewardError, match=r"KeyError: 'no such slot'\. Training stops"):
        run(recipe(), output=tmp_path / "out", sources=places)


@contextmanager
def small_files(limit: int) -> Iterator[None]:
    """Let no file grow beyond `limit` bytes: the write fails in the middle, as it does on a full disk."""
    old = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, old[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, old)
        signal.signal(signal.SIGXFSZ, handler)


def test_a_disk_that_fills_while_saving_leaves_the_previous_checkpoint_whole(
    recipe: Make, places: Sources, tmp_path: Path
) -> None:
    one = recipe(stages=["sft"], sft={"steps": 4})
    stack: list[Any] = []

    def fill_after_three(text: str) -> None:
        if text.startswith("3/"):
            stack.append(small_files(20_000))
            stack[-1].__enter__()

    try:
        with pytest.raises(StorageError) as error:
            run(one, output=tmp_path / "out", sources=places, say=fill_after_three)
    finally:
        stack[-1].__exit__(None, None, None)
    assert "checkpoint-4 could not be saved" in str(error.value) and "checkpoint-2 is whole" in str(error.value)
    stage = tmp_path / "out" / "sft"
    assert [folder.name for folder in all_whole(stage)] == ["checkpoint-2"]
    assert not (stage / "checkpoint-4").exists()
    resumed = run(one, output=tmp_path / "out", sources=places, resume=True)
    unbroken = run(one, output=tmp_path / "unbroken", sources=places)
    assert weights(resumed) == weights(unbroken)


def test_a_torn_checkpoint_of_a_killed_process_is_not_resumed_from(
    recipe: Make, places: Sources, tmp_path: Path
) -> None:
    one = recipe(stages=["sft"], sft={"steps": 4})
    with pytest.raises(Stopped):
        run(one, output=tmp_path / "out", sources=places, say=until(4))
    stage = tmp_path / "out" / "sft"
    shutil.copytree(stage / "checkpoint-2", stage / "checkpoint-3")
    (stage / "checkpoint-3" / "complete.json").unlink()
    said: list[str] = []
    run(one, output=tmp_path / "out", sources=places, resume=True, say=said.append)
    assert "sft: going on after checkpoint-2" in said
    assert not (stage / "checkpoint-3").exists()


def test_the_default_output_lies_in_the_data_folder_named_by_the_settings(recipe: Make) -> None:
    from ladder_trainer.checkpoint import default_output

    one, other = default_output(recipe()), default_output(recipe(seed=7))
    assert one.parent == other.parent == checkpoints_root() / "tiny-test" and one != other
