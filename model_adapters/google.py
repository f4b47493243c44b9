"""Google's Gemini models through its SDK (google-genai, generateContent).

What the API has no parameter for, or a model refuses, is left out and recorded with each answer as not accepted.
"""

from __future__ import annotations

import base64
import time
from collections.abc import Mapping
from typing import Any

from harness.errors import AdapterError, Fatal, Rejected, Transient
from harness.types import Image, Message, Request, Response, Stop
from model_adapters._http import (
    LeftOut,
    Own,
    Place,
    Trial,
    client,
    count,
    cut,
    endpoint,
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

HOME = "https://generativelanguage.googleapis.com"
OWN = Own(HOME, "GEMINI_API_KEY", ("GEMINI_", "GOOGLE_"), "/v1beta/models")
FIELDS = {
    "temperature": "temperature",
    "topP": "top_p",
    "topK": "top_k",
    "seed": "seed",
    "stopSequences": "stop",
    "top_p": "top_p",
    "top_k": "top_k",
    "stop_sequences": "stop",
    "thinking_config.include_thoughts": "reasoning_summary",
    "include_thoughts": "reasoning_summary",
    "includeThoughts": "reasoning_summary",
}
FILTERS = ("SAFETY", "RECITATION", "BLOCKLIST", "PROHIBITED_CONTENT", "SPII", "LANGUAGE", "MODEL_ARMOR")
"""Finish reasons that stand for a content filter, as do all that begin with IMAGE_."""


class Google:
    """One Gemini model. `thinking` is a token budget (-1: the model decides), None for the API's default."""

    metered = True

    def __init__(
        self, sdk: Any, http: Any, place: Place, thinking: int | None, ignores: tuple[str, ...], *, thoughts: bool
    ) -> None:
        self.name = f"google/{place.model}"
        self.identity: Mapping[str, str] = {
            "provider": "google",
            "model": place.model,
            "endpoint": endpoint(place.url),
            **({"thinking": str(thinking)} if thinking is not None else {}),
            **({"ignores": ",".join(ignores)} if ignores else {}),
        }
        self._sdk, self._http, self._place, self._thinking = sdk, http, place, thinking
        self._thoughts = thoughts or bool(thinking)
        self._left_out = LeftOut(FIELDS, ("repetition_penalty", *ignores))

    async def generate(self, request: Request) -> Response:
        """Return the answer; raise one of the adapter errors."""
        if request.options:
            raise no_logprobs(self._place)
        contents = [_content(m) for m in request.messages if m.role != "system"]
        trial = self._left_out.trial()
        while True:
            config = self._config(request, trial)
            started = time.perf_counter()
            try:
                reply = await self._sdk.aio.models.generate_content(
                    model=self._place.model, contents=contents, config=config
                )
                loaded = parsed(self._place.clean((reply.sdk_http_response.body or "").encode("utf-8", "replace")))
            except AdapterError:
                raise
            except Exception as error:  # noqa: BLE001 - an SDK raises many kinds; each becomes one of ours
                answer = refused(error)
                if answer is not None and trial.refused(answer.status, answer.text, config):
                    continue
                raise translated(error, self._place) from None
            off = (
                () if request.sampling.top_k else ("top_k",)
            )  # the API has no value for "off": the model's own default stands
            without = not_accepted(tuple(dict.fromkeys((*trial.fields, *off))), request)
            said = _response(loaded, time.perf_counter() - started, without)
            trial.answered()
            return cut(said, request.sampling.stop)

    def _config(self, request: Request, trial: Trial) -> dict[str, Any]:
        s = request.sampling
        system = [part for m in request.messages if m.role == "system" for part in _content(m)["parts"]]
        config: dict[str, Any] = {
            "temperature": s.temperature,
            "top_p": s.top_p,
            "max_output_tokens": s.max_tokens,
            "should_return_http_response": True,
        }
        if s.top_k:
            config["top_k"] = s.top_k
        if s.seed is not None:
            config["seed"] = s.seed
        if s.stop:
            config["stop_sequences"] = list(s.stop)
        if system:
            config["system_instruction"] = {"parts": system}
        budget = {"thinking_budget": self._thinking} if self._thinking is not None else {}
        shown = {"include_thoughts": True} if self._thoughts else {}
        if budget or shown:
            config["thinking_config"] = {**budget, **shown}
        return trial.strip(config)

    async def aclose(self) -> None:
        """Close the connections."""
        await self._sdk.aio.aclose()
        await self._http.aclose()


def _content(message: Message) -> dict[str, Any]:
    parts = (message.content,) if isinstance(message.content, str) else message.content
    return {"role": "model" if message.role == "assistant" else "user", "parts": [_part(part) for part in parts]}


def _part(part: str | Image) -> dict[str, Any]:
    if isinstance(part, str):
        return {"text": part}
    try:
        return {"inline_data": {"mime_type": part.media_type, "data": base64.b64decode(part.data, validate=True)}}
    except ValueError:
        raise Rejected("an image of this question is no valid base64") from None


def _response(loaded: Any, seconds: float, not_accepted: tuple[str, ...]) -> Response:
    if not isinstance(loaded, dict):
        raise Transient(f"the server's answer is no object: {str(loaded)[:200]}")
    candidates = loaded.get("candidates") or []
    blocked = mapping(loaded.get("promptFeedback")).get("blockReason")
    if not candidates and not blocked:
        raise Transient(f"the server's answer has no candidates: {str(loaded)[:200]}")
    first = mapping(candidates[0]) if candidates else {}
    parts = [mapping(part) for part in mapping(first.get("content")).get("parts") or []]
    thoughts = "\n".join(str(p["text"]) for p in parts if p.get("thought") and p.get("text"))
    usage = mapping(loaded.get("usageMetadata"))
    thinking = count(usage, "thoughtsTokenCount")
    return Response(
        text="".join(str(p.get("text") or "") for p in parts if not p.get("thought")),
        reasoning=thoughts or None,
        stop="filter" if blocked else _stop(str(first.get("finishReason"))),
        tokens_in=count(usage, "promptTokenCount"),
        tokens_out=count(usage, "candidatesTokenCount") + thinking,
        tokens_reasoning=thinking,
        tokens_cached=count(usage, "cachedContentTokenCount"),
        seconds=round(seconds, 4),
        model_version=named(loaded, "modelVersion"),
        not_accepted=not_accepted,
    )


def _stop(reason: str) -> Stop:
    if reason == "MAX_TOKENS":
        return "length"
    if reason in FILTERS or reason.startswith("IMAGE_"):
        return "filter"
    return "refusal" if reason == "OTHER" else "stop"


def build(
    model: str,
    *,
    base_url: str = HOME,
    key_env: str | None = None,
    key_file: str | None = None,
    thinking: int | None = None,
    thoughts: bool = False,
    ignores: str = "",
    connect_timeout: float = 10.0,
    first_byte_timeout: float = 0.0,
) -> Google:
    """Return the Gemini model `model`.

    The key is GEMINI_API_KEY's, or that of the variable `key_env` or of the file `key_file` (mode 600); another
    `base_url` gets only a key that was named so. `thinking` is the budget in tokens (0: none, -1: the model decides);
    with one, or `thoughts`, what the model thinks is asked for. `ignores` names sampling fields, separated by commas,
    that the model does not take: they are left out and recorded as not accepted. Raises UsageError without a key or for
    a wrong setting, Fatal without the package.
    """
    fixed = ignored(f"google/{model}", ignores)
    place = own_place(model, base_url, OWN, key_env, key_file)
    try:
        from google import genai
    except ImportError:
        raise Fatal("package 'google-genai' is not installed: pip install 'tcm-eval[providers]'") from None
    http = client(place, connect_timeout, first_byte_timeout)
    options = genai.types.HttpOptions(
        base_url=place.url, httpx_async_client=http, retry_options=genai.types.HttpRetryOptions(attempts=1)
    )
    with OWN.unseen(place.url):
        sdk = genai.Client(api_key=place.key or "none", vertexai=False, http_options=options)
    return Google(sdk, http, place, thinking, fixed, thoughts=thoughts)
