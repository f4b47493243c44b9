"""What every adapter promises: each file there is, and each that speaks HTTP with a server that misbehaves.

The providers' own SDKs are asked, and the lean client; the server speaks each one's protocol. One table says what each misbehaviour is.
"""

from __future__ import annotations

import asyncio
import gzip
import inspect
import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from email.utils import formatdate
from pathlib import Path
from time import time

import pytest

from harness.engine import answer
from harness.errors import AdapterError, Fatal, HarnessError, RateLimited, Rejected, TooLong, Transient
from harness.limits import Limits
from harness.registry import adapter_names, get_adapter
from harness.types import Failure, Message, Model, Request, Response
from model_adapters._http import faults
from tests.adapters.sdk import ASK, KEY, asked, built
from tests.support.chat_server import ChatServer, Reply, serving
from tests.support.protocols import PROTOCOLS, Protocol

FILES = adapter_names()
every_protocol = pytest.mark.parametrize("protocol", PROTOCOLS, ids=lambda p: p.name)

# ------------------------------------------------------------------ every file


def test_every_file_is_a_provider_of_its_name() -> None:
    there = {
        p.name.removesuffix(".py")
        for p in Path("model_adapters").iterdir()
        if p.name[0] not in "_." and p.suffix in ("", ".py")
    }
    assert there == set(FILES) and {"server", "replay", "echo", "hf"} <= there


@pytest.mark.parametrize("name", FILES)
def test_an_adapter_has_build_with_named_settings_only(name: str) -> None:
    parameters = list(inspect.signature(get_adapter(name)).parameters.values())
    assert parameters[0].name == "model"
    assert all(p.kind is p.KEYWORD_ONLY and p.default is not p.empty for p in parameters[1:]), (
        "every setting has a default"
    )
    assert inspect.getdoc(get_adapter(name)), "build says what it takes and raises"


@pytest.mark.parametrize("name", FILES)
def test_importing_an_adapter_brings_no_heavy_package(name: str) -> None:
    heavy = "torch transformers vllm openai anthropic google.genai pandas matplotlib ray"
    code = f"import sys, model_adapters.{name}; print([m for m in {heavy.split()!r} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("name", FILES)
def test_a_model_that_cannot_be_built_is_one_clear_message(name: str) -> None:
    try:
        model = get_adapter(name)("no-such-model-anywhere")
    except HarnessError as error:
        assert len(str(error)) > 10 and "Traceback" not in str(error)
    else:  # built without looking: then asking fails clearly
        assert isinstance(model, Model)

        async def ask() -> None:
            try:
                await model.generate(Request((Message("user", "x"),)))
            finally:
                await model.aclose()

        with pytest.raises(AdapterError):
            asyncio.run(ask())


# ------------------------------------------------------------------ every adapter that speaks HTTP


@pytest.fixture(autouse=True)
def _planted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PLANTED_KEY", KEY)
    monkeypatch.setattr(faults, "LARGEST_BODY", 1 << 20)
    monkeypatch.setattr(faults, "SILENCE_S", 0.3)


@dataclass(frozen=True)
class Trouble:
    """One misbehaviour: what comes back, which error it is, and a word of its message."""

    what: str
    reply: Callable[[Protocol], Reply]
    kind: type[AdapterError]
    said: str


def error(status: int, text: str, code: str = "", **headers: str) -> Callable[[Protocol], Reply]:
    return lambda protocol: protocol.error(status, text, code, {n.replace("_", "-"): v for n, v in headers.items()})


def raw(status: int, body: bytes | list[object] | dict[str, object]) -> Callable[[Protocol], Reply]:
    page = {"content-type": "text/html"} if isinstance(body, bytes) and body.startswith(b"<") else {}
    return lambda _: Reply(status, body, page)


def whole(**how: bool | float) -> Callable[[Protocol], Reply]:
    return lambda protocol: Reply(200, protocol.answer("好").body, **how)  # type: ignore[arg-type]


def packed(size: int, status: int = 200, keeps: int | None = None, **how: int) -> Callable[[Protocol], Reply]:
    def reply(protocol: Protocol) -> Reply:
        body = gzip.compress(b" " * size + json.dumps(protocol.answer("好").body).encode())[:keeps]
        return Reply(status, body, {"content-encoding": "gzip"}, **how)  # type: ignore[arg-type]

    return reply


NOTHING_IN_IT = "no (choices|output|message|candidates|object)|holds no message"
TROUBLES = [
    Trouble(
        "429 with Retry-After",
        error(429, "slow down", "rate_limit_exceeded", retry_after="0.01"),
        RateLimited,
        "slow down",
    ),
    Trouble("429 without Retry-After", error(429, "slow down", "rate_limit_exceeded"), RateLimited, "slow down"),
    Trouble("429 no credit left", error(429, "You exceeded your current quota", "insufficient_quota"), Fatal, "credit"),
    Trouble("429 no credit left, GLM", error(429, "您的账户已欠费，请充值后重试", "1113"), Fatal, "no credit left"),
    Trouble("500", error(500, "oops", "server_error"), Transient, "HTTP 500"),
    Trouble("500 as a page of broken text", raw(500, b"<html>\xff</html>"), Transient, "HTTP 500"),
    Trouble("502 without a body", raw(502, b""), Transient, "HTTP 502 without a word of why"),
    Trouble("503", error(503, "unavailable", "unavailable"), Transient, "HTTP 503"),
    Trouble("503 overloaded", error(503, "The model is overloaded", "UNAVAILABLE"), RateLimited, "overloaded"),
    Trouble("529", error(529, "Overloaded", "overloaded_error"), RateLimited, "HTTP 529"),
    Trouble("slow first byte", whole(delay=1.2), Transient, "in time|no first byte"),
    Trouble("silence in mid-body", whole(stall=1.2), Transient, "in time|silence"),
    Trouble("dropped in mid-body", whole(drop=True), Transient, "connection broke"),
    Trouble(
        "malformed JSON", lambda p: Reply(200, json.dumps(p.answer("好").body).encode()[:40]), Transient, "no JSON"
    ),
    Trouble(
        "a proxy's page", raw(200, b"<html>a proxy's page</html>"), Transient, "no JSON but a page; is the address"
    ),
    Trouble("an empty body", raw(200, b""), Transient, "the server's answer is empty"),
    Trouble("JSON of another shape", raw(200, {"surprise": 1}), Transient, NOTHING_IN_IT),
    Trouble("JSON that is a list", raw(200, []), Transient, NOTHING_IN_IT),
    Trouble("a huge body", raw(200, b"x" * (3 << 20)), Rejected, "larger than 1 MB"),
    Trouble("a huge body of no stated length", lambda _: Reply(200, b"x" * (3 << 20), claims=-1), Rejected, "larger"),
    Trouble("a huge body, packed", packed(3 << 20), Rejected, "larger than 1 MB"),
    Trouble("a huge error, packed", packed(3 << 20, status=500), Rejected, "larger than 1 MB"),
    Trouble("a packed body that breaks off", packed(9, keeps=20), Transient, "broke off|in the middle|no JSON|empty"),
    Trouble("400", error(400, "messages must alternate", "invalid_request_error"), Rejected, "alternate"),
    Trouble("400 too long", error(400, "prompt is too long: 300000 tokens > 200000 maximum"), TooLong, "300000"),
    Trouble("413", error(413, "request too large", "request_too_large"), TooLong, "HTTP 413"),
    Trouble("401", error(401, f"Incorrect API key provided: {KEY}", "invalid_api_key"), Fatal, "the key was refused"),
    Trouble("403", error(403, "permission denied", "permission_error"), Fatal, "the key was refused"),
    Trouble("wrong model", error(404, "no such model: mock", "not_found_error"), Fatal, "has no model 'mock'"),
    Trouble("wrong model as 400", error(400, "Model does not exist. Please check it."), Fatal, "has no model 'mock'"),
    Trouble("redirect", lambda _: Reply(307, {}, {"location": "http://else.example/v1"}), Fatal, r"to else\.example"),
]
every_trouble = pytest.mark.parametrize("trouble", TROUBLES, ids=lambda t: t.what)


@every_protocol
@every_trouble
def test_each_misbehaviour_is_the_error_it_stands_for(protocol: Protocol, trouble: Trouble) -> None:
    with serving(lambda _s, _n: trouble.reply(protocol)) as server:
        with pytest.raises(trouble.kind, match=trouble.said) as caught:
            asked(server, protocol, first_byte_timeout=0.5)
        assert type(caught.value) is trouble.kind and len(server.posts()) == 1, "the SDK's own retries are off"
    assert KEY not in str(caught.value)


@every_protocol
def test_who_sends_no_key_is_told_that_one_is_wanted_and_where_the_models_are_listed(protocol: Protocol) -> None:
    lists = {"anthropic": "/v1/models", "google": "/v1beta/models"}.get(protocol.provider, "/v1/models")
    reply = protocol.error(401, "who are you", "auth")
    wanted = r"it wants a key, and none was sent .*--key-env NAME"
    with serving(lambda _s, _n: reply) as server, pytest.raises(Fatal, match=wanted):
        asked(server, protocol, key_env=None)
    reply = protocol.error(404, "no such model", "not_found")
    with serving(lambda _s, _n: reply) as server, pytest.raises(Fatal, match=rf"See its list: http://\S+\d{lists}$"):
        asked(server, protocol)


@every_protocol
@pytest.mark.parametrize("trouble", [t for t in TROUBLES if "byte" not in t.what], ids=lambda t: t.what)
def test_only_what_can_pass_is_tried_again(protocol: Protocol, trouble: Trouble) -> None:
    """Twice it goes wrong, then it would go well."""

    def passing(_: object, n: int) -> Reply:
        return trouble.reply(protocol) if n < 2 else protocol.answer("答案：A")

    with serving(passing) as server:
        if trouble.kind is Fatal:
            with pytest.raises(Fatal):
                tried(server, protocol)
        else:
            outcome = tried(server, protocol)
            assert isinstance(outcome, Failure if issubclass(trouble.kind, Rejected) else Response), outcome
        assert len(server.posts()) == (3 if trouble.kind in (RateLimited, Transient) else 1)


def tried(server: ChatServer, protocol: Protocol) -> Response | Failure:
    model = built(server, protocol)

    async def go() -> Response | Failure:
        try:
            return await answer(model, ASK, Limits(attempts=3, backoff=0.001))
        finally:
            await model.aclose()

    return asyncio.run(go())


@every_protocol
@pytest.mark.parametrize(
    ("header", "least", "most"),
    [("3", 3, 3), ("0.5", 0.5, 0.5), (None, None, None), ("DATE", 20, 31), ("soon", None, None)],
)
@pytest.mark.parametrize("status", [429, 503])
def test_the_wait_that_the_provider_asks_for_is_read(
    protocol: Protocol, status: int, header: str | None, least: float | None, most: float | None
) -> None:
    said = formatdate(time() + 30, usegmt=True) if header == "DATE" else header
    reply = protocol.error(status, "slow down", "limit", {"retry-after": said} if said else {})
    with serving(lambda _s, _n: reply) as server, pytest.raises((RateLimited, Transient)) as caught:
        asked(server, protocol)
    assert isinstance(caught.value, RateLimited | Transient)
    wait = caught.value.retry_after
    assert wait is None if least is None or most is None else wait is not None and least <= wait <= most


@every_protocol
@pytest.mark.parametrize(
    ("reply", "text", "stop"),
    [
        (lambda p: p.answer(""), "", "stop"),
        (lambda p: p.null(), "", "stop"),
        (lambda p: p.stopped("", "filter"), "", "filter"),
        (lambda p: p.stopped("半", "length"), "半", "length"),
        (lambda p: p.stopped("不行", "refusal"), "不行", "refusal"),
    ],
    ids=["empty content", "content: null", "content filter", "length stop", "refusal"],
)
def test_empty_cut_filtered_and_refused_answers_are_answers_told_apart(
    protocol: Protocol, reply: Callable[[Protocol], Reply], text: str, stop: str
) -> None:
    with serving(lambda _s, _n: reply(protocol)) as server:
        response = asked(server, protocol)
        assert (response.text, response.stop) == (text, stop) and len(server.posts()) == 1


@every_protocol
def test_what_a_model_writes_past_a_stop_string_is_cut(protocol: Protocol) -> None:
    """Some take no stop strings (the Responses API, reasoning models), some write on: the answer is the same as if they had stopped."""
    assert ASK.sampling.stop == ("。",)
    with serving(lambda _s, _n: protocol.answer("答案：A。又及")) as server:
        response = asked(server, protocol)
    assert (response.text, response.stop) == ("答案：A", "stop")
    assert ("stop" in response.not_accepted) == (protocol.name == "openai-responses")


@every_protocol
def test_invalid_utf8_costs_only_the_broken_characters(protocol: Protocol) -> None:
    body = json.dumps(protocol.answer("AXB").body).encode().replace(b"AXB", b"A\xffB")
    with serving(lambda _s, _n: Reply(body=body)) as server:
        assert asked(server, protocol).text == "A\ufffdB"


@every_protocol
def test_the_wait_for_the_first_byte_is_no_silence_within_an_answer(protocol: Protocol) -> None:
    with serving(lambda _s, _n: Reply(body=protocol.answer("好").body, delay=0.8)) as server:
        assert asked(server, protocol).text == "好"
    with pytest.raises((Transient, Fatal), match=r"cannot (connect|be reached)"):
        asked(server, protocol)


@every_protocol
def test_lone_surrogates_are_the_requests_own_fault(protocol: Protocol) -> None:
    with serving(lambda _s, _n: protocol.answer("好")) as server:
        try:
            asked(server, protocol, Request((Message("user", "坏\ud800字"),)))
        except Rejected as refused:
            assert "Unicode" in str(refused)


@every_protocol
def test_options_without_log_probabilities_say_what_to_do(protocol: Protocol) -> None:
    with serving(lambda _s, _n: protocol.answer("A")) as server, pytest.raises(Fatal, match="--ask generate"):
        asked(server, protocol, Request(ASK.messages, options=("A", "B")))
