"""Any OpenAI-compatible server (vLLM, SGLang, llama.cpp, `transformers serve`, a provider's endpoint): one lean aiohttp client.

Every sampling field is sent. A field that the server refuses is left out from then on and recorded with each answer as not
accepted. The key goes only to the host it was configured for: redirects are never followed.
"""

from __future__ import annotations

import asyncio
import math
import os
import re
import time
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

import aiohttp
import orjson

from harness.errors import Fatal, RateLimited, Rejected, TooLong, Transient, UsageError, unknown
from harness.types import Image, Message, OptionLogprob, Request, Response, Stop

LARGEST_BODY = 64 * 1024 * 1024
DROPPABLE = ("temperature", "top_p", "top_k", "repetition_penalty", "seed", "stop", "max_tokens")
_REFUSES = re.compile(
    r"unexpected|unrecogni[sz]ed|unsupported|not support|unknown|extra|not permitted|not allowed|invalid|does not accept",
    re.I,
)
_TOO_LONG = re.compile(
    r"context[ _](?:length|window|size)|maximum (?:context|sequence|model)|too long|exceeds? the (?:max|available)|prompt is too",
    re.I,
)
_STOPS: Mapping[str, Stop] = {
    "length": "length",
    "max_tokens": "length",
    "content_filter": "filter",
    "refusal": "refusal",
}


class Server:
    """A model behind an OpenAI-compatible server."""

    def __init__(self, model: str, base_url: str, key: str | None, opens_with: str, served: str | None) -> None:
        self.name = f"server/{model}"
        parts = urlsplit(base_url)
        self.identity: Mapping[str, str] = {
            "provider": "server",
            "model": model,
            "endpoint": f"{parts.scheme}://{parts.hostname}:{parts.port or ''}{parts.path}",
            **({"served_as": served} if served else {}),
        }
        self._model = model
        self._url = base_url.rstrip("/")
        self._key = key
        self._opens_with = opens_with
        self._session: aiohttp.ClientSession | None = None
        self._dropped: tuple[str, ...] = ()
        self._tokens_field = "max_tokens"

    # -------------------------------------------------------------- asking

    async def generate(self, request: Request) -> Response:
        """Return the answer; raise one of the adapter errors."""
        if request.options:
            return await self._score(request)
        while True:
            body = self._body(request)
            started = time.perf_counter()
            status, data, retry_after = await self._post("/chat/completions", body)
            if status == 200:
                return self._response(_json(data), time.perf_counter() - started)
            text = data.decode("utf-8", "replace")
            if self._leave_out(status, text, body):
                continue
            if status == 400 and "content_filter" in text:
                return Response("", stop="filter", seconds=time.perf_counter() - started)
            raise self._error(status, text, retry_after)

    def _body(self, request: Request) -> dict[str, Any]:
        s = request.sampling
        body: dict[str, Any] = {
            "model": self._model,
            "messages": [{"role": m.role, "content": _content(m)} for m in request.messages],
            "temperature": s.temperature,
            "top_p": s.top_p,
            "top_k": s.top_k or -1,
            "repetition_penalty": s.repetition_penalty,
            self._tokens_field: s.max_tokens,
        }
        if s.seed is not None:
            body["seed"] = s.seed
        if s.stop:
            body["stop"] = list(s.stop)
        for name in self._dropped:
            body.pop(name, None)
        return body

    def _leave_out(self, status: int, text: str, body: Mapping[str, Any]) -> bool:
        """Tell whether the error names sampling fields that can be left out, and leave them out from now on."""
        if status not in (400, 422) or _TOO_LONG.search(text) or not _REFUSES.search(text):
            return False
        if "max_tokens" in body and "max_completion_tokens" in text:
            self._tokens_field = "max_completion_tokens"
            return True
        named = [name for name in DROPPABLE if name in body and re.search(rf"\b{name}\b", text)]
        self._dropped = tuple(dict.fromkeys((*self._dropped, *named)))
        return bool(named)

    async def _post(self, path: str, body: Mapping[str, Any]) -> tuple[int, bytes, float | None]:
        if self._session is None:
            headers = {"content-type": "application/json", "user-agent": "tcm-eval"}
            if self._key:
                headers["authorization"] = f"Bearer {self._key}"
            connector = aiohttp.TCPConnector(limit=0)
            self._session = aiohttp.ClientSession(
                connector=connector, headers=headers, timeout=aiohttp.ClientTimeout(total=None, connect=30)
            )
        try:
            data = orjson.dumps(body)
        except TypeError:
            raise Rejected("the prompt holds characters that are no valid Unicode (lone surrogates)") from None
        try:
            async with self._session.post(self._url + path, data=data, allow_redirects=False) as reply:
                if (reply.content_length or 0) > LARGEST_BODY:
                    raise Rejected(f"the server's answer is larger than {LARGEST_BODY >> 20} MB")
                if reply.status in (301, 302, 303, 307, 308):
                    raise Fatal(
                        f"{self._url}{path} redirects to {_host(reply.headers.get('location', ''))}. Redirects are not followed, "
                        "so that no key goes to another host: give the final address with --base-url."
                    )
                return reply.status, await _read(reply), _seconds(reply.headers.get("retry-after"))
        except aiohttp.ClientConnectorError as error:
            raise Transient(f"cannot connect to {self._url}: {error.os_error.strerror or error.os_error}") from None
        except (aiohttp.ClientError, ConnectionError, asyncio.IncompleteReadError) as error:
            raise Transient(f"{self._url}: connection broke: {type(error).__name__} {error}") from None

    def _error(self, status: int, text: str, retry_after: float | None) -> Exception:
        said = f"HTTP {status}: {_message(text)}"
        if status == 401 or status == 403:
            return Fatal(
                f"{self._url}: the key was refused ({said}). Set the key's environment variable; see --key-env."
            )
        if status == 404:
            return Fatal(
                f"{self._url} has no model '{self._model}' or no such path ({said}). See its list: {self._url}/models"
            )
        if status in (408, 409, 425):
            return Transient(said, retry_after)
        if status == 429:
            return RateLimited(said, retry_after)
        if status >= 500:
            return Transient(said, retry_after)
        if status == 413 or _TOO_LONG.search(text):
            return TooLong(said)
        return Rejected(said)

    # -------------------------------------------------------------- reading

    def _response(self, loaded: Any, seconds: float) -> Response:
        try:
            choice = loaded["choices"][0]
            message = choice["message"]
        except (KeyError, IndexError, TypeError):
            raise Transient(f"the server's answer has no choices: {str(loaded)[:200]}") from None
        usage = loaded.get("usage") or {}
        text = _text(message.get("content"))
        reasoning = message.get("reasoning_content") or message.get("reasoning")
        if self._opens_with and not reasoning and not text.lstrip().startswith(self._opens_with):
            text = self._opens_with + text  # the chat template wrote the opening tag into the prompt
        stop = _STOPS.get(str(choice.get("finish_reason")), "stop")
        refusal = message.get("refusal")
        if refusal:
            text, stop = text or str(refusal), "refusal"
        return Response(
            text=text,
            reasoning=reasoning if isinstance(reasoning, str) else None,
            stop=stop,
            tokens_in=_count(usage, "prompt_tokens"),
            tokens_out=_count(usage, "completion_tokens"),
            tokens_reasoning=_count(usage.get("completion_tokens_details") or {}, "reasoning_tokens"),
            tokens_cached=_count(usage.get("prompt_tokens_details") or {}, "cached_tokens"),
            seconds=round(seconds, 4),
            model_version=loaded.get("model") if isinstance(loaded.get("model"), str) else None,
            not_accepted=self._dropped,
        )

    # -------------------------------------------------------------- option log-probabilities

    async def _score(self, request: Request) -> Response:
        """Return the log-probability of each option: of its letter as the first token, or of its text after the prompt."""
        if all(len(option) == 1 and option.isascii() for option in request.options):
            return await self._score_letters(request)
        return await self._score_texts(request)

    async def _score_letters(self, request: Request) -> Response:
        body = {
            "model": self._model,
            "messages": [{"role": m.role, "content": _content(m)} for m in request.messages],
            "temperature": 0,
            "max_tokens": 1,
            "logprobs": True,
            "top_logprobs": 20,
        }
        loaded, seconds = await self._ask("/chat/completions", body)
        try:
            top = loaded["choices"][0]["logprobs"]["content"][0]["top_logprobs"]
        except (KeyError, IndexError, TypeError):
            raise self._no_logprobs() from None
        found: dict[str, list[float]] = {}
        for one in top:
            found.setdefault(str(one.get("token", "")).strip(), []).append(float(one["logprob"]))
        scores = tuple(OptionLogprob(_logsum(found[o]) if o in found else None, 1) for o in request.options)
        return Response("", seconds=round(seconds, 4), model_version=loaded.get("model"), logprobs=scores)

    async def _score_texts(self, request: Request) -> Response:
        stem = "\n\n".join(m.content for m in request.messages if isinstance(m.content, str))
        body = {
            "model": self._model,
            "prompt": [stem + option for option in request.options],
            "temperature": 0,
            "max_tokens": 1,
            "echo": True,
            "logprobs": 1,
        }
        loaded, seconds = await self._ask("/completions", body)
        by_place = {one.get("index", n): one for n, one in enumerate(loaded.get("choices") or [])}
        scores = []
        for place, option in enumerate(request.options):
            detail = (by_place.get(place) or {}).get("logprobs") or {}
            scores.append(_continuation(detail, len(stem), len(stem) + len(option)) or self._raise_no_logprobs())
        return Response("", seconds=round(seconds, 4), model_version=loaded.get("model"), logprobs=tuple(scores))

    async def _ask(self, path: str, body: Mapping[str, Any]) -> tuple[Any, float]:
        started = time.perf_counter()
        status, data, retry_after = await self._post(path, body)
        if status == 200:
            return _json(data), time.perf_counter() - started
        text = data.decode("utf-8", "replace")
        if status in (400, 404, 422) and (status == 404 or re.search("logprob|echo", text)):
            raise self._no_logprobs()
        raise self._error(status, text, retry_after)

    def _no_logprobs(self) -> Fatal:
        return Fatal(
            f"{self._url} offers no log-probabilities for this. Ask for generated answers instead: --ask generate"
        )

    def _raise_no_logprobs(self) -> OptionLogprob:
        raise self._no_logprobs()

    async def aclose(self) -> None:
        """Close the connections."""
        if self._session is not None:
            await self._session.close()


def _content(message: Message) -> str | list[dict[str, Any]]:
    if isinstance(message.content, str):
        return message.content
    return [_part(part) for part in message.content]


def _part(part: str | Image) -> dict[str, Any]:
    if isinstance(part, str):
        return {"type": "text", "text": part}
    return {"type": "image_url", "image_url": {"url": f"data:{part.media_type};base64,{part.data}"}}


async def _read(reply: aiohttp.ClientResponse) -> bytes:
    if reply.content_length is not None:
        return await reply.read()
    chunks, size = [], 0
    async for chunk in reply.content.iter_any():
        size += len(chunk)
        if size > LARGEST_BODY:
            raise Rejected(f"the server's answer is larger than {LARGEST_BODY >> 20} MB")
        chunks.append(chunk)
    return b"".join(chunks)


def _json(data: bytes) -> Any:
    try:
        return orjson.loads(data)
    except orjson.JSONDecodeError:
        pass
    try:
        return orjson.loads(data.decode("utf-8", "replace"))
    except orjson.JSONDecodeError as error:
        raise Transient(f"the server's answer is no JSON: {error}: {data[:120].decode('utf-8', 'replace')}") from None


def _text(content: Any) -> str:
    if content is None:
        return ""
    if isinstance(content, list):
        return "".join(str(part.get("text", "")) for part in content if isinstance(part, dict))
    return str(content)


def _count(usage: Mapping[str, Any], name: str) -> int:
    value = usage.get(name)
    return value if isinstance(value, int) else 0


def _message(text: str) -> str:
    try:
        loaded = orjson.loads(text)
        error = loaded.get("error", loaded)
        said = error.get("message") or error.get("detail") if isinstance(error, dict) else error
        return str(said or text)[:300]
    except (orjson.JSONDecodeError, AttributeError):
        return text[:300]


def _seconds(header: str | None) -> float | None:
    try:
        return max(0.0, float(header)) if header else None
    except ValueError:
        return None


def _host(url: str) -> str:
    return urlsplit(url).netloc or "another address"


def _logsum(values: Sequence[float]) -> float:
    most = max(values)
    return most + math.log(sum(math.exp(v - most) for v in values))


def _continuation(detail: Mapping[str, Any], start: int, end: int) -> OptionLogprob | None:
    """Return the summed log-probability of the tokens between two character offsets of an echoed prompt."""
    offsets, values = detail.get("text_offset") or [], detail.get("token_logprobs") or []
    tokens = detail.get("tokens") or []
    own = [
        v
        for offset, token, v in zip(offsets, tokens, values, strict=False)
        if v is not None and offset + len(str(token)) > start and offset < end
    ]
    return OptionLogprob(float(sum(own)), len(own)) if own else None


# ------------------------------------------------------------------ building


def build(
    model: str,
    *,
    base_url: str | None = None,
    key_env: str = "TCM_EVAL_SERVER_KEY",
    opens_with: str = "",
    check: bool = True,
) -> Server:
    """Return the model `model` behind the server at `base_url`.

    `key_env` names the environment variable that holds the key, if the server wants one; `opens_with` is a reasoning tag that the
    server's chat template puts into the prompt (mostly `<think>`), given back to the answer. Raises Fatal when the server cannot be
    reached, refuses the key or does not have the model.
    """
    address = base_url or os.environ.get("TCM_EVAL_BASE_URL")
    if not address:
        raise UsageError(
            f"server/{model}: where is the server? Give --base-url, for example --base-url http://127.0.0.1:8000/v1"
        )
    parts = urlsplit(address)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise UsageError(f"--base-url {address}: expected http://HOST:PORT/v1 or https://…")
    if parts.username or parts.password:
        raise UsageError(
            f"--base-url: a key does not belong into the address. Put it into the environment variable {key_env}."
        )
    key = os.environ.get(key_env)
    served = asyncio.run(_served(address.rstrip("/"), key, model)) if check else None
    return Server(model, address, key, opens_with, served)


async def _served(url: str, key: str | None, model: str) -> str | None:
    """Return the server's own version of the model from its list, None when it has no list."""
    headers = {"authorization": f"Bearer {key}"} if key else {}
    try:
        async with (
            aiohttp.ClientSession(headers=headers, timeout=aiohttp.ClientTimeout(total=30)) as session,
            session.get(f"{url}/models", allow_redirects=False) as reply,
        ):
            status, data = reply.status, await reply.read()
    except (aiohttp.ClientError, TimeoutError, OSError) as error:
        cause = getattr(getattr(error, "os_error", None), "strerror", None) or str(error) or type(error).__name__
        raise Fatal(f"{url}: the server cannot be reached: {cause}. Is it running, and is --base-url right?") from None
    if status in (401, 403):
        raise Fatal(f"{url}: the key was refused (HTTP {status}: {_message(data.decode('utf-8', 'replace'))}).")
    if status != 200:
        return None
    try:
        listed = [one for one in orjson.loads(data)["data"] if isinstance(one, dict)]
    except (orjson.JSONDecodeError, KeyError, TypeError):
        return None
    names = [str(one.get("id")) for one in listed]
    matching = [one for one in listed if one.get("id") == model or str(one.get("id", "")).partition("@")[0] == model]
    if not matching:
        if names and "127.0.0.1" not in url and "localhost" not in url:
            raise _no_such_model(url, model, names)
        return None  # local servers often answer to any name, or load a model on demand: the first answer tells
    one = matching[0]
    said = [f"{field}={one[field]}" for field in ("root", "owned_by", "created") if one.get(field)]
    return ",".join(part for part in said if not part.startswith("created=")) or None


def _no_such_model(url: str, model: str, names: Sequence[str]) -> UsageError:
    return unknown(f"model at {url}", model, names)
