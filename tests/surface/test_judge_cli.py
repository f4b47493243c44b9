"""`tcm-eval judge` from the command line: what it prints, how it ends, and that a killed one goes on."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from harness.store import read
from tests.support.chat_server import Reply, Seen, said, serving
from tests.support.judged import ANSWERS, TALK, answered, suite_of
from tests.support.judges import by_words, judging, sheet
from tests.support.sides import Call

GIF = {"media_type": "image/gif", "data": "R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAIBRAA7"}


def test_judging_prints_its_numbers_the_agreement_and_what_the_judges_took(tcm_eval: Call, tmp_path: Path) -> None:
    done = answered(tmp_path)
    with serving(judging(by_words), ["j1", "j2"]) as server:
        named = ("--judge", "server/j1", "--judge", "server/j2", "--base-url", server.url)
        code, out, err = tcm_eval("judge", done.folder, *named, "--price", "1,2", "--json")
        assert code == 0 and len(server.posts()) == 12
    assert "server/j1 judges replay/" in err and ": 6 questions in 1 task; 0 already answered" in err
    for text in (
        "Judged by 2",
        "own/talk  judge_rubric",
        "0.458",
        "alpha",
        "100 %",
        "server/j2",
        "tokens in",
        "missing",
    ):
        assert text in out
    summary = json.loads(out.splitlines()[-1])["summary"]
    assert summary["tasks"]["own/talk"]["judge_rubric"]["n"] == 6
    code, out, _ = tcm_eval("leaderboard", "--output", tmp_path / "out", "--metric", "judge_rubric", "--no-published")
    assert code == 0 and "talk judge_rubric" in out and "0.458" in out
    code, out, _ = tcm_eval("score", done.folder, "--json")
    assert code == 0 and json.loads(out)["summary"] == summary


def test_the_exit_codes(tcm_eval: Call, tmp_path: Path) -> None:
    done = answered(tmp_path)

    def sulking(seen: Seen, _number: int) -> Reply:
        page = sheet(seen)
        return Reply(400, {"error": {"message": "no"}}) if "第2例" in page.blocks["题目"] else said(by_words(page))

    with serving(sulking) as server:
        asking = ("--judge", "server/j1", "--base-url", server.url, "--quiet")
        code, out, err = tcm_eval("judge", done.folder, *asking)
        assert (code, out) == (3, "") and "1 call failed (bad_request): HTTP 400: no" in err, "a quiet one says why"
        assert tcm_eval("judge", tmp_path, *asking)[0] == 2
        assert tcm_eval("judge", done.folder, "--judge", "server/j1", "--judge", "server/j1", *asking[2:])[0] == 2
        assert tcm_eval("judge", done.folder, "--judge", "nobody")[0] == 2
        code, out, _ = tcm_eval("judge", done.folder, *asking[:-1], "--dry-run")
        assert code == 0 and "6 answers to judge" in out
        stopped = tcm_eval("judge", done.folder, *asking, "--fresh", "--max-total-tokens", 1)
        assert stopped[0] == 3 and "stopped" in stopped[2], "a quiet one says why it stopped too"
    code, _, err = tcm_eval("judge", done.folder, *asking)
    assert code == 3 and "cannot be reached" in err, "the server is gone"
    with serving(judging(by_words)) as server:
        assert tcm_eval("judge", done.folder, "--judge", "server/j1", "--base-url", server.url, "--quiet")[0] == 0


def test_an_estimate_asks_nobody_and_needs_no_key(
    tcm_eval: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    done = answered(tmp_path)
    code, out, err = tcm_eval("judge", done.folder, "--judge", "gpt-5", "--dry-run")
    assert code == 0 and "6 answers to judge" in out, err
    code, _, err = tcm_eval("judge", done.folder, "--judge", "gpt-5")
    assert code == 2 and "OPENAI_API_KEY" in err


def test_runs_judged_in_other_ways_are_not_compared(tcm_eval: Call, tmp_path: Path) -> None:
    runs = []
    for name in ("a", "b"):
        suite = tmp_path / "own" if runs else suite_of(tmp_path / "own")
        (tmp_path / name).mkdir()
        runs.append(answered(tmp_path / name, ANSWERS if name == "a" else ANSWERS[::-1], suite=suite))
    with serving(judging(by_words), ["j1", "j2"]) as server:
        asking = ("--base-url", server.url, "--quiet")
        assert tcm_eval("judge", runs[0].folder, "--judge", "server/j1", *asking)[0] == 0
        assert tcm_eval("judge", runs[1].folder, "--judge", "server/j1", *asking)[0] == 0
        code, out, _ = tcm_eval("compare", runs[0].folder, runs[1].folder)
        assert code == 0 and "judge_rubric" in out
        assert tcm_eval("judge", runs[1].folder, "--judge", "server/j2", *asking)[0] == 0
    code, _, err = tcm_eval("compare", runs[0].folder, runs[1].folder)
    assert code == 2 and "server/j1#" in err and "server/j2#" in err
    gate = ("gate", "--baseline", runs[0].folder, "--candidate", runs[1].folder)
    code, _, err = tcm_eval(*gate)
    assert code == 2 and "server/j2#" in err


def test_a_judge_that_is_killed_goes_on_where_it_stopped(tmp_path: Path) -> None:
    texts = [f"第{i}个回答，感冒" for i in range(60)]
    done = answered(tmp_path, texts)

    def slowly(seen: Seen, _number: int) -> Reply:
        reply = said(by_words(sheet(seen)))
        reply.delay = 0.02
        return reply

    with serving(slowly) as server:
        command = [sys.executable, "-m", "harness.cli", "judge", str(done.folder), "--judge", "server/j1"]
        command += ["--base-url", server.url, "--quiet", "--concurrency", "3"]
        path, kept = done.folder / "judge.jsonl", 0
        for wanted in (15, 35):
            process = subprocess.Popen(command, env={**os.environ, "PYTHONWARNINGS": ""})
            deadline = time.monotonic() + 60
            while time.monotonic() < deadline and process.poll() is None:
                if path.exists() and path.read_bytes().count(b"\n") >= wanted:
                    break
                time.sleep(0.005)
            process.send_signal(signal.SIGKILL)
            process.wait()
            assert len(list(read(path))) >= max(wanted, kept)
            kept = len(list(read(path)))
        assert "judging" not in json.loads((done.folder / "manifest.json").read_text("utf-8")), "until it is done"
        subprocess.run(command, check=True)
        assert len(server.posts()) <= 60 + 2 * 3, "only what was in flight is asked again"
    records = list(read(path))
    assert len({record.sample for record in records}) == len(records) == 60
    summary = json.loads((done.folder / "summary.json").read_text("utf-8"))
    assert summary["complete"] and summary["tasks"]["own/talk"]["judge_rubric"]["n"] == 60


def test_a_second_judge_command_on_the_same_run_waits_for_the_first(tcm_eval: Call, tmp_path: Path) -> None:
    from harness.store import Writer

    done = answered(tmp_path)
    with serving(judging(by_words)) as server, Writer(done.folder / "judge.jsonl"):
        code, _, err = tcm_eval("judge", done.folder, "--judge", "server/j1", "--base-url", server.url)
    assert code == 2 and "is being written by another tcm-eval" in err


@pytest.mark.parametrize("option", ["--judge", "RUN"])
def test_a_command_without_a_judge_or_a_run_is_refused(tcm_eval: Call, tmp_path: Path, option: str) -> None:
    code, _, err = tcm_eval("judge", *([tmp_path] if option == "--judge" else ["--judge", "server/j1"]))
    assert code == 2 and option in err


def test_agreement_is_shown_for_several_judges_only_and_unread_replies_have_a_cure(
    tcm_eval: Call, tmp_path: Path
) -> None:
    done = answered(tmp_path)

    def prose(seen: Seen, number: int) -> Reply:
        return Reply(400, {"error": {"message": "no"}}) if number == 0 else said("满分")

    with serving(prose) as server:
        asking = ("--judge", "server/j1", "--base-url", server.url, "--concurrency", 1)
        code, out, _ = tcm_eval("judge", done.folder, *asking)
    told = " ".join(out.split())
    assert code == 3 and "alpha" not in out and "same mark" not in out
    assert "server/j1 0 5 5 0 1" in told, "verdicts, reminded, unread, refused, missing"
    assert "or the call failed (judge.jsonl says why)" in told and "asked for anew with --again" in told


def test_a_quiet_judge_says_which_verdicts_are_missing_and_nothing_when_none_is(tcm_eval: Call, tmp_path: Path) -> None:
    done = answered(tmp_path)
    cured = False

    def moody(seen: Seen, _number: int) -> Reply:
        page = sheet(seen)
        if not cured and "第0例" in page.blocks["题目"]:
            return said('{"check": "torn')
        return said("", "content_filter") if not cured and "第1例" in page.blocks["题目"] else said(by_words(page))

    with serving(moody) as server:
        asking = ("--judge", "server/j1", "--base-url", server.url, "--quiet")
        code, out, err = tcm_eval("judge", done.folder, *asking)
        assert (code, out) == (3, "")
        assert "server/j1: 1 answer: no reply that could be read: --again asks anew" in err
        assert "server/j1: 1 answer: refused" in err and "INCOMPLETE: " in err
        cured = True
        assert tcm_eval("judge", done.folder, *asking, "--fresh") == (0, "", "")


def test_pictures_that_a_judge_is_not_shown_are_counted_before_and_after(tcm_eval: Call, tmp_path: Path) -> None:
    suite = suite_of(
        tmp_path / "own", task=TALK.replace("rubric: rubric }", "rubric: rubric, fields: { images: images } }")
    )
    lines = (suite / "talk.jsonl").read_text("utf-8").splitlines()
    rows = [json.loads(line) | {"images": [GIF] if i < 2 else []} for i, line in enumerate(lines)]
    (suite / "talk.jsonl").write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), "utf-8")
    done = answered(tmp_path, suite=suite)
    told = "pictures are not shown to a judge: 2 answers to questions with some"
    with serving(judging(by_words)) as server:
        asking = ("judge", done.folder, "--judge", "server/j1", "--base-url", server.url)
        code, out, _ = tcm_eval(*asking, "--dry-run")
        assert code == 0 and told in out and not server.posts()
        code, _, err = tcm_eval(*asking)
        assert code == 0 and f"note: {told}" in err
        assert GIF["data"] not in str([seen.body for seen in server.posts()])


def test_an_estimate_of_a_batch_is_refused_for_a_model_that_has_none(tcm_eval: Call, tmp_path: Path) -> None:
    done = answered(tmp_path)
    at = ("--base-url", "http://127.0.0.1:9/v1", "--batch", "--dry-run")
    for words in (
        ("judge", done.folder, "--judge", "server/j1", *at),
        ("run", "--model", "server/j1", "--tasks", "own", "--task-path", tmp_path / "own", *at),
    ):
        code, out, err = tcm_eval(*words)
        assert code == 2 and "server/j1 has no batch interface here" in err and not out
