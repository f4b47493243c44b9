"""The anthropic adapter, with the real SDK against a server that speaks Messages."""

from __future__ import annotations

import inspect

import pytest

from harness.errors import UsageError
from harness.types import Image, Message, Request, Sampling
from model_adapters.anthropic import build
from tests.adapters.sdk import ASK, KEY, asked
from tests.support.chat_server import Reply, Seen, serving
from tests.support.protocols import Protocol, said_by_anthropic

MESSAGES = Protocol("anthropic", "", {})


@pytest.fixture(autouse=True)
def _planted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PLANTED_KEY", KEY)


def lacking() -> set[str]:
    """Return the sampling fields that the installed SDK has no argument for."""
    import anthropic

    accepted = inspect.signature(anthropic.AsyncAnthropic(api_key="x").messages.create).parameters
    return {name for name in ("temperature", "top_p", "top_k") if name not in accepted}


def test_what_the_sdk_has_no_argument_for_is_left_out_and_recorded() -> None:
    with serving(lambda _s, _n: said_by_anthropic("答案：A")) as server:
        response = asked(server, MESSAGES)
        [post] = server.posts()
    assert (response.text, response.reasoning, response.stop) == ("答案：A", "想了一下", "stop")
    assert (response.tokens_in, response.tokens_out) == (7, 5)
    assert (response.tokens_reasoning, response.tokens_cached, response.model_version) == (2, 4, "mock-2026")
    assert set(response.not_accepted) == {"seed", "repetition_penalty", *lacking()}
    assert post.path == "/v1/messages" and post.body["system"] == "你是中医" and post.body["max_tokens"] == 9
    assert post.body["messages"] == [{"role": "user", "content": "补气药是？"}]
    assert post.body["stop_sequences"] == ["。"] and not lacking() & set(post.body)


def test_sampling_in_the_body_is_sent_and_what_the_api_refuses_is_left_out() -> None:
    def older(seen: Seen, _n: int) -> Reply:
        if "temperature" in seen.body and "top_p" in seen.body:
            said = "`temperature` and `top_p` cannot both be specified for this model. Please use only one."
            return MESSAGES.error(400, said, "invalid_request_error")
        return said_by_anthropic(str(seen.body.get("temperature")))

    with serving(older) as server:
        response = asked(server, MESSAGES, sampling_in_body=True)
        assert len(server.posts()) == 2
    assert response.text == "0.0" and set(response.not_accepted) == {"seed", "repetition_penalty", "top_p"}


def test_a_seed_that_nobody_asked_for_is_not_called_refused() -> None:
    with serving(lambda _s, _n: said_by_anthropic("好")) as server:
        response = asked(server, MESSAGES, Request(ASK.messages, Sampling(seed=None)))
    assert "seed" not in response.not_accepted


@pytest.mark.parametrize(
    ("reply", "text", "stop"),
    [
        (said_by_anthropic("半", "max_tokens"), "半", "length"),
        (said_by_anthropic("半", "model_context_window_exceeded"), "半", "length"),
        (said_by_anthropic("", "refusal"), "", "refusal"),
        (said_by_anthropic("好", "stop_sequence"), "好", "stop"),
        (said_by_anthropic("", content=[]), "", "stop"),
        (said_by_anthropic("", content=None), "", "stop"),
        (said_by_anthropic("", content=[{"type": "redacted_thinking", "data": "x"}]), "", "stop"),
        (MESSAGES.error(400, "Output blocked by content filtering policy", "invalid_request_error"), "", "filter"),
    ],
)
def test_empty_cut_filtered_and_refused_answers_are_answers(reply: Reply, text: str, stop: str) -> None:
    with serving(lambda _s, _n: reply) as server:
        response = asked(server, MESSAGES)
    assert (response.text, response.stop) == (text, stop)


def test_images_and_thinking_are_sent_in_the_apis_own_shape() -> None:
    message = Message("user", ("看图", Image("image/png", "aGk=")))
    with serving(lambda _s, _n: said_by_anthropic("好")) as server:
        asked(server, MESSAGES, Request((message,)), thinking=2048)
        asked(server, MESSAGES, Request((message,)), thinking=0)
        first, second = server.posts()
    assert first.body["messages"][0]["content"] == [
        {"type": "text", "text": "看图"},
        {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "aGk="}},
    ]
    assert first.body["thinking"] == {"type": "enabled", "budget_tokens": 2048}
    assert second.body["thinking"] == {"type": "adaptive"}


def test_many_tokens_need_no_streaming() -> None:
    with serving(lambda _s, _n: said_by_anthropic("好")) as server:
        assert asked(server, MESSAGES, Request(ASK.messages, Sampling(max_tokens=64_000))).text == "好"


def test_the_thinking_budget_is_part_of_the_identity_and_a_negative_one_is_refused() -> None:
    assert build("m", base_url="http://127.0.0.1:9", thinking=0).identity["thinking"] == "adaptive"
    with pytest.raises(UsageError, match="is no number of tokens"):
        build("m", base_url="http://127.0.0.1:9", thinking=-1)
