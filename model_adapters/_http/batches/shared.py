"""What the batch interfaces of all providers share: a request as a line, results read line by line, and errors as ours."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

import orjson

from harness.errors import AdapterError, Fatal, RateLimited, Rejected, TooLong, Transient
from harness.types import Failure, FailureKind, Request, Response
from model_adapters._http import faults
from model_adapters._http.faults import Place, fault, filtered, message, parsed
from model_adapters._http.left_out import LeftOut
from model_adapters._http.reading import mapping
from model_adapters._http.sdk import refused, translated

T = TypeVar("T")
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


def line_of(row: Mapping[str, Any]) -> bytes:
    """Return one request as a line of JSON; raise Rejected when it cannot be one."""
    try:
        return orjson.dumps(row) + b"\n"
    except TypeError:
        raise Rejected("the prompt holds characters that are no valid Unicode (lone surrogates)") from None


async def ours(call: Callable[[], Awaitable[T]], place: Place, known: str = "") -> T:
    """Return what a call of an SDK gives; raise errors of ours only, Rejected where the provider does not know what is named `known`."""
    try:
        return await call()
    except Exception as error:  # noqa: BLE001 - an SDK raises many kinds, and what it read may lack what is looked for
        raise _meant(error, place, known) from None


async def made(call: Callable[[], Awaitable[Any]], place: Place) -> str:
    """Return the id of what a call of an SDK has made; Transient where the answer cannot be read, for it may have been made all the same."""
    name = getattr(await ours(call, place), "id", None)
    if not isinstance(name, str) or not name:
        raise Transient(f"{place.url}: the answer to a submission names no batch")
    return place.hide(name)


def state_of(value: Any, place: Place) -> str:
    """Return the provider's word for how far a batch is; raise Transient when there is none."""
    if not isinstance(value, str):
        raise Transient(f"{place.url}: the answer says nothing of the batch")
    return place.hide(value)


def _meant(error: Exception, place: Place, known: str) -> AdapterError:
    found = error if isinstance(error, AdapterError) else translated(error, place)
    answer = refused(error)
    if answer is None:  # too large for us, say: that says nothing of what was asked
        return Transient(str(found)) if isinstance(found, Rejected) else found
    if known and answer.status == 404:
        return Rejected(f"{place.url} does not know {known} (HTTP 404: {place.hide(message(answer.text))})")
    return found


async def rows(call: Any, place: Place, known: str) -> AsyncGenerator[Mapping[str, Any], None]:
    """Yield the rows of a body of JSON lines as it arrives; a line that is none is left out, and so is one beyond `LARGEST_BODY`.

    Only a line feed ends a line: texts hold other separators. `known` as in `ours`.
    """
    rest = bytearray()
    try:
        async with call as reply:
            async for chunk in reply.iter_bytes():
                rest += chunk
                if b"\n" in chunk:
                    *whole, last = bytes(rest).split(b"\n")
                    rest = bytearray(last)
                    for line in whole:
                        if row := _row(line, place):
                            yield row
                elif len(rest) > faults.LARGEST_BODY:
                    rest = bytearray(b"!")  # what is left of the line is no JSON any more
        if row := _row(bytes(rest), place):
            yield row
    except Exception as error:  # noqa: BLE001 - an SDK raises many kinds, also in the middle of a body
        raise _meant(error, place, known) from None


def _row(line: bytes, place: Place) -> Mapping[str, Any] | None:
    try:
        return mapping(parsed(place.clean(line))) if line.strip() else None
    except Transient:
        return None


def read_body(protocol: Protocol, body: Any, request: Request | None) -> Response | Failure:
    """Return what the body of an answer says; a failure where the same body would have been an error one by one."""
    try:
        return protocol.read(body, request or Request(()))
    except AdapterError as error:
        return Failure(_kind(error), str(error), 1)
    except (AttributeError, KeyError, TypeError, ValueError):  # the readers look into what a stranger wrote
        return Failure("server", f"the answer is not of the protocol's shape: {str(body)[:200]}", 1)


def failed(status: int, text: str, place: Place) -> Response | Failure:
    """Return what an error inside a batch stands for, by the status that it would have had one by one."""
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


def lost(code: str) -> FailureKind:
    """Return the kind of failure of a request that was never answered; `code` is the provider's word for why."""
    return "timeout" if "expired" in code else "server"
