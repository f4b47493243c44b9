"""A finished tiny model -> what ships: chosen on validation, judged by the harness, with a card that says what it has read."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from harness.baseline import load
from harness.compare import compare_runs, sentence
from harness.pipeline import RunSpec, run
from harness.store import read as read_records
from harness.store import read_json, write_json, write_lines
from harness.suites import Catalogue
from harness.types import Response
from ladder_trainer import curves
from ladder_trainer.card import versions
from ladder_trainer.rewards import whole
from ladder_trainer.tiny.card import card
from ladder_trainer.tiny.drill import TASKS
from ladder_trainer.tiny.rows import SUITE, read

SHIPPED = Path(__file__).resolve().parent.parent / "checkpoints" / "ladder_tiny"
LARGEST = 8_000_000
"""Bytes of all files that ship."""
ASKED = f"{SUITE}/single_choice"
Say = Callable[[str], None]
Split = Literal["validation", "test"]
Stage = Literal["supervised", "grpo"]
STAGES: tuple[Stage, Stage] = ("supervised", "grpo")
NAMES: Mapping[Stage, str] = {"supervised": "ladder-tiny before GRPO", "grpo": "ladder-tiny after GRPO"}


@dataclass(frozen=True, slots=True)
class Folders:
    """The checkpoints of one publication: before GRPO, after it, and one made without the test's facts (None: not made)."""

    supervised: Path
    tuned: Path
    withheld: Path | None


def data_hash(catalogue: Catalogue) -> str:
    """Return the SHA-256 of the train questions: their ids, wording, options and answers, in file order."""
    digest = hashlib.sha256()
    for task in TASKS:
        for row in read(catalogue, task, "train"):
            digest.update(f"{row['id']}\x1f{row['question']}\x1f{row.get('options')}\x1f{row['answer']}\x1e".encode())
    return digest.hexdigest()


def half(model: Any, tokenizer: Any, folder: Path) -> None:
    """Write the model in bfloat16 with its tokenizer; the model itself stays as it is."""
    import copy

    import torch

    if folder.exists():
        shutil.rmtree(folder)
    copy.deepcopy(model).to(torch.bfloat16).save_pretrained(folder)
    tokenizer.save_pretrained(folder)


def publish(folders: Folders, output: Path, say: Say, target: Path = SHIPPED) -> None:
    """Judge start and tuned checkpoint on validation, take the better one, judge both once on the test split, and ship it.

    `output` keeps the runs. Raises ValueError when all files together are larger than what may ship.
    """
    from transformers import AutoModelForCausalLM, AutoTokenizer

    tuned, runs = output / "tuned_half", output / "runs"
    half(AutoModelForCausalLM.from_pretrained(folders.tuned), AutoTokenizer.from_pretrained(folders.tuned), tuned)
    models: dict[Stage, Path] = {"supervised": folders.supervised, "grpo": tuned}
    scores, said = _both(models, "validation", dict.fromkeys(STAGES, (ASKED,)), runs)
    compared: dict[Split, str] = {"validation": said}
    means = {row["stage"]: row["mean"] for row in scores if row["metric"] == "accuracy"}
    ships = chosen(means["supervised"], means["grpo"])
    say(f"validation: {said} {ships['why']}")
    asked: dict[Stage, tuple[str, ...]] = dict.fromkeys(STAGES, (ASKED,))
    asked[ships["stage"]] = tuple(f"{SUITE}/{task}" for task in TASKS)
    rows, compared["test"] = _both(models, "test", asked, runs)
    scores += rows
    say(f"test: {compared['test']}")
    if folders.withheld is not None:
        _, rows = _judged("ladder-tiny, facts withheld", folders.withheld, (ASKED,), "test", runs)
        scores += [{**row, "stage": "supervised, the test's facts withheld"} for row in rows]
    about = {**read_json(output / "about.json"), "ships": ships, "scores": scores, "compared": compared}
    _ship(models[ships["stage"]], about, folders, output, target)
    size = sum(path.stat().st_size for path in target.rglob("*") if path.is_file())
    say(f"put into {target}: {size / 1e6:.1f} MB")


def chosen(before: float, after: float) -> dict[str, Any]:
    """Return which stage ships, by accuracy on validation before and after GRPO, both figures, and the reason in words.

    GRPO has to be better: with equal figures its start ships, which is the simpler of two equals.
    """
    better = after > before
    figures = f"{after:.3f} of the validation questions are right, {before:.3f} before it"
    why = (
        f"The model after GRPO ships: {figures}."
        if better
        else f"The supervised start ships, not the model after GRPO: after GRPO {figures}, so it is no better."
    )
    stage: Stage = "grpo" if better else "supervised"
    return {"stage": stage, "validation": {"supervised": before, "grpo": after}, "why": why}


def _both(
    models: Mapping[Stage, Path], split: Split, asked: Mapping[Stage, Sequence[str]], runs: Path
) -> tuple[list[dict[str, Any]], str]:
    """Return the scores of start and tuned model on a split, and what comparing them says."""
    folders, scores = {}, []
    for stage in STAGES:
        folders[stage], rows = _judged(NAMES[stage], models[stage], asked[stage], split, runs)
        scores += [{**row, "stage": stage} for row in rows]
    [pair] = compare_runs(load(folders["supervised"]), [load(folders["grpo"])])
    [effect] = [one for one in pair.effects if (one.task, one.metric) == (ASKED, "accuracy")]
    return scores, sentence(effect, pair.baseline.name, pair.candidate.name)


def _ship(model: Path, about: dict[str, Any], folders: Folders, output: Path, target: Path) -> None:
    """Put the model into `target` with `about`, card and curves, whole or not at all."""
    ready = output / "ready"
    shutil.rmtree(ready, ignore_errors=True)
    shutil.copytree(model, ready)
    known = {**about, "trained_on": [SUITE], "versions": versions(), "judged_data": data_hash(Catalogue())}
    known["weights"] = hashlib.sha256((ready / "model.safetensors").read_bytes()).hexdigest()
    known["tuning"] = read_json(folders.tuned / "training.json")["recipe"]["grpo"]
    history = {"supervised": known.pop("history"), "grpo": _log(folders.tuned.parent)}
    drawn = curves.draw(history, ready / "curves", "ladder-tiny")
    write_json(ready / "training.json", known)
    shutil.copyfile(output / "asked.json", ready / "asked.json")
    write_json(ready / "curves" / "history.json", history)
    write_lines(ready / "README.md", [card(known, [p.relative_to(ready).as_posix() for p in drawn]).encode()])
    size = sum(path.stat().st_size for path in ready.rglob("*") if path.is_file())
    if size > LARGEST:
        raise ValueError(f"{ready} has {size} bytes, more than the {LARGEST} that may ship")
    if target.exists():
        shutil.rmtree(target)
    shutil.copytree(ready, target)


def _judged(
    name: str, folder: Path, tasks: Sequence[str], split: Split, output: Path
) -> tuple[Path, list[dict[str, Any]]]:
    """Return the run's folder, and a row per task and metric with its mean, 95 % interval and number of questions."""
    budget = {"max_tokens": 256}
    spec = RunSpec(f"hf/{folder}", tuple(tasks), {"batch": 64}, name, sampling=budget, output=output)
    [done] = run(replace(spec, selection=replace(spec.selection, split=split)))
    rows = []
    for task, metrics in done.summary["tasks"].items():
        for metric, row in metrics.items():
            kept = {key: row.get(key) for key in ("mean", "low", "high", "n")}
            rows.append({"task": task, "metric": metric, "split": split, **kept})
    asked = [record.outcome for record in read_records(done.folder / "records.jsonl") if record.task == ASKED]
    replies = [outcome.text for outcome in asked if isinstance(outcome, Response)]
    share = sum(whole(text) for text in replies) / len(replies)
    shape = {"task": ASKED, "metric": "format reward", "split": split, "mean": share, "low": None, "high": None}
    rows.append({**shape, "n": len(replies)})
    return done.folder, rows


def _log(stage: Path) -> list[Mapping[str, Any]]:
    from ladder_trainer.checkpoint import last_whole, stage_state

    last = last_whole(stage)
    return list(stage_state(last)["log_history"]) if last else []
