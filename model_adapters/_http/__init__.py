"""What the adapters that speak HTTP share: addresses and keys, the meaning of answers, the lean client, the SDKs' client.

The one module that adapters may import from each other's side; importing it brings aiohttp and no SDK.
"""

from __future__ import annotations

from model_adapters._http.batches import AnthropicBatches, OpenAIBatches, Protocol
from model_adapters._http.chat import Chat, no_logprobs
from model_adapters._http.faults import (
    KEY_WAYS,
    Place,
    fault,
    filtered,
    message,
    parsed,
    readable,
    refused_key,
)
from model_adapters._http.keys import (
    SERVER_URL,
    Own,
    endpoint,
    is_like_a_key,
    loopback,
    own_place,
    proxy,
    secrets,
    server_place,
)
from model_adapters._http.left_out import DROPPABLE, LeftOut, Trial, ignored, not_accepted
from model_adapters._http.reading import (
    chat_content,
    chat_response,
    count,
    cut,
    data_url,
    letters,
    mapping,
    named,
    text_of,
)
from model_adapters._http.sdk import client, refused, translated

__all__ = [
    "DROPPABLE",
    "KEY_WAYS",
    "SERVER_URL",
    "AnthropicBatches",
    "Chat",
    "LeftOut",
    "OpenAIBatches",
    "Own",
    "Place",
    "Protocol",
    "Trial",
    "chat_content",
    "chat_response",
    "client",
    "count",
    "cut",
    "data_url",
    "endpoint",
    "fault",
    "filtered",
    "ignored",
    "is_like_a_key",
    "letters",
    "loopback",
    "mapping",
    "message",
    "named",
    "no_logprobs",
    "not_accepted",
    "own_place",
    "parsed",
    "proxy",
    "readable",
    "refused",
    "refused_key",
    "secrets",
    "server_place",
    "text_of",
    "translated",
]
