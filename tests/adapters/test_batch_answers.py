"""What `--batch` gives with the providers' own SDKs against a local server: the records of a run one by one, whatever happens."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from harness.types import Failure, Response
from tests.adapters.batching import Call, as_asked, both, command, folder_of, outcomes
from tests.adapters.batching import quick_batches as quick_batches
from tests.support.batch_server import fine, serving_batches
from tests.support.chat_server import Reply, said
from tests.support.protocols import said_by_anthropic

pytestmark = pytest.mark.usefixtures("quick_batches")


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
        assert as_asked(tmp_path / "batch") == as_asked(tmp_path / "live") != {}
        bodies = {json.dumps(body, sort_keys=True) for body in server.bodies}
        assert len(bodies) == 30, "each question was asked in both ways with the very same body"
    assert "submitted batch batch_0: 29 questions at half the price" in err and "You may stop this at any time" in err
    assert not list((folder_of(tmp_path / "batch") / "batches").iterdir()), (
        "the requests are deleted when all is collected"
    )


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


def test_a_separator_inside_a_text_ends_no_line(suite: Path, tmp_path: Path, tcm_eval: Call) -> None:
    with serving_batches("openai", lambda _n, _t: said("第一行\u2028第二行\x85\n答案：A")) as server:
        assert tcm_eval(*command(server, suite, tmp_path / "r", "--batch"))[0] == 0
    assert all(isinstance(o, Response) and "\u2028第二行" in o.text for o in outcomes(tmp_path / "r").values())


def test_what_a_model_does_not_take_is_learnt_from_the_next_question_where_the_first_is_refused_for_its_words(
    suite: Path, tmp_path: Path, tcm_eval: Call
) -> None:
    with serving_batches("openai") as server:

        def fate(name: str, _text: str) -> Reply | str:
            if name != "live":
                return "ok"
            if len(server.live) <= 1 or server.live[-1] == server.live[0]:
                return Reply(400, {"error": {"message": "Invalid prompt: it was flagged."}})
            error = {"message": "Unsupported parameter: 'temperature'", "param": "temperature"}
            return Reply(400, {"error": error}) if "temperature" in server.bodies[-1] else "ok"

        server.fate = fate
        assert tcm_eval(*command(server, suite, tmp_path / "r", "--batch"))[0] == 3
        [batch] = server.batches.values()
        assert len(batch.requests) == 28 and not any("temperature" in one["body"] for one in batch.requests)
    kinds = [type(outcome) for outcome in outcomes(tmp_path / "r").values()]
    assert (kinds.count(Response), kinds.count(Failure)) == (29, 1)
