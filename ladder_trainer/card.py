"""The model card of a finished checkpoint: what it is, what it was made of and by, how it did, and what it is not."""

from __future__ import annotations

import platform
from collections.abc import Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import yaml

from harness.store import write_lines
from ladder_trainer.config import fingerprint
from ladder_trainer.monitor import Warnings
from ladder_trainer.recipe import Recipe

PACKAGES = ("tcm-eval", "torch", "transformers", "trl", "peft", "accelerate", "datasets", "vllm", "deepspeed")


def versions() -> dict[str, str]:
    """Return the versions of Python and of every package that takes part in training and is installed."""
    found = {"python": platform.python_version()}
    for name in PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def facts(
    recipe: Recipe,
    suites: Sequence[str],
    data: Mapping[str, Any],
    used: Mapping[str, str],
    warnings: Warnings,
    results: Sequence[Mapping[str, Any]],
) -> dict[str, Any]:
    """Return everything about a checkpoint that a machine may want to know: the content of `training.json`.

    `suites` are those that it or its start has learned from.
    """
    return {
        "schema": 1,
        "name": recipe.name,
        "recipe": recipe.model_dump(mode="json"),
        "fingerprint": fingerprint(recipe),
        "trained_on": list(suites),
        "data": dict(data),
        "checkpoints_used": dict(used),
        "versions": versions(),
        "warnings": {name: {"update": step, "text": text} for name, (step, text) in warnings.given.items()},
        "evaluation": [dict(one) for one in results],
    }


def write(path: Path, recipe: Recipe, known: Mapping[str, Any], curves: Sequence[str]) -> None:
    """Write the card as Markdown, from `facts`; `curves` are the paths of the curves beside it."""
    base = recipe.start.base or "random weights"
    data = known["data"]
    parts = [
        _front_matter(recipe),
        f"# {recipe.title}\n\nMade by `tcm-eval train {recipe.name}` from {base}. Recipe fingerprint `{known['fingerprint']}`.",
        f"## Source\n\n{recipe.source}",
        "## In which points it differs from its source\n\n" + _list(recipe.cannot_reproduce),
        "## Trained on\n\n"
        f"Suites: {', '.join(recipe.trained_on)} (train split only). {_earlier(known, recipe)}Scores on their test splits are "
        "in-domain scores.\n\n"
        f"{data['train']} questions, {data['documents']} supervised texts, {data['validation']} questions for validation; left out: "
        f"{_left_out(data['left_out'])}. Checked against {data['test_questions_checked']} test questions by id and by text. "
        f"SHA-256 of the training data: `{data['sha256']}`.",
        "## Evaluation\n\n" + _evaluation(known["evaluation"]),
        "## Curves\n\n" + ("\n".join(_curve(name) for name in curves) or "None: nothing was logged."),
        "## Warnings during training\n\n"
        + _list([f"update {one['update']}: {one['text']}" for one in known["warnings"].values()]),
        f"## Use\n\n```\n{judged_by(recipe, 'FOLDER')}\n```\n\nA research model. It gives no medical "
        "advice, and nobody should take a medicine because it said so.",
        "## Versions\n\n" + _list([f"{name} {number}" for name, number in known["versions"].items()]),
        "## Recipe\n\n```yaml\n"
        + yaml.safe_dump(known["recipe"], allow_unicode=True, sort_keys=False).rstrip()
        + "\n```",
    ]
    write_lines(path, ["\n\n".join(parts).encode() + b"\n"])


def judged_by(recipe: Recipe, folder: str) -> str:
    """Return the command that asks the checkpoint in `folder` as it was trained to be asked."""
    system = f" --system {recipe.data.system}" if recipe.data.system else ""
    return f"tcm-eval run --model hf/{folder}{system} --tasks {','.join(recipe.trained_on)}"


def _earlier(known: Mapping[str, Any], recipe: Recipe) -> str:
    earlier = [suite for suite in known["trained_on"] if suite not in recipe.trained_on]
    return f"Its start had learned from {', '.join(earlier)} before. " if earlier else ""


def _front_matter(recipe: Recipe) -> str:
    fields: dict[str, Any] = {
        "library_name": "transformers",
        "language": ["zh", "en"],
        "tags": ["tcm-eval", *recipe.stages],
    }
    if recipe.start.base:
        fields["base_model"] = recipe.start.base
    return f"---\n{yaml.safe_dump(fields, sort_keys=False).rstrip()}\n---"


def _list(items: Sequence[str]) -> str:
    return "\n".join(f"* {item}" for item in items) or "None."


def _left_out(left_out: Mapping[str, int]) -> str:
    return ", ".join(f"{count} ({why})" for why, count in left_out.items() if count) or "none"


def _curve(name: str) -> str:
    return f"![curves]({name})" if name.endswith(".png") else f"[all curves]({name})"


def _evaluation(results: Sequence[Mapping[str, Any]]) -> str:
    if not results:
        return "None was asked for. Judge it with `tcm-eval run`."
    lines = ["| task | split | metric | mean | 95 % interval | questions |", "| --- | --- | --- | --- | --- | --- |"]
    for one in results:
        mean = "not known" if one["mean"] is None else f"{one['mean']:.3f}"
        interval = "" if one.get("low") is None else f"{one['low']:.3f} to {one['high']:.3f}"
        lines.append(f"| {one['task']} | {one['split']} | {one['metric']} | {mean} | {interval} | {one['n']} |")
    return "\n".join(lines)
