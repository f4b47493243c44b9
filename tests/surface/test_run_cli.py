"""`tcm-eval run` and `score`: what they print, how they end, and what is left when something breaks."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.support.chat_server import Reply, said, serving
from tests.support.sides import Call
from tests.support.small_runs import RUN

ROOT = Path(__file__).resolve().parents[2]
SERVED = ("run", "--model", "server/mock", "--tasks", "own")


def test_a_run_prints_a_table_and_its_folder_and_json_as_the_last_line(
    tcm_eval: Call, suite: Path, tmp_path: Path
) -> None:
    and_another = ("--model", "echo/first", "--json")
    code, out, err = tcm_eval(*RUN, *and_another, "--task-path", suite, "--output", tmp_path / "r")
    assert code == 0
    assert "own/choice  accuracy" in out and "by chance" in out and "95% interval" in out
    assert "30 questions in 1 task" in err
    *_, first, second = out.strip().splitlines()
    runs = [json.loads(line) for line in (first, second)]
    assert [r["summary"]["subject"]["name"] for r in runs] == ["guess", "echo/first"]
    for one in runs:
        assert (Path(one["run"]) / "summary.json").is_file() and one["summary"]["schema"] == 1
    code, out, err = tcm_eval("leaderboard", "--output", tmp_path / "r", "--format", "markdown")
    assert code == 0 and "| 1. " in out and "PUBLISHED" not in out, "nobody published numbers of this suite"


def test_quiet_prints_nothing(tcm_eval: Call, suite: Path, tmp_path: Path) -> None:
    assert tcm_eval(*RUN, "--task-path", suite, "--output", tmp_path, "--quiet") == (0, "", "")


def test_scoring_again_gives_the_same_summary(tcm_eval: Call, suite: Path, tmp_path: Path) -> None:
    _, out, _ = tcm_eval(*RUN, "--task-path", suite, "--output", tmp_path, "--json", "--quiet")
    first = json.loads(out)
    code, out, _ = tcm_eval("score", first["run"], "--json")
    assert code == 0 and json.loads(out) == first


@pytest.mark.parametrize(("status", "message"), [(401, "it wants a key, and none was sent"), (404, "no model 'mock'")])
def test_a_refused_key_and_an_unknown_model_stop_the_run(
    tcm_eval: Call, suite: Path, tmp_path: Path, status: int, message: str
) -> None:
    with serving(lambda _s, _n: Reply(status, {"error": {"message": "no"}})) as server:
        code, _, err = tcm_eval(*SERVED, "--base-url", server.url, "--task-path", suite, "--output", tmp_path)
    assert code == 3 and message in err and len(server.posts()) <= 64


def test_some_failed_calls_make_the_run_incomplete_and_the_next_one_whole(
    tcm_eval: Call, suite: Path, tmp_path: Path
) -> None:
    broken = {"on": True}

    def answer(seen: object, _n: int) -> Reply:
        asked = str(getattr(seen, "body", {})["messages"])
        return (
            Reply(400, {"error": {"message": "never this one"}})
            if broken["on"] and "第2题" in asked
            else said("答案：A")
        )

    with serving(answer) as server:
        command = (*SERVED, "--base-url", server.url, "--task-path", suite, "--output", tmp_path)
        code, out, _ = tcm_eval(*command)
        assert code == 3 and "INCOMPLETE: " in out and "29 ok, 1 failed" in out
        before, broken["on"] = len(server.posts()), False
        code, out, _ = tcm_eval(*command)
        assert code == 0 and len(server.posts()) == before + 1, "only the failed one is asked again"


def test_a_results_folder_that_cannot_be_written_is_one_message(tcm_eval: Call, suite: Path, tmp_path: Path) -> None:
    (tmp_path / "r").write_text("a file is in the way")
    code, _, err = tcm_eval(*RUN, "--task-path", suite, "--output", tmp_path / "r")
    assert code == 2 and "is a file. Name a folder" in err
    (tmp_path / "d").mkdir()
    (tmp_path / "d" / "runs").write_text("here too")
    code, _, err = tcm_eval(*RUN, "--task-path", suite, "--output", tmp_path / "d")
    assert code == 3 and "cannot write" in err


def test_a_run_without_its_records_is_not_scored_to_nothing(tcm_eval: Call, suite: Path, tmp_path: Path) -> None:
    tcm_eval(*RUN, "--task-path", suite, "--output", tmp_path / "r")
    [records] = (tmp_path / "r").glob("runs/*/records.jsonl")
    before = (records.parent / "summary.json").read_bytes()
    records.unlink()
    code, _, err = tcm_eval("score", records.parent)
    assert code == 3 and "records.jsonl" in err and (records.parent / "summary.json").read_bytes() == before


def test_a_second_writer_is_turned_away(tcm_eval: Call, suite: Path, tmp_path: Path) -> None:
    from harness.store import Writer

    tcm_eval(*RUN, "--task-path", suite, "--output", tmp_path / "r")
    [records] = (tmp_path / "r").glob("runs/*/records.jsonl")
    with Writer(records):
        code, _, err = tcm_eval(*RUN, "--task-path", suite, "--output", tmp_path / "r")
    assert code == 2 and "is being written by another tcm-eval" in err


def test_ctrl_c_keeps_everything_and_says_so(suite: Path, tmp_path: Path) -> None:
    with serving(lambda _s, _n: Reply(200, said("答案：A").body, delay=0.05)) as server:
        command = [sys.executable, "-m", "harness.cli", *SERVED, "--base-url", server.url, "--concurrency", "1"]
        command += ["--task-path", str(suite), "--output", str(tmp_path / "r")]
        process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, cwd=ROOT, env={**os.environ})
        deadline = time.monotonic() + 60
        while len(server.posts()) < 4 and time.monotonic() < deadline:
            time.sleep(0.01)
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=30)
    assert process.returncode == 130 and "interrupted. All answers so far are kept" in err and "Traceback" not in err
    [records] = (tmp_path / "r").glob("runs/*/records.jsonl")
    assert records.read_bytes().count(b"\n") >= 3


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (("sample,text\nq0," + "药" * 200_000 + "\n").encode(), "field larger than"),
        ("sample,text\nq0,选甲\n".encode("gbk"), "malformed row"),
    ],
)
def test_answers_collected_elsewhere_that_cannot_be_read_are_one_message(
    tcm_eval: Call, suite: Path, tmp_path: Path, data: bytes, said: str
) -> None:
    (tmp_path / "a.csv").write_bytes(data)
    asked = ("run", "--model", f"replay/{tmp_path / 'a.csv'}", "--tasks", "own", "--task-path", suite)
    code, _, err = tcm_eval(*asked, "--output", tmp_path / "r")
    assert code == 2 and said in err and "JSON lines in UTF-8" in err
