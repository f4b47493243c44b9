"""What a provider's batch interface has to offer, whichever adapter has it."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable
from pathlib import Path
from typing import Protocol

from harness.errors import UsageError
from harness.types import Failure, Request, Response

PROVIDERS = ("anthropic", "openai")
"""The providers of ours whose models have `batches`."""


class Progress(Protocol):
    """How far a batch is."""

    @property
    def ended(self) -> bool: ...

    @property
    def done(self) -> int: ...

    @property
    def total(self) -> int: ...

    @property
    def said(self) -> str: ...


class LeftOut(Protocol):
    """The sampling fields that a model does not take."""

    fields: tuple[str, ...]


class BatchApi(Protocol):
    """A provider's batch interface for one model.

    All may raise adapter errors: `Transient` from `submit` says that a batch may have been made all the same, `Rejected` from `progress`
    and `results` that the provider does not know this batch.
    """

    most_requests: int
    most_bytes: int
    left_out: LeftOut

    def line(self, name: str, request: Request) -> bytes: ...

    async def submit(self, tag: str, file: Path) -> str: ...

    async def find(self, tag: str, since: float, count: int) -> str | None: ...

    async def progress(self, batch: str) -> Progress: ...

    def results(
        self, batch: str, asked: Callable[[str], Request | None]
    ) -> AsyncGenerator[tuple[str, Response | Failure], None]: ...


def interface(model: object, name: str) -> BatchApi:
    """Return a model's batch interface; raise UsageError when its provider has none."""
    found: BatchApi | None = getattr(model, "batches", None)
    if found is None:
        raise UsageError(
            f"--batch: {name} has no batch interface here; these providers have: {', '.join(PROVIDERS)}. "
            "Ask this model without --batch."
        )
    return found
