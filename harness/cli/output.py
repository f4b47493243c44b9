"""Standard output and error that a reader who goes away, a full disk or an old encoding cannot break."""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, redirect_stderr, redirect_stdout
from typing import Any, TextIO, cast

from harness.store import StorageError


class Lasting:
    """A stream of text that goes nowhere once its reader is gone, as with `| head`: what was begun ends, with its own exit code.

    Raises StorageError where the text cannot be written for another reason.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        """Write, and return the number of characters."""
        self._tried(lambda: self._stream.write(text))
        return len(text)

    def flush(self) -> None:
        """Hand over what was written."""
        self._tried(self._stream.flush)

    def _tried(self, step: Callable[[], object]) -> None:
        try:
            step()
        except OSError as error:
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, self._stream.fileno())
            os.close(nowhere)
            if not isinstance(error, BrokenPipeError):
                raise StorageError(f"cannot write to {self._stream.name}: {error.strerror or error}") from None

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


@contextmanager
def lasting() -> Iterator[None]:
    """Make standard output and error lasting within; a character that their encoding lacks is written as an escape."""
    with ExitStack() as stack:
        for stream, redirect in ((sys.stdout, redirect_stdout), (sys.stderr, redirect_stderr)):
            if isinstance(stream, io.TextIOWrapper):  # None where it was closed; a test's or a notebook's own stays
                stream.reconfigure(errors="backslashreplace")
                stack.enter_context(redirect(cast(TextIO, Lasting(stream))))
        yield
