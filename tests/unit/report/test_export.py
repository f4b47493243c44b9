"""Exports: what stands in them equals the run, and the tools they are meant for read them."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from harness.pipeline import export
from harness.report.chosen import chosen
from harness.report.export import frames

Call = Callable[..., tuple[int, str, str]]


@pytest.fixture
def results(suite: Path, tmp_path: Path, tcm_eval: Call) -> Path:
    output = tmp_path / "results"
    command = ("run", "--model", "guess", "--tasks", "own", "--task-path", suite, "--output", output, "--quiet")
    assert tcm_eval(*command, "--name", "=guess")[0] == 0
    return output


def test_csv_holds_every_score_and_answer_and_no_formula(results: Path, tmp_path: Path, tcm_eval: Call) -> None:
    code, said, _ = tcm_eval("export", results, "--to", "csv", "--output", tmp_path / "out")
    assert code == 0
    assert len(said.split()) == 4
    for name, count in (("estimates", 1), ("disciplines", 2), ("scores", 30), ("answers", 30)):
        with (tmp_path / "out" / f"{name}.csv").open(newline="", encoding="utf-8") as file:
            table = list(csv.DictReader(file))
        assert len(table) == count
        assert {row["model"] for row in table} == {"'=guess"}


def test_frames_and_parquet_equal_the_summary(results: Path, tmp_path: Path) -> None:
    import pandas as pd

    runs, _ = chosen([results])
    found = frames(runs)
    summary = runs[0].summary
    mean = summary["tasks"]["own/choice"]["accuracy"]["mean"]
    assert found.scores["value"].mean() == pytest.approx(mean)
    assert list(found.answers["sample"]) == [f"q{i}" for i in range(40) if i % 4 != 3]
    by_discipline = found.disciplines.set_index(["discipline", "metric"])["mean"].to_dict()
    assert by_discipline == {(d, m): row["mean"] for d, of in summary["disciplines"].items() for m, row in of.items()}
    export([results], "parquet", tmp_path / "out")
    assert pd.read_parquet(tmp_path / "out" / "estimates.parquet")["mean"].tolist() == [mean]


def test_lm_eval_results_hold_means_and_errors(results: Path, tmp_path: Path) -> None:
    runs, _ = chosen([results])
    (file,) = export([results], "lm-eval", tmp_path / "out").files
    found = json.loads(file.read_text("utf-8"))
    own = runs[0].summary["tasks"]["own/choice"]["accuracy"]
    assert found["results"]["own_choice"]["accuracy,none"] == own["mean"]
    assert found["results"]["own_choice"]["accuracy_stderr,none"] == own["se"]
    assert found["n-samples"]["own_choice"] == {"original": 30, "effective": 30}


def test_the_hub_reads_the_model_index(results: Path, tmp_path: Path) -> None:
    hub = pytest.importorskip("huggingface_hub.repocard_data")
    runs, _ = chosen([results])
    (file,) = export([results], "model-index", tmp_path / "out").files
    name, found = hub.model_index_to_eval_results(yaml.safe_load(file.read_text("utf-8"))["model-index"])
    assert name == "=guess"
    assert [(one.dataset_type, one.metric_type) for one in found] == [("own", "accuracy")]
    assert found[0].metric_value == runs[0].summary["tasks"]["own/choice"]["accuracy"]["mean"]
