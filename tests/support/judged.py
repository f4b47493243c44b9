"""A small suite of dialogues with rubrics, a finished run of given answers on it, and judges on a local server to read them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from harness.judging import JudgeSpec
from harness.pipeline import Done, RunSpec, run
from harness.store import read_scores

TALK = """type: dialogue
data: [talk.jsonl]
columns: { id: id, question: q, turns: turns, rubric: rubric }
metrics: [rouge_l]
"""
RUBRIC = ("感冒", "风热犯表", "银翘散", "辛凉解表")
ANSWERS = ("感冒，风热犯表，银翘散，辛凉解表", "感冒，风热犯表", "感冒", "不清楚", "银翘散", "感冒，银翘散，辛凉解表")
"""What the run answers; of the four criteria they meet 4, 2, 1, 0, 1 and 3."""


def suite_of(folder: Path, count: int = len(ANSWERS), task: str = TALK) -> Path:
    """Write `count` dialogues of one turn, all with the same reference and rubric."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "talk.yaml").write_text(task, "utf-8")
    rows = [
        {
            "id": f"d{i}",
            "q": f"请给出第{i}例的诊断",
            "turns": [{"role": "user", "content": f"第{i}例：发热，咽痛"}],
            "answer": "、".join(RUBRIC),
            "rubric": list(RUBRIC),
        }
        for i in range(count)
    ]
    (folder / "talk.jsonl").write_text("".join(json.dumps(r, ensure_ascii=False) + "\n" for r in rows), "utf-8")
    return folder


def answered(folder: Path, texts: Sequence[str | Mapping[str, Any]] = ANSWERS, **changes: Any) -> Done:
    """Return a finished run in `folder`/out whose answers are given; a mapping may state how an answer stopped."""
    suite = changes.pop("suite", None) or suite_of(folder / "own", len(texts))
    given = [text if isinstance(text, Mapping) else {"response": text} for text in texts]
    path = folder / "answers.jsonl"
    rows = (json.dumps({"id": f"d{i}", **one}, ensure_ascii=False) + "\n" for i, one in enumerate(given))
    path.write_text("".join(rows), "utf-8")
    [done] = run(RunSpec(f"replay/{path}", ("own",), output=folder / "out", task_paths=(suite,), **changes))
    return done


def judges(done: Done, url: str, *names: str, **changes: Any) -> JudgeSpec:
    """Return what asks these judges of a local server about a run."""
    named = tuple(f"server/{name}" for name in names or ("j1",))
    return JudgeSpec(done.folder, named, settings={"base_url": url}, **changes)


def values(folder: Path, metric: str) -> dict[str, float | None]:
    """Return a metric's value by sample."""
    return {score.sample: score.value for score in read_scores(folder / "scores.jsonl") if score.metric == metric}
