"""The google adapter, with the real SDK against a server that speaks generateContent."""

from __future__ import annotations

from typing import Any

import pytest

from harness.errors import Fatal, RateLimited, Rejected
from harness.types import Image, Message, Request, Sampling
from tests.adapters.sdk import ASK, KEY, asked
from tests.support.chat_server import Reply, Seen, serving
from tests.support.protocols import Protocol, said_by_google

GEMINI = Protocol("google", "", {})


@pytest.fixture(autouse=True)
def _planted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PLANTED_KEY", KEY)


def test_all_that_the_api_has_is_sent_and_the_rest_is_recorded() -> None:
    with serving(lambda _s, _n: said_by_google("答案：A")) as server:
        response = asked(server, GEMINI)
        [post] = server.posts()
    assert (response.text, response.reasoning, response.stop) == ("答案：A", "想了一下", "stop")
    assert (response.tokens_in, response.tokens_out) == (7, 5)
    assert (response.tokens_reasoning, response.tokens_cached, response.model_version) == (2, 4, "mock-2026")
    assert set(response.not_accepted) == {"repetition_penalty", "top_k"}
    config = post.body["generationConfig"]
    assert config == {"temperature": 0.0, "topP": 1.0, "maxOutputTokens": 9, "seed": 0, "stopSequences": ["。"]}
    assert post.path.endswith("/models/mock:generateContent") and "key=" not in post.path
    assert post.body["systemInstruction"]["parts"] == [{"text": "你是中医"}]
    assert post.body["contents"] == [{"role": "user", "parts": [{"text": "补气药是？"}]}]


def _first(**fields: Any) -> dict[str, Any]:
    return {"candidates": [{"index": 0, **fields}]}


@pytest.mark.parametrize(
    ("reply", "text", "stop"),
    [
        (said_by_google("半", "MAX_TOKENS"), "半", "length"),
        (said_by_google("半", "SAFETY"), "半", "filter"),
        (said_by_google("", "RECITATION"), "", "filter"),
        (said_by_google("", "PROHIBITED_CONTENT"), "", "filter"),
        (said_by_google("", "OTHER"), "", "refusal"),
        (said_by_google("", **_first(finishReason="MAX_TOKENS")), "", "length"),
        (said_by_google("", **_first(finishReason="STOP", content={"role": "model"})), "", "stop"),
        (said_by_google("", **_first(finishReason="STOP", content={"parts": None})), "", "stop"),
        (said_by_google("", candidates=[], promptFeedback={"blockReason": "SAFETY"}), "", "filter"),
        (said_by_google("", candidates=None, promptFeedback={"blockReason": "OTHER"}), "", "filter"),
    ],
)
def test_empty_cut_filtered_and_refused_answers_are_answers(reply: Reply, text: str, stop: str) -> None:
    with serving(lambda _s, _n: reply) as server:
        response = asked(server, GEMINI)
    assert (response.text, response.stop) == (text, stop)


@pytest.mark.parametrize("name", ["seed", "topP", "stop_sequences"])
def test_what_a_model_refuses_is_left_out_and_recorded(name: str) -> None:
    wire = {"seed": "seed", "topP": "topP", "stop_sequences": "stopSequences"}[name]
    ours = {"seed": "seed", "topP": "top_p", "stop_sequences": "stop"}[name]

    def strict(seen: Seen, _n: int) -> Reply:
        if wire in seen.body["generationConfig"]:
            return GEMINI.error(400, f"Unsupported field {name} for this model", "INVALID_ARGUMENT")
        return said_by_google("好")

    with serving(strict) as server:
        response = asked(server, GEMINI)
        assert len(server.posts()) == 2
    assert ours in response.not_accepted


def test_a_field_that_is_named_again_and_again_does_not_loop() -> None:
    with (
        serving(lambda _s, _n: GEMINI.error(400, "invalid value for topP", "INVALID_ARGUMENT")) as server,
        pytest.raises(Rejected),
    ):
        asked(server, GEMINI)
    assert len(server.posts()) == 2


def test_the_wait_in_googles_own_error_is_read() -> None:
    error = {"error": {"code": 429, "message": "slow", "details": [{"@type": "RetryInfo", "retryDelay": "7s"}]}}
    with serving(lambda _s, _n: Reply(429, error)) as server, pytest.raises(RateLimited) as caught:
        asked(server, GEMINI)
    assert caught.value.retry_after == 7


def test_a_wrong_key_is_fatal_though_google_calls_it_400() -> None:
    reply = GEMINI.error(400, "API key not valid. Please pass a valid API key.", "INVALID_ARGUMENT")
    with serving(lambda _s, _n: reply) as server, pytest.raises(Fatal, match="the key was refused"):
        asked(server, GEMINI)


def test_images_top_k_and_thinking_are_sent_in_the_apis_own_shape() -> None:
    message = Message("user", ("看图", Image("image/png", "aGk=")))
    with serving(lambda _s, _n: said_by_google("好")) as server:
        response = asked(server, GEMINI, Request((message,), Sampling(top_k=5)), thinking=0)
        [post] = server.posts()
    image = post.body["contents"][0]["parts"][1]["inlineData"]
    assert set(image.values()) == {"image/png", "aGk="}, "the SDK spells names in either way; the API reads both"
    assert post.body["generationConfig"]["topK"] == 5 and response.not_accepted == ("repetition_penalty",)
    assert list(post.body["generationConfig"]["thinkingConfig"].values()) == [0], "no thoughts, so none are asked for"
    with serving(lambda _s, _n: said_by_google("好")) as server, pytest.raises(Rejected, match="no valid base64"):
        asked(server, GEMINI, Request((Message("user", (Image("image/png", "?"),)),)))


def test_system_messages_with_one_user_turn_keep_their_order() -> None:
    request = Request((*ASK.messages, Message("assistant", "人参"), Message("user", "还有？")))
    with serving(lambda _s, _n: said_by_google("好")) as server:
        asked(server, GEMINI, request)
        [post] = server.posts()
    assert [turn["role"] for turn in post.body["contents"]] == ["user", "model", "user"]
