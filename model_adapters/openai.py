"""OpenAI's models through its SDK: Chat Completions, or the Responses API with `api=responses`.

What the chosen API has no parameter for, and what a model refuses (reasoning models fix the temperature), is left out and recorded
with each answer as not accepted.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from harness.errors import AdapterError, Fatal, RateLimited, Rejected, Transient, UsageError
from harness.types import Image, Message, Request, Response, Stop
from model_adapters._http import (
    LeftOut,
    OpenAIBatches,
    Own,
    Place,
    Protocol,
    Trial,
    chat_content,
    chat_response,
    client,
    count,
    cut,
    data_url,
    endpoint,
    filtered,
    ignored,
    letters,
    mapping,
    named,
    no_logprobs,
    not_accepted,
    own_place,
    parsed,
    refused,
    translated,
)

HOME = "https://api.openai.com/v1"
OWN = Own(HOME, "OPENAI_API_KEY", ("OPENAI_",))
APIS = ("chat", "responses")
CHAT = {name: name for name in ("temperature", "top_p", "seed", "stop")}
RESPONSES = {"temperature": "temperature", "top_p": "top_p", "reasoning.summary": "reasoning_summary"}


class OpenAI:
    """One model of OpenAI, or of a server that its SDK is pointed at."""

    metered = True

    def __init__(
        self, sdk: Any, place: Place, api: str, effort: str | None, ignores: tuple[str, ...], *, thoughts: bool
    ) -> None:
        self.name = f"openai/{place.model}"
        self.identity: Mapping[str, str] = {
            "provider": "openai",
            "model": place.model,
            "endpoint": endpoint(place.url),
            "api": api,
            **({"reasoning_effort": effort} if effort else {}),
            **({"ignores": ",".join(ignores)} if ignores else {}),
        }
        self._sdk, self._place, self._api, self._effort = sdk, place, api, effort
        self._thoughts = thoughts
        if api == "chat":
            known = ("top_k", "repetition_penalty", *ignores)
            self._left_out = LeftOut(CHAT, known, "max_completion_tokens", "max_tokens")  # older servers' name
        else:
            self._left_out = LeftOut(RESPONSES, ("top_k", "repetition_penalty", "seed", "stop", *ignores))

    async def generate(self, request: Request) -> Response:
        """Return the answer; raise one of the adapter errors."""
        if request.options:
            return await self._score(request)
        trial = self._left_out.trial()
        while True:
            body = self._body(request, trial)
            started = time.perf_counter()
            try:
                loaded = await self._send(body)
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
    def batches(self) -> OpenAIBatches:
        """Return the batch interface for this model, with what was learnt so far about the fields that it takes."""
        path = "/v1/chat/completions" if self._api == "chat" else "/v1/responses"
        protocol = Protocol(
            lambda request: self._body(request, self._left_out.trial()),
            lambda loaded, request: self._read(loaded, request, self._left_out.fields),
            self._left_out,
        )
        return OpenAIBatches(self._sdk, self._place, path, protocol)

    def _body(self, request: Request, trial: Trial) -> dict[str, Any]:
        chat = self._api == "chat"
        return trial.strip(self._chat_body(request, trial.limit) if chat else self._responses_body(request))

    def _read(self, loaded: Any, request: Request, without: tuple[str, ...], seconds: float = 0.0) -> Response:
        read = chat_response if self._api == "chat" else _response
        return cut(read(loaded, seconds, not_accepted(without, request)), request.sampling.stop)

    async def _send(self, body: Mapping[str, Any]) -> Any:
        call = self._sdk.chat.completions if self._api == "chat" else self._sdk.responses
        reply = await call.with_raw_response.create(**body)
        return parsed(self._place.clean(reply.http_response.content))

    def _chat_body(self, request: Request, limit: str) -> dict[str, Any]:
        s = request.sampling
        body: dict[str, Any] = {
            "model": self._place.model,
            "messages": [{"role": m.role, "content": chat_content(m)} for m in request.messages],
            "temperature": s.temperature,
            "top_p": s.top_p,
            limit: s.max_tokens,
        }
        if s.seed is not None:
            body["seed"] = s.seed
        if s.stop:
            body["stop"] = list(s.stop)
        if self._effort:
            body["reasoning_effort"] = self._effort
        return body

    def _responses_body(self, request: Request) -> dict[str, Any]:
        s = request.sampling
        body: dict[str, Any] = {
            "model": self._place.model,
            "input": [{"role": m.role, "content": _parts(m)} for m in request.messages],
            "temperature": s.temperature,
            "top_p": s.top_p,
            "max_output_tokens": s.max_tokens,
            "store": False,
        }
        effort = {"effort": self._effort} if self._effort else {}
        if effort or self._thoughts:
            body["reasoning"] = {**effort, "summary": "auto"}
        return body

    async def _score(self, request: Request) -> Response:
        """Return the log-probability of each option's letter as the first token."""
        if self._api != "chat" or any(len(option) != 1 for option in request.options):
            raise no_logprobs(self._place)
        limit = self._left_out.trial().limit
        body = {
            **self._chat_body(Request(request.messages), limit),
            limit: 1,
            "temperature": 0,
            "logprobs": True,
            "top_logprobs": 20,
        }
        started = time.perf_counter()
        try:
            loaded = await self._send(body)
        except AdapterError:
            raise
        except Exception as error:  # noqa: BLE001 - as above
            answer = refused(error)
            if answer is not None and answer.status in (400, 422) and "logprob" in answer.text:
                raise no_logprobs(self._place) from None
            raise translated(error, self._place) from None
        scores = letters(loaded, request.options)
        if scores is None:
            raise no_logprobs(self._place)
        seconds = round(time.perf_counter() - started, 4)
        return Response("", seconds=seconds, model_version=named(loaded, "model"), logprobs=scores)

    async def aclose(self) -> None:
        """Close the connections."""
        await self._sdk.close()


def _parts(message: Message) -> str | list[dict[str, Any]]:
    if isinstance(message.content, str):
        return message.content
    text = "output_text" if message.role == "assistant" else "input_text"
    return [
        {"type": "input_image", "image_url": data_url(part), "detail": "auto"}
        if isinstance(part, Image)
        else {"type": text, "text": part}
        for part in message.content
    ]


def _response(loaded: Any, seconds: float, not_accepted: tuple[str, ...]) -> Response:
    """Return what an answer of the Responses API says."""
    if not isinstance(loaded, dict) or not isinstance(loaded.get("output"), list):
        raise Transient(f"the server's answer has no output: {str(loaded)[:200]}")
    if loaded.get("status") == "failed":
        raise _failed(mapping(loaded.get("error")))
    texts, thoughts, refusals = [], [], []
    for item in loaded["output"]:
        for part in [*(item.get("content") or []), *(item.get("summary") or [])]:
            if part.get("type") == "refusal":
                refusals.append(str(part.get("refusal") or ""))
            elif part.get("type") == "output_text":
                texts.append(str(part.get("text") or ""))
            elif item.get("type") == "reasoning":
                thoughts.append(str(part.get("text") or ""))
    stop: Stop = "refusal" if refusals else "stop"
    if loaded.get("status") == "incomplete":
        stop = "filter" if mapping(loaded.get("incomplete_details")).get("reason") == "content_filter" else "length"
    usage = mapping(loaded.get("usage"))
    return Response(
        text="".join(texts) or "".join(refusals),
        reasoning="\n".join(thoughts) or None,
        stop=stop,
        tokens_in=count(usage, "input_tokens"),
        tokens_out=count(usage, "output_tokens"),
        tokens_reasoning=count(mapping(usage.get("output_tokens_details")), "reasoning_tokens"),
        tokens_cached=count(mapping(usage.get("input_tokens_details")), "cached_tokens"),
        seconds=round(seconds, 4),
        model_version=named(loaded, "model"),
        not_accepted=not_accepted,
    )


def _failed(error: Mapping[str, Any]) -> AdapterError:
    code, said = str(error.get("code")), f"{error.get('code')}: {error.get('message')}"
    if code == "rate_limit_exceeded":
        return RateLimited(said)
    return Transient(said) if code in ("server_error", "None") else Rejected(said)


def build(
    model: str,
    *,
    base_url: str = HOME,
    key_env: str | None = None,
    key_file: str | None = None,
    api: str = "chat",
    reasoning_effort: str | None = None,
    thoughts: bool = False,
    ignores: str = "",
    connect_timeout: float = 10.0,
    first_byte_timeout: float = 0.0,
) -> OpenAI:
    """Return the OpenAI model `model`.

    The key is OPENAI_API_KEY's, or that of the variable `key_env` or of the file `key_file` (mode 600); another
    `base_url` gets only a key that was named so. `api` is chat or responses; `reasoning_effort` is sent when given;
    `thoughts` asks for a summary of what the model thinks. `ignores` names sampling fields, separated by commas, that
    the model does not take: they are left out and recorded as not accepted. Time-outs are seconds, 0 for none. Raises
    UsageError without a key or for a wrong setting, Fatal without the package.
    """
    if api not in APIS:
        raise UsageError(f"openai/{model}: api={api} is none of {', '.join(APIS)}")
    if thoughts and api != "responses":
        raise UsageError(f"openai/{model}: thoughts are shown by the Responses API only: --model-arg api=responses")
    fixed = ignored(f"openai/{model}", ignores)
    place = own_place(model, base_url, OWN, key_env, key_file)
    try:
        import openai
    except ImportError:
        raise Fatal("package 'openai' is not installed: pip install 'tcm-eval[providers]'") from None
    http = client(place, connect_timeout, first_byte_timeout)
    with OWN.unseen(place.url):
        sdk = openai.AsyncOpenAI(
            api_key=place.key or "none", base_url=place.url, max_retries=0, timeout=None, http_client=http
        )
    return OpenAI(sdk, place, api, reasoning_effort, fixed, thoughts=thoughts)
