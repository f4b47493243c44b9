"""Where a key comes from and where it goes, with each adapter that speaks HTTP."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from harness.errors import Fatal, UsageError
from harness.registry import get_adapter
from model_adapters._http.faults import Place
from tests.adapters.sdk import KEY, asked
from tests.support.chat_server import Reply, serving
from tests.support.protocols import PROTOCOLS, Protocol

every_protocol = pytest.mark.parametrize("protocol", PROTOCOLS, ids=lambda p: p.name)


@pytest.fixture(autouse=True)
def _planted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PLANTED_KEY", KEY)
    for name in ("OPENAI_API_KEY", "ANTHROPIC_API_KEY", "GEMINI_API_KEY", "GOOGLE_API_KEY", "TCM_EVAL_SERVER_KEY"):
        monkeypatch.delenv(name, raising=False)


@every_protocol
def test_a_redirect_is_not_followed_and_the_key_stays_with_its_host(protocol: Protocol) -> None:
    with serving(lambda _s, _n: protocol.answer("elsewhere")) as other:
        away = Reply(307, {}, {"location": other.url})
        with serving(lambda _s, _n: away) as server:
            with pytest.raises(Fatal, match="Redirects are not followed") as caught:
                asked(server, protocol)
            assert KEY in json.dumps(dict(server.posts()[0].headers)), "its own host gets the key"
        assert not other.seen and KEY not in str(caught.value)


USUAL = ("OPENAI_API_KEY", "ANTHROPIC_API_KEY", "GEMINI_API_KEY", "GOOGLE_API_KEY", "ANTHROPIC_AUTH_TOKEN")
ACCOUNT = ("OPENAI_ORG_ID", "OPENAI_PROJECT_ID", "OPENAI_ADMIN_KEY", "GOOGLE_CLOUD_PROJECT")
HEADERS = ("OPENAI_CUSTOM_HEADERS", "ANTHROPIC_CUSTOM_HEADERS")


@every_protocol
def test_a_key_never_goes_to_a_host_it_was_not_named_for(protocol: Protocol, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (*USUAL, *ACCOUNT):
        monkeypatch.setenv(name, KEY)
    for name in HEADERS:
        monkeypatch.setenv(name, f"X-Gateway: {KEY}\nAuthorization: Bearer {KEY}\nX-Api-Key: {KEY}")
    with serving(lambda _s, _n: protocol.answer("好")) as server:
        assert asked(server, protocol, key_env=None).text == "好"
        assert KEY not in json.dumps([dict(seen.headers) for seen in server.seen]) + json.dumps(
            [s.path for s in server.seen]
        )
    assert {os.environ[name] for name in USUAL} == {KEY}, "the environment is as it was"


@every_protocol
def test_a_key_that_was_named_is_sent_whatever_headers_the_environment_states(
    protocol: Protocol, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in HEADERS:
        monkeypatch.setenv(name, "Authorization: Bearer another\nX-Api-Key: another")
    with serving(lambda _s, _n: protocol.answer("好")) as server:
        asked(server, protocol)
        headers = json.dumps(dict(server.posts()[0].headers))
    assert KEY in headers and "another" not in headers


@pytest.mark.parametrize(
    ("meant_for", "base_url", "sent"),
    [
        ("https://models.example.org/v1", None, True),
        ("https://models.example.org/v1", "https://models.example.org:8443/other", True),
        ("https://models.example.org/v1", "https://api.deepseek.com", False),
        ("https://models.example.org/v1", "https://models.example.org.else.example/v1", False),
        (None, "https://api.deepseek.com", False),
        (None, "http://localhost:8000/v1", True),
        (None, "http://127.0.0.7:8000/v1", True),
        (None, "http://[::1]:8000/v1", True),
        (None, "http://localhost.else.example/v1", False),
        (None, "http://127.0.0.1.else.example/v1", False),
        ("none", "http://10.0.0.7:8000/v1", False),
    ],
)
def test_the_servers_usual_key_goes_to_the_host_it_was_set_for_and_to_this_machine_alone(
    meant_for: str | None, base_url: str | None, sent: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TCM_EVAL_SERVER_KEY", KEY)
    monkeypatch.delenv("TCM_EVAL_BASE_URL", raising=False)
    if meant_for is not None:
        monkeypatch.setenv("TCM_EVAL_BASE_URL", meant_for)
    build = get_adapter("server")
    assert vars(build("mock", base_url=base_url, check=False))["_place"].key == (KEY if sent else None)
    other = build("mock", base_url=base_url, check=False, key_env="TCM_EVAL_SERVER_KEY")
    assert vars(other)["_place"].key == KEY, "named, it goes where it is told"


@every_protocol
@pytest.mark.parametrize("check", [True, False])
def test_who_wants_the_usual_key_that_another_host_does_not_get_is_told_how_to_name_it(
    protocol: Protocol, check: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    usual = {"server": "TCM_EVAL_SERVER_KEY", "google": "GEMINI_API_KEY"}.get(
        protocol.provider, f"{protocol.provider.upper()}_API_KEY"
    )
    monkeypatch.setenv(usual, KEY)
    monkeypatch.delenv("TCM_EVAL_BASE_URL", raising=False)
    settings: dict[str, Any] = {"check": check} if protocol.provider == "server" else {}
    with serving(lambda _s, _n: protocol.error(401, "who are you", "auth"), []) as server:
        server.url = server.url.replace("127.0.0.1", "0.0.0.0")  # this machine, by a name that does not say so
        with pytest.raises(Fatal, match=rf"that of {usual} goes to its own host only, unless .*--key-env {usual}"):
            asked(server, protocol, key_env=None, **settings)
        assert server.posts() and KEY not in json.dumps([dict(seen.headers) for seen in server.seen])


@pytest.mark.parametrize("provider", ["openai", "anthropic", "google"])
def test_at_home_the_sdk_has_the_account_that_the_environment_names_and_the_key_that_we_name(
    provider: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    for name in ("OPENAI_API_KEY", "ANTHROPIC_API_KEY", "GEMINI_API_KEY", "GOOGLE_API_KEY"):
        monkeypatch.setenv(name, "another-key")
    monkeypatch.setenv("OPENAI_ORG_ID", "org-1")
    for name in HEADERS:
        monkeypatch.setenv(name, "X-Gateway: another-key")
    sdk = vars(get_adapter(provider)("some-model", key_env="PLANTED_KEY"))["_sdk"]
    assert getattr(sdk, "_api_client", sdk).api_key == KEY
    assert "another-key" not in str(getattr(sdk, "default_headers", "")), "a gateway's key is not the provider's"
    assert provider != "openai" or sdk.organization == "org-1"
    assert not caplog.text, "google-genai tells of a key that it does not use"


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
def test_an_address_with_a_key_in_it_is_refused(protocol: Protocol) -> None:
    for url in ("https://key@host/v1", "https://host/v1?key=abc"):
        with pytest.raises(UsageError, match="does not belong into the address") as caught:
            get_adapter(protocol.provider)("mock", base_url=url)
        assert "abc" not in str(caught.value)


@pytest.mark.parametrize("key", ["sk-planted/7Q+x9=R-4fT8w", "AIzaSyD-planted_0123456789"])
def test_a_key_is_hidden_however_json_writes_it(key: str) -> None:
    """Some servers escape more than they need to: the parsed text would hold the key again."""
    place = Place("http://127.0.0.1/v1", "mock", key)
    whole = "".join(f"\\u{ord(c):04X}" for c in key)
    for written in (key, key.replace("/", "\\/"), key.replace("=", "\\u003d").replace("+", "\\u002B"), whole):
        body = f'{{"a": "x{written}y"}}'.encode()
        assert json.loads(body)["a"] == f"x{key}y"
        assert json.loads(place.clean(body))["a"] == "x[key]y"


TYPED = (
    "sk-planted-9f8e7d",
    "AIzaSyD_planted0123456789",
    "gsk_planted0123456789",
    "AKIAIOSFODNN7PLANTED",
    "f3a9planted0123",
)


@pytest.mark.parametrize("provider", ["openai", "server"])
@pytest.mark.parametrize("key", TYPED)
def test_a_key_in_place_of_its_variables_name_is_refused_and_not_repeated(provider: str, key: str) -> None:
    """Google's and Groq's keys could be names of variables."""
    with pytest.raises(UsageError, match="the name of an environment variable, not the key") as caught:
        get_adapter(provider)("some-model", base_url="http://127.0.0.1:9/v1", key_env=key)
    assert key not in str(caught.value)


@pytest.mark.parametrize("key", TYPED[:4])
def test_a_key_in_place_of_its_files_name_is_refused_and_not_repeated(key: str) -> None:
    with pytest.raises(UsageError, match="not the key itself") as caught:
        get_adapter("server")("some-model", base_url="http://127.0.0.1:9/v1", key_file=key)
    assert key not in str(caught.value)


@pytest.mark.parametrize(
    "body",
    [
        {"api_key": "planted"},
        {"apiKey": "planted"},
        {"API-KEY": "planted"},
        {"x_access_token": "planted"},
        {"headers": {"Authorization": "Basic planted"}},
        {"extra": [{"client_secret": "planted"}]},
        {"api_keys": ["sk-planted-9f8e7d"]},
        {"passwd": ["planted"]},
        {"user": "Bearer planted-9f8e7d"},
    ],
)
def test_a_key_among_the_further_fields_is_refused_and_not_repeated(body: dict[str, Any]) -> None:
    """They stand in the manifest, and so does whatever is in them."""
    with pytest.raises(UsageError, match="body holds a key") as caught:
        get_adapter("server")("mock", base_url="http://127.0.0.1:9/v1", body=json.dumps(body), check=False)
    assert "planted" not in str(caught.value)
    with pytest.raises(UsageError, match="body is no JSON") as caught:
        get_adapter("server")("mock", base_url="http://127.0.0.1:9/v1", body=json.dumps(body) + "}", check=False)
    assert "planted" not in str(caught.value)


@pytest.mark.parametrize(
    "body",
    [
        {"thinking": {"type": "disabled", "token_budget": 7}, "skip_special_tokens": False, "stop_token_ids": [1]},
        {"max_thinking_tokens": 7, "prompt_cache_key": "tcm", "return_tokens_as_token_ids": True, "add_token": True},
        {"response_format": {"json_schema": {"properties": {"key": {"type": "string"}}, "required": ["key"]}}},
        {"chat_template": "skip_special_tokens_of_2", "user": "sk-7"},
    ],
)
def test_further_fields_that_only_sound_like_keys_are_taken(body: dict[str, Any]) -> None:
    model = get_adapter("server")("mock", base_url="http://127.0.0.1:9/v1", body=json.dumps(body), check=False)
    assert json.loads(dict(model.identity)["body"]) == body
