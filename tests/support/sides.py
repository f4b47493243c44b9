"""Runs for comparison tests: sides made of numbers, and real runs of stored answers."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from harness.baseline import Column, Side, TaskScores
from harness.registry import get_metric
from harness.types import Reference, Sample, Status
from tests.conftest import choice_rows

Call = Callable[..., tuple[int, str, str]]
ID = "tcm-eval:0.1|task:{task}@1|data:aaaaaa|split:test|prompt:bbbbbb|temp:0|metric:{metric}@1"


def column(
    task: str,
    metric: str,
    values: Sequence[float | None],
    *,
    status: Mapping[int, Status] | None = None,
    comparison_id: str = ID,
    parts: Mapping[str, Sequence[float]] | None = None,
) -> Column:
    found: list[Status] = [(status or {}).get(row, "ok") for row in range(len(values))]
    return Column(metric, comparison_id.format(task=task, metric=metric), list(values), found, dict(parts or {}))


def task_scores(task: str, *columns: Column, clusters: Sequence[int] | None = None, first: int = 0) -> TaskScores:
    n = len(columns[0].values)
    places = [(f"s{first + row}", 0, 0) for row in range(n)]
    return TaskScores(
        task, columns[0].metric, places, list(clusters or range(n)), [None] * n, {c.metric: c for c in columns}
    )


def side(name: str, *tasks: TaskScores) -> Side:
    return Side(name, f"{name}-run", "2026-01-01T00:00:00+00:00", {"model": name}, {task.task: task for task in tasks})


def one_task(
    name: str,
    values: Sequence[float | None],
    *,
    metric: str = "accuracy",
    task: str = "own/choice",
    clusters: Sequence[int] | None = None,
    status: Mapping[int, Status] | None = None,
    comparison_id: str = ID,
) -> Side:
    """A side with one metric on one task."""
    return side(
        name,
        task_scores(task, column(task, metric, values, status=status, comparison_id=comparison_id), clusters=clusters),
    )


def bleu(name: str, texts: Sequence[str], reference: str = "补气健脾燥湿化痰理气和中") -> Side:
    """A side whose answers are scored by corpus BLEU against one reference."""
    metric = get_metric("bleu4")
    pairs = [(Sample(f"s{row}", "own/text", {}, Reference((reference,))), text) for row, text in enumerate(texts)]
    found = metric.score(pairs, {})
    parts = {part: [value.parts[part] for value in found] for part in metric.parts}
    return side(name, task_scores("own/text", column("own/text", "bleu4", [v.value for v in found], parts=parts)))


def replayed(
    tcm_eval: Call, folder: Path, suite: Path, name: str, wrong: Mapping[int, str | None], count: int = 40
) -> Path:
    """Run stored answers: right everywhere but at the row numbers of `wrong`, which give the text instead (None: no answer).

    Returns the run's folder, below `folder`/results.
    """
    lines = []
    for row, question in enumerate(choice_rows(count)):
        text = wrong.get(row, f"答案：{question['answer']}")
        if text is not None:
            lines.append(json.dumps({"sample": question["id"], "response": text}, ensure_ascii=False))
    file = folder / f"{len(list(folder.glob('*.jsonl')))}.jsonl"
    file.write_text("\n".join(lines) + "\n", "utf-8")
    code, out, err = tcm_eval(
        *("run", "--model", f"replay/{file}", "--name", name, "--tasks", "own", "--task-path", suite, "--attempts", 1),
        *("--output", folder / "results", "--quiet", "--json"),
    )
    assert code in (0, 3), err
    return Path(json.loads(out.splitlines()[-1])["run"])
