"""The server adapter against a real HTTP server that misbehaves on command."""

from __future__ import annotations

import asyncio
import math
from typing import Any

import pytest

from harness.engine import answer
from harness.errors import Fatal, Rejected, Transient, UsageError
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


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (400, {"code": "data_inspection_failed", "message": "Input data may contain inappropriate content."}),
        (400, {"message": "<400> InternalError.Algo.DataInspectionFailed: Input text data may contain ..."}),
        (400, {"message": "Content Exists Risk", "type": "invalid_request_error"}),
        (400, {"code": "1301", "message": "系统检测到输入或生成内容可能包含不安全或敏感内容"}),
        (400, {"type": "content_filter", "message": "The request was rejected because it was considered high risk"}),
        (403, "Content violates usage guidelines. Failed check: SAFETY_CHECK_TYPE_BIO"),
    ],
    ids=["qwen", "qwen in its other words", "deepseek", "glm", "kimi", "grok"],
)
def test_a_content_filter_is_known_by_each_providers_own_words(status: int, error: Any) -> None:
    with serving(lambda _s, _n: Reply(status, {"error": error})) as server:
        response = once(server)
    assert (response.text, response.stop) == ("", "filter")


def test_an_answer_that_glm_calls_sensitive_is_filtered() -> None:
    with serving(lambda _s, _n: said("", "sensitive")) as server:
        assert once(server).stop == "filter"


@pytest.mark.parametrize("finish", ["insufficient_system_resource", "network_error", "error", "abort"])
def test_an_answer_that_the_server_broke_off_itself_is_no_answer(finish: str) -> None:
    with serving(lambda _s, _n: said("答案：A", finish)) as server, pytest.raises(Transient, match=f"off: {finish}"):
        once(server)


@pytest.mark.parametrize(
    "message",
    [
        "max_tokens is too large: 20000. This model supports at most 8192 completion tokens.",
        "Invalid max_tokens value, the valid range of max_tokens is [1, 8192]",
    ],
)
def test_the_token_limit_is_never_left_out(message: str) -> None:
    reply = Reply(400, {"error": {"message": message, "type": "invalid_request_error"}})
    with serving(lambda _s, _n: reply) as server, pytest.raises(Rejected, match="max_tokens"):
        once(server)
    assert len(server.posts()) == 1 and server.posts()[0].body["max_tokens"] == 9


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


def test_further_fields_stand_in_every_request_and_in_the_identity() -> None:
    with serving(lambda _s, _n: said("答案：A")) as server:
        once(server, body='{"thinking": {"type": "disabled"}}')
        assert server.posts()[0].body["thinking"] == {"type": "disabled"}
        identity = build("mock", base_url=server.url, body='{"thinking": {"type": "disabled"}}').identity
        assert identity["body"] == '{"thinking":{"type":"disabled"}}'
        assert not {"body", "ignores"} & set(build("mock", base_url=server.url).identity)


@pytest.mark.parametrize(
    ("body", "wrong"),
    [
        ("{thinking", "is no JSON"),
        ("[1]", "is no JSON object"),
        ('{"temperature": 1, "max_tokens": 5}', "body sets max_tokens, temperature"),
    ],
)
def test_further_fields_are_checked_before_anything_is_asked(body: str, wrong: str) -> None:
    with pytest.raises(UsageError, match=wrong):
        build("mock", base_url="http://127.0.0.1:1/v1", body=body)


def test_what_a_server_ignores_is_left_out_and_recorded_as_not_accepted() -> None:
    with serving(lambda _s, _n: said("答案：A")) as server:
        unseeded = Request(ASK.messages, Sampling(seed=None))
        response = once(server, unseeded, ignores="top_p, temperature,seed")
        assert not {"temperature", "top_p", "seed"} & set(server.posts()[0].body)
        assert response.not_accepted == ("temperature", "top_p"), "no seed was asked for"
        assert once(server, ignores="seed,temperature").not_accepted == ("temperature", "seed")
        with pytest.raises(UsageError, match="Did you mean: temperature"):
            build("mock", base_url=server.url, ignores="temprature")
