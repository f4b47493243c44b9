"""Finished runs -> other tools' formats: CSV, parquet, DataFrames, lm-evaluation-harness results, Hugging Face model-index."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import yaml

from harness.errors import UsageError
from harness.registry import get_metric
from harness.report.results import Run
from harness.store import explain, read, read_scores
from harness.tables import for_csv
from harness.types import Failure, Response

To = Literal["csv", "parquet", "lm-eval", "model-index"]
FORMS: tuple[To, ...] = ("csv", "parquet", "lm-eval", "model-index")
Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Frames:
    """A set of runs as pandas DataFrames: a row an estimate, a score and an answer; column `run` ties them together."""

    estimates: Any
    scores: Any
    answers: Any


def frames(runs: Sequence[Run]) -> Frames:
    """Return the runs' estimates, scores and answers as DataFrames, all in memory; raise UsageError without pandas."""
    pandas = _pandas()
    made = {name: pandas.DataFrame([row for run in runs for row in rows(run)]) for name, rows in TABLES.items()}
    return Frames(made["estimates"], made["scores"], made["answers"])


def export(runs: Sequence[Run], to: To, folder: Path) -> list[Path]:
    """Write the runs in one format into a folder and return the files; raise UsageError or StorageError."""
    with explain(folder):
        folder.mkdir(parents=True, exist_ok=True)
        if to == "csv":
            return [_csv(runs, rows, folder / f"{name}.csv") for name, rows in TABLES.items()]
        if to == "parquet":
            made, written = frames(runs), []
            for name in TABLES:
                written.append(folder / f"{name}.parquet")
                getattr(made, name).to_parquet(written[-1], index=False)
            return written
        write = _lm_eval if to == "lm-eval" else _model_index
        return [write(run, folder) for run in runs]


# ------------------------------------------------------------------ tables


def _estimates(run: Run) -> Iterator[Row]:
    """Yield a row for every task and metric; an estimate's counts by status are columns of their own."""
    for task, metrics in run.summary["tasks"].items():
        for metric, found in metrics.items():
            plain = {name: value for name, value in found.items() if name != "counts"}
            yield {"run": run.folder.name, "model": run.name, "task": task, "metric": metric} | plain | found["counts"]


def _scores(run: Run) -> Iterator[Row]:
    for score in read_scores(run.folder / "scores.jsonl"):
        yield {
            "run": run.folder.name,
            "model": run.name,
            "task": score.task,
            "sample": score.sample,
            "repeat": score.repeat,
            "variant": score.variant,
            "metric": score.metric,
            "value": score.value,
            "status": score.status,
            "answer": score.answer,
            "discipline": score.discipline,
            "group": score.group,
            "split": score.split,
            "parts": json.dumps(dict(score.parts), sort_keys=True),
            "tags": json.dumps(dict(score.tags), sort_keys=True, ensure_ascii=False),
        }


def _answers(run: Run) -> Iterator[Row]:
    """Yield every recorded call in file order; `failure` is its kind where there is no answer."""
    for record in read(run.folder / "records.jsonl"):
        outcome = record.outcome
        said = outcome if isinstance(outcome, Response) else None
        yield {
            "run": run.folder.name,
            "model": run.name,
            "task": record.task,
            "sample": record.sample,
            "repeat": record.repeat,
            "variant": record.variant,
            "turn": record.turn,
            "role": record.role,
            "text": said.text if said else None,
            "reasoning": said.reasoning if said else None,
            "stop": said.stop if said else None,
            "tokens_in": said.tokens_in if said else None,
            "tokens_out": said.tokens_out if said else None,
            "seconds": said.seconds if said else None,
            "failure": outcome.kind if isinstance(outcome, Failure) else None,
        }


TABLES: Mapping[str, Callable[[Run], Iterator[Row]]] = {
    "estimates": _estimates,
    "scores": _scores,
    "answers": _answers,
}


def _csv(runs: Sequence[Run], rows: Callable[[Run], Iterator[Row]], path: Path) -> Path:
    """Write one table row by row, so that a million answers need no memory; no cell is a formula to a spreadsheet."""
    names = list(dict.fromkeys(name for run in runs for row in _first(rows(run)) for name in row))
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, names, restval="", extrasaction="ignore", lineterminator="\n")
        writer.writeheader()
        for run in runs:
            writer.writerows({n: for_csv(v) if isinstance(v, str) else v for n, v in row.items()} for row in rows(run))
    return path


def _first(rows: Iterator[Row]) -> list[Row]:
    return [row for _, row in zip(range(64), rows, strict=False)]


def _pandas() -> Any:
    try:
        import pandas
    except ImportError:
        raise UsageError("DataFrames and parquet need pandas: pip install 'tcm-eval[data]'") from None
    return pandas


# ------------------------------------------------------------------ other tools


def _lm_eval(run: Run, folder: Path) -> Path:
    """Write a results file in the shape of lm-evaluation-harness; tasks keep their names, with `/` as `_`."""
    results: dict[str, Row] = {}
    better, count, shots, versions = {}, {}, {}, {}
    for task, metrics in run.summary["tasks"].items():
        name, info = task.replace("/", "_"), run.manifest["tasks"][task]
        results[name] = {"alias": name}
        for metric, found in metrics.items():
            results[name] |= {f"{metric},none": found["mean"], f"{metric}_stderr,none": found["se"]}
        better[name] = {metric: get_metric(metric).higher_is_better for metric in metrics}
        count[name] = {"original": info["samples"], "effective": info["samples"]}
        shots[name], versions[name] = run.manifest["style"]["shots"], info["version"]
    whole = {
        "results": results,
        "group_subtasks": {},
        "configs": {name: {"task": name} for name in results},
        "versions": versions,
        "n-shot": shots,
        "higher_is_better": better,
        "n-samples": count,
        "config": {"model": run.name, "model_args": dict(run.summary["subject"]["identity"])},
        "model_name": run.name,
        "tcm_eval": {"run": run.folder.name, "tasks": run.summary["tasks"]},
    }
    path = folder / f"results_{run.folder.name}.json"
    path.write_text(json.dumps(whole, ensure_ascii=False, indent=1) + "\n", "utf-8")
    return path


def _model_index(run: Run, folder: Path) -> Path:
    """Write the `model-index` block of a Hugging Face model card; numbers that are missing are left out."""
    results = []
    for task, metrics in run.summary["tasks"].items():
        info = run.manifest["tasks"][task]
        values = [
            {"type": metric, "name": metric, "value": row["mean"], "args": {"comparison_id": row["comparison_id"]}}
            for metric, row in metrics.items()
            if row["mean"] is not None
        ]
        if values:
            dataset = {"type": task.partition("/")[0], "name": info["title"] or task, "revision": info["suite_version"]}
            kind = {"type": "question-answering", "name": info["type"].replace("_", " ")}
            split = run.manifest["selection"]["split"]
            results.append({"task": kind, "dataset": dataset | ({"split": split} if split else {}), "metrics": values})
    path = folder / f"model-index_{run.folder.name}.yaml"
    block = {"model-index": [{"name": run.name, "results": results}]}
    path.write_text(yaml.safe_dump(block, allow_unicode=True, sort_keys=False), "utf-8")
    return path
