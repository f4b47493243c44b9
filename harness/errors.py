"""All that an adapter or a user's input may raise.

HarnessError
├── UsageError            the input is wrong: exit code 2
├── IncompleteError       finished, but not whole: exit code 3
└── AdapterError          what an adapter may raise
    ├── RateLimited       slow down, then again
    ├── Transient         5xx, time-out, dropped connection: again
    ├── Rejected          this one request will never work
    │   └── TooLong       ... because it exceeds the context window
    └── Fatal             no request will work: bad key, unknown model, server gone
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class HarnessError(Exception):
    """Base of all errors that are shown to the user as one message, without a traceback."""

    exit_code = 2


class UsageError(HarnessError):
    """The user's input is wrong. The message says what, where, what was allowed and what to do."""


class IncompleteError(HarnessError):
    """Work finished but a part is missing."""

    exit_code = 3


class AdapterError(HarnessError):
    """Base of all adapter errors."""

    exit_code = 3


class RateLimited(AdapterError):
    """The provider asked us to slow down; `retry_after` is seconds, None when it did not say."""

    def __init__(self, message: str, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class Transient(AdapterError):
    """Worth another try: 5xx, time-out, dropped connection, malformed body. `retry_after` as in `RateLimited`."""

    def __init__(self, message: str, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class Rejected(AdapterError):
    """This request will never work: a 4xx that is the request's own fault."""


class TooLong(Rejected):
    """The prompt and the token budget exceed the model's context window."""


class Fatal(AdapterError):
    """No request will work: bad key, unknown model, server not reachable, out of memory."""


def unknown(kind: str, name: str, known: Iterable[str], hint: str = "") -> UsageError:
    """Return an error for an unknown name, with the closest known ones and the first twenty allowed (of hundreds, their number)."""
    names = sorted(known)
    close = difflib.get_close_matches(name, names, n=3, cutoff=0.5)
    text = f"unknown {kind} '{name}'."
    if close:
        text += f" Did you mean: {', '.join(close)}?"
    if len(names) > 200:
        text += f" {len(names):,} names are known."
    elif names:
        more = f" ... ({len(names)} in all)" if len(names) > 20 else ""
        text += f" Known: {', '.join(names[:20])}{more}."
    return UsageError(f"{text} {hint}".rstrip())
