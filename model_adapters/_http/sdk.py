"""What the official SDKs share here: an HTTP client that follows no redirect and reads no endless body, and their errors as ours."""

from __future__ import annotations

import asyncio
import zlib
from collections.abc import AsyncIterator, Iterator
from typing import TYPE_CHECKING, Any

from harness.errors import AdapterError, Rejected, Transient
from model_adapters._http import faults
from model_adapters._http.faults import Place
from model_adapters._http.keys import loopback

if TYPE_CHECKING:
    import httpx2


PACKED = ("gzip", "x-gzip", "deflate")
"""Ways of packing a body that are unpacked here: only the first is asked for. Others could grow a thousandfold in a single step."""
STEP = 1 << 20
"""Bytes that are unpacked at a time, at most."""
STREAMED = ("/content", "/results")
"""Ends of paths whose bodies are files of many answers, read line by line: as large as they like."""


class Refused(Exception):
    """A provider's answer other than 200, raised below the SDK, whose own errors lose part of it; `wait` is seconds or None."""

    def __init__(self, status: int, text: str, wait: float | None) -> None:
        super().__init__(f"HTTP {status}")
        self.status, self.text, self.wait = status, text, wait


def client(place: Place, connect_s: float, first_byte_s: float) -> httpx2.AsyncClient:
    """Return the HTTP client to hand to an SDK. The whole time of a request is the caller's to bound."""
    import httpx2

    class Capped(httpx2.AsyncByteStream):
        """Passes a body on, unpacked, until it is too large."""

        def __init__(self, inner: Any, unpacks: _Unpacks | None) -> None:
            self._inner, self._unpacks = inner, unpacks

        async def __aiter__(self) -> AsyncIterator[bytes]:
            size = 0
            async for chunk in self._inner:
                for part in self._unpacks.parts(chunk) if self._unpacks else (chunk,):
                    size += len(part)
                    if size > faults.LARGEST_BODY:
                        raise faults.too_large()
                    yield part
            if self._unpacks:
                self._unpacks.end()

        async def aclose(self) -> None:
            await self._inner.aclose()

    async def before(request: httpx2.Request) -> None:
        times = {"connect": connect_s or None, "read": first_byte_s or None, "write": None, "pool": None}
        request.headers["accept-encoding"] = PACKED[0]
        request.extensions = {**request.extensions, "timeout": times}  # the SDKs set times of their own

    async def after(response: httpx2.Response) -> None:
        if response.status_code in faults.REDIRECTS:
            raise faults.redirected(place, response.headers.get("location", ""))
        if response.status_code != 200 or not response.url.path.endswith(STREAMED):
            if int(response.headers.get("content-length") or 0) > faults.LARGEST_BODY:
                raise faults.too_large()
            response.stream = Capped(response.stream, _unpacks(response.headers))
        response.request.extensions["timeout"]["read"] = faults.SILENCE_S  # the first byte is here
        if response.status_code != 200:
            text = faults.readable(place.clean(await response.aread()))  # before it is shortened
            raise Refused(response.status_code, text, faults.wait_of(response.headers, text))

    return httpx2.AsyncClient(
        follow_redirects=False,
        timeout=None,
        trust_env=not loopback(place.url),  # no proxy stands between us and this machine
        limits=httpx2.Limits(max_connections=None, max_keepalive_connections=256),
        event_hooks={"request": [before], "response": [after]},
    )


class _Unpacks:
    """Unpacks a body piece by piece, never more than `STEP` at once, however much a few bytes stand for."""

    def __init__(self) -> None:
        self._zlib = zlib.decompressobj(zlib.MAX_WBITS | 32)  # either kind, by its first bytes
        self._began = False

    def parts(self, data: bytes) -> Iterator[bytes]:
        """Yield what these bytes hold; raise Transient when they are damaged."""
        self._began = self._began or bool(data)
        part = bytes(STEP)
        while data or len(part) == STEP:
            try:
                part = self._zlib.decompress(data, STEP)
            except zlib.error as error:
                raise Transient(f"the server's answer is packed, and damaged: {error}") from None
            data = self._zlib.unconsumed_tail
            if part:
                yield part

    def end(self) -> None:
        """Raise Transient when there should have been more."""
        if self._began and not self._zlib.eof:
            raise Transient("the server's answer is packed, and broke off")


def _unpacks(headers: httpx2.Headers) -> _Unpacks | None:
    """Return what unpacks a body, None when it is not packed; the client itself then leaves it as it comes."""
    how = [one.lower() for one in headers.get_list("content-encoding", split_commas=True) if one.lower() != "identity"]
    if not how:
        return None
    if len(how) > 1 or how[0] not in PACKED:
        raise Transient(f"the server's answer is packed as {', '.join(how)[:60]}, which was not asked for")
    del headers["content-encoding"]
    return _Unpacks()


def refused(error: BaseException) -> Refused | None:
    """Return the provider's answer that the error stands for, None when it is no answer."""
    return next((one for one in _causes(error) if isinstance(one, Refused)), None)


def translated(error: Exception, place: Place) -> AdapterError:
    """Return the error of ours that an SDK's error, or one from below it, stands for."""
    import httpx2

    for one in _causes(error):
        if isinstance(one, AdapterError):
            return one
    answer = refused(error)
    if answer is not None:
        return faults.fault(answer.status, answer.text, answer.wait, place)
    for one in _causes(error):
        if isinstance(one, httpx2.TimeoutException):
            return Transient(f"{place.url}: {_late(one)}")
        if isinstance(one, httpx2.ConnectError):
            return Transient(f"cannot connect to {place.url}: {place.hide(str(one))}")
        if isinstance(one, (httpx2.HTTPError, ConnectionError, asyncio.IncompleteReadError)):
            return Transient(f"{place.url}: connection broke: {type(one).__name__} {place.hide(str(one))}")
        if isinstance(one, UnicodeEncodeError):
            return Rejected("the prompt holds characters that are no valid Unicode (lone surrogates)")
        if isinstance(one, ValueError):  # the body of a 200 was no JSON, or not of the protocol's shape
            return Transient(f"the server's answer is no JSON: {place.hide(str(one))[:200]}")
    return Transient(f"{place.url}: {type(error).__name__}: {place.hide(str(error))[:300]}")


def _late(error: httpx2.TimeoutException) -> str:
    """Return what did not come in time, and for how long it was waited."""
    import httpx2

    try:
        times = error.request.extensions.get("timeout", {})
    except RuntimeError:  # the error was made before there was a request
        times = {}
    connecting = isinstance(error, httpx2.ConnectTimeout)
    seconds = times.get("connect" if connecting else "read")
    return f"{'no connection' if connecting else 'nothing came'} in time{f' ({seconds:g} s)' if seconds else ''}"


def _causes(error: BaseException) -> Iterator[BaseException]:
    seen: BaseException | None = error
    while seen is not None:
        yield seen
        seen = seen.__cause__ or seen.__context__
