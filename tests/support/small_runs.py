"""Small runs of the suite `own`: as a spec, as a command, and with stored answers for a model."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

from harness.pipeline import RunSpec

RUN = ("run", "--model", "guess", "--tasks", "own")


def spec(suite: Path, output: Path, model: str = "guess", **changes: object) -> RunSpec:
    return replace(RunSpec(model, ("own",), output=output, task_paths=(suite,)), **changes)  # type: ignore[arg-type]


def answers(folder: Path, *rows: dict[str, object]) -> str:
    path = folder / "answers.jsonl"
    path.write_text("".join(json.dumps(r, ensure_ascii=False) + "\n" for r in rows), "utf-8")
    return f"replay/{path}"
