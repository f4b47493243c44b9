"""Batches of OpenAI: files of requests and of answers."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Mapping
from pathlib import Path
from typing import Any

import orjson

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
from model_adapters._http.reading import count, mapping

TAG = "tcm_eval_part"


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
        return line_of({"custom_id": name, "method": "POST", "url": self._path, "body": body})

    async def submit(self, tag: str, file: Path) -> str:
        """Return the id of a new batch of the file's requests. After `Transient` it may have been made all the same."""

        async def go() -> Any:
            uploaded = await self._sdk.files.create(file=file, purpose="batch")
            return await self._sdk.batches.create(
                completion_window="24h", endpoint=self._path, input_file_id=uploaded.id, metadata={TAG: tag}
            )

        return await made(go, self._place)

    async def find(self, tag: str, since: float, _count: int) -> str | None:
        """Return the id of the batch that was submitted under `tag` after `since` (seconds of the epoch), None when there is none."""

        async def go() -> str | None:
            async for batch in self._sdk.batches.list(limit=100):
                if (batch.metadata or {}).get(TAG) == tag:
                    return self._place.hide(str(batch.id))
                if batch.created_at < since - SLACK:
                    return None
            return None

        return await ours(go, self._place)

    async def progress(self, batch: str) -> Progress:
        """Return how far a batch is."""

        async def go() -> Progress:
            now = await self._sdk.batches.retrieve(batch)
            state, counts = state_of(getattr(now, "status", None), self._place), now.request_counts
            done, total = (counts.completed + counts.failed, counts.total) if counts else (0, 0)
            why = "; ".join(str(one.message) for one in (now.errors.data or [])) if now.errors else ""
            ended = state in ("completed", "failed", "expired", "cancelled")
            return Progress(ended, done, total, f"{state}: {self._place.hide(why)[:300]}" if why else state)

        return await ours(go, self._place, f"batch {batch}")

    async def results(
        self, batch: str, asked: Callable[[str], Request | None]
    ) -> AsyncGenerator[tuple[str, Response | Failure], None]:
        """Yield (name, outcome) of every request that has one; `asked` gives the request of a name, None when it is not known."""
        now = await ours(lambda: self._sdk.batches.retrieve(batch), self._place, f"batch {batch}")
        for file in (getattr(now, "output_file_id", None), getattr(now, "error_file_id", None)):
            if file:
                content = self._sdk.files.with_streaming_response.content(file)
                async for row in rows(content, self._place, f"the results of batch {batch}"):
                    yield str(row.get("custom_id")), self._outcome(row, asked)

    def _outcome(self, row: Mapping[str, Any], asked: Callable[[str], Request | None]) -> Response | Failure:
        reply = mapping(row.get("response"))
        status = count(reply, "status_code")
        if status == 200:
            return read_body(self._protocol, reply.get("body"), asked(str(row.get("custom_id"))))
        error = mapping(row.get("error"))
        if not status:
            said = f"{error.get('code')}: {error.get('message')}" if error else "neither an answer nor an error came"
            return Failure(lost(str(error.get("code"))), self._place.hide(said), 1)
        return failed(status, orjson.dumps(reply.get("body")).decode(), self._place)

    async def aclose(self) -> None:
        """Close the connections."""
        await self._sdk.close()
