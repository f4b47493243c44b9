"""The harness's own run on a checkpoint, so that a model is judged while training as it is judged afterwards."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, Protocol

from harness.pipeline import RunSpec, run
from harness.store import read_json, write_json
from ladder_trainer.checkpoint import adapters_only, finish_stage, step_of
from ladder_trainer.curves import HARNESS
from ladder_trainer.recipe import Recipe

SAVED = "evaluations.json"
"""In a stage's folder: what the harness said of its checkpoints as they were saved, by update."""


class Places(Protocol):
    """Where tasks and data are looked for."""

    @property
    def task_paths(self) -> tuple[Path, ...]: ...

    @property
    def data_root(self) -> Path | None: ...

    @property
    def data_path(self) -> Path | None: ...


def evaluate(
    recipe: Recipe, model: Path, start: str, output: Path, places: Places, say: Callable[[str], None]
) -> list[dict[str, Any]]:
    """Return one result per task and metric on the recipe's evaluation split: mean, interval, questions; none without tasks.

    Adapters are added to the weights of `start` for it, in a copy that goes afterwards.
    """
    if not recipe.evaluation.tasks:
        return []
    with _whole(recipe, model, start, output) as folder:
        return _asked(recipe, folder, f"{recipe.name} ({model.parent.name} {model.name})", output, places, say)


def evaluate_saved(
    recipe: Recipe, checkpoint: Path, start: str, output: Path, places: Places, say: Callable[[str], None]
) -> None:
    """Evaluate a checkpoint that was just saved, and note the means beside it for the curves."""
    results = evaluate(recipe, checkpoint, start, output, places, say)
    path = checkpoint.parent / SAVED
    known = read_json(path)["updates"] if path.exists() else {}
    means = {f"{HARNESS}{one['task']} {one['metric']}": one["mean"] for one in results}
    write_json(path, {"schema": 1, "updates": {**known, str(step_of(checkpoint)): means}})


def with_saved(history: Sequence[Mapping[str, Any]], stage: Path) -> list[Mapping[str, Any]]:
    """Return a stage's history with what the harness said of its checkpoints."""
    path = stage / SAVED
    found = read_json(path)["updates"] if path.exists() else {}
    return [*history, *({"step": int(step), **means} for step, means in found.items())]


@contextmanager
def _whole(recipe: Recipe, model: Path, start: str, output: Path) -> Iterator[Path]:
    if not adapters_only(model):
        yield model
        return
    merged = output / "merged" / model.name
    merged.parent.mkdir(parents=True, exist_ok=True)
    finish_stage(model, recipe, start, merged, merge=True)
    try:
        yield merged
    finally:
        shutil.rmtree(merged.parent)


def _asked(
    recipe: Recipe, model: Path, name: str, output: Path, places: Places, say: Callable[[str], None]
) -> list[dict[str, Any]]:
    wanted = recipe.evaluation
    spec = RunSpec(
        model=f"hf/{model}",
        tasks=wanted.tasks,
        name=name,
        sampling={"max_tokens": wanted.max_tokens or recipe.grpo.max_completion_tokens},
        output=output,
        task_paths=places.task_paths,
        data_root=places.data_root,
        data_path=places.data_path,
    )
    style = replace(spec.style, system=recipe.data.system, language=recipe.data.language)
    spec = replace(spec, style=style, selection=replace(spec.selection, split=wanted.split, limit=wanted.limit))
    results = []
    for done in run(spec):
        for task, metrics in done.summary["tasks"].items():
            for metric, row in metrics.items():
                results.append({"split": wanted.split, "run": done.folder.name, "task": task, "metric": metric, **row})
                say(
                    f"evaluation: {task} {metric} {_shown(row['mean'])} on {row['n']} questions of the {wanted.split} split"
                )
        if not done.complete:
            say(f"warning: the evaluation is incomplete, some questions could not be asked: see {done.folder}")
    return results


def _shown(mean: float | None) -> str:
    return "none" if mean is None else f"{mean:.3f}"
