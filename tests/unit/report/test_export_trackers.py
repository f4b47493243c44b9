"""Exports to Weights & Biases and MLflow, offline: what their own readers find, that nothing is sent, and that no half run stays.

The exports run in processes of their own, as a user's do; a name server and every address but this machine's are out of reach there.
"""

from __future__ import annotations

import contextlib
import json
import os
import sqlite3
import struct
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from harness.report.results import Run, load
from tests.browser.runs import two_runs

ROOT = Path(__file__).resolve().parents[3]

LOCAL_ONLY = """
import runpy, socket, sys
def watch(event, args):
    if event in ("socket.connect", "socket.getaddrinfo", "socket.sendto"):
        place = str(args[1] if event == "socket.connect" else args[0])
        if not any(name in place for name in ("127.0.0.1", "localhost", "/", "::1")):
            sys.stderr.write(f"REACHED OUT: {event} {place}\\n")
sys.addaudithook(watch)
sys.argv[0] = "tcm-eval"
runpy.run_module("harness.cli", run_name="__main__")
"""


FULL = """
import resource, signal
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (%d, resource.RLIM_INFINITY))
"""
"""No file may become larger than so many bytes: to a writer the disk is full then."""


def exported(to: str, results: Path, folder: Path, prefix: str = "") -> subprocess.CompletedProcess[str]:
    home = folder.parent / "home"
    home.mkdir(exist_ok=True)
    env = {k: v for k, v in os.environ.items() if not k.startswith(("WANDB", "MLFLOW"))}
    env |= {"HOME": str(home), "PYTHONPATH": str(ROOT), "WANDB_BASE_URL": "http://127.0.0.1:9"}
    command = [sys.executable, "-c", prefix + LOCAL_ONLY, "export", str(results), "--to", to, "--output", str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, env=env, cwd=home)
    assert "REACHED OUT" not in done.stderr and "Traceback" not in done.stderr, done.stderr
    assert list(home.iterdir()) == [], "nothing is left in the user's home or where the command was given"
    return done


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return two_runs(tmp_path_factory.mktemp("two"))


def by_name(results: Path) -> dict[str, Run]:
    return {("Mallory" if "Mallory" in run.name else run.name): run for run in load(results)[0]}


# ------------------------------------------------------------------ Weights & Biases


def records(path: Path) -> Iterator[Any]:
    """Yield the records of a `.wandb` file: W&B's own messages in a log of blocks of 32 KiB."""
    from wandb.proto import wandb_internal_pb2

    data, at, whole = path.read_bytes(), 7, b""
    while at < len(data):
        if 32768 - at % 32768 < 7:
            at += 32768 - at % 32768
            continue
        _, length, kind = struct.unpack("<IHB", data[at : at + 7])
        whole += data[at + 7 : at + 7 + length]
        at += 7 + length
        if kind in (1, 4):
            yield wandb_internal_pb2.Record.FromString(whole)
            whole = b""


def values(updates: Any) -> dict[str, Any]:
    return {one.key or "/".join(one.nested_key): json.loads(one.value_json) for one in updates}


def test_wandb_finds_the_run_its_numbers_tables_and_files(results: Path, tmp_path: Path) -> None:
    pytest.importorskip("wandb")
    done = exported("wandb", results, tmp_path / "out")
    folders = [Path(line) for line in done.stdout.split("\n") if line]
    assert done.returncode == 0 and len(folders) == 2
    for folder in folders:
        (log,) = folder.glob("*.wandb")
        found = list(records(log))
        assert found[-1].WhichOneof("record_type") == "exit"
        told = next(r.run for r in found if r.WhichOneof("record_type") == "run")
        run = by_name(results)["Mallory" if "Mallory" in told.display_name else told.display_name]
        assert not set("\x1b\u202e").intersection(told.display_name)
        config = values(told.config.update)
        assert config["subject"]["identity"] == run.summary["subject"]["identity"]
        assert config["selection"] == run.manifest["selection"] and not {"task_paths", "data_root"} & set(config)
        summary = {k: v for r in found if r.HasField("summary") for k, v in values(r.summary.update).items()}
        for task, metrics in run.summary["tasks"].items():
            for metric, row in metrics.items():
                assert summary[f"{task}/{metric}"] == row["mean"] and summary[f"{task}/{metric}/se"] == row["se"]
        (table,) = (folder / "files" / "media" / "table").glob("disciplines_*.json")
        rows = json.loads(table.read_text("utf-8"))
        where, what = rows["columns"].index("discipline"), rows["columns"].index("mean")
        shown = {(row[where], row[rows["columns"].index("metric")]): row[what] for row in rows["data"]}
        assert shown == {(d, m): row["mean"] for d, of in run.summary["disciplines"].items() for m, row in of.items()}
        artifact = next(r.artifact for r in found if r.HasField("artifact") and r.artifact.type == "evaluation")
        kept = {entry.path: Path(entry.local_path) for entry in artifact.manifest.contents}
        assert set(kept) == {"manifest.json", "summary.json", "scores.jsonl", "records.jsonl"}
        assert kept["records.jsonl"].read_bytes() == (run.folder / "records.jsonl").read_bytes()
        assert b"data_root" not in kept["manifest.json"].read_bytes()
        assert all(path.is_relative_to(tmp_path / "out") for path in kept.values())


def test_wandb_itself_would_upload_these_runs_and_the_same_export_adds_none(results: Path, tmp_path: Path) -> None:
    pytest.importorskip("wandb")
    first = exported("wandb", results, tmp_path / "out")
    again = exported("wandb", results, tmp_path / "out")
    assert first.returncode == again.returncode == 0 and first.stdout == again.stdout
    runs = first.stdout.split()
    env = {**os.environ, "HOME": str(tmp_path), "WANDB_BASE_URL": "http://127.0.0.1:9", "WANDB_MODE": "offline"}
    asked = subprocess.run(
        [sys.executable, "-m", "wandb", "sync", "--dry-run", *runs], capture_output=True, text=True, env=env
    )
    assert asked.returncode == 0 and all(Path(run).name in asked.stdout + asked.stderr for run in runs)
    log = next(Path(runs[0]).glob("*.wandb"))
    seen = subprocess.run(
        [sys.executable, "-m", "wandb", "leet", "inspect", "--summary", str(log)],
        capture_output=True,
        text=True,
        env=env,
    )
    assert "finished (exit code 0)" in seen.stdout and "own/choice/accuracy" in seen.stdout


def test_a_full_disk_that_wandb_says_nothing_of_leaves_no_half_run(results: Path, tmp_path: Path) -> None:
    """Its own process writes the run, and ends well even when it could not; only the end of the file tells."""
    pytest.importorskip("wandb")
    limited = "import harness.report.export.wandb_run as w\nw.PATIENCE, log = 2.0, w._log\ndef limit(*given):"
    limited += (FULL % 8_000).replace("\n", "\n    ") + "log(*given)\nw._log = limit\n"
    done = exported("wandb", by_name(results)["良医 7B"].folder, tmp_path / "out", limited)
    assert done.returncode == 3 and "could not write the run to its end" in done.stderr
    assert not (tmp_path / "out").exists()


def test_a_disk_that_is_full_for_the_second_run_keeps_the_first_whole(results: Path, tmp_path: Path) -> None:
    pytest.importorskip("wandb")
    done = exported("wandb", results, tmp_path / "out", FULL % 1_000_000)
    assert done.returncode == 3 and "cannot write the export" in done.stderr
    (first,) = (tmp_path / "out").iterdir()
    assert (first / "complete").exists() and "7B" in first.name
    again = exported("wandb", results, tmp_path / "out")
    assert again.returncode == 0 and len(again.stdout.split()) == 2


# ------------------------------------------------------------------ MLflow

READ = """
import json, sys, warnings
warnings.simplefilter("ignore")
import mlflow, logging
logging.getLogger("mlflow").setLevel("ERROR")
client = mlflow.MlflowClient(tracking_uri="sqlite:///" + sys.argv[1])
experiment = client.get_experiment_by_name("tcm-eval")
found = []
for run in client.search_runs([experiment.experiment_id]):
    files = [f.path for f in client.list_artifacts(run.info.run_id)] + [f.path for f in client.list_artifacts(run.info.run_id, "run")]
    table = json.load(open(client.download_artifacts(run.info.run_id, "disciplines.json")))
    found.append(dict(name=run.info.run_name, status=run.info.status, metrics=run.data.metrics, params=run.data.params,
                      tags=run.data.tags, files=files, table=table))
print(json.dumps(found))
"""


def mlflow_runs(database: Path) -> list[dict[str, Any]]:
    env = {**os.environ, "MLFLOW_DISABLE_TELEMETRY": "true"}
    read = subprocess.run([sys.executable, "-c", READ, str(database)], capture_output=True, text=True, env=env)
    assert read.returncode == 0, read.stderr
    loaded: list[dict[str, Any]] = json.loads(read.stdout)
    return loaded


def test_mlflow_finds_whole_runs_only_with_their_numbers_tables_and_files(results: Path, tmp_path: Path) -> None:
    pytest.importorskip("mlflow")
    out = tmp_path / "out"
    done = exported("mlflow", results, out, FULL % 2_500_000)
    assert done.returncode == 3 and "cannot write the export" in done.stderr
    with contextlib.closing(sqlite3.connect(out / "mlflow.db")) as store:
        kept = store.execute("select name, status from runs where lifecycle_stage = 'active'").fetchall()
    assert kept == [("良医 7B", "FINISHED")], "the run before the full disk is whole"
    assert len(list((out / "mlartifacts").iterdir())) == 1
    done = exported("mlflow", results, out)
    assert done.returncode == 0 and done.stdout.split() == [str(out / "mlflow.db"), str(out / "mlartifacts")]
    found = mlflow_runs(out / "mlflow.db")
    assert len(found) == 2, "the run that was there is not added again"
    assert all(one["status"] == "FINISHED" for one in found)
    for one in found:
        assert not set("\x1b\u202e").intersection(one["name"])
        run = by_name(results)["Mallory" if "Mallory" in one["name"] else one["name"]]
        for task, metrics in run.summary["tasks"].items():
            for metric, row in metrics.items():
                assert one["metrics"][f"{task}/{metric}"] == row["mean"]
                assert one["metrics"][f"{task}/{metric}/se"] == row["se"]
        params = one["params"]
        assert params["subject.identity.provider"] == "replay" and not any("data_root" in name for name in params)
        assert set(one["files"]) >= {"estimates.json", "disciplines.json", "run/records.jsonl", "run/manifest.json"}
        assert len(one["table"]["data"]) == sum(len(of) for of in run.summary["disciplines"].values())


def test_a_disk_that_is_full_for_a_new_store_leaves_none(results: Path, tmp_path: Path) -> None:
    pytest.importorskip("mlflow")
    done = exported("mlflow", results, tmp_path / "out", FULL % 300_000)
    assert done.returncode == 3 and "cannot write the export" in done.stderr
    assert not (tmp_path / "out").exists()
