"""The finished checkpoint of a whole run: its card, its curves, its log, its name, and that it answers in the harness."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

from harness.models import resolve
from harness.store import read_json
from ladder_trainer import run
from ladder_trainer.checkpoint import all_whole, last_whole, whole_model
from ladder_trainer.train import Sources
from tests.trainer.conftest import rows, write_suite
from tests.trainer.running import Make


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


def test_every_checkpoint_says_what_it_was_trained_on_and_so_do_its_scores(
    finished: tuple[Path, list[str]], tcm_eval: Callable[..., tuple[int, str, str]], tmp_path: Path
) -> None:
    for folder in (finished[0], *all_whole(finished[0].parent), finished[0].parents[1] / "sft" / "final"):
        assert resolve(f"hf/{folder}", {})[0].trained_on == ("herbs",)
    herbs = finished[0].parents[2] / "herbs"
    asked = ("run", "--model", f"hf/{finished[0]}", "--model", "echo/first", "--tasks", "herbs", "--task-path", herbs)
    code, _, err = tcm_eval(*asked, "--output", tmp_path / "r", "--max-tokens", "40", "--quiet")
    assert code == 0, err
    _, board, _ = tcm_eval("leaderboard", "--output", tmp_path / "r")
    ours = next(line for line in board.splitlines() if "hf/" in line)
    assert ours.startswith("–") and "†" in ours and "facts seen in training" in board
    judged = read_json(next((finished[0].parents[1] / "evaluation" / "runs").glob("*/summary.json")))
    assert judged["subject"]["trained_on"] == ["herbs"]


def test_what_the_start_had_learned_from_is_not_forgotten(
    finished: tuple[Path, list[str]], recipe: Make, tmp_path: Path
) -> None:
    other = write_suite(tmp_path / "others", rows(16))
    start = {"shape": None, "tokenizer": None, "base": str(finished[0])}
    data = {"tasks": ["others/choice"], "fence": ["others"]}
    made = recipe(stages=["sft"], start=start, data=data, sft={"steps": 2})
    final = run(made, output=tmp_path / "out", sources=Sources((other,)))
    assert read_json(final / "training.json")["trained_on"] == ["others", "herbs"]
    assert "Its start had learned from herbs before." in (final / "README.md").read_text("utf-8")


def test_the_last_lines_say_how_to_judge_it(finished: tuple[Path, list[str]]) -> None:
    final, said = finished
    assert said[-3:] == [
        f"finished: {final}",
        f"judge it: tcm-eval run --model hf/{final} --tasks herbs",
        "newest checkpoint of: tiny-test, tiny-alias",
    ]
