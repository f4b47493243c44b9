"""`--batch` with the providers' own SDKs against a local server: the same records, nothing paid for twice, whatever happens."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from harness.batch import PROVIDERS, collecting, parts
from harness.batch.notes import NOTES
from harness.registry import get_adapter
from harness.store import read
from harness.types import Failure, Response
from tests.conftest import TASK, make_suite
from tests.support.batch_server import Batch, BatchServer, fine, serving_batches
from tests.support.chat_server import Reply, said
from tests.support.protocols import said_by_anthropic

Call = Callable[..., tuple[int, str, str]]
KEY = "sk-planted-77aa"
both = pytest.mark.parametrize("provider", ["openai", "anthropic"])


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PLANTED_KEY", KEY)
    monkeypatch.setattr(collecting, "POLLS", (0.01, 0.02))
    monkeypatch.setattr(collecting, "SETTLED", 0.05)


def command(server: BatchServer, suite: Path, output: Path, *more: object) -> tuple[object, ...]:
    return (
        *("run", "--model", f"{server.provider}/mock", "--base-url", server.base, "--key-env", "PLANTED_KEY"),
        *("--tasks", "own", "--task-path", suite, "--output", output, *more),
    )


def folder_of(output: Path) -> Path:
    [folder] = [p for p in (output / "runs").iterdir() if ".old-" not in p.name]
    return folder


def outcomes(output: Path) -> dict[str, Response | Failure]:
    """The last outcome of each question."""
    return {record.sample: record.outcome for record in read(folder_of(output) / "records.jsonl")}


def without_times(output: Path) -> dict[tuple[str, str], Response | Failure]:
    return {
        (record.sample, record.key): replace(record.outcome, seconds=0.0)
        for record in read(folder_of(output) / "records.jsonl")
        if isinstance(record.outcome, Response)
    }


@pytest.mark.parametrize(
    ("provider", "settings"), [("openai", ()), ("openai", ("--model-arg", "api=responses")), ("anthropic", ())]
)
def test_a_batch_gives_the_very_records_of_a_run_one_by_one(
    provider: str, settings: tuple[str, ...], suite: Path, tmp_path: Path, tcm_eval: Call
) -> None:
    with serving_batches(provider) as server:
        code, _, err = tcm_eval(*command(server, suite, tmp_path / "batch", "--batch", *settings))
        assert code == 0, err
        assert len(server.paid) == 29 and len(server.live) == 1, "the first is asked alone"
        assert len(set(server.paid + server.live)) == 30
        assert tcm_eval(*command(server, suite, tmp_path / "live", *settings, "--quiet"))[0] == 0
        assert without_times(tmp_path / "batch") == without_times(tmp_path / "live") != {}
        bodies = {json.dumps(body, sort_keys=True) for body in server.bodies}
        assert len(bodies) == 30, "each question was asked in both ways with the very same body"
    assert "submitted batch batch_0: 29 questions at half the price" in err and "You may stop this at any time" in err
    assert not list((folder_of(tmp_path / "batch") / "batches").iterdir()), (
        "the requests are deleted when all is collected"
    )


@both
def test_the_key_stands_in_no_file_and_every_request_carries_it(
    provider: str, suite: Path, tmp_path: Path, tcm_eval: Call
) -> None:
    with serving_batches(provider) as server:
        code, out, err = tcm_eval(*command(server, suite, tmp_path / "r", "--batch"))
        assert code == 0
        assert all(KEY in str(headers) for headers in server.headers)
    written = b"".join(path.read_bytes() for path in (tmp_path / "r").rglob("*") if path.is_file())
    assert KEY.encode() not in written and KEY not in out + err


@both
def test_an_answer_that_repeats_the_key_is_kept_without_it(
    provider: str, suite: Path, tmp_path: Path, tcm_eval: Call
) -> None:
    leaky = said(f"{KEY}：答案：A") if provider == "openai" else said_by_anthropic(f"{KEY}：答案：A")
    with serving_batches(provider, lambda name, _t: leaky if name != "live" else "ok") as server:
        code, out, err = tcm_eval(*command(server, suite, tmp_path / "r", "--batch"))
    written = b"".join(path.read_bytes() for path in (tmp_path / "r").rglob("*") if path.is_file())
    assert code == 0 and KEY.encode() not in written and b"[key]" in written and KEY not in out + err


@both
def test_the_cost_of_a_batch_is_half_and_is_said(provider: str, suite: Path, tmp_path: Path, tcm_eval: Call) -> None:
    with serving_batches(provider) as server:
        priced = ("--price", "10,20", "--batch")
        code, out, _ = tcm_eval(*command(server, suite, tmp_path / "r", *priced, "--dry-run"))
        assert code == 0 and "which is half the price" in out and not server.headers
        full = float(tcm_eval(*command(server, suite, tmp_path / "r", "--price", "10,20", "--dry-run"))[1].split()[-1])
        assert float(out.split("cost at most ")[1].split(",")[0]) == pytest.approx(full / 2, abs=0.01)
        code, out, _ = tcm_eval(*command(server, suite, tmp_path / "r", *priced, "--json"))
    usage = json.loads(out.splitlines()[-1])["summary"]["usage"]
    one = (7 * 10 + (3 if provider == "openai" else 5) * 20) / 1e6
    assert usage["cost"] == pytest.approx(one + 29 * one / 2), "the first question was asked alone, at the full price"
    assert usage["batch_tokens_in"] == 29 * 7
    assert "at half the price: 203 tokens in" in out


def hostile(name: str, text: str) -> Reply | str:
    """Four questions fail in four ways, two are odd, the rest are answered."""
    for mark, fate in {
        "第1题": "expired",
        "第2题": "missing",
        "第4题": Reply(
            400, {"error": {"message": "messages must alternate", "type": "invalid_request_error"}, "type": "error"}
        ),
        "第5题": Reply(500, {"error": {"message": "boom", "type": "api_error"}, "type": "error"}),
        "第6题": "canceled",
    }.items():
        if mark in text and name != "live":
            return fate
    return "ok"


@both
def test_failed_expired_and_lost_questions_are_failures_and_are_asked_again(
    provider: str, suite: Path, tmp_path: Path, tcm_eval: Call
) -> None:
    with serving_batches(provider, hostile) as server:
        code, out, _ = tcm_eval(*command(server, suite, tmp_path / "r", "--batch"))
        assert code == 3 and "INCOMPLETE: 5 questions have no answer" in out
        kinds = {s: o.kind for s, o in outcomes(tmp_path / "r").items() if isinstance(o, Failure)}
        assert kinds == {"q1": "timeout", "q2": "server", "q4": "bad_request", "q5": "server", "q6": "server"}
        server.fate = fine
        code, out, _ = tcm_eval(*command(server, suite, tmp_path / "r", "--batch"))
        assert code == 0 and len(server.paid) + len(server.live) == 30 + 5, "only the five are asked again"
    assert all(isinstance(outcome, Response) for outcome in outcomes(tmp_path / "r").values())


def test_a_batch_that_the_provider_refuses_as_a_whole_fails_its_questions_and_says_why(
    suite: Path, tmp_path: Path, tcm_eval: Call
) -> None:
    with serving_batches("openai", ends="failed") as server:
        code, out, _ = tcm_eval(*command(server, suite, tmp_path / "r", "--batch"))
        assert code == 3 and "29 questions have no answer" in out
        failures = [o for o in outcomes(tmp_path / "r").values() if isinstance(o, Failure)]
        assert all("Enqueued token limit reached" in failure.message for failure in failures)
        server.ends = "completed"
        assert tcm_eval(*command(server, suite, tmp_path / "r", "--batch"))[0] == 0


def test_a_batch_that_expires_keeps_the_answers_that_came(suite: Path, tmp_path: Path, tcm_eval: Call) -> None:
    late = lambda name, text: "expired" if name != "live" and int(text.split("第")[1].split("题")[0]) > 20 else "ok"  # noqa: E731
    with serving_batches("openai", late, ends="expired") as server:
        code, _, _ = tcm_eval(*command(server, suite, tmp_path / "r", "--batch"))
    found = outcomes(tmp_path / "r")
    failed = [o for o in found.values() if isinstance(o, Failure)]
    assert code == 3 and 0 < len(failed) < 20 and {f.kind for f in failed} == {"timeout"}


@both
def test_filters_refusals_length_stops_and_odd_bodies_are_what_they_are_one_by_one(
    provider: str, suite: Path, tmp_path: Path, tcm_eval: Call
) -> None:
    def fate(name: str, text: str) -> Reply | str:
        if name == "live":
            return "ok"
        if "第1题" in text:
            return said("答", "length") if provider == "openai" else said_by_anthropic("答", "max_tokens")
        if "第2题" in text:
            return said(None, "content_filter") if provider == "openai" else said_by_anthropic("", "refusal")
        return Reply(200, {"odd": True}) if "第4题" in text else "ok"

    with serving_batches(provider, fate) as server:
        code, _, _ = tcm_eval(*command(server, suite, tmp_path / "r", "--batch"))
    found = outcomes(tmp_path / "r")
    assert code == 3
    assert isinstance(found["q1"], Response) and found["q1"].stop == "length"
    assert isinstance(found["q2"], Response) and found["q2"].stop in ("filter", "refusal")
    assert isinstance(found["q4"], Failure) and found["q4"].kind == "server"


@both
def test_parts_keep_to_the_providers_limits(
    provider: str, suite: Path, tmp_path: Path, tcm_eval: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    from model_adapters._http import batches

    kind = batches.OpenAIBatches if provider == "openai" else batches.AnthropicBatches
    monkeypatch.setattr(kind, "most_requests", 10)
    with serving_batches(provider) as server:
        assert tcm_eval(*command(server, suite, tmp_path / "r", "--batch"))[0] == 0
        assert [len(batch.requests) for batch in server.batches.values()] == [10, 10, 9]
    monkeypatch.setattr(kind, "most_requests", 100)
    monkeypatch.setattr(kind, "most_bytes", 4000)
    with serving_batches(provider) as server:
        assert tcm_eval(*command(server, suite, tmp_path / "s", "--batch"))[0] == 0
        sizes = [
            sum(len(json.dumps(r, ensure_ascii=False).encode()) for r in b.requests) for b in server.batches.values()
        ]
        assert len(sizes) > 2 and max(sizes) <= 4400 and sum(len(b.requests) for b in server.batches.values()) == 29


def test_a_parameter_that_the_model_does_not_take_is_learnt_first_and_marked_in_every_record(
    suite: Path, tmp_path: Path, tcm_eval: Call
) -> None:
    with serving_batches("openai") as server:

        def fate(name: str, text: str) -> Reply | str:
            refused = "temperature" in server.bodies[-1] if name == "live" else False
            message = "Unsupported value: 'temperature' does not support 0 with this model."
            return Reply(400, {"error": {"message": message}}) if refused else "ok"

        server.fate = fate
        assert tcm_eval(*command(server, suite, tmp_path / "r", "--batch"))[0] == 0
        assert all("temperature" not in body for body in server.bodies[1:])
    assert all(isinstance(o, Response) and "temperature" in o.not_accepted for o in outcomes(tmp_path / "r").values())


@both
def test_results_that_break_off_are_fetched_once_more(
    provider: str, suite: Path, tmp_path: Path, tcm_eval: Call
) -> None:
    with serving_batches(provider, break_results=1) as server:
        code, _, err = tcm_eval(*command(server, suite, tmp_path / "r", "--batch"))
        assert code == 0 and "broke off" in err and len(server.batches) == 1


# ------------------------------------------------------------------ nothing is paid for twice


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


def test_killed_before_the_submission_the_questions_are_submitted(suite: Path, tmp_path: Path, tcm_eval: Call) -> None:
    reached: list[int] = []

    def silent() -> Reply:
        reached.append(1)
        time.sleep(3)
        return Reply(500, {})

    with serving_batches("openai", before_create=silent) as server:
        process = started(server, suite, tmp_path / "r")
        wait_until(lambda: reached)
        killed(process)
        assert not server.batches
        server.before_create = lambda: None
        code, _, _ = tcm_eval(*command(server, suite, tmp_path / "r", "--batch"))
        assert code == 0 and len(server.batches) == 1
    assert [part.closed for part in parts(folder_of(tmp_path / "r"))] == [True, True]


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


# ------------------------------------------------------------------ what it refuses


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (("--model", "guess", "--tasks", "own"), "guess has no batch interface here"),
        (
            ("--model", "server/x", "--base-url", "BASE", "--model-arg", "check=false", "--tasks", "own"),
            "no batch interface",
        ),
        (("--model", "openai/x", "--base-url", "BASE", "--tasks", "own", "--ask", "letter"), "log-probabilities"),
        (("--model", "openai/x", "--base-url", "BASE", "--tasks", "tcm_core/dialogue_own"), "step by step"),
    ],
)
def test_what_no_batch_can_do_is_refused_before_anything_is_asked(
    tcm_eval: Call, suite: Path, tmp_path: Path, more: tuple[str, ...], message: str
) -> None:
    with serving_batches("openai") as server:
        words = [server.base if word == "BASE" else word for word in more]
        code, _, err = tcm_eval("run", *words, "--task-path", suite, "--output", tmp_path, "--batch", "--limit", 3)
        assert code == 2 and message in err and not server.headers


def test_a_budget_is_kept_to_before_submission(suite: Path, tmp_path: Path, tcm_eval: Call) -> None:
    with serving_batches("openai") as server:
        tokens = ("--max-tokens", 100, "--max-total-tokens", 2500)
        code, _, err = tcm_eval(*command(server, suite, tmp_path / "r", "--batch", *tokens))
        assert code == 3 and "--max-total-tokens" in err
        assert 0 < len(server.paid) < 15
        code, _, err = tcm_eval(
            *command(server, suite, tmp_path / "s", "--batch", "--max-cost", "0.0001", "--price", "1,1")
        )
        assert code == 3 and "--max-cost" in err and len(server.batches) == 1


def test_a_first_question_without_an_answer_submits_nothing(suite: Path, tmp_path: Path, tcm_eval: Call) -> None:
    down = Reply(500, {"error": {"message": "down"}})
    with serving_batches("openai", lambda name, _t: down if name == "live" else "ok") as server:
        code, _, err = tcm_eval(*command(server, suite, tmp_path / "r", "--batch", "--attempts", 1))
        assert code == 3 and "nothing was submitted" in err and not server.batches
    with serving_batches("openai", lambda _n, _t: Reply(401, {"error": {"message": "no"}})) as server:
        code, _, err = tcm_eval(*command(server, suite, tmp_path / "r2", "--batch"))
        assert code == 3 and "the key was refused" in err and not server.batches


def test_a_batch_that_is_gone_is_an_error_that_says_what_to_do(suite: Path, tmp_path: Path, tcm_eval: Call) -> None:
    with serving_batches("openai", looks_until_done=10_000) as server:
        process = started(server, suite, tmp_path / "r")
        wait_until(lambda: any(batch.looks for batch in server.batches.values()))
        killed(process)
        server.batches.clear()
        code, _, err = tcm_eval(*command(server, suite, tmp_path / "r", "--batch"))
        assert code == 3 and "delete batches.jsonl" in err
        (folder_of(tmp_path / "r") / NOTES).unlink()
        server.looks_until_done = 0
        assert tcm_eval(*command(server, suite, tmp_path / "r", "--batch"))[0] == 0


def test_results_at_another_host_are_not_fetched_with_the_key(suite: Path, tmp_path: Path, tcm_eval: Call) -> None:
    with serving_batches("anthropic", results_host="http://127.0.0.2:1", looks_until_done=0) as server:
        code, _, err = tcm_eval(*command(server, suite, tmp_path / "r", "--batch"))
    assert code == 3 and "no key goes to another host" in err


def test_a_separator_inside_a_text_ends_no_line(suite: Path, tmp_path: Path, tcm_eval: Call) -> None:
    with serving_batches("openai", lambda _n, _t: said("第一行\u2028第二行\x85\n答案：A")) as server:
        assert tcm_eval(*command(server, suite, tmp_path / "r", "--batch"))[0] == 0
    assert all(isinstance(o, Response) and "\u2028第二行" in o.text for o in outcomes(tmp_path / "r").values())


def test_the_providers_that_are_said_to_have_batches_are_those_whose_models_have_them(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in ("openai", "anthropic", "google", "server"):
        settings = {"check": False} if name == "server" else {}
        model = get_adapter(name)("x", base_url="http://127.0.0.1:9/v1", **settings)
        assert (getattr(model, "batches", None) is not None) == (name in PROVIDERS), name
        asyncio.run(model.aclose())
