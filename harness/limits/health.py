"""How a provider is doing, and what that means for a request that came to nothing: how long it waits, and when it is given up.

A fault among many answers is that one request's bad luck, and waiting longer and longer would only draw out a run's end. Where all
attempts come to nothing the provider is in trouble, and waits double; in between they grow by the share that does.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass

from harness.limits.stated import Limits
from harness.tables import printable

RECENT = 50
"""The share of attempts that came to nothing is taken over about so many."""
ALONE_S = 120.0
"""Seconds that a request is tried at most for nothing when all others have been answered: then it may well be its own fault."""
AT_LEAST = 10
"""So many requests in a row must have been given up before nothing more is asked, however few may be in flight."""
LONGEST_PROBE_S = 10.0
"""The longest wait while a provider answers nobody, so that its return is soon noticed."""


class Health:
    """What attempts came to lately. Times are seconds of `clock`.

    `notice` is called after each attempt that came to nothing, and `hold` with the seconds that a provider asks all requests to wait.

    `share` (0-1) of recent attempts came to nothing; `in_a_row` did since the last answer, with `last_error`; `given_up` requests were,
    one after another; `stumbling` requests are not answered yet though they have been tried.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self.began = self.last_answer = clock()
        self.answers = self.in_a_row = self.given_up = self.stumbling = 0
        self.share = 0.0
        self.last_error = ""
        self.notice: Callable[[], None] | None = None
        self.hold: Callable[[float], None] | None = None

    def answered(self) -> None:
        """Count an answer."""
        self.last_answer = self._clock()
        self.answers += 1
        self.in_a_row = self.given_up = 0
        self.share -= self.share / RECENT

    def rejected(self, why: str) -> None:
        """Count a request that the provider does not take: nobody is answered by that, but the provider is there."""
        self.given_up = 0
        self.share -= self.share / RECENT
        self._noted(why)

    def faulted(self, why: str) -> None:
        """Count an attempt that came to nothing."""
        self.share += (1 - self.share) / RECENT
        self._noted(why)

    def told_to_wait(self, seconds: float) -> None:
        """Pass on that the provider asks all requests to wait so long."""
        if self.hold is not None:
            self.hold(seconds)

    def _noted(self, why: str) -> None:
        self.in_a_row += 1
        self.last_error = why
        if self.notice is not None:
            self.notice()

    def silence(self) -> float:
        """Return for how many seconds nobody has got an answer."""
        return self._clock() - self.last_answer

    def hopeless(self, limits: Limits) -> str:
        """Return why nothing more should be asked, or "": nobody is answered for longer than our patience, whichever request it is."""
        silence = self.silence()
        if not limits.patience or silence < limits.patience or self.given_up < max(AT_LEAST, limits.in_flight):
            return ""
        return (
            f"nobody has been answered for {silence:.0f} s (--patience {limits.patience:g}), "
            f"and {self.given_up} requests in a row were given up; the last error: {printable(self.last_error[:200])}"
        )


@dataclass(slots=True)
class Tries:
    """The attempts of one request that came to nothing: how many, how many of them count, and the wait before the next."""

    limits: Limits
    health: Health
    made: int = 0
    counted: int = 0
    _wait: float = 0.0

    def used_up(self, began: float) -> bool:
        """Count one that began at `began`; tell whether it was the last. While nobody is answered, none counts for `patience` seconds."""
        health, patience = self.health, self.limits.patience
        self.made += 1
        health.stumbling += self.made == 1
        if health.answers and health.stumbling == 1:
            patience = min(patience, ALONE_S)
        others = health.answers > 0 and health.last_answer >= began
        self.counted += others or health.silence() >= patience
        return self.counted >= self.limits.attempts

    def wait(self, kind: str) -> float:
        """Return the seconds until the next attempt, after one that failed with `kind`."""
        limits = self.limits
        growth = 2.0 if kind == "rate_limit" else 1 + self.health.share
        self._wait = self._wait * growth if self.made > 1 else limits.backoff
        longest = limits.longest_backoff
        if self.counted < self.made:
            longest = min(longest, LONGEST_PROBE_S)
        self._wait = min(self._wait, longest)
        return self._wait * random.uniform(0.5, 1.5)  # noqa: S311

    def over(self) -> None:
        """Note that the request is answered or given up."""
        self.health.stumbling -= self.made > 0
