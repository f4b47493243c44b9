"""The OpenAI protocol's bodies: messages in, answers out, for every adapter that speaks it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from harness.errors import Transient
from harness.types import Image, Message, OptionLogprob, Response, Stop

STOPS: Mapping[str, Stop] = {
    "length": "length",
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
    "content_filter": "filter",
    "sensitive": "filter",
    "refusal": "refusal",
}
BROKEN_OFF = ("insufficient_system_resource", "network_error", "error", "abort")
"""Ends by which DeepSeek, GLM, routers and vLLM say that they broke an answer off themselves: what is there is no answer."""


def chat_content(message: Message) -> str | list[dict[str, Any]]:
    """Return a message's content as the chat protocol wants it."""
    if isinstance(message.content, str):
        return message.content
    return [_part(part) for part in message.content]


def _part(part: str | Image) -> dict[str, Any]:
    if isinstance(part, str):
        return {"type": "text", "text": part}
    return {"type": "image_url", "image_url": {"url": data_url(part)}}


def data_url(image: Image) -> str:
    """Return the image as a data address."""
    return f"data:{image.media_type};base64,{image.data}"


def chat_response(loaded: Any, seconds: float, not_accepted: tuple[str, ...], opens_with: str = "") -> Response:
    """Return what a chat completion says; raise Transient when it holds no choices, or says that the server broke it off."""
    try:
        choice = loaded["choices"][0]
        message = choice["message"]
        said = message.get("content")
    except (KeyError, IndexError, TypeError, AttributeError):
        raise Transient(f"the server's answer has no choices: {str(loaded)[:200]}") from None
    finish = str(choice.get("finish_reason"))
    if finish in BROKEN_OFF:
        raise Transient(f"the server broke its answer off: {finish}")
    usage = mapping(loaded.get("usage"))
    text = text_of(said)
    reasoning = message.get("reasoning_content") or message.get("reasoning")
    if opens_with and not reasoning and not text.lstrip().startswith(opens_with):
        text = opens_with + text  # the chat template wrote the opening tag into the prompt
    stop = STOPS.get(finish, "stop")
    refusal = message.get("refusal")
    if refusal:
        text, stop = text or str(refusal), "refusal"
    return Response(
        text=text,
        reasoning=reasoning if isinstance(reasoning, str) else None,
        stop=stop,
        tokens_in=count(usage, "prompt_tokens"),
        tokens_out=count(usage, "completion_tokens"),
        tokens_reasoning=count(mapping(usage.get("completion_tokens_details")), "reasoning_tokens"),
        tokens_cached=count(mapping(usage.get("prompt_tokens_details")), "cached_tokens"),
        seconds=round(seconds, 4),
        model_version=named(loaded, "model"),
        not_accepted=not_accepted,
    )


def cut(response: Response, stops: Sequence[str]) -> Response:
    """Return the answer up to the first of the requested stop strings, for models that do not take them, or write on regardless."""
    found = [at for stop in stops if stop and (at := response.text.find(stop)) >= 0]
    if not found or response.stop in ("filter", "refusal"):
        return response
    return replace(response, text=response.text[: min(found)], stop="stop")


def letters(loaded: Any, options: Sequence[str]) -> tuple[OptionLogprob, ...] | None:
    """Return each letter's log-probability as the first token of a chat completion; None when the answer has none."""
    try:
        top = loaded["choices"][0]["logprobs"]["content"][0]["top_logprobs"]
    except (KeyError, IndexError, TypeError):
        return None
    found: dict[str, list[float]] = {}
    for one in top:
        found.setdefault(str(one.get("token", "")).strip(), []).append(float(one["logprob"]))
    return tuple(OptionLogprob(_logsum(found[o]) if o in found else None, 1) for o in options)


def _logsum(values: Sequence[float]) -> float:
    most = max(values)
    return most + math.log(sum(math.exp(v - most) for v in values))


def text_of(content: Any) -> str:
    """Return a content field as text: null is empty, parts are joined."""
    if content is None:
        return ""
    if isinstance(content, list):
        return "".join(str(part.get("text", "")) for part in content if isinstance(part, dict))
    return str(content)


def mapping(value: Any) -> Mapping[str, Any]:
    """Return the value if it is a mapping, else an empty one."""
    return value if isinstance(value, Mapping) else {}


def count(usage: Mapping[str, Any], name: str) -> int:
    """Return a token count, 0 when it is not told."""
    value = usage.get(name)
    return value if isinstance(value, int) else 0


def named(loaded: Mapping[str, Any], name: str) -> str | None:
    """Return a text field, None when it is not there."""
    value = loaded.get(name)
    return value if isinstance(value, str) else None
