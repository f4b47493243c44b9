"""The harness's own run on a checkpoint, so that a model is judged while training as it is judged afterwards."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, Protocol

from harness.pipeline import RunSpec, run
from ladder_trainer.recipe import Recipe


class Places(Protocol):
    """Where tasks and data are looked for."""

    @property
    def task_paths(self) -> tuple[Path, ...]: ...

    @property
    def data_root(self) -> Path | None: ...

    @property
    def data_path(self) -> Path | None: ...


def evaluate(
    recipe: Recipe, model: Path, output: Path, places: Places, say: Callable[[str], None]
) -> list[dict[str, Any]]:
    """Return one result per task and metric on the recipe's evaluation split: mean, interval, questions; none without tasks."""
    wanted = recipe.evaluation
    if not wanted.tasks:
        return []
    spec = RunSpec(
        model=f"hf/{model}",
        tasks=wanted.tasks,
        name=f"{recipe.name} ({model.name})",
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
