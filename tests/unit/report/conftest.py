"""Finished runs to draw and to export: a stand-in of TCM-Ladder's files, answered by files of answers."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from harness.cli import main

CATEGORIES = ("中医诊断学", "中药学", "中医外科学", "方剂学", "中医内科学", "中医儿科学", "中医基础学")


def rows(path: Path) -> list[dict[str, str]]:
    """Return a CSV file's rows."""
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def stand_in(data_root: Path, per_discipline: int = 12, blanks: int = 30) -> dict[str, str]:
    """Write files in the columns of TCM-Ladder with made-up questions; return the right answer of every question text."""
    import pandas as pd

    folder = data_root / "tcm_ladder"
    folder.mkdir(parents=True, exist_ok=True)
    rows, right = [], {}
    for i, category in enumerate(CATEGORIES):
        for j in range(per_discipline * 10):
            question = f"{category}第{j}题：选出编号为{(i * 31 + j * 7) % 4}的一项"
            right[question] = "ABCD"[(i * 31 + j * 7) % 4]
            options = {letter: f"第{j}组的编号{k}" for k, letter in enumerate("ABCD")}
            rows.append(
                {"question": question, **options, "E": "", "answer": right[question]}
                | {"category": category, "type": "Single", "lang": "zh"}
            )
    pd.DataFrame(rows).to_parquet(folder / "multiChoice.parquet")
    fill = [{"question": f"第{k}味药的编号是（　　）", "answer": f"编号{k}"} for k in range(blanks * 10)]
    right |= {str(row["question"]): str(row["answer"]) for row in fill}
    pd.DataFrame(fill).to_parquet(folder / "fillInTheBlank.parquet")
    return right


def answers(path: Path, data_root: Path, output: Path, right: dict[str, str], share: float, tokens: int) -> Path:
    """Write a file of answers of which about `share` are right, to be asked through `--model replay/FILE`."""
    from harness.datasets import stream
    from harness.suites import Catalogue

    catalogue = Catalogue(data_root=data_root)
    lines = []
    for task in catalogue.select(["tcm_ladder/single_zh", "tcm_ladder/fill"])[0]:
        for sample in stream(catalogue, task):
            good = (len(lines) * 7919 + round(share * 1000)) % 1000 < share * 1000
            said = right[sample.question] if good else "D" if right[sample.question] == "A" else "A"
            row = {"task": task.id, "sample": sample.id, "text": said, "tokens_out": tokens, "seconds": 0.5}
            lines.append(json.dumps(row, ensure_ascii=False) + "\n")
    path.write_text("".join(lines), "utf-8")
    return path


def ladder_runs(tmp: Path, models: dict[str, tuple[float, int]], per_discipline: int = 12) -> list[Path]:
    """Return the run folders of models by name, each with its share of right answers and its tokens per answer."""
    data, output = tmp / "data", tmp / "results"
    right = stand_in(data, per_discipline)
    for i, (name, (share, tokens)) in enumerate(models.items()):
        file = answers(tmp / f"answers-{i}.jsonl", data, output, right, share, tokens)
        command = [
            "run",
            "--model",
            f"replay/{file}",
            "--name",
            name,
            "--tasks",
            "tcm_ladder/single_zh,tcm_ladder/fill",
        ]
        assert main([*command, "--data-root", str(data), "--output", str(output), "--quiet"]) == 0
    return sorted((output / "runs").iterdir(), key=lambda folder: folder.name)


@pytest.fixture
def runs(tmp_path: Path) -> Callable[[dict[str, tuple[float, int]]], list[Path]]:
    """Make finished runs on a stand-in of TCM-Ladder."""

    def make(models: dict[str, tuple[float, int]]) -> list[Path]:
        return ladder_runs(tmp_path, models, 4)

    return make
