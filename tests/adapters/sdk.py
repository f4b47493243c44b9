"""How the tests of the adapters that speak HTTP ask one question."""

from __future__ import annotations

import asyncio
from typing import Any

from harness.registry import get_adapter
from harness.types import Message, Request, Response, Sampling
from tests.support.chat_server import ChatServer
from tests.support.protocols import Protocol

KEY = "sk-planted-9f8e7d"
ASK = Request((Message("system", "你是中医"), Message("user", "补气药是？")), Sampling(stop=("。",), max_tokens=9))


def built(server: ChatServer, protocol: Protocol, **settings: Any) -> Any:
    """Return the adapter's model at a local server; the key is the planted one, from the variable PLANTED_KEY."""
    given = {"key_env": "PLANTED_KEY", **protocol.settings, **settings}
    return get_adapter(protocol.provider)("mock", base_url=server.url.removesuffix("/v1") + protocol.root, **given)


def asked(server: ChatServer, protocol: Protocol, request: Request = ASK, **settings: Any) -> Response:
    """Return the answer to one question."""
    model = built(server, protocol, **settings)

    async def go() -> Response:
        try:
            answer: Response = await model.generate(request)
        finally:
            await model.aclose()
        return answer

    return asyncio.run(go())
