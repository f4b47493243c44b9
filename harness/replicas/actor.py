"""One copy of a model, in a process of its own."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from harness.engine import WINDOW, Batched
from harness.errors import AdapterError, HarnessError, UsageError
from harness.types import BatchModel, LocalModel, Model, Request, Response

MOST_AT_ONCE = 4096
"""Requests that a copy takes at a time, at most."""

Build = Callable[[], Model | BatchModel]


@dataclass(frozen=True, slots=True)
class About:
    """What a copy says of the model that it has built."""

    name: str
    identity: Mapping[str, str]
    at_once: int


class Actor:
    """One copy, in a process of its own. Our errors are handed over as values: what is raised there, Ray wraps."""

    def __init__(self, build: Build) -> None:
        self._build = build
        self._model: Model | None = None
        self._about: About | None = None

    async def about(self) -> About | HarnessError:
        """Return what the model is, built on the first call; or why it cannot be built, or not be asked in this way."""
        if self._about is None:
            try:
                built = await asyncio.to_thread(self._build)
            except HarnessError as error:
                return error
            if isinstance(built, BatchModel):
                self._model, at_once = Batched(built), WINDOW * built.max_batch
            elif isinstance(built, LocalModel):
                self._model, at_once = built, built.at_once
            else:
                await built.aclose()
                return UsageError(
                    f"--replicas: {built.name} is not computed by this process, so copies of it gain nothing. "
                    "Ask it without --replicas; --concurrency says how many requests are in flight."
                )
            self._about = About(built.name, dict(built.identity), min(at_once, MOST_AT_ONCE))
        return self._about

    async def generate(self, request: Request) -> Response | AdapterError:
        """Return the answer, or the adapter's error."""
        assert self._model is not None, "asked before it was built"
        try:
            return await self._model.generate(request)
        except AdapterError as error:
            return error

    async def aclose(self) -> None:
        """Give the devices back."""
        if self._model is not None:
            await self._model.aclose()
