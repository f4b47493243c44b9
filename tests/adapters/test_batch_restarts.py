"""`--batch` after faults and kills: what went out is found again, and nothing is paid for twice."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from harness.batch import parts
from harness.batch.notes import NOTES
from harness.store import read
from tests.adapters.batching import Call, both, command, folder_of, outcomes
from tests.adapters.batching import quick_batches as quick_batches
from tests.conftest import TASK, make_suite
from tests.support.batch_server import Batch, BatchServer, serving_batches
from tests.support.chat_server import Reply

pytestmark = pytest.mark.usefixtures("quick_batches")


@both
def test_results_that_break_off_are_fetched_once_more(
    provider: str, suite: Path, tmp_path: Path, tcm_eval: Call
) -> None:
    with serving_batches(provider, break_results=1) as server:
        code, _, err = tcm_eval(*command(server, suite, tmp_path / "r", "--batch"))
        assert code == 0 and "broke off" in err and len(server.batches) == 1


@both
def test_a_submission_whose_answer_was_lost_is_found_and_not_made_again(
    provider: str, suite: Path, tmp_path: Path, tcm_eval: Call
) -> None:
    with serving_batches(provider, after_create=lambda _b, _h: False, looks_until_done=0) as server:
        code, _, err = tcm_eval(*command(server, suite, tmp_path / "r", "--batch"))
        assert code == 0, err
        assert len(server.batches) == 1 and "looking for it" in err
    assert len(outcomes(tmp_path / "r")) == 30


def test_a_submission_that_never_arrived_is_made_again(suite: Path, tmp_path: Path, tcm_eval: Call) -> None:
    faults = iter([Reply(503, {"error": {"message": "unavailable"}}), None])
    with serving_batches("openai", before_create=lambda: next(faults)) as server:
        code, _, err = tcm_eval(*command(server, suite, tmp_path / "r", "--batch"))
        assert code == 0 and len(server.batches) == 1, err


def test_a_submission_that_is_refused_stops_the_run_and_leaves_nothing_open(
    suite: Path, tmp_path: Path, tcm_eval: Call
) -> None:
    broke = Reply(429, {"error": {"message": "You exceeded your current quota", "code": "insufficient_quota"}})
    with serving_batches("openai", before_create=lambda: broke) as server:
        code, _, err = tcm_eval(*command(server, suite, tmp_path / "r", "--batch"))
        assert code == 3 and "no credit left" in err
        server.before_create = lambda: None
        assert tcm_eval(*command(server, suite, tmp_path / "r"))[0] == 0, (
            "nothing is out, so it may be asked one by one"
        )


def started(server: BatchServer, suite: Path, output: Path) -> subprocess.Popen[str]:
    """Start the command in a process of its own."""
    words = [sys.executable, "-m", "harness.cli", *map(str, command(server, suite, output, "--batch"))]
    return subprocess.Popen(words, env=dict(os.environ), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def wait_until(true: Callable[[], Any]) -> None:
    end = time.monotonic() + 60
    while not true():
        assert time.monotonic() < end, "it did not come to that in a minute"
        time.sleep(0.02)


def killed(process: subprocess.Popen[str]) -> None:
    process.send_signal(signal.SIGKILL)
    process.communicate()


@both
def test_killed_while_waiting_the_same_command_collects_the_same_batch(
    provider: str, suite: Path, tmp_path: Path, tcm_eval: Call
) -> None:
    with serving_batches(provider, looks_until_done=10_000) as server:
        process = started(server, suite, tmp_path / "r")
        wait_until(lambda: any(batch.looks for batch in server.batches.values()))
        killed(process)
        [part] = parts(folder_of(tmp_path / "r"))
        assert part.batch == "batch_0" and not part.closed
        code, _, err = tcm_eval(*command(server, suite, tmp_path / "r"))
        assert code == 2 and "29 questions of this run are in 1 batches at the provider" in err, (
            "not one by one, meanwhile"
        )
        code, _, err = tcm_eval(*command(server, suite, tmp_path / "r", "--batch", "--fresh"))
        assert code == 2 and "without --fresh" in err
        server.looks_until_done = 0
        assert tcm_eval(*command(server, suite, tmp_path / "r", "--batch"))[0] == 0
        assert len(server.batches) == 1 and len(server.live) == 1, "nothing was asked or submitted again"
    assert len(outcomes(tmp_path / "r")) == 30


@both
def test_killed_between_the_submission_and_the_note_the_orphan_is_found(
    provider: str, suite: Path, tmp_path: Path, tcm_eval: Call
) -> None:
    """The server has made the batch and does not answer: then the process dies, knowing nothing of it."""
    made: list[Batch] = []

    def silent(batch: Batch, _: object) -> bool:
        made.append(batch)
        time.sleep(3)
        return False

    with serving_batches(provider, after_create=silent, looks_until_done=0) as server:
        stranger = Batch(
            "batch_other",
            [{"custom_id": f"else-{n}", "params": {"messages": [{"content": "x"}]}} for n in range(29)],
            time.time(),
            {},
        )
        if provider == "anthropic":
            server.batches["batch_other"] = stranger
        process = started(server, suite, tmp_path / "r")
        wait_until(lambda: made)
        killed(process)
        [part] = parts(folder_of(tmp_path / "r"))
        assert part.batch is None and not part.closed
        code, _, err = tcm_eval(*command(server, suite, tmp_path / "r", "--batch"))
        assert code == 0 and f"found batch {made[0].id} again" in err
        assert len(made) == 1 and len(server.live) == 1
    assert len(outcomes(tmp_path / "r")) == 30


@both
def test_killed_in_the_middle_of_collecting_the_rest_is_collected_and_the_tokens_are_all_counted(
    provider: str, tmp_path: Path, tcm_eval: Call
) -> None:
    suite = make_suite(tmp_path / "own", 40, TASK)
    with serving_batches(provider, looks_until_done=0) as server:
        output = tmp_path / "r"
        assert tcm_eval(*command(server, suite, output, "--batch", "--quiet"))[0] == 0
        folder = folder_of(output)
        whole = (folder / "summary.json").read_bytes()
        lines = (folder / "records.jsonl").read_bytes().splitlines(keepends=True)
        (folder / "records.jsonl").write_bytes(b"".join(lines[:11]) + lines[11][:20])  # as kill -9 leaves it
        notes = (folder / NOTES).read_bytes().splitlines(keepends=True)
        (folder / NOTES).write_bytes(b"".join(notes[:2]))
        tag = json.loads(notes[0])["tag"]
        requests = server.batches["batch_0"].requests
        (folder / "batches" / f"{tag}.jsonl").write_text("".join(json.dumps(r) + "\n" for r in requests), "utf-8")
        (folder / "summary.json").unlink()
        assert tcm_eval(*command(server, suite, output, "--batch", "--quiet"))[0] == 0
        assert len(server.batches) == 1 and len(server.live) == 1
    again, first = json.loads((folder / "summary.json").read_bytes()), json.loads(whole)
    assert again["usage"]["batch_tokens_in"] == first["usage"]["batch_tokens_in"] == 29 * 7
    assert again["tasks"] == first["tasks"]
    assert len(list(read(folder / "records.jsonl"))) == 30


def test_a_batch_that_is_gone_is_an_error_that_says_what_to_do(suite: Path, tmp_path: Path, tcm_eval: Call) -> None:
    with serving_batches("openai", looks_until_done=10_000) as server:
        process = started(server, suite, tmp_path / "r")
        wait_until(lambda: any(batch.looks for batch in server.batches.values()))
        killed(process)
        server.batches.clear()
        code, _, err = tcm_eval(*command(server, suite, tmp_path / "r", "--batch"))
        assert code == 3 and f"delete {folder_of(tmp_path / 'r') / NOTES}, and its questions are asked anew" in err
        assert "does not know batch batch_0 (HTTP 404: no such batch)" in err
        (folder_of(tmp_path / "r") / NOTES).unlink()
        server.looks_until_done = 0
        assert tcm_eval(*command(server, suite, tmp_path / "r", "--batch"))[0] == 0
