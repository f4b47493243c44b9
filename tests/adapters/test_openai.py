"""The openai adapter, with the real SDK against a server that speaks Chat Completions and Responses."""

from __future__ import annotations

import math
from typing import Any

import pytest

from harness.errors import Rejected, Transient, UsageError
from harness.types import Image, Message, Request
from model_adapters.openai import build
from tests.adapters.sdk import ASK, KEY, asked
from tests.support.chat_server import Reply, Seen, said, serving
from tests.support.protocols import Protocol, said_by_responses

CHAT, RESPONSES = Protocol("openai", "/v1", {}), Protocol("openai", "/v1", {"api": "responses"})


@pytest.fixture(autouse=True)
def _planted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PLANTED_KEY", KEY)


def test_chat_sends_all_that_the_api_has_and_names_what_it_has_not() -> None:
    reply = said("答案：A", reasoning_content="人参补气")
    reply.body["usage"] |= {
        "completion_tokens_details": {"reasoning_tokens": 2},
        "prompt_tokens_details": {"cached_tokens": 4},
    }
    with serving(lambda _s, _n: reply) as server:
        response = asked(server, CHAT)
        [post] = server.posts()
    assert (response.text, response.reasoning, response.stop) == ("答案：A", "人参补气", "stop")
    assert (response.tokens_in, response.tokens_out) == (7, 3)
    assert (response.tokens_reasoning, response.tokens_cached, response.model_version) == (2, 4, "mock-2026")
    assert response.not_accepted == ("top_k", "repetition_penalty")
    sent = {k: v for k, v in post.body.items() if k not in ("model", "messages")}
    assert sent == {"temperature": 0.0, "top_p": 1.0, "max_completion_tokens": 9, "seed": 0, "stop": ["。"]}
    assert post.path == "/v1/chat/completions" and post.headers["authorization"] == f"Bearer {KEY}"


def test_responses_sends_and_reads_its_own_shapes() -> None:
    image = Request(
        (Message("system", "你"), Message("user", ("看图", Image("image/png", "aGk="))), Message("assistant", "好"))
    )
    with serving(lambda _s, _n: said_by_responses("答案：A")) as server:
        response = asked(server, RESPONSES, image, reasoning_effort="low")
        [post] = server.posts()
    assert (response.text, response.reasoning, response.stop) == ("答案：A", "想了一下", "stop")
    assert (response.tokens_in, response.tokens_out) == (7, 5)
    assert (response.tokens_reasoning, response.tokens_cached, response.model_version) == (2, 4, "mock-2026")
    assert response.not_accepted == ("top_k", "repetition_penalty", "seed")
    assert post.path == "/v1/responses" and post.body["max_output_tokens"] == 1024 and post.body["store"] is False
    assert post.body["reasoning"]["effort"] == "low"
    assert post.body["input"][1]["content"] == [
        {"type": "input_text", "text": "看图"},
        {"type": "input_image", "image_url": "data:image/png;base64,aGk=", "detail": "auto"},
    ]


REFUSED_ITEM = {"type": "message", "content": [{"type": "refusal", "refusal": "I cannot"}]}


@pytest.mark.parametrize(
    ("protocol", "reply", "text", "stop"),
    [
        (CHAT, said(None, "length", reasoning_content="想"), "", "length"),
        (CHAT, said("", "stop"), "", "stop"),
        (CHAT, said("x", "content_filter"), "x", "filter"),
        (CHAT, said(None, "stop", refusal="I cannot"), "I cannot", "refusal"),
        (CHAT, Reply(400, {"error": {"code": "content_filter", "message": "filtered"}}), "", "filter"),
        (RESPONSES, said_by_responses("半", "incomplete", "max_output_tokens"), "半", "length"),
        (RESPONSES, said_by_responses("", "incomplete", "content_filter"), "", "filter"),
        (RESPONSES, said_by_responses("", output=[REFUSED_ITEM]), "I cannot", "refusal"),
        (RESPONSES, said_by_responses("", output=[]), "", "stop"),
        (RESPONSES, said_by_responses("", output=[{"type": "message", "content": None}]), "", "stop"),
    ],
)
def test_empty_cut_filtered_and_refused_answers_are_answers(
    protocol: Protocol, reply: Reply, text: str, stop: str
) -> None:
    with serving(lambda _s, _n: reply) as server:
        response = asked(server, protocol)
    assert (response.text, response.stop) == (text, stop)


@pytest.mark.parametrize(("code", "kind"), [("server_error", Transient), ("invalid_prompt", Rejected)])
def test_a_response_that_failed_inside_a_200_is_a_fault(code: str, kind: type[Exception]) -> None:
    reply = said_by_responses("", "failed", error={"code": code, "message": "said so"})
    with serving(lambda _s, _n: reply) as server, pytest.raises(kind, match="said so"):
        asked(server, RESPONSES)


def test_what_a_reasoning_model_refuses_is_left_out_and_recorded() -> None:
    def strict(seen: Seen, _n: int) -> Reply:
        for name in ("temperature", "top_p", "stop"):
            if name in seen.body:
                said_no = f"Unsupported parameter: '{name}' is not supported with this model."
                return Reply(400, {"error": {"message": said_no, "param": name, "code": "unsupported_parameter"}})
        return said("好")

    with serving(strict) as server:
        response = asked(server, CHAT)
        assert len(server.posts()) == 4
    assert response.not_accepted == ("top_k", "repetition_penalty", "temperature", "top_p", "stop")


def test_an_older_server_gets_max_tokens_under_its_older_name() -> None:
    def older(seen: Seen, _n: int) -> Reply:
        if "max_completion_tokens" in seen.body:
            return Reply(400, {"error": {"message": "Unrecognized request argument: max_completion_tokens"}})
        return said(str(seen.body["max_tokens"]))

    with serving(older) as server:
        assert asked(server, CHAT).text == "9"


def test_letters_are_scored_by_the_first_tokens_probabilities() -> None:
    top: list[dict[str, Any]] = [
        {"token": "A", "logprob": -1.0},
        {"token": " A", "logprob": -2.0},
        {"token": "B", "logprob": -0.5},
    ]
    reply = Reply(body={"model": "m", "choices": [{"logprobs": {"content": [{"top_logprobs": top}]}}]})
    with serving(lambda _s, _n: reply) as server:
        response = asked(server, CHAT, Request(ASK.messages, options=("A", "B", "C")))
    assert response.logprobs is not None
    assert response.logprobs[0].total == pytest.approx(math.log(math.exp(-1) + math.exp(-2)))
    assert response.logprobs[2].total is None


def test_the_api_and_the_effort_are_part_of_the_identity_and_a_wrong_api_is_refused() -> None:
    model = build("m", base_url="http://127.0.0.1:9/v1", api="responses", reasoning_effort="high")
    assert model.identity["api"] == "responses" and model.identity["reasoning_effort"] == "high"
    with pytest.raises(UsageError, match="none of chat, responses"):
        build("m", base_url="http://127.0.0.1:9/v1", api="assistants")
