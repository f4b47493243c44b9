"""The lean client of the OpenAI protocol: one aiohttp session, a tenth of an SDK's work per request."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Awaitable, Mapping
from dataclasses import replace
from typing import Any

import aiohttp
import orjson

from harness.errors import Fatal, Rejected, Transient
from harness.types import OptionLogprob, Request, Response
from model_adapters._http import faults
from model_adapters._http.faults import Place
from model_adapters._http.keys import proxy
from model_adapters._http.left_out import DROPPABLE, LeftOut, Trial, not_accepted
from model_adapters._http.reading import chat_content, chat_response, cut, letters


class Chat:
    """Asks one model behind one address. Redirects are never followed, so the key stays with its host.

    `connect_s` bounds a connection's start and `first_byte_s` the wait for an answer's first byte, 0 for no bound of its own; the
    whole time is the caller's to bound. Nothing is streamed: the first byte mostly comes when the model has said everything.
    `fields` stand in every request beside ours; `ignored` are those of ours that the server would take without using them.
    """

    def __init__(
        self,
        place: Place,
        opens_with: str = "",
        connect_s: float = faults.CONNECT_S,
        first_byte_s: float = 0.0,
        fields: Mapping[str, Any] | None = None,
        ignored: tuple[str, ...] = (),
    ) -> None:
        self._place = place
        self._opens_with = opens_with
        self._fields = dict(fields or {})
        self._session: aiohttp.ClientSession | None = None
        self._left_out = LeftOut({name: name for name in DROPPABLE}, ignored, "max_tokens", "max_completion_tokens")
        self._timeout = aiohttp.ClientTimeout(total=None, sock_connect=connect_s or None, sock_read=None)
        self._first_byte_s = first_byte_s or None
        self._proxy = proxy(place.url)
        self._key = (
            {"authorization": f"Bearer {place.key}"} if place.key else {}
        )  # aiohttp shows a session's to the proxy

    async def ask(self, request: Request) -> Response:
        """Return the answer; raise one of the adapter errors."""
        if request.options:
            return await self._score(request)
        trial = self._left_out.trial()
        while True:
            body = self._body(request, trial)
            started = time.perf_counter()
            status, data, retry_after = await self._post("/chat/completions", body)
            if status == 200:
                seconds = time.perf_counter() - started
                without = not_accepted(trial.fields, request)
                said = chat_response(faults.parsed(data), seconds, without, self._opens_with)
                trial.answered()
                return cut(said, request.sampling.stop)
            text = faults.readable(data)
            if trial.refused(status, text, body):
                continue
            if faults.filtered(status, text):
                return Response("", stop="filter", seconds=round(time.perf_counter() - started, 4))
            raise faults.fault(status, text, retry_after, self._place)

    def _body(self, request: Request, trial: Trial) -> dict[str, Any]:
        s = request.sampling
        body: dict[str, Any] = {
            **self._fields,
            "model": self._place.model,
            "messages": [{"role": m.role, "content": chat_content(m)} for m in request.messages],
            "temperature": s.temperature,
            "top_p": s.top_p,
            "top_k": s.top_k or -1,
            "repetition_penalty": s.repetition_penalty,
            trial.limit: s.max_tokens,
        }
        if s.seed is not None:
            body["seed"] = s.seed
        if s.stop:
            body["stop"] = list(s.stop)
        return trial.strip(body)

    async def _post(self, path: str, body: Mapping[str, Any]) -> tuple[int, bytes, float | None]:
        session = self._session or self._open()
        url = self._place.url + path
        try:
            data = orjson.dumps(body)
        except TypeError:
            raise Rejected("the prompt holds characters that are no valid Unicode (lone surrogates)") from None
        try:
            async with await self._begun(
                session.post(url, data=data, headers=self._key, allow_redirects=False, proxy=self._proxy)
            ) as reply:
                if reply.status in faults.REDIRECTS:
                    raise faults.redirected(replace(self._place, url=url), reply.headers.get("location", ""))
                if (reply.content_length or 0) > faults.LARGEST_BODY:
                    raise faults.too_large()
                data = self._place.clean(await _read(reply))
                wait = None if reply.status == 200 else faults.wait_of(reply.headers, faults.readable(data))
                return reply.status, data, wait
        except aiohttp.ClientConnectorError as error:
            raise Transient(
                f"cannot connect to {self._place.url}: {error.os_error.strerror or error.os_error}"
            ) from None
        except aiohttp.ServerTimeoutError as error:
            raise Transient(f"{self._place.url}: {error}") from None
        except aiohttp.ClientPayloadError:
            raise Transient(f"{self._place.url}: connection broke in the middle of an answer") from None
        except (aiohttp.ClientError, ConnectionError, asyncio.IncompleteReadError) as error:
            said = self._place.hide(str(error))  # of an answer that is no HTTP it shows the first line
            raise Transient(f"{self._place.url}: connection broke: {type(error).__name__} {said}") from None

    async def _begun(self, asked: Awaitable[aiohttp.ClientResponse]) -> aiohttp.ClientResponse:
        """Return the answer once its first bytes are here."""
        late = asyncio.timeout(self._first_byte_s)
        try:
            async with late:
                return await asked
        except TimeoutError:
            if not late.expired():
                raise
            raise Transient(f"{self._place.url}: no first byte within {self._first_byte_s:g} s") from None

    def _open(self) -> aiohttp.ClientSession:
        headers = {"content-type": "application/json", "user-agent": "tcm-eval"}
        connector = aiohttp.TCPConnector(limit=0)
        self._session = aiohttp.ClientSession(connector=connector, headers=headers, timeout=self._timeout)
        return self._session

    # -------------------------------------------------------------- option log-probabilities

    async def _score(self, request: Request) -> Response:
        """Return the log-probability of each option: of its letter as the first token, or of its text after the prompt."""
        if all(len(option) == 1 and option.isascii() for option in request.options):
            return await self._score_letters(request)
        return await self._score_texts(request)

    async def _score_letters(self, request: Request) -> Response:
        body = {
            **self._fields,
            "model": self._place.model,
            "messages": [{"role": m.role, "content": chat_content(m)} for m in request.messages],
            "temperature": 0,
            "max_tokens": 1,
            "logprobs": True,
            "top_logprobs": 20,
        }
        loaded, seconds = await self._ask("/chat/completions", body)
        scores = letters(loaded, request.options)
        if scores is None:
            raise self._no_logprobs()
        return Response("", seconds=round(seconds, 4), model_version=loaded.get("model"), logprobs=scores)

    async def _score_texts(self, request: Request) -> Response:
        stem = "\n\n".join(m.content for m in request.messages if isinstance(m.content, str))
        body = {
            "model": self._place.model,
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
            return faults.parsed(data), time.perf_counter() - started
        text = faults.readable(data)
        if status in (400, 404, 422) and (status == 404 or re.search("logprob|echo|prompt must be", text)):
            raise self._no_logprobs()
        raise faults.fault(status, text, retry_after, self._place)

    def _no_logprobs(self) -> Fatal:
        return no_logprobs(self._place)

    def _raise_no_logprobs(self) -> OptionLogprob:
        raise self._no_logprobs()

    async def aclose(self) -> None:
        """Close the connections."""
        if self._session is not None:
            await self._session.close()
            self._session = None


def no_logprobs(place: Place) -> Fatal:
    """Return the error of a provider that gives no log-probabilities for options."""
    return Fatal(f"{place.url} offers no log-probabilities for this. Ask for generated answers instead: --ask generate")


async def _read(reply: aiohttp.ClientResponse) -> bytes:
    chunks: list[bytes] = []
    size = 0
    while True:
        silence = asyncio.timeout(faults.SILENCE_S)
        try:
            async with silence:
                chunk = await reply.content.readany()
        except TimeoutError:
            if not silence.expired():
                raise
            raise Transient(f"{reply.url}: the answer broke off: silence for {faults.SILENCE_S:g} s") from None
        if not chunk:
            return b"".join(chunks)
        size += len(chunk)
        if size > faults.LARGEST_BODY:
            raise faults.too_large()
        chunks.append(chunk)


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
