"""Anthropic's models through its SDK (Messages API).

Newer SDKs have no argument for the temperature and its kin. What the SDK has no argument for, or the API refuses, is left out and
recorded with each answer as not accepted.
"""

from __future__ import annotations

import inspect
import time
from collections.abc import Mapping
from typing import Any

from harness.errors import AdapterError, Fatal, Transient, UsageError
from harness.types import Image, Message, Request, Response, Stop
from model_adapters._http import (
    AnthropicBatches,
    LeftOut,
    Own,
    Place,
    Protocol,
    Trial,
    client,
    count,
    cut,
    endpoint,
    filtered,
    ignored,
    mapping,
    named,
    no_logprobs,
    not_accepted,
    own_place,
    parsed,
    refused,
    translated,
)

HOME = "https://api.anthropic.com"
OWN = Own(HOME, "ANTHROPIC_API_KEY", ("ANTHROPIC_",), "/v1/models")
DISPLAY = ("thinking.display", "thinking.adaptive.display", "thinking.enabled.display")
"""The names by which the API may call the field that asks for a summary of the thoughts."""
SAMPLING = {"temperature": "temperature", "top_p": "top_p", "top_k": "top_k", "stop_sequences": "stop"}
STOPS: Mapping[str, Stop] = {
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
    "refusal": "refusal",
}


class Anthropic:
    """One model of Anthropic. `thinking` is a token budget, 0 for the model's own adaptive thinking, None for the API's default."""

    metered = True

    def __init__(
        self, sdk: Any, place: Place, thinking: int | None, ignores: tuple[str, ...], *, in_body: bool, thoughts: bool
    ) -> None:
        self.name = f"anthropic/{place.model}"
        self.identity: Mapping[str, str] = {
            "provider": "anthropic",
            "model": place.model,
            "endpoint": endpoint(place.url),
            **({"thinking": str(thinking or "adaptive")} if thinking is not None else {}),
            **({"ignores": ",".join(ignores)} if ignores else {}),
        }
        self._sdk, self._place, self._thinking = sdk, place, thinking
        self._thoughts = thoughts
        accepted = inspect.signature(sdk.messages.create).parameters
        lacking = tuple(ours for theirs, ours in SAMPLING.items() if theirs not in accepted)
        self._lacking = tuple(theirs for theirs in SAMPLING if theirs not in accepted)
        names = {**SAMPLING, **dict.fromkeys(DISPLAY, "reasoning_summary")}
        self._left_out = LeftOut(names, ("seed", "repetition_penalty", *ignores, *(() if in_body else lacking)))

    async def generate(self, request: Request) -> Response:
        """Return the answer; raise one of the adapter errors."""
        if request.options:
            raise no_logprobs(self._place)
        trial = self._left_out.trial()
        while True:
            body = self._body(request, trial)
            started = time.perf_counter()
            try:
                reply = await self._sdk.messages.with_raw_response.create(**self._arguments(body))
                loaded = parsed(self._place.clean(reply.http_response.content))
            except AdapterError:
                raise
            except Exception as error:  # noqa: BLE001 - an SDK raises many kinds; each becomes one of ours
                answer = refused(error)
                if answer is not None and trial.refused(answer.status, answer.text, body):
                    continue
                if answer is not None and filtered(answer.status, answer.text):
                    return Response("", stop="filter", seconds=round(time.perf_counter() - started, 4))
                raise translated(error, self._place) from None
            said = self._read(loaded, request, trial.fields, time.perf_counter() - started)
            trial.answered()
            return said

    @property
    def batches(self) -> AnthropicBatches:
        """Return the batch interface for this model, with what was learnt so far about the fields that it takes."""
        protocol = Protocol(
            lambda request: self._body(request, self._left_out.trial()),
            lambda loaded, request: self._read(loaded, request, self._left_out.fields),
            self._left_out,
        )
        return AnthropicBatches(self._sdk, self._place, protocol)

    def _body(self, request: Request, trial: Trial) -> dict[str, Any]:
        s = request.sampling
        system = "\n\n".join(_plain(m) for m in request.messages if m.role == "system")
        body: dict[str, Any] = {
            "model": self._place.model,
            "max_tokens": s.max_tokens,
            "messages": [{"role": m.role, "content": _content(m)} for m in request.messages if m.role != "system"],
            "temperature": s.temperature,
            "top_p": s.top_p,
        }
        if s.top_k:
            body["top_k"] = s.top_k
        if s.stop:
            body["stop_sequences"] = list(s.stop)
        if system:
            body["system"] = system
        if self._thinking is not None:
            budget = {"type": "enabled", "budget_tokens": self._thinking}
            shown = {"display": "summarized"} if self._thoughts else {}
            body["thinking"] = {**(budget if self._thinking else {"type": "adaptive"}), **shown}
        return trial.strip(body)

    def _arguments(self, body: Mapping[str, Any]) -> dict[str, Any]:
        """Return a body as the SDK wants it: what it has no argument for stands apart."""
        extra = {name: value for name, value in body.items() if name in self._lacking}
        arguments = {name: value for name, value in body.items() if name not in extra}
        return {**arguments, "extra_body": extra} if extra else arguments

    def _read(self, loaded: Any, request: Request, without: tuple[str, ...], seconds: float = 0.0) -> Response:
        return cut(_response(loaded, seconds, not_accepted(without, request)), request.sampling.stop)

    async def aclose(self) -> None:
        """Close the connections."""
        await self._sdk.close()


def _plain(message: Message) -> str:
    content = message.content
    return content if isinstance(content, str) else "".join(part for part in content if isinstance(part, str))


def _content(message: Message) -> str | list[dict[str, Any]]:
    if isinstance(message.content, str):
        return message.content
    return [_part(part) for part in message.content]


def _part(part: str | Image) -> dict[str, Any]:
    if isinstance(part, str):
        return {"type": "text", "text": part}
    return {"type": "image", "source": {"type": "base64", "media_type": part.media_type, "data": part.data}}


def _response(loaded: Any, seconds: float, not_accepted: tuple[str, ...]) -> Response:
    if not isinstance(loaded, dict) or not isinstance(loaded.get("content", None) or [], list) or "usage" not in loaded:
        raise Transient(f"the server's answer holds no message: {str(loaded)[:200]}")
    blocks = [block for block in loaded.get("content") or [] if isinstance(block, dict)]
    thoughts = [str(b.get("thinking") or "") for b in blocks if b.get("type") == "thinking"]
    usage = mapping(loaded.get("usage"))
    cached = count(usage, "cache_read_input_tokens")
    return Response(
        text="".join(str(b.get("text") or "") for b in blocks if b.get("type") == "text"),
        reasoning="\n".join(filter(None, thoughts)) or None,
        stop=STOPS.get(str(loaded.get("stop_reason")), "stop"),
        tokens_in=count(usage, "input_tokens") + cached + count(usage, "cache_creation_input_tokens"),
        tokens_out=count(usage, "output_tokens"),
        tokens_reasoning=count(mapping(usage.get("output_tokens_details")), "thinking_tokens"),
        tokens_cached=cached,
        seconds=round(seconds, 4),
        model_version=named(loaded, "model"),
        not_accepted=not_accepted,
    )


def build(
    model: str,
    *,
    base_url: str = HOME,
    key_env: str | None = None,
    key_file: str | None = None,
    thinking: int | None = None,
    thoughts: bool = False,
    sampling_in_body: bool = False,
    ignores: str = "",
    connect_timeout: float = 10.0,
    first_byte_timeout: float = 0.0,
) -> Anthropic:
    """Return the Anthropic model `model`.

    The key is ANTHROPIC_API_KEY's, or that of the variable `key_env` or of the file `key_file` (mode 600); another
    `base_url` gets only a key that was named so. `thinking` is the budget in tokens, 0 for adaptive thinking;
    `thoughts` asks for a summary of it, which newer models leave out unasked. `sampling_in_body` sends temperature,
    top_p and top_k even where the SDK has no argument for them (older models take them); what the API refuses is left
    out then too. `ignores` names sampling fields, separated by commas, that the model does not take: they are left out
    and recorded as not accepted. Raises UsageError without a key or for a wrong setting, Fatal without the package.
    """
    if thinking is not None and thinking < 0:
        raise UsageError(f"anthropic/{model}: thinking={thinking} is no number of tokens")
    fixed = ignored(f"anthropic/{model}", ignores)
    place = own_place(model, base_url, OWN, key_env, key_file)
    try:
        import anthropic
    except ImportError:
        raise Fatal("package 'anthropic' is not installed: pip install 'tcm-eval[providers]'") from None
    http = client(place, connect_timeout, first_byte_timeout)
    with OWN.unseen(place.url):
        sdk = anthropic.AsyncAnthropic(
            api_key=place.key or "none", base_url=place.url, max_retries=0, timeout=None, http_client=http
        )
    if thoughts and thinking is None:
        thinking = 0
    return Anthropic(sdk, place, thinking, fixed, in_body=sampling_in_body, thoughts=thoughts)
