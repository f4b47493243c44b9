"""Message Batches of Anthropic."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable
from pathlib import Path
from typing import Any

import orjson

from harness.errors import Fatal, RateLimited
from harness.types import Failure, Request, Response
from model_adapters._http.batches.shared import (
    SLACK,
    Progress,
    Protocol,
    failed,
    line_of,
    lost,
    made,
    ours,
    read_body,
    rows,
    state_of,
)
from model_adapters._http.faults import Place
from model_adapters._http.reading import mapping

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
        return line_of({"custom_id": name, "params": self._protocol.body(request)})

    async def submit(self, tag: str, file: Path) -> str:
        """Return the id of a new batch of the file's requests. After `Transient` it may have been made all the same."""
        del tag  # it is the beginning of every name

        async def go() -> Any:
            with file.open("rb") as lines:
                return await self._sdk.messages.batches.create(requests=[orjson.loads(line) for line in lines])

        return await made(go, self._place)

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

        await ours(go, self._place)
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
            state, counts = state_of(getattr(now, "processing_status", None), self._place), now.request_counts
            done = counts.succeeded + counts.errored + counts.canceled + counts.expired
            return Progress(state == "ended", done, done + counts.processing, state)

        return await ours(go, self._place, f"batch {batch}")

    async def results(
        self, batch: str, asked: Callable[[str], Request | None]
    ) -> AsyncGenerator[tuple[str, Response | Failure], None]:
        """Yield (name, outcome) of every request; `asked` gives the request of a name, None when it is not known."""
        own = await ours(lambda: self._sdk.messages.batches.retrieve(batch), self._place, f"batch {batch}")
        if getattr(own, "results_url", None) is None:
            return
        _same_host(str(own.results_url), self._place)
        lines = self._sdk.messages.batches.with_streaming_response.results(batch)
        async for row in rows(lines, self._place, f"the results of batch {batch}"):
            name, result = str(row.get("custom_id")), mapping(row.get("result"))
            kind = result.get("type")
            if kind == "succeeded":
                yield name, read_body(self._protocol, result.get("message"), asked(name))
            elif kind == "errored":
                error = mapping(mapping(result.get("error")).get("error"))
                status = STATUS.get(str(error.get("type")), 500)
                yield name, failed(status, orjson.dumps(result.get("error")).decode(), self._place)
            else:
                yield name, Failure(lost(str(kind)), f"the request was {kind} before it was answered", 1)

    async def aclose(self) -> None:
        """Close the connections."""
        await self._sdk.close()


def _same_host(url: str, place: Place) -> None:
    """Raise Fatal when results lie at another address: the key goes to its own host only."""
    from urllib.parse import urlsplit

    if urlsplit(url)[:2] != urlsplit(place.url)[:2]:
        raise Fatal(
            f"{place.url} says that its results lie at {place.hide(urlsplit(url).netloc)}: no key goes to another host"
        )
