"""Every adapter with an SDK, with the real SDK against a server that misbehaves: each fault becomes the one error it is."""

from __future__ import annotations

import json
from email.utils import formatdate
from pathlib import Path
from time import time

import pytest

from harness.errors import AdapterError, Fatal, RateLimited, Rejected, TooLong, Transient, UsageError
from harness.registry import get_adapter
from harness.types import Message, Request
from model_adapters._http import faults
from tests.adapters.sdk import ASK, KEY, asked
from tests.support.chat_server import Reply, serving
from tests.support.protocols import PROTOCOLS, Protocol

every_protocol = pytest.mark.parametrize("protocol", PROTOCOLS, ids=lambda p: "-".join([p.provider, *p.settings]))


@pytest.fixture(autouse=True)
def _planted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PLANTED_KEY", KEY)
    for name in ("OPENAI_API_KEY", "ANTHROPIC_API_KEY", "GEMINI_API_KEY", "GOOGLE_API_KEY"):
        monkeypatch.delenv(name, raising=False)


FAULTS = [
    (429, "slow down", "rate_limit_exceeded", RateLimited),
    (500, "oops", "server_error", Transient),
    (503, "unavailable", "unavailable", Transient),
    (503, "The model is overloaded", "UNAVAILABLE", RateLimited),
    (529, "Overloaded", "overloaded_error", RateLimited),
    (400, "messages must alternate", "invalid_request_error", Rejected),
    (400, "prompt is too long: 300000 tokens > 200000 maximum", "invalid_request_error", TooLong),
    (413, "request too large", "request_too_large", TooLong),
    (401, f"Incorrect API key provided: {KEY}", "invalid_api_key", Fatal),
    (403, "permission denied", "permission_error", Fatal),
    (404, "no such model: mock", "not_found_error", Fatal),
    (429, "You exceeded your current quota", "insufficient_quota", Fatal),
]


@every_protocol
@pytest.mark.parametrize(("status", "text", "code", "kind"), FAULTS)
def test_each_status_is_the_error_it_stands_for_and_is_asked_once(
    protocol: Protocol, status: int, text: str, code: str, kind: type[AdapterError]
) -> None:
    with serving(lambda _s, _n: protocol.error(status, text, code)) as server:
        with pytest.raises(kind) as caught:
            asked(server, protocol)
        assert type(caught.value) is kind and len(server.posts()) == 1, "the SDK's own retries are off"
    assert KEY not in str(caught.value)


@every_protocol
@pytest.mark.parametrize(
    ("header", "least", "most"),
    [("3", 3, 3), ("0.5", 0.5, 0.5), (None, None, None), ("DATE", 20, 31), ("soon", None, None)],
)
def test_the_wait_that_the_provider_asks_for_is_read(
    protocol: Protocol, header: str | None, least: float | None, most: float | None
) -> None:
    said = formatdate(time() + 30, usegmt=True) if header == "DATE" else header
    reply = protocol.error(429, "slow down", "limit", {"retry-after": said} if said else {})
    with serving(lambda _s, _n: reply) as server, pytest.raises(RateLimited) as caught:
        asked(server, protocol)
    wait = caught.value.retry_after
    assert wait is None if least is None or most is None else wait is not None and least <= wait <= most


@every_protocol
def test_a_broken_body_is_worth_another_try(protocol: Protocol) -> None:
    whole = protocol.answer("好").body
    for reply, said in (
        (Reply(200, whole, drop=True), "connection broke"),
        (Reply(200, json.dumps(whole).encode()[:40]), "no JSON"),
        (Reply(200, b"<html>a proxy's page</html>", {"content-type": "text/html"}), "no JSON"),
        (Reply(200, b""), "no JSON"),
        (Reply(200, {"surprise": 1}), "no (choices|output|message|candidates)|holds no message"),
        (Reply(200, []), "no (choices|output|object)|holds no message"),
        (Reply(500, b"<html>\xff</html>", {"content-type": "text/html"}), "HTTP 500"),
        (Reply(502, b"", {}), "HTTP 502"),
    ):
        with serving(lambda _s, _n, reply=reply: reply) as server, pytest.raises(Transient, match=said):  # type: ignore[misc]
            asked(server, protocol)


@every_protocol
def test_invalid_utf8_costs_only_the_broken_characters(protocol: Protocol) -> None:
    body = json.dumps(protocol.answer("AXB").body).encode().replace(b"AXB", b"A\xffB")
    with serving(lambda _s, _n: Reply(body=body)) as server:
        assert asked(server, protocol).text == "A\ufffdB"


@every_protocol
@pytest.mark.parametrize("claims", [None, -1])
def test_a_huge_body_is_refused_before_it_fills_the_memory(
    protocol: Protocol, claims: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(faults, "LARGEST_BODY", 1 << 20)
    reply = Reply(200, b"x" * (3 << 20), claims=claims)
    with serving(lambda _s, _n: reply) as server, pytest.raises(Rejected, match="larger than 1 MB"):
        asked(server, protocol)


@every_protocol
def test_a_slow_first_byte_and_a_closed_port_are_worth_another_try(protocol: Protocol) -> None:
    with (
        serving(lambda _s, _n: Reply(200, protocol.answer("好").body, delay=1.5)) as server,
        pytest.raises(Transient, match="in time"),
    ):
        asked(server, protocol, first_byte_timeout=0.2)
    with pytest.raises(Transient, match="cannot connect"):
        asked(server, protocol)


@every_protocol
def test_a_silence_within_an_answer_is_worth_another_try(protocol: Protocol, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(faults, "SILENCE_S", 0.3)
    whole = protocol.answer("好").body
    with serving(lambda _s, _n: Reply(body=whole, delay=1.0)) as server:
        assert asked(server, protocol).text == "好", "the wait for the first byte is no silence within an answer"
    with serving(lambda _s, _n: Reply(body=whole, stall=2.0)) as server, pytest.raises(Transient, match="in time"):
        asked(server, protocol)


@every_protocol
def test_a_redirect_is_not_followed_and_the_key_stays_with_its_host(protocol: Protocol) -> None:
    with serving(lambda _s, _n: protocol.answer("elsewhere")) as other:
        away = Reply(307, {}, {"location": other.url})
        with serving(lambda _s, _n: away) as server:
            with pytest.raises(Fatal, match="Redirects are not followed") as caught:
                asked(server, protocol)
            assert KEY in json.dumps(dict(server.posts()[0].headers)), "its own host gets the key"
        assert not other.seen and KEY not in str(caught.value)


@every_protocol
def test_a_key_never_goes_to_a_host_it_was_not_named_for(protocol: Protocol, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("OPENAI_API_KEY", "ANTHROPIC_API_KEY", "GEMINI_API_KEY", "GOOGLE_API_KEY", "ANTHROPIC_AUTH_TOKEN"):
        monkeypatch.setenv(name, KEY)
    with serving(lambda _s, _n: protocol.answer("好")) as server:
        assert asked(server, protocol, key_env=None).text == "好"
        assert KEY not in json.dumps([dict(seen.headers) for seen in server.seen]) + json.dumps(
            [s.path for s in server.seen]
        )


@pytest.mark.parametrize("provider", ["openai", "anthropic", "google"])
def test_without_a_key_the_message_names_the_ways_to_give_one(provider: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"_API_KEY, name another one with --key-env, or a file of mode 600"):
        get_adapter(provider)("some-model")
    with pytest.raises(UsageError, match="NO_SUCH_KEY, named for the key, is not set"):
        get_adapter(provider)("some-model", key_env="NO_SUCH_KEY")
    file = tmp_path / "key"
    for content, mode, said in (
        (KEY, 0o644, "chmod 600"),
        ("two words", 0o600, "expected one line"),
        ("", 0o600, "expected one line"),
    ):
        file.write_text(content)
        file.chmod(mode)
        with pytest.raises(UsageError, match=said):
            get_adapter(provider)("some-model", key_file=str(file))
    with pytest.raises(UsageError, match="No such file"):
        get_adapter(provider)("some-model", key_file=str(tmp_path / "none"))


@every_protocol
def test_a_key_file_of_mode_600_is_used_and_the_key_stands_in_no_identity(protocol: Protocol, tmp_path: Path) -> None:
    file = tmp_path / "key"
    file.write_text("sk-from-a-file\n")
    file.chmod(0o600)
    with serving(lambda _s, _n: protocol.answer("好")) as server:
        assert asked(server, protocol, key_env=None, key_file=str(file)).text == "好"
        assert "sk-from-a-file" in json.dumps(dict(server.posts()[0].headers))
        model = get_adapter(protocol.provider)("mock", base_url=server.url, key_file=str(file))
    assert "sk-from" not in json.dumps(dict(model.identity)) + repr(vars(model)["_place"])


@every_protocol
def test_lone_surrogates_are_the_requests_own_fault(protocol: Protocol) -> None:
    with serving(lambda _s, _n: protocol.answer("好")) as server:
        try:
            asked(server, protocol, Request((Message("user", "坏\ud800字"),)))
        except Rejected as error:
            assert "Unicode" in str(error)


@every_protocol
def test_options_without_log_probabilities_say_what_to_do(protocol: Protocol) -> None:
    with serving(lambda _s, _n: protocol.answer("A")) as server, pytest.raises(Fatal, match="--ask generate"):
        asked(server, protocol, Request(ASK.messages, options=("A", "B")))


@every_protocol
def test_an_address_with_a_key_in_it_is_refused(protocol: Protocol) -> None:
    for url in ("https://key@host/v1", "https://host/v1?key=abc"):
        with pytest.raises(UsageError, match="does not belong into the address") as caught:
            get_adapter(protocol.provider)("mock", base_url=url)
        assert "abc" not in str(caught.value)
