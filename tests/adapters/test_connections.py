"""How each adapter that speaks HTTP connects, and what may come back packed."""

from __future__ import annotations

import gzip
import json
import socket
from http.server import BaseHTTPRequestHandler
from typing import Any

import pytest

from harness.errors import Fatal, Transient, UsageError
from model_adapters._http import proxy
from tests.adapters.sdk import KEY, asked
from tests.support.chat_server import ChatServer, Reply, listening, said, serving
from tests.support.protocols import PROTOCOLS, Protocol

every_protocol = pytest.mark.parametrize("protocol", PROTOCOLS, ids=lambda p: p.name)


@pytest.fixture(autouse=True)
def _planted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PLANTED_KEY", KEY)


@every_protocol
def test_an_address_that_never_connects_is_given_up_soon(protocol: Protocol) -> None:
    with socket.socket() as full:  # a backlog that is full: further connections are neither accepted nor refused
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        crowd = [socket.socket() for _ in range(4)]
        for one in crowd:
            one.setblocking(False)
            one.connect_ex(full.getsockname())
        server = ChatServer(lambda _s, _n: said("x"), url=f"http://127.0.0.1:{full.getsockname()[1]}/v1")
        settings: dict[str, Any] = {"check": False} if protocol.provider == "server" else {}
        try:
            with pytest.raises(Transient, match=r"(?i)no connection in time|timeout"):
                asked(server, protocol, connect_timeout=0.3, first_byte_timeout=20.0, **settings)
        finally:
            for one in crowd:
                one.close()


PROXIES = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY")


@pytest.fixture
def _no_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in PROXIES:
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)


@every_protocol
@pytest.mark.usefixtures("_no_proxies")
@pytest.mark.parametrize(("variable", "by"), [("http_proxy", ""), ("all_proxy", "user:planted-2@")])
def test_the_proxy_that_the_environment_names_is_asked(
    protocol: Protocol, variable: str, by: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with serving(lambda _s, _n: protocol.answer("好")) as server:
        monkeypatch.setenv(variable, server.url.removesuffix("/v1").replace("://", f"://{by}"))
        away = ChatServer(lambda _s, _n: said("x"), url="http://models.example.org/v1")
        settings: dict[str, Any] = {"check": False} if protocol.provider == "server" else {}
        assert asked(away, protocol, **settings).text == "好"
        [post] = server.posts()
        assert post.path.startswith("http://models.example.org/")
        assert ("Proxy-Authorization" in post.headers) == bool(by)
    with pytest.raises(Transient) as caught:  # the proxy is gone
        asked(away, protocol, **settings)
    assert "planted" not in str(caught.value)


@every_protocol
@pytest.mark.usefixtures("_no_proxies")
@pytest.mark.parametrize("check", [True, False])
def test_a_proxy_never_sees_the_key(protocol: Protocol, check: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[str] = []

    class Proxy(BaseHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            """Keep the test's output clean."""

        def do_CONNECT(self) -> None:
            seen.append(f"{self.requestline} {dict(self.headers)}")
            self.send_error(502)

    settings: dict[str, Any] = {"check": check} if protocol.provider == "server" else {}
    away = ChatServer(lambda _s, _n: said("x"), url="https://models.example.org/v1")
    with listening(Proxy) as url:
        monkeypatch.setenv("https_proxy", url)
        with pytest.raises((Transient, Fatal)):
            asked(away, protocol, **settings)
    assert seen and "models.example.org:443" in seen[0] and KEY not in str(seen)


@every_protocol
@pytest.mark.usefixtures("_no_proxies")
@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_this_machine_is_asked_without_a_proxy(protocol: Protocol, host: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in PROXIES[:3]:
        monkeypatch.setenv(name.lower(), "http://127.0.0.1:9")
    with serving(lambda _s, _n: protocol.answer("好")) as server:
        server.url = server.url.replace("127.0.0.1", host)
        assert asked(server, protocol).text == "好"


@pytest.mark.usefixtures("_no_proxies")
def test_hosts_that_want_no_proxy_get_none_and_a_kind_that_is_not_taken_is_named(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("https_proxy", "proxy.example:3128")
    monkeypatch.setenv("no_proxy", "models.example.org")
    assert proxy("https://api.example.org/v1") == "http://proxy.example:3128"
    assert proxy("https://models.example.org/v1") is proxy("http://api.example.org/v1") is None
    monkeypatch.setenv("https_proxy", "socks5://user:planted@proxy.example:1080")
    with pytest.raises(UsageError, match=r"a socks5 proxy .* Name one in HTTPS_PROXY") as caught:
        proxy("https://api.example.org/v1")
    assert "planted" not in str(caught.value)


@every_protocol
@pytest.mark.parametrize("claims", [None, -1])
def test_a_packed_answer_is_read(protocol: Protocol, claims: int | None) -> None:
    body = gzip.compress(json.dumps(protocol.answer("好").body).encode() + b" " * (5 << 20))
    with serving(lambda _s, _n: Reply(200, body, {"content-encoding": "gzip"}, claims=claims)) as server:
        assert asked(server, protocol).text == "好"
