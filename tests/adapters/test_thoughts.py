"""What a model thought is asked for where it thinks anyway, of every such alias, and of no other model."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from harness.errors import UsageError
from harness.models.aliases import entries
from harness.registry import get_adapter
from harness.types import Response
from model_adapters.openai import build
from tests.adapters.sdk import ASK, KEY
from tests.support.chat_server import ChatServer, Reply, Seen, said, serving
from tests.support.protocols import CHAT, GEMINI, MESSAGES, RESPONSES, Protocol

ROOTS = {"openai": "/v1", "server": "/v1", "anthropic": "", "google": ""}
API = {
    name: entry
    for name, entry in entries().items()
    if not entry.retired and any(way.provider in ROOTS for way in entry.ways)
}
THINKING = sorted(name for name, entry in API.items() if entry.max_tokens)
"""The aliases with a token budget of their own: those that think."""


@pytest.fixture(autouse=True)
def _planted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PLANTED_KEY", KEY)


def way_of(alias: str) -> tuple[str, dict[str, Any]]:
    """Return an alias' provider and its settings but for where it is."""
    way = API[alias].ways[0]
    return way.provider, {k: v for k, v in way.settings.items() if k not in ("base_url", "key_env")}


def asked(server: ChatServer, provider: str, settings: dict[str, Any]) -> tuple[Response, dict[str, Any]]:
    """Return the answer to one question, and the body that the server saw last."""
    base = server.url.removesuffix("/v1") + ROOTS[provider]
    model: Any = get_adapter(provider)("mock", base_url=base, key_env="PLANTED_KEY", **settings)

    async def go() -> Response:
        try:
            answer: Response = await model.generate(ASK)
        finally:
            await model.aclose()
        return answer

    return asyncio.run(go()), server.posts()[-1].body


def wants(body: dict[str, Any]) -> bool:
    """Tell whether a body asks for what the model thought, each provider in its own way."""
    thinking = body.get("generationConfig", {}).get("thinkingConfig", {})
    return (
        body.get("reasoning", {}).get("summary") == "auto"
        or body.get("thinking", {}).get("display") == "summarized"
        or (thinking.get("includeThoughts") or thinking.get("include_thoughts")) is True
    )


def openly(protocol: Protocol) -> Callable[[Seen, int], Reply]:
    """Return a server that shows what was thought only to those who ask for it, as the providers do."""

    def answer(seen: Seen, _n: int) -> Reply:
        if wants(seen.body):
            return protocol.answer("答案：A")
        bodies: dict[str, dict[str, Any]] = {
            "openai": {"output": [{"type": "message", "content": [{"type": "output_text", "text": "答案：A"}]}]},
            "anthropic": {"content": [{"type": "thinking", "thinking": ""}, {"type": "text", "text": "答案：A"}]},
            "google": {"candidates": [{"content": {"parts": [{"text": "答案：A"}]}, "finishReason": "STOP"}]},
        }
        return Reply(body={**protocol.answer("").body, **bodies[protocol.provider]})

    return answer


def test_the_aliases_that_think_are_those_that_say_so() -> None:
    titled = {
        name for name, e in API.items() if "reasoning)" in e.title or "thinking" in e.title or "(reasoning" in e.title
    }
    assert {*titled, "gemini-2.5-pro", "deepseek-flash"} == set(THINKING) and len(THINKING) > 10


@pytest.mark.parametrize("alias", THINKING)
def test_what_an_alias_thought_is_kept(alias: str) -> None:
    provider, settings = way_of(alias)
    protocol = {"openai": RESPONSES, "anthropic": MESSAGES, "google": GEMINI}.get(provider)
    shown = openly(protocol) if protocol else lambda _s, _n: said("答案：A", reasoning_content="想了一下")
    with serving(shown) as server:
        answer, body = asked(server, provider, settings)
    assert (answer.text, answer.reasoning) == ("答案：A", "想了一下")
    assert provider == "server" or wants(body)
    if provider == "anthropic":
        assert body["thinking"] == {"type": "adaptive", "display": "summarized"}, "budgets are refused by these"
    if provider == "google":
        assert list(body["generationConfig"]["thinkingConfig"].values()) == [True], "the model decides how long"
    if provider == "openai":
        assert body["reasoning"] == {"summary": "auto"}, "the model's own effort"


@pytest.mark.parametrize("alias", sorted(set(API) - set(THINKING)))
def test_a_model_that_does_not_think_is_asked_for_no_thoughts(alias: str) -> None:
    provider, settings = way_of(alias)
    with serving(lambda _s, _n: said("答案：A")) as server:
        _, body = asked(server, provider, settings)
    assert not wants(body) and "reasoning" not in body


@pytest.mark.parametrize("protocol", [CHAT, RESPONSES, MESSAGES, GEMINI], ids=lambda p: p.name)
def test_a_model_of_which_nothing_is_known_is_asked_for_no_thoughts(protocol: Protocol) -> None:
    """Older models refuse to be asked."""
    with serving(lambda _s, _n: protocol.answer("答案：A")) as server:
        _, body = asked(server, protocol.provider, dict(protocol.settings))
    assert not {"reasoning", "thinking"} & set(body) and "thinkingConfig" not in body.get("generationConfig", {})


REFUSALS = [
    (
        RESPONSES,
        {
            "message": "Your organization must be verified to generate reasoning summaries.",
            "type": "invalid_request_error",
            "param": "reasoning.summary",
            "code": "unsupported_value",
        },
    ),
    (
        MESSAGES,
        {"type": "invalid_request_error", "message": "thinking.adaptive.display: Extra inputs are not permitted"},
    ),
    (GEMINI, {"message": "Unknown name 'includeThoughts' at 'generation_config.thinking_config'", "code": 400}),
]


@pytest.mark.parametrize(("protocol", "error"), REFUSALS, ids=lambda p: getattr(p, "name", ""))
def test_who_is_shown_no_thoughts_gets_the_answers_all_the_same(protocol: Protocol, error: dict[str, Any]) -> None:
    """OpenAI shows summaries only to organizations that it has verified, and refuses the others' questions."""
    shown = openly(protocol)

    def fate(seen: Seen, n: int) -> Reply:
        return Reply(400, {"error": error}) if wants(seen.body) else shown(seen, n)

    with serving(fate) as server:
        answer, body = asked(server, protocol.provider, {**protocol.settings, "thoughts": True})
        assert len(server.posts()) == 2
    assert answer.text == "答案：A" and not answer.reasoning and "reasoning_summary" in answer.not_accepted
    assert body.get("thinking") in (None, {"type": "adaptive"}) and "reasoning" not in body


def test_an_effort_stays_where_its_summary_is_refused() -> None:
    def fate(seen: Seen, _n: int) -> Reply:
        return Reply(400, {"error": REFUSALS[0][1]}) if wants(seen.body) else RESPONSES.answer("答案：A")

    with serving(fate) as server:
        _, body = asked(server, "openai", {"api": "responses", "reasoning_effort": "low"})
    assert body["reasoning"] == {"effort": "low"}


def test_a_budget_goes_with_thoughts_and_none_at_all_without() -> None:
    with serving(lambda _s, _n: MESSAGES.answer("好")) as server:
        _, body = asked(server, "anthropic", {"thinking": 2048, "thoughts": True})
    assert body["thinking"] == {"type": "enabled", "budget_tokens": 2048, "display": "summarized"}
    with serving(lambda _s, _n: GEMINI.answer("好")) as server:
        assert not wants(asked(server, "google", {"thinking": 0})[1]), "thoughts of a model that is told not to think"
        assert wants(asked(server, "google", {"thinking": -1})[1])


def test_chat_completions_have_no_thoughts_to_ask_for() -> None:
    with pytest.raises(UsageError, match="api=responses"):
        build("m", base_url="http://127.0.0.1:9/v1", thoughts=True)
