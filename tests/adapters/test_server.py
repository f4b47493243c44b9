"""The server adapter against a real HTTP server that misbehaves on command."""

from __future__ import annotations

import asyncio
import json
import math
from typing import Any

import pytest

from harness.engine import answer
from harness.errors import Fatal, RateLimited, Rejected, TooLong, Transient
from harness.limits import Limits
from harness.types import Failure, Image, Message, Request, Response, Sampling
from model_adapters.server import build
from tests.support.chat_server import ChatServer, Reply, Seen, said, serving

ASK = Request((Message("system", "你是中医"), Message("user", "补气药是？")), Sampling(stop=("。",), max_tokens=9))


def once(server: ChatServer, request: Request = ASK, **settings: Any) -> Response:
    """Ask one question and close."""

    async def go() -> Response:
        try:
            return await model.generate(request)
        finally:
            await model.aclose()

    model = build("mock", base_url=server.url, **settings)
    return asyncio.run(go())


def test_every_sampling_field_is_sent_and_the_answer_comes_back_whole() -> None:
    with serving(lambda _s, _n: said("答案：A", "stop", reasoning_content="人参补气")) as server:
        response = once(server)
        assert (response.text, response.reasoning, response.stop) == ("答案：A", "人参补气", "stop")
        assert (response.tokens_in, response.tokens_out, response.model_version) == (7, 3, "mock-2026")
        [post] = server.posts()
        sent = {k: v for k, v in post.body.items() if k not in ("model", "messages")}
    assert sent == {
        "temperature": 0.0,
        "top_p": 1.0,
        "top_k": -1,
        "repetition_penalty": 1.0,
        "max_tokens": 9,
        "seed": 0,
        "stop": ["。"],
    }
    assert post.path == "/v1/chat/completions"
    assert post.body["messages"] == [
        {"role": "system", "content": "你是中医"},
        {"role": "user", "content": "补气药是？"},
    ]


@pytest.mark.parametrize(
    ("reply", "text", "stop"),
    [
        (said(None, "length", reasoning_content="想"), "", "length"),
        (said("", "stop"), "", "stop"),
        (said("x", "content_filter"), "x", "filter"),
        (said(None, "stop", refusal="I cannot"), "I cannot", "refusal"),
        (said([{"type": "text", "text": "答"}, {"type": "text", "text": "案"}], "stop"), "答案", "stop"),  # type: ignore[arg-type]
        (Reply(400, {"error": {"code": "content_filter", "message": "filtered"}}), "", "filter"),
    ],
)
def test_empty_cut_filtered_and_refused_answers_are_answers(reply: Reply, text: str, stop: str) -> None:
    with serving(lambda _s, _n: reply) as server:
        response = once(server)
    assert (response.text, response.stop) == (text, stop)


def test_an_opening_tag_that_the_template_wrote_is_given_back() -> None:
    with serving(lambda _s, _n: said("想了很久", "length")) as server:
        assert once(server, opens_with="<think>").text == "<think>想了很久"
        plain, opened = (build("mock", base_url=server.url, opens_with=tag).identity for tag in ("", "<think>"))
        assert {**plain, "opens_with": "<think>"} == opened, (
            "answers kept without the tag are not taken for those with it"
        )


ERRORS = [
    (Reply(429, {"error": {"message": "slow"}}, {"retry-after": "3"}), RateLimited, "slow"),
    (Reply(500, {"error": {"message": "oops"}}), Transient, "HTTP 500: oops"),
    (Reply(503, b"<html>overloaded</html>"), RateLimited, "overloaded"),
    (Reply(503, b"<html>down</html>"), Transient, "down"),
    (Reply(200, b'{"choices": [{"mess'), Transient, "no JSON"),
    (Reply(200, {"nothing": 1}), Transient, "no choices"),
    (Reply(200, said("x").body, drop=True), Transient, "connection broke"),
    (Reply(400, {"error": {"message": "messages must alternate"}}), Rejected, "must alternate"),
    (
        Reply(400, {"error": {"message": "This model's maximum context length is 4096 tokens. max_tokens invalid"}}),
        TooLong,
        "4096",
    ),
    (Reply(413, {"error": {"message": "large"}}), TooLong, "large"),
    (Reply(401, {"error": {"message": "bad key"}}), Fatal, "the key was refused"),
    (Reply(404, {"error": {"message": "no such model"}}), Fatal, "has no model 'mock'"),
    (Reply(400, {"error": {"message": "Model does not exist. Please check it."}}), Fatal, "has no model 'mock'"),
    (Reply(400, {"detail": "Server is pinned to 'b'; requested 'mock'."}), Fatal, "has no model 'mock'.*pinned to 'b'"),
    (Reply(307, {}, {"location": "http://elsewhere.example/v1"}), Fatal, r"redirects to elsewhere\.example"),
]


@pytest.mark.parametrize(("reply", "kind", "message"), ERRORS)
def test_each_fault_is_told_apart(reply: Reply, kind: type[Exception], message: str) -> None:
    with serving(lambda _s, _n: reply) as server, pytest.raises(kind, match=message) as caught:
        once(server)
    if isinstance(caught.value, RateLimited) and "slow" in message:
        assert caught.value.retry_after == 3.0


def test_invalid_utf8_in_a_body_does_not_lose_the_answer() -> None:
    body = json.dumps(said("AXB").body).encode().replace(b"X", b"\xff")
    with serving(lambda _s, _n: Reply(body=body)) as server:
        assert once(server).text == "A\ufffdB"


def test_a_key_goes_only_to_its_own_host_and_into_no_message(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MY_KEY", "sk-planted-secret")
    with serving(lambda _s, _n: said("elsewhere")) as other:
        redirect = Reply(302, {}, {"location": f"{other.url}/chat/completions"})
        with serving(lambda _s, _n: redirect) as server:
            with pytest.raises(Fatal) as caught:
                once(server, key_env="MY_KEY")
            assert server.posts()[0].headers["authorization"] == "Bearer sk-planted-secret"
        assert not other.seen and "planted" not in str(caught.value)
        assert "planted" not in json.dumps(dict(build("mock", base_url=other.url, key_env="MY_KEY").identity))


def test_fields_that_the_server_does_not_know_are_left_out_and_recorded() -> None:
    def strict(seen: Seen, _n: int) -> Reply:
        unknown = sorted({"top_k", "repetition_penalty"} & set(seen.body))
        return Reply(422, {"detail": f"Unexpected fields in the request: {unknown}"}) if unknown else said("好")

    with serving(strict) as server:
        response = once(server)
        assert response.not_accepted == ("top_k", "repetition_penalty") and response.text == "好"
        assert len(server.posts()) == 2


def test_max_tokens_is_sent_under_the_name_that_the_server_asks_for() -> None:
    def newer(seen: Seen, _n: int) -> Reply:
        if "max_tokens" in seen.body:
            return Reply(
                400, {"error": {"message": "Unsupported parameter: 'max_tokens'. Use 'max_completion_tokens' instead."}}
            )
        return said(str(seen.body["max_completion_tokens"]))

    with serving(newer) as server:
        assert once(server).text == "9"


def test_a_transient_fault_is_retried_until_it_is_gone() -> None:
    with serving(lambda _s, n: Reply(503, {}) if n < 2 else said("好")) as server:
        model = build("mock", base_url=server.url)

        async def go() -> Response | Failure:
            try:
                return await answer(model, ASK, Limits(backoff=0.001))
            finally:
                await model.aclose()

        assert isinstance(outcome := asyncio.run(go()), Response) and outcome.text == "好"
        assert len(server.posts()) == 3


def test_letters_are_scored_by_the_first_tokens_probabilities() -> None:
    top = [
        {"token": "A", "logprob": -1.0},
        {"token": " A", "logprob": -2.0},
        {"token": "B", "logprob": -0.5},
        {"token": "x", "logprob": -3},
    ]
    reply = Reply(body={"model": "m", "choices": [{"logprobs": {"content": [{"top_logprobs": top}]}}]})
    with serving(lambda _s, _n: reply) as server:
        response = once(server, Request(ASK.messages, options=("A", "B", "C")))
    assert response.logprobs is not None
    assert response.logprobs[0].total == pytest.approx(math.log(math.exp(-1) + math.exp(-2)))
    assert response.logprobs[1].total == -0.5 and response.logprobs[2].total is None


def test_texts_are_scored_by_the_tokens_after_the_stem() -> None:
    def echo(seen: Seen, _n: int) -> Reply:
        choices = []
        for index, prompt in enumerate(seen.body["prompt"]):
            values = [None, *(-float(i) for i in range(1, len(prompt) + 1))]
            detail = {"tokens": [*prompt, "!"], "text_offset": list(range(len(prompt) + 1)), "token_logprobs": values}
            choices.append({"index": index, "text": prompt, "logprobs": detail})
        return Reply(body={"model": "m", "choices": list(reversed(choices))})

    request = Request((Message("user", "ab"),), options=("cd", "efg"))
    with serving(echo) as server:
        response = once(server, request)
    assert response.logprobs is not None
    assert [(o.total, o.tokens) for o in response.logprobs] == [(-2.0 - 3.0, 2), (-2.0 - 3.0 - 4.0, 3)]


def test_a_server_without_log_probabilities_says_what_to_do() -> None:
    with serving(lambda _s, _n: said("A")) as server, pytest.raises(Fatal, match="--ask generate"):
        once(server, Request(ASK.messages, options=("A", "B")))


def test_images_are_sent_as_data() -> None:
    message = Message("user", ("看图", Image("image/png", "aGk=")))
    with serving(lambda _s, _n: said("好")) as server:
        once(server, Request((message,)))
        [post] = server.posts()
    assert post.body["messages"][0]["content"] == [
        {"type": "text", "text": "看图"},
        {"type": "image_url", "image_url": {"url": "data:image/png;base64,aGk="}},
    ]


@pytest.mark.parametrize(
    ("text", "finish", "kept", "stop"),
    [
        ("人参。另外当归", "stop", "人参", "stop"),
        ("人参。另外当归", "length", "人参", "stop"),
        ("人参", "length", "人参", "length"),
        ("。人参", "stop", "", "stop"),
        ("人参。", "content_filter", "人参。", "filter"),
    ],
)
def test_a_stop_string_that_the_server_writes_past_is_cut(text: str, finish: str, kept: str, stop: str) -> None:
    with serving(lambda _s, _n: said(text, finish)) as server:
        response = once(server)
        assert (response.text, response.stop, response.tokens_out) == (kept, stop, 3)
        unasked = once(server, Request(ASK.messages, Sampling(max_tokens=9)))
    assert unasked.text == text, "nobody asked for that stop string here"


def test_of_several_stop_strings_the_first_in_the_text_counts() -> None:
    with serving(lambda _s, _n: said("一二三四")) as server:
        assert once(server, Request(ASK.messages, Sampling(stop=("四", "二")))).text == "一"
