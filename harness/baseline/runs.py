"""The side that a finished run's folder holds, checked against what its manifest announces."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from harness.baseline.sides import Column, InvalidRun, Side, TaskScores, fits, numbered, said
from harness.errors import UsageError
from harness.registry import get_metric
from harness.store import read_json, read_scores
from harness.types import Score


def from_run(folder: Path) -> Side:
    """Return the scores of a finished run; raise as `load`."""
    if not (folder / "manifest.json").is_file():
        raise UsageError(f"{folder} is no run folder: it has no manifest.json")
    manifest = read_json(folder / "manifest.json")
    read_json(folder / "summary.json")
    subject = manifest["subject"]
    return Side(
        name=str(subject["name"]),
        run=str(manifest["run"]),
        created=str(manifest["created"]),
        identity=dict(subject["identity"]),
        tasks=_tasks(folder, manifest),
        folder=folder,
    )


def _tasks(folder: Path, manifest: Mapping[str, Any]) -> dict[str, TaskScores]:
    path = folder / "scores.jsonl"
    again = f"Make the scores anew from the answers: tcm-eval score {folder}"
    if not path.is_file():
        raise InvalidRun(f"{path} does not exist. {again}")
    rows: dict[str, dict[str, list[Score]]] = {}
    try:
        for score in read_scores(path):
            rows.setdefault(score.task, {}).setdefault(score.metric, []).append(score)
    except UsageError as error:
        raise InvalidRun(f"{str(error).partition('. ')[0]}. {again}") from None
    tasks = {}
    for task, info in manifest["tasks"].items():
        try:
            tasks[task] = _task(task, info, rows.get(task, {}), manifest["selection"]["repeats"])
        except ValueError as error:
            raise InvalidRun(f"{path}: {task}: {error}. {again}") from None
    return tasks


def _task(task: str, info: Mapping[str, Any], metrics: Mapping[str, Sequence[Score]], repeats: int) -> TaskScores:
    """Return one task's scores; raise ValueError when they are not what the manifest announces."""
    if set(metrics) != set(info["metrics"]):
        raise ValueError(f"scored by {_listed(metrics)}, but the manifest says {_listed(info['metrics'])}")
    first = metrics[info["headline"]]
    places = [(score.sample, score.repeat, score.variant) for score in first]
    if len(set(places)) != len(places):
        twice = Counter(places).most_common(1)[0][0][0]
        raise ValueError(
            f"sample '{twice}' has two scores of {info['headline']}: two metrics of one name, or data that changed meanwhile"
        )
    # A dialogue has one score, however many of its turns were asked; nothing but dialogues has turns, and they have no rotations.
    expected = info["samples"] * repeats if info["type"] == "dialogue" else info["answers"]
    if len(places) != expected:
        raise ValueError(f"{len(places)} scores of {info['headline']}, but {expected} answers were asked for")
    columns = {}
    for name, scores in metrics.items():
        if [(s.sample, s.repeat, s.variant) for s in scores] != places:
            raise ValueError(f"{name} and {info['headline']} do not score the same answers")
        columns[name] = _column(name, info["metrics"][name], scores)
    clusters = numbered(score.sample if score.group is None else f"\x1f{score.group}" for score in first)
    return TaskScores(task, info["headline"], places, clusters, [score.answer for score in first], columns)


def _column(name: str, comparison_id: str, scores: Sequence[Score]) -> Column:
    for score in scores:
        if not fits(name, score.value, score.status):
            raise ValueError(f"sample '{score.sample}' is {score.status}, but its {name} is {said(score.value)}")
    metric = get_metric(name)
    parts = metric.parts if metric.combine else ()
    return Column(
        name,
        comparison_id,
        [score.value for score in scores],
        [score.status for score in scores],
        {part: [score.parts.get(part, 0.0) for score in scores] for part in parts},
    )


def _listed(names: Iterable[str]) -> str:
    return ", ".join(sorted(names)) or "nothing"
