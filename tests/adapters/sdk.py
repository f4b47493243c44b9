"""How the tests of the SDK adapters ask one question."""

from __future__ import annotations

import asyncio
from typing import Any

from harness.registry import get_adapter
from harness.types import Message, Request, Response, Sampling
from tests.support.chat_server import ChatServer
from tests.support.protocols import Protocol

KEY = "sk-planted-9f8e7d"
ASK = Request((Message("system", "你是中医"), Message("user", "补气药是？")), Sampling(stop=("。",), max_tokens=9))


def asked(server: ChatServer, protocol: Protocol, request: Request = ASK, **settings: Any) -> Response:
    """Return the answer to one question; the key is the planted one, from the variable PLANTED_KEY."""

    async def go() -> Response:
        base = server.url.removesuffix("/v1") + protocol.root
        given = {"key_env": "PLANTED_KEY", **protocol.settings, **settings}
        model = get_adapter(protocol.provider)("mock", base_url=base, **given)
        try:
            answer: Response = await model.generate(request)
        finally:
            await model.aclose()
        return answer

    return asyncio.run(go())
