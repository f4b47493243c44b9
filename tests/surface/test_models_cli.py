"""`models show` and `models test`: what the registry says, and what came back from one question."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from harness.models import entries
from tests.support.chat_server import Reply, Seen, said, serving
from tests.support.protocols import said_by_anthropic, said_by_responses

Call = Callable[..., tuple[int, str, str]]
KEY = "sk-planted-4b1c"


@pytest.mark.parametrize("alias", sorted(entries()))
def test_every_alias_is_shown_with_what_is_missing_and_never_with_a_key(
    tcm_eval: Call, monkeypatch: pytest.MonkeyPatch, alias: str
) -> None:
    names = {str(way.settings["key_env"]) for way in entries()[alias].ways if "key_env" in way.settings}
    names |= {
        n.strip()[4:] for way in entries()[alias].ways for n in way.needs.split(",") if n.strip().startswith("env:")
    }
    for name in names:
        monkeypatch.setenv(name, KEY)
    code, out, _ = tcm_eval("models", "show", alias)
    assert code == 0 and KEY not in out and entries()[alias].title in out
    assert all(f"environment variable {name}: set" in out for name in names)
    assert ("UNCONFIRMED" in out) != entries()[alias].confirmed
    price = entries()[alias].price
    assert price is None or (price.date in out and price.source in out)
    for name in names:
        monkeypatch.delenv(name)
        assert f"environment variable {name}: NOT set" in tcm_eval("models", "show", alias)[1]


def test_a_provider_is_shown_with_its_settings_and_a_wrong_name_with_the_nearest(tcm_eval: Call) -> None:
    code, out, _ = tcm_eval("models", "show", "openai/some-model")
    assert code == 0 and "reasoning_effort" in out and "OPENAI_API_KEY" in out
    assert "Did you mean: gpt-4o" in tcm_eval("models", "show", "gpt-4oo")[2]
    assert "Did you mean: server" in tcm_eval("models", "show", "sever/x")[2]
    assert tcm_eval("models", "show", "server/")[0] == 2


def test_one_question_shows_everything_that_came_back(tcm_eval: Call) -> None:
    def answer(seen: Seen, _: int) -> Reply:
        reply = said("想好了。\n答案：A", reasoning_content="先看舌脉")
        reply.body["usage"] |= {"prompt_tokens_details": {"cached_tokens": 4}}
        return reply

    with serving(answer) as server:
        code, out, _ = tcm_eval("models", "test", "server/mock", "--base-url", server.url, "--model-arg", "check=false")
    assert code == 0 and len(server.posts()) == 1
    for part in (
        "先看舌脉",
        "答案：A",
        "7 in, 3 out",
        "4 of those in were cached",
        "mock-2026",
        "answer        A",
        "status        ok",
    ):
        assert part in out, part


def test_what_a_model_did_not_accept_is_said(tcm_eval: Call) -> None:
    def answer(seen: Seen, _: int) -> Reply:
        if "top_k" in seen.body:
            return Reply(400, {"error": {"message": "Unrecognized request argument supplied: top_k"}})
        return said("答案：A")

    with serving(answer) as server:
        _, out, _ = tcm_eval("models", "test", "server/mock", "--base-url", server.url)
    assert "not accepted  top_k" in out


@pytest.mark.parametrize("provider", ["openai", "anthropic"])
def test_the_providers_own_sdks_are_asked_the_same_way(
    tcm_eval: Call, monkeypatch: pytest.MonkeyPatch, provider: str
) -> None:
    monkeypatch.setenv("PLANTED_KEY", KEY)
    reply = said_by_anthropic("答案：B") if provider == "anthropic" else said_by_responses("答案：B")
    settings = ("--model-arg", "api=responses") if provider == "openai" else ()
    with serving(lambda _s, _n: reply) as server:
        base = server.url if provider == "openai" else server.url.removesuffix("/v1")
        command = ("models", "test", f"{provider}/mock", "--base-url", base, "--key-env", "PLANTED_KEY", *settings)
        code, out, err = tcm_eval(*command)
    assert code == 0, err
    assert "想了一下" in out and "2 for reasoning" in out and KEY not in out + err


@pytest.mark.parametrize(
    ("reply", "message"),
    [
        (Reply(401, {"error": {"message": f"bad key {KEY}"}}), "the key was refused"),
        (Reply(404, {"error": {"message": "no such model"}}), "no model 'mock'"),
        (Reply(500, {"error": {"message": "boom"}}), "FAILED        server: HTTP 500: boom"),
        (Reply(429, {"error": {"message": "slow down"}}), "FAILED        rate_limit: HTTP 429: slow down"),
        (Reply(200, b"<html>"), "no JSON"),
    ],
)
def test_a_failure_is_its_message_and_exit_code_three(
    tcm_eval: Call, monkeypatch: pytest.MonkeyPatch, reply: Reply, message: str
) -> None:
    monkeypatch.setenv("PLANTED_KEY", KEY)
    with serving(lambda _s, _n: reply) as server:
        code, out, err = tcm_eval("models", "test", "server/mock", "--base-url", server.url, "--key-env", "PLANTED_KEY")
    assert code == 3 and message in out + err and KEY not in out + err
    assert len(server.posts()) == 1, "one question, one try"


def test_nobody_there_is_one_message(tcm_eval: Call) -> None:
    code, out, err = tcm_eval("models", "test", "server/mock", "--base-url", "http://127.0.0.1:9/v1")
    assert code == 3 and "cannot be reached" in err and out == ""


def test_hostile_text_does_nothing_to_the_terminal(tcm_eval: Call) -> None:
    hostile = "\x1b]0;owned\x07\x1b[31m答案：A\u202e\r\n\x08第二行"
    with serving(lambda _s, _n: said(hostile, reasoning_content=hostile)) as server:
        code, out, _ = tcm_eval("models", "test", "server/mock", "--base-url", server.url)
    assert code == 0 and not set("\x1b\x07\x08\r\u202e") & set(out) and "答案：A" in out and "第二行" in out
