"""Runs as the small files that other tools read: lm-evaluation-harness results, a Hugging Face model card's model-index."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

from harness.registry import get_metric
from harness.report.export.staging import plain_name
from harness.report.results import Run
from harness.tables import plain_json, printable

Row = dict[str, Any]


def write_lm_eval(runs: Sequence[Run], folder: Path) -> None:
    """Write a results file a run in the shape of lm-evaluation-harness; tasks keep their names, with `/` as `_`."""
    for run in runs:
        path = folder / f"results_{run.folder.name}.json"
        path.write_text(plain_json(_lm_eval(run), indent=1) + "\n", "utf-8")


def _lm_eval(run: Run) -> Row:
    results: dict[str, Row] = {}
    better, count, shots, versions = {}, {}, {}, {}
    for task, metrics in run.summary["tasks"].items():
        name, info = task.replace("/", "_"), run.manifest["tasks"][task]
        if name in results:  # a_b/c and a/b_c
            name = task
        results[name] = {"alias": name}
        for metric, found in metrics.items():
            results[name] |= {f"{metric},none": found["mean"], f"{metric}_stderr,none": found["se"]}
        better[name] = {metric: get_metric(metric).higher_is_better for metric in metrics}
        count[name] = {"original": info["samples"], "effective": info["samples"]}
        shots[name], versions[name] = run.manifest["style"]["shots"], info["version"]
    return {
        "results": results,
        "group_subtasks": {},
        "configs": {name: {"task": name} for name in results},
        "versions": versions,
        "n-shot": shots,
        "higher_is_better": better,
        "n-samples": count,
        "config": {"model": plain_name(run), "model_args": dict(run.summary["subject"]["identity"])},
        "model_name": plain_name(run),
        "tcm_eval": {"run": run.folder.name, "tasks": run.summary["tasks"]},
    }


def write_model_index(runs: Sequence[Run], folder: Path) -> None:
    """Write the `model-index` block of a Hugging Face model card for each run."""
    for run in runs:
        block = {"model-index": [{"name": plain_name(run), "results": _model_index(run)}]}
        path = folder / f"model-index_{run.folder.name}.yaml"
        path.write_text(yaml.safe_dump(block, allow_unicode=True, sort_keys=False), "utf-8")


def _model_index(run: Run) -> list[Row]:
    """Return an entry a task; numbers that are missing are left out."""
    results = []
    split = run.manifest["selection"]["split"]
    for task, metrics in run.summary["tasks"].items():
        info = run.manifest["tasks"][task]
        values = [
            {"type": metric, "name": metric, "value": row["mean"], "args": {"comparison_id": row["comparison_id"]}}
            for metric, row in metrics.items()
            if row["mean"] is not None
        ]
        if values:
            title = printable(info["title"] or task)
            dataset = {"type": task.partition("/")[0], "name": title, "revision": info["suite_version"]}
            kind = {"type": "question-answering", "name": info["type"].replace("_", " ")}
            results.append({"task": kind, "dataset": dataset | ({"split": split} if split else {}), "metrics": values})
    return results
