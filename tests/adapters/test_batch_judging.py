"""Judges asked through a provider's batch interface: the marks of judges asked one by one, at half the price, also after a kill."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from harness.batch import parts
from harness.store import read
from harness.types import Failure, Response
from harness.verdicts import FILE, batch_places
from tests.adapters.batching import Call, both
from tests.adapters.batching import quick_batches as quick_batches
from tests.adapters.test_batch_restarts import killed, wait_until
from tests.support.batch_server import BatchServer, serving_batches
from tests.support.chat_server import Reply, Seen, said
from tests.support.judged import answered, values
from tests.support.judges import EXAMPLE, by_words, sheet
from tests.support.protocols import said_by_anthropic

pytestmark = pytest.mark.usefixtures("quick_batches")

SHARES = {"d0": 1.0, "d1": 0.5, "d2": 0.25, "d3": 0.0, "d4": 0.25, "d5": 0.75}


def command(server: BatchServer, folder: Path, *more: object) -> tuple[object, ...]:
    judge = ("--judge", f"{server.provider}/mock", "--base-url", server.base, "--key-env", "PLANTED_KEY")
    return ("judge", folder, *judge, *more)


def marking(provider: str, unreadable: str = "") -> Any:
    """A judge that marks by words. To the answer `unreadable` it says nothing of use until it is reminded."""

    def fate(_name: str, text: str) -> Reply:
        if "开始>>>" not in text:  # the reminder, which shows the form alone
            form = json.loads(EXAMPLE.findall(text)[-1])
            marks = [{**one, "reason": "理由", "mark": 0} for one in form["criteria"]]
            reply = json.dumps({**form, "criteria": marks, "meaning": 0, "reason": "总评"}, ensure_ascii=False)
        else:
            page = sheet(Seen("", {}, {"messages": [{"role": "user", "content": text}]}))
            reply = "我不知道" if page.answer == unreadable else by_words(page)
        return said_by_anthropic(reply) if provider == "anthropic" else said(reply)

    return fate


def replies(folder: Path) -> list[Response]:
    return [one.outcome for one in read(folder / FILE) if isinstance(one.outcome, Response)]


@both
def test_a_batch_gives_the_marks_of_a_judge_asked_one_by_one(provider: str, tmp_path: Path, tcm_eval: Call) -> None:
    live, batched = answered(tmp_path / "live"), answered(tmp_path / "batch")
    with serving_batches(provider, marking(provider)) as server:
        assert tcm_eval(*command(server, live.folder))[0] == 0
        code, out, err = tcm_eval(*command(server, batched.folder, "--batch", "--price", "1,10", "--json"))
        assert code == 0, err
        assert len(server.live) == 6 + 1 and len(server.paid) == 5, "the first is asked alone"
        assert "submitted batch batch_0: 5 questions at half the price" in err
    assert values(batched.folder, "judge_rubric") == values(live.folder, "judge_rubric") == SHARES
    assert values(batched.folder, "judge_semantic") == values(live.folder, "judge_semantic")
    assert "at half the price: 35 tokens in and" in " ".join(out.split())
    judging = json.loads(out.splitlines()[-1])["summary"]["judging"]
    [used] = [one["usage"] for one in judging["judges"]]
    one = (7 * 1 + (3 if provider == "openai" else 5) * 10) / 1e6
    assert used["calls"] == 6 and used["batch_tokens_in"] == 5 * 7 and used["cost"] == pytest.approx(one + 5 * one / 2)


def test_failures_cannot_stop_a_batch_of_a_judge_and_the_two_are_refused_together(
    tmp_path: Path, tcm_eval: Call
) -> None:
    done = answered(tmp_path)
    with serving_batches("openai", marking("openai")) as server:
        for more in ((), ("--dry-run",)):
            code, _, err = tcm_eval(*command(server, done.folder, "--batch", "--max-failures", "0.1", *more))
            assert code == 2 and "--max-failures does not go with --batch" in err and not server.headers


def test_reminders_are_a_round_of_their_own(tmp_path: Path, tcm_eval: Call) -> None:
    done = answered(tmp_path)
    with serving_batches("openai", marking("openai", "感冒")) as server:
        assert tcm_eval(*command(server, done.folder, "--batch"))[0] == 0
        assert len(server.live) == 2 and len(server.paid) == 5, "a single reminder is not worth a batch"
        assert tcm_eval(*command(server, done.folder, "--batch"))[0] == 0
        assert len(server.live) == 2 and len(server.batches) == 1, "nothing is asked again"
    assert values(done.folder, "judge_rubric") == {**SHARES, "d2": 0.0}
    assert [one.turn for one in read(done.folder / FILE)].count(1) == 1


def test_many_reminders_go_out_as_a_batch_and_replies_that_stay_unread_are_counted(
    tmp_path: Path, tcm_eval: Call
) -> None:
    def fate(name: str, text: str) -> Reply:
        if "感冒" in text and "开始>>>" in text and name != "live":
            return said("不会")
        return marking("openai")(name, text) if "开始>>>" in text else said("还是不会")

    done = answered(tmp_path)
    with serving_batches("openai", fate) as server:
        code, out, _ = tcm_eval(*command(server, done.folder, "--batch", "--json"))
        asked_twice = len(server.live) + len(server.paid) - 6
    [one] = json.loads(out.splitlines()[-1])["summary"]["judging"]["judges"]
    assert code == 3 and one["unread"] == one["reminded"] == asked_twice > 2 and len(server.batches) == 2
    assert one["verdicts"] == 6 - asked_twice and one["missing"] == 0


@both
def test_killed_while_waiting_the_same_command_collects_what_was_paid_for(
    provider: str, tmp_path: Path, tcm_eval: Call
) -> None:
    done = answered(tmp_path)
    with serving_batches(provider, marking(provider), looks_until_done=10_000) as server:
        words = [sys.executable, "-m", "harness.cli", *map(str, command(server, done.folder, "--batch"))]
        process = subprocess.Popen(
            words, env=dict(os.environ), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        wait_until(lambda: any(batch.looks for batch in server.batches.values()))
        killed(process)
        [place] = batch_places(done.folder)
        [part] = parts(place)
        assert part.batch == "batch_0" and not part.closed and len(replies(done.folder)) == 1
        for more, cure in (((), "--batch"), (("--batch", "--fresh"), "without --fresh")):
            code, _, err = tcm_eval(*command(server, done.folder, *more))
            assert code == 2 and "5 questions of this run are in 1 batch" in err and cure in err
        server.looks_until_done = 0
        assert tcm_eval(*command(server, done.folder, "--batch"))[0] == 0
        assert len(server.batches) == 1 and len(server.live) == 1, "nothing was asked or submitted again"
    assert values(done.folder, "judge_rubric") == SHARES
    assert sum(one.batched for one in replies(done.folder)) == 5


def test_other_words_wait_until_what_is_out_is_collected(tmp_path: Path, tcm_eval: Call) -> None:
    done = answered(tmp_path)
    with serving_batches("openai", marking("openai"), ends="in_progress", looks_until_done=10_000) as server:
        words = [sys.executable, "-m", "harness.cli", *map(str, command(server, done.folder, "--batch"))]
        process = subprocess.Popen(
            words, env=dict(os.environ), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        wait_until(lambda: any(batch.looks for batch in server.batches.values()))
        killed(process)
        code, _, err = tcm_eval(*command(server, done.folder, "--batch", "--max-tokens", 99))
        assert code == 2 and "Collect them first: the same command as then, with --batch" in err
        code, _, err = tcm_eval(
            *("run", "--model", f"replay/{tmp_path / 'answers.jsonl'}", "--tasks", "own"),
            *("--task-path", tmp_path / "own", "--output", tmp_path / "out", "--fresh"),
        )
        assert code == 2 and f"Collect them first: tcm-eval judge {done.folder} with --batch" in err
        assert len(server.live) == 1 and len(server.paid) == 5


def test_a_question_that_came_to_nothing_is_missing_and_asked_again(tmp_path: Path, tcm_eval: Call) -> None:
    def late(name: str, text: str) -> Reply | str:
        return "expired" if name != "live" and "银翘散，辛凉解表" in text else marking("openai")(name, text)

    done = answered(tmp_path)
    with serving_batches("openai", late) as server:
        code, out, _ = tcm_eval(*command(server, done.folder, "--batch", "--json"))
        [one] = json.loads(out.splitlines()[-1])["summary"]["judging"]["judges"]
        assert code == 3 and one["missing"] > 0
        failed = [r.outcome.kind for r in read(done.folder / FILE) if isinstance(r.outcome, Failure)]
        assert failed == ["timeout"] * one["missing"]
        server.fate = marking("openai")
        assert tcm_eval(*command(server, done.folder, "--batch"))[0] == 0
    assert values(done.folder, "judge_rubric") == SHARES


def test_a_budget_counts_replies_at_what_they_were_bought_for(tmp_path: Path, tcm_eval: Call) -> None:
    def late(name: str, text: str) -> Reply | str:
        return "expired" if name != "live" and "│ 不清楚" in text else marking("openai")(name, text)

    done, priced = answered(tmp_path), ("--price", "1,10")
    with serving_batches("openai", late) as server:
        assert tcm_eval(*command(server, done.folder, "--batch", *priced))[0] == 3
        one = (7 * 1 + 3 * 10) / 1e6
        spent = f"{one + 4 * one / 2:.4g}"
        for way in ((), ("--batch",)):
            code, _, err = tcm_eval(*command(server, done.folder, *priced, "--max-cost", "0.0002", *way))
            assert code == 3 and "--max-cost 0.0002" in err and len(server.live) == 1
            assert way or f"(spent: {spent}, {spent} of it earlier)" in err


def test_the_estimate_of_a_batch_is_half(tmp_path: Path, tcm_eval: Call) -> None:
    done = answered(tmp_path)
    with serving_batches("openai", marking("openai")) as server:
        asked = command(server, done.folder, "--price", "10,100", "--dry-run")
        full = float(tcm_eval(*asked)[1].split("cost at most ")[1].split("\n")[0])
        half = tcm_eval(*asked, "--batch")[1]
        assert "at half the price but for the first question and the first reminder" in half and not server.headers
        most = float(half.split("cost at most ")[1].split(",")[0])
        assert full * (0.5 + 0.5 / 6) <= most < full * (0.5 + 0.6 / 6), "a sixth is asked alone"


def test_a_judge_without_a_batch_interface_is_refused_before_another_one_is_paid(
    tmp_path: Path, tcm_eval: Call
) -> None:
    done = answered(tmp_path)
    with serving_batches("openai", marking("openai")) as server:
        code, _, err = tcm_eval(*command(server, done.folder, "--judge", "guess", "--batch"))
        assert code == 2 and "has no batch interface here" in err and not server.headers
