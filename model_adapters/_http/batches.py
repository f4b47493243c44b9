"""The providers' batch interfaces: many questions in one file, answered within a day, at half the price.

A batch is found again after a crash by the `tag` that it was submitted under. Results come in any order and are read by the very
functions that read the answer to a single question.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import orjson

from harness.errors import AdapterError, Fatal, RateLimited, Rejected, TooLong
from harness.types import Failure, FailureKind, Request, Response
from model_adapters._http.faults import LeftOut, Place, fault, filtered, parsed
from model_adapters._http.reading import mapping
from model_adapters._http.sdk import translated

T = TypeVar("T")
TAG = "tcm_eval_part"
SLACK = 3600.0
"""Seconds by which the provider's clock and ours may differ."""


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a batch is: `ended` when all its results are there; `said` is the provider's own word."""

    ended: bool
    done: int
    total: int
    said: str


@dataclass(frozen=True, slots=True)
class Protocol:
    """What one model's adapter does for its batches: a request's body, what an answer's body says, the fields left out."""

    body: Callable[[Request], dict[str, Any]]
    read: Callable[[Any, Request], Response]
    left_out: LeftOut


class OpenAIBatches:
    """Batches of OpenAI: a file of requests goes up, a file of answers and one of errors come down."""

    most_requests = 50_000
    most_bytes = 200_000_000

    def __init__(self, sdk: Any, place: Place, path: str, protocol: Protocol) -> None:
        self._sdk, self._place, self._path, self._protocol = sdk, place, path, protocol
        self.left_out = protocol.left_out

    def line(self, name: str, request: Request) -> bytes:
        """Return one line of the file of requests."""
        body = self._protocol.body(request)
        return _line({"custom_id": name, "method": "POST", "url": self._path, "body": body})

    async def submit(self, tag: str, file: Path) -> str:
        """Return the id of a new batch of the file's requests. After `Transient` it may have been made all the same."""

        async def go() -> str:
            uploaded = await self._sdk.files.create(file=file, purpose="batch")
            made = await self._sdk.batches.create(
                completion_window="24h", endpoint=self._path, input_file_id=uploaded.id, metadata={TAG: tag}
            )
            return str(made.id)

        return await _ours(go, self._place)

    async def find(self, tag: str, since: float, _count: int) -> str | None:
        """Return the id of the batch that was submitted under `tag` after `since` (seconds of the epoch), None when there is none."""

        async def go() -> str | None:
            async for batch in self._sdk.batches.list(limit=100):
                if (batch.metadata or {}).get(TAG) == tag:
                    return str(batch.id)
                if batch.created_at < since - SLACK:
                    return None
            return None

        return await _ours(go, self._place)

    async def progress(self, batch: str) -> Progress:
        """Return how far a batch is."""

        async def go() -> Progress:
            now = await self._sdk.batches.retrieve(batch)
            counts = now.request_counts
            done, total = (counts.completed + counts.failed, counts.total) if counts else (0, 0)
            why = "; ".join(str(one.message) for one in (now.errors.data or [])) if now.errors else ""
            ended = now.status in ("completed", "failed", "expired", "cancelled")
            return Progress(
                ended, done, total, f"{now.status}: {self._place.hide(why)[:300]}" if why else str(now.status)
            )

        return await _ours(go, self._place)

    async def results(
        self, batch: str, asked: Callable[[str], Request | None]
    ) -> AsyncIterator[tuple[str, Response | Failure]]:
        """Yield (name, outcome) of every request that has one; `asked` gives the request of a name, None when it is not known."""
        now = await _ours(lambda: self._sdk.batches.retrieve(batch), self._place)
        for file in (now.output_file_id, now.error_file_id):
            if file:
                async for row in _lines(self._sdk.files.with_streaming_response.content(file), self._place):
                    yield str(row.get("custom_id")), self._outcome(row, asked)

    def _outcome(self, row: Mapping[str, Any], asked: Callable[[str], Request | None]) -> Response | Failure:
        reply = mapping(row.get("response"))
        status = int(reply.get("status_code") or 0)
        if status == 200:
            return _read(self._protocol, reply.get("body"), asked(str(row.get("custom_id"))))
        error = mapping(row.get("error"))
        if not status:
            return Failure(
                _lost(str(error.get("code"))), self._place.hide(f"{error.get('code')}: {error.get('message')}"), 1
            )
        return _failed(status, orjson.dumps(reply.get("body")).decode(), self._place)

    async def aclose(self) -> None:
        """Close the connections."""
        await self._sdk.close()


class AnthropicBatches:
    """Message Batches of Anthropic. They carry no label, so a lost one is known by its time, its size and its names."""

    most_requests = 100_000
    most_bytes = 100_000_000
    """The API takes 256 MB, but the SDK holds a submission in memory several times over."""

    def __init__(self, sdk: Any, place: Place, protocol: Protocol) -> None:
        self._sdk, self._place, self._protocol = sdk, place, protocol
        self.left_out = protocol.left_out

    def line(self, name: str, request: Request) -> bytes:
        """Return one request as a line."""
        return _line({"custom_id": name, "params": self._protocol.body(request)})

    async def submit(self, tag: str, file: Path) -> str:
        """Return the id of a new batch of the file's requests. After `Transient` it may have been made all the same."""
        del tag  # it is the beginning of every name

        async def go() -> str:
            with file.open("rb") as lines:
                made = await self._sdk.messages.batches.create(requests=[orjson.loads(line) for line in lines])
            return str(made.id)

        return await _ours(go, self._place)

    async def find(self, tag: str, since: float, count: int) -> str | None:
        """Return the id of the batch of `count` requests that was submitted under `tag` after `since`, None when there is none.

        While a batch of that size is under way its names cannot be seen: Transient, look again later.
        """
        candidates = []

        async def go() -> None:
            async for batch in self._sdk.messages.batches.list(limit=100):
                counts = batch.request_counts
                total = counts.processing + counts.succeeded + counts.errored + counts.canceled + counts.expired
                if batch.created_at.timestamp() < since - SLACK:
                    return
                if total == count:
                    candidates.append((str(batch.id), batch.processing_status == "ended"))

        await _ours(go, self._place)
        working = None
        for batch, ended in candidates:
            if not ended:
                working = batch
                continue
            async for name, _ in self.results(batch, lambda _: None):
                if name.startswith(tag):
                    return batch
                break
        if working is not None:
            raise RateLimited(
                f"batch {working} may be ours: it is still at work, and its questions can be seen when it has ended"
            )
        return None

    async def progress(self, batch: str) -> Progress:
        """Return how far a batch is. Anthropic counts the answers only when all are there."""

        async def go() -> Progress:
            now = await self._sdk.messages.batches.retrieve(batch)
            counts = now.request_counts
            done = counts.succeeded + counts.errored + counts.canceled + counts.expired
            return Progress(
                now.processing_status == "ended", done, done + counts.processing, str(now.processing_status)
            )

        return await _ours(go, self._place)

    async def results(
        self, batch: str, asked: Callable[[str], Request | None]
    ) -> AsyncIterator[tuple[str, Response | Failure]]:
        """Yield (name, outcome) of every request; `asked` gives the request of a name, None when it is not known."""
        own = await _ours(lambda: self._sdk.messages.batches.retrieve(batch), self._place)
        if own.results_url is None:
            return
        _same_host(str(own.results_url), self._place)
        async for row in _lines(self._sdk.messages.batches.with_streaming_response.results(batch), self._place):
            name, result = str(row.get("custom_id")), mapping(row.get("result"))
            kind = result.get("type")
            if kind == "succeeded":
                yield name, _read(self._protocol, result.get("message"), asked(name))
            elif kind == "errored":
                error = mapping(mapping(result.get("error")).get("error"))
                status = STATUS.get(str(error.get("type")), 500)
                yield name, _failed(status, orjson.dumps(result.get("error")).decode(), self._place)
            else:
                yield name, Failure(_lost(str(kind)), f"the request was {kind} before it was answered", 1)

    async def aclose(self) -> None:
        """Close the connections."""
        await self._sdk.close()


STATUS = {
    "invalid_request_error": 400,
    "authentication_error": 401,
    "billing_error": 402,
    "permission_error": 403,
    "not_found_error": 404,
    "request_too_large": 413,
    "rate_limit_error": 429,
    "timeout_error": 504,
    "overloaded_error": 529,
}
"""The HTTP status that Anthropic's kind of error would have had on a request of its own; 500 for others."""


def _line(row: Mapping[str, Any]) -> bytes:
    try:
        return orjson.dumps(row) + b"\n"
    except TypeError:
        raise Rejected("the prompt holds characters that are no valid Unicode (lone surrogates)") from None


def _same_host(url: str, place: Place) -> None:
    """Raise Fatal when results lie at another address: the key goes to its own host only."""
    from urllib.parse import urlsplit

    if urlsplit(url)[:2] != urlsplit(place.url)[:2]:
        raise Fatal(f"{place.url} says that its results lie at {urlsplit(url).netloc}: no key goes to another host")


async def _ours(call: Callable[[], Awaitable[T]], place: Place) -> T:
    try:
        return await call()
    except AdapterError:
        raise
    except Exception as error:  # noqa: BLE001 - an SDK raises many kinds; each becomes one of ours
        raise translated(error, place) from None


async def _lines(call: Any, place: Place) -> AsyncIterator[Mapping[str, Any]]:
    """Yield the rows of a body of JSON lines as it arrives. Only a line feed ends a line: texts hold other separators."""
    rest = b""
    try:
        async with call as reply:
            async for chunk in reply.iter_bytes():
                *whole, rest = (rest + chunk).split(b"\n")
                for line in whole:
                    if line.strip():
                        yield mapping(parsed(place.clean(line)))
        if rest.strip():
            yield mapping(parsed(place.clean(rest)))
    except AdapterError:
        raise
    except Exception as error:  # noqa: BLE001 - as above
        raise translated(error, place) from None


def _read(protocol: Protocol, body: Any, request: Request | None) -> Response | Failure:
    try:
        return protocol.read(body, request or Request(()))
    except AdapterError as error:
        return Failure(_kind(error), str(error), 1)


def _failed(status: int, text: str, place: Place) -> Response | Failure:
    if filtered(status, text):
        return Response("", stop="filter")
    error = fault(status, text, None, place)
    return Failure(_kind(error), str(error), 1)


def _kind(error: AdapterError) -> FailureKind:
    if isinstance(error, TooLong):
        return "too_long"
    if isinstance(error, Rejected | Fatal):
        return "bad_request"
    return "rate_limit" if isinstance(error, RateLimited) else "server"


def _lost(code: str) -> FailureKind:
    return "timeout" if "expired" in code else "server"


Batches = OpenAIBatches | AnthropicBatches
__all__: Sequence[str] = ("AnthropicBatches", "Batches", "OpenAIBatches", "Progress", "Protocol")
