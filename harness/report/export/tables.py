"""Runs as tables: a row an estimate, a discipline, a score or an answer; as DataFrames, CSV and parquet."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.errors import UsageError
from harness.report.results import Run
from harness.store import read, read_scores
from harness.tables import for_csv
from harness.types import Failure, Response

Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Frames:
    """A set of runs as pandas DataFrames: a row an estimate, a discipline, a score and an answer; column `run` ties them together."""

    estimates: Any
    disciplines: Any
    scores: Any
    answers: Any


def frames(runs: Sequence[Run]) -> Frames:
    """Return the runs' estimates, disciplines, scores and answers as DataFrames, all in memory; raise UsageError without pandas."""
    pandas = _pandas()
    made = {name: pandas.DataFrame([row for run in runs for row in rows(run)]) for name, rows in TABLES.items()}
    return Frames(**made)


def estimates(run: Run) -> Iterator[Row]:
    """Yield a row for every task and metric; an estimate's counts by status are columns of their own."""
    for task, metrics in run.summary["tasks"].items():
        for metric, found in metrics.items():
            yield {"run": run.folder.name, "model": run.name, "task": task, "metric": metric} | _flat(found)


def disciplines(run: Run) -> Iterator[Row]:
    """Yield a row for every discipline and metric, pooled over the run's tasks."""
    for discipline, metrics in run.summary.get("disciplines", {}).items():
        for metric, found in metrics.items():
            yield {"run": run.folder.name, "model": run.name, "discipline": discipline, "metric": metric} | _flat(found)


def _flat(found: Mapping[str, Any]) -> Row:
    return {name: value for name, value in found.items() if name != "counts"} | dict(found["counts"])


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
    "estimates": estimates,
    "disciplines": disciplines,
    "scores": _scores,
    "answers": _answers,
}


def write_csv(runs: Sequence[Run], folder: Path) -> None:
    """Write a file a table, row by row, so that a million answers need no memory; no cell is a formula to a spreadsheet."""
    for name, rows in TABLES.items():
        with (folder / f"{name}.csv").open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, _columns(runs, rows), restval="", extrasaction="ignore", lineterminator="\n")
            writer.writeheader()
            for run in runs:
                writer.writerows({n: for_csv(v) if isinstance(v, str) else v for n, v in r.items()} for r in rows(run))


def _columns(runs: Sequence[Run], rows: Callable[[Run], Iterator[Row]]) -> list[str]:
    first = (row for run in runs for row, _ in zip(rows(run), range(64), strict=False))
    return list(dict.fromkeys(name for row in first for name in row))


def write_parquet(runs: Sequence[Run], folder: Path) -> None:
    """Write a file a table; texts stand in them as they were said. Raises UsageError without pandas or pyarrow."""
    made = frames(runs)
    for name in TABLES:
        try:
            getattr(made, name).to_parquet(folder / f"{name}.parquet", index=False)
        except ImportError:
            raise _no_pandas() from None


def _pandas() -> Any:
    try:
        import pandas
    except ImportError:
        raise _no_pandas() from None
    return pandas


def _no_pandas() -> UsageError:
    return UsageError("DataFrames and parquet need pandas and pyarrow: pip install 'tcm-eval[data]'")
