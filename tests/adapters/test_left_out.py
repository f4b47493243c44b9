"""What a model does not take, over all protocols: learnt from its refusals, by several requests at once, and from nothing else."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from harness.errors import AdapterError, Rejected, UsageError
from harness.models.aliases import entries
from harness.types import Message, Request, Response, Sampling
from tests.adapters.sdk import ASK, KEY, built
from tests.support.chat_server import ChatServer, Reply, Seen, serving
from tests.support.protocols import CHAT, PROTOCOLS, SERVER, Protocol

every_protocol = pytest.mark.parametrize("protocol", PROTOCOLS, ids=lambda p: p.name)
AT_ONCE = 8


@pytest.fixture(autouse=True)
def _planted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PLANTED_KEY", KEY)


def told(server: ChatServer, protocol: Protocol, rounds: Sequence[Sequence[str]]) -> list[Response | AdapterError]:
    """Return the outcomes of questions asked of one model: those of a round at once, one round after the other."""
    more = {"sampling_in_body": True} if protocol.provider == "anthropic" else {}
    model = built(server, protocol, **more)

    async def one(text: str) -> Response | AdapterError:
        try:
            answer: Response = await model.generate(Request((Message("user", text),), ASK.sampling))
        except AdapterError as error:
            return error
        return answer

    async def go() -> list[Response | AdapterError]:
        try:
            return [o for texts in rounds for o in await asyncio.gather(*(one(text) for text in texts))]
        finally:
            await model.aclose()

    return asyncio.run(go())


def has(seen: Seen, name: str) -> bool:
    """Tell whether a request holds a field, also within Gemini's generationConfig."""
    return name in seen.body or name in seen.body.get("generationConfig", {})


def together(protocol: Protocol, fate: Callable[[Seen], Reply | None]) -> Callable[[Seen, int], Reply]:
    """Return a server's answers, the first of them held back until all the questions are there."""
    all_here = threading.Barrier(AT_ONCE, timeout=20)

    def answer(seen: Seen, n: int) -> Reply:
        if n < AT_ONCE:
            all_here.wait()
        return fate(seen) or protocol.answer("好")

    return answer


@every_protocol
def test_eight_at_once_and_a_field_is_refused_are_eight_answers(protocol: Protocol) -> None:
    said = "Invalid value: temperature is not supported by this model"

    def strict(seen: Seen) -> Reply | None:
        return protocol.error(400, said, "invalid_request_error") if has(seen, "temperature") else None

    with serving(together(protocol, strict)) as server:
        outcomes = told(server, protocol, [["问"] * AT_ONCE, ["问"]])
        assert len(server.posts()) == 2 * AT_ONCE + 1, "the one that comes later knows it"
    assert all(isinstance(o, Response) and "temperature" in o.not_accepted for o in outcomes), outcomes


@pytest.mark.parametrize(
    ("protocol", "refused", "said"),
    [
        (CHAT, "max_completion_tokens", "Unrecognized request argument supplied: max_completion_tokens"),
        (SERVER, "max_tokens", "Unsupported parameter: 'max_tokens'. Use 'max_completion_tokens' instead."),
    ],
    ids=["openai", "server"],
)
def test_eight_at_once_and_the_token_limits_name_is_refused_are_eight_answers(
    protocol: Protocol, refused: str, said: str
) -> None:
    def strict(seen: Seen) -> Reply | None:
        return protocol.error(400, said) if refused in seen.body else None

    with serving(together(protocol, strict)) as server:
        outcomes = told(server, protocol, [["问"] * AT_ONCE, ["问"]])
        assert len(server.posts()) == 2 * AT_ONCE + 1
    assert all(isinstance(o, Response) for o in outcomes), outcomes


# ------------------------------------------------------------------ what is learnt, and from what

WORDS = "Invalid prompt: 'BAD. Body temperature 39, cough will not stop, seed of coix' cannot be processed"


@every_protocol
@pytest.mark.parametrize("together", [False, True], ids=["one by one", "at once"])
def test_a_question_that_is_refused_for_its_words_takes_no_field_from_the_others(
    protocol: Protocol, together: bool
) -> None:
    def fate(seen: Seen, _n: int) -> Reply:
        bad = "BAD" in json.dumps(seen.body)
        return protocol.error(400, WORDS, "invalid_request_error") if bad else protocol.answer("好")

    texts = ["one", "BAD", "two", "BAD too", "three"]
    with serving(fate) as server:
        outcomes = told(server, protocol, [*([texts] if together else [[t] for t in texts]), ["last"]])
        good = [seen for seen in server.posts() if "BAD" not in json.dumps(seen.body)]
        assert len(good) == 4 and all(has(seen, "temperature") for seen in good)
        first = {name: value for name, value in good[0].body.items() if name not in ("messages", "input", "contents")}
        for seen in good[1:]:
            assert first == {name: value for name, value in seen.body.items() if name in first}
    kinds = [type(o) for o in outcomes]
    assert kinds == [Response, Rejected, Response, Rejected, Response, Response]
    assert not any({"temperature", "stop", "seed"} & learnt(o, protocol) for o in outcomes)


def learnt(outcome: Response | AdapterError, protocol: Protocol) -> set[str]:
    """Return what an answer was given without, beside what the protocol has no field for."""
    if not isinstance(outcome, Response):
        return set()
    lacking = {"openai-responses": {"seed", "stop"}, "anthropic": {"seed"}}.get(protocol.name, set())
    return set(outcome.not_accepted) - lacking - {"top_k", "repetition_penalty"}


@every_protocol
def test_an_answer_that_was_given_with_a_field_does_not_say_that_it_was_refused(protocol: Protocol) -> None:
    """One is still being answered, with its temperature, when the model begins to refuse it."""
    refused = threading.Event()

    def fate(seen: Seen, _n: int) -> Reply:
        if "early" in json.dumps(seen.body):
            refused.wait(20)
            return protocol.answer("早")
        if has(seen, "temperature"):
            return protocol.error(400, "Unsupported value: 'temperature' does not support 0", "invalid_request_error")
        threading.Timer(0.2, refused.set).start()
        return protocol.answer("晚")

    with serving(fate) as server:
        early, late, last = told(server, protocol, [["early", "late"], ["last"]])
    assert [learnt(o, protocol) for o in (early, late, last)] == [set(), {"temperature"}, {"temperature"}]


@every_protocol
def test_a_field_is_given_up_for_good_only_when_the_request_without_it_was_answered(protocol: Protocol) -> None:
    """A model that has lost its way refuses the field, and then cannot answer either: what it said is not held against the field."""

    def fate(seen: Seen, n: int) -> Reply:
        if n == 0:
            return protocol.error(400, "Unsupported value: 'temperature'", "invalid_request_error")
        return protocol.error(500, "lost", "server_error") if n == 1 else protocol.answer("好")

    with serving(fate) as server:
        lost, found = told(server, protocol, [["one"], ["two"]])
        assert [has(seen, "temperature") for seen in server.posts()] == [True, False, True]
    assert isinstance(lost, AdapterError) and learnt(found, protocol) == set()


@pytest.mark.parametrize(
    "error",
    [
        {"message": "Unsupported parameter: no temperature here, as with top_p", "param": "temperature"},
        {"message": "Unsupported parameter: 'temperature'. What is said of top_p holds.", "param": None},
        {"message": "Unsupported field, see top_p", "param": "generation_config.temperature"},
        {"message": "`temperature` is deprecated for this model; seed and stop are not.", "param": ""},
    ],
    ids=["param", "quoted", "path", "backquoted"],
)
def test_the_field_that_the_error_points_at_is_meant_not_all_that_it_mentions(error: dict[str, Any]) -> None:
    def fate(seen: Seen, _n: int) -> Reply:
        return Reply(400, {"error": error}) if "temperature" in seen.body else CHAT.answer("好")

    for protocol in (CHAT, SERVER):
        with serving(fate) as server:
            [outcome] = told(server, protocol, [["问"]])
        assert learnt(outcome, protocol) == {"temperature"}


def test_a_seed_that_was_refused_once_is_not_called_refused_where_none_is_asked_for() -> None:
    for protocol in (CHAT, SERVER, PROTOCOLS[3]):

        def fate(seen: Seen, _n: int, protocol: Protocol = protocol) -> Reply:
            return protocol.error(400, "Unknown name 'seed'") if has(seen, "seed") else protocol.answer("好")

        with serving(fate) as server:
            model = built(server, protocol)

            async def go(model: Any = model) -> list[Response]:
                try:
                    unseeded = Request(ASK.messages, Sampling(seed=None))
                    return [await model.generate(request) for request in (ASK, unseeded)]
                finally:
                    await model.aclose()

            assert ["seed" in answer.not_accepted for answer in asyncio.run(go())] == [True, False]


# ------------------------------------------------------------------ what is known before it is asked


@every_protocol
def test_what_a_model_is_known_not_to_take_is_never_sent_and_is_recorded(protocol: Protocol) -> None:
    with serving(lambda _s, _n: protocol.answer("好")) as server:
        model = built(server, protocol, ignores="top_p, temperature")

        async def go() -> Response:
            try:
                answer: Response = await model.generate(ASK)
            finally:
                await model.aclose()
            return answer

        answer = asyncio.run(go())
        [post] = server.posts()
        assert not any(has(post, name) for name in ("temperature", "top_p", "topP"))
        assert {"temperature", "top_p"} <= set(answer.not_accepted)
        assert len(set(answer.not_accepted)) == len(answer.not_accepted)
        assert model.identity["ignores"] == "temperature,top_p"
        with pytest.raises(UsageError, match="Did you mean: temperature"):
            built(server, protocol, ignores="temprature")


@pytest.mark.parametrize("alias", ["gpt-5", "gpt-6.1-sol", "kimi-k3", "kimi-k2.6"])
def test_an_alias_of_a_model_with_a_fixed_temperature_never_sends_one(alias: str) -> None:
    [way] = entries()[alias].ways
    assert "temperature" in str(way.settings["ignores"]) and "top_p" in str(way.settings["ignores"])
