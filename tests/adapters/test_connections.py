"""How each adapter that speaks HTTP connects, and what may come back packed."""

from __future__ import annotations

import gzip
import json
import socket
from typing import Any

import pytest

from harness.errors import Transient
from tests.adapters.sdk import KEY, asked
from tests.support.chat_server import ChatServer, Reply, said, serving
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


@every_protocol
@pytest.mark.parametrize("claims", [None, -1])
def test_a_packed_answer_is_read(protocol: Protocol, claims: int | None) -> None:
    body = gzip.compress(json.dumps(protocol.answer("好").body).encode() + b" " * (5 << 20))
    with serving(lambda _s, _n: Reply(200, body, {"content-encoding": "gzip"}, claims=claims)) as server:
        assert asked(server, protocol).text == "好"
