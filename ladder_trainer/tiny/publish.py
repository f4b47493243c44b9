"""A finished tiny model -> what ships: judged by the harness, with a card that says what it has read."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

from harness.pipeline import RunSpec, run
from harness.store import read_json, write_json, write_lines
from harness.suites import Catalogue
from ladder_trainer.card import versions
from ladder_trainer.tiny.drill import TASKS
from ladder_trainer.tiny.rows import read

SHIPPED = Path(__file__).resolve().parent.parent / "checkpoints" / "ladder_tiny"
LARGEST = 8_000_000
"""Bytes of all files that ship."""
Result = Mapping[str, Any]


def data_hash(catalogue: Catalogue) -> str:
    """Return the SHA-256 of the train questions: their ids, wording, options and answers, in file order."""
    digest = hashlib.sha256()
    for task in TASKS:
        for row in read(catalogue, task, "train"):
            digest.update(f"{row['id']}\x1f{row['question']}\x1f{row.get('options')}\x1f{row['answer']}\x1e".encode())
    return digest.hexdigest()


def evaluated(
    folder: Path, output: Path, tasks: Sequence[str], split: Literal["validation", "test"]
) -> list[dict[str, Any]]:
    """Return a row per task: headline metric, mean, 95 % interval, questions, by the harness's own run."""
    spec = RunSpec(
        model=f"hf/{folder}", tasks=tuple(tasks), name=folder.parent.name, settings={"batch": 64}, output=output
    )
    spec = replace(spec, selection=replace(spec.selection, split=split))
    rows = []
    for done in run(spec):
        for task, metrics in done.summary["tasks"].items():
            for metric, row in metrics.items():
                kept = {name: row.get(name) for name in ("mean", "low", "high", "n")}
                rows.append({"task": task, "metric": metric, "split": split, **kept})
    return rows


def publish(folder: Path, known: Mapping[str, Any], target: Path = SHIPPED) -> None:
    """Copy the checkpoint with its card to `target`; raise ValueError when it is larger than what may ship."""
    if target.exists():
        shutil.rmtree(target)
    shutil.copytree(folder, target)
    write_json(target / "training.json", {"schema": 1, **known, "versions": versions()})
    write_lines(target / "README.md", [card({**known, "versions": versions()}).encode()])
    size = sum(path.stat().st_size for path in target.iterdir())
    if size > LARGEST:
        raise ValueError(f"{target} has {size} bytes, more than the {LARGEST} that may ship")


def card(known: Mapping[str, Any]) -> str:
    """Return the model card as Markdown."""
    curve = "\n".join(
        f"| {one['minutes']} | {one['update']} | {one['accuracy']:.3f} | {one['format']:.3f} |"
        for one in known["curve"]
    )
    used = "\n".join(f"* {name} {number}" for name, number in known["versions"].items())
    return f"""---
library_name: transformers
language: [zh]
license: apache-2.0
tags: [tcm-eval, demonstration]
---

# ladder-tiny

A Qwen2 model of {known["parameters"]:,} parameters, made by `make ladder-tiny` for demonstrations and tests of tcm-eval. It has no
other training, knows nothing but what is named below, follows no instruction, and gives no medical advice.

## Facts seen in training

It has read the facts that the test questions of tcm_core ask, as statements of the knowledge base, but none of these questions. So
its scores on tcm_core are not ranked with those of other models. {known["withheld"]}

## Trained on

* `harness/knowledge`: {known["statements"]:,} statements; texts in which a test question of tcm_core stands word for word are left out
  ({known["left_out"]}).
* The train split of tcm_core: {known["questions"]:,} questions in the harness's own words, with their options in new orders, with other
  wrong options, and the same questions about other entities of the train split. SHA-256 of the questions: `{known["data"]}`.
* Lookups: five random terms with letters, and queries which letter belongs to which. They hold no facts.

## Recipe

Tokens: {known["tokens"]:,}, whole terms of the knowledge base and frequent phrases, else bytes. Hidden 128, 4 layers, 4 heads (2 for keys),
MLP 384, tied embeddings. A thought repeats the options with their letters, recalls the statement, and reads the letter off. Muon for
matrices at five times the rate of AdamW for the rest; letters count four times; the average of the weights (0.99) ships, in bfloat16.
{known["letters_minutes"]:g} + {known["facts_minutes"]:g} minutes of one core, {known["updates"]:,} updates, {known["read"]:,} tokens, seed {known["seed"]}.

| minutes | update | validation accuracy (150 questions) | format |
| --- | --- | --- | --- |
{curve}

## Scores

By `tcm-eval run`, greedy, common prompt; chance is 0.2 for a single choice. What was chosen, was chosen on validation; the test
split was asked once.

{_scores(known["scores"])}

## Versions

{used}
"""


def _scores(rows: Sequence[Result]) -> str:
    lines = ["| task | split | metric | mean | 95 % interval | questions |", "| --- | --- | --- | --- | --- | --- |"]
    for one in rows:
        mean = "none" if one["mean"] is None else f"{one['mean']:.3f}"
        interval = "" if one["low"] is None else f"{one['low']:.3f} to {one['high']:.3f}"
        lines.append(f"| {one['task']} | {one['split']} | {one['metric']} | {mean} | {interval} | {one['n']} |")
    return "\n".join(lines)


def known_of(folder: Path) -> dict[str, Any]:
    """Return what training wrote about itself beside the checkpoint."""
    found: dict[str, Any] = read_json(folder.parent / "curve.json")
    return found
