"""What stops a run: a foreign folder, changed data, a missing or damaged base model, a failed reward, a full disk."""

from __future__ import annotations

import resource
import shutil
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from harness.errors import UsageError
from harness.store import StorageError
from ladder_trainer import run
from ladder_trainer.checkpoint import all_whole
from ladder_trainer.train import Sources
from tests.trainer.running import Make, Stopped, until, weights


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
