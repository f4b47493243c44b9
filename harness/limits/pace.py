"""The rate of requests that a provider accepts, learnt from its refusals.

A token bucket is empty at the moment in which it refuses. So what passed between two refusals is what it was refilled with, and that
over the time is the allowed rate, whatever was tried in between: the first refusal only starts the clock (a full bucket came before
it), each later one measures. Other quotas (a count a minute, a number in flight) have a rate that they accept too, found in the same
way. From a measured rate on, requests go a little slower for a while, so that the bucket holds a few tokens for unevenness, then
slowly faster until the next refusal measures again.
"""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass

SAVING, SAVING_S = 0.9, 2.0
"""After a refusal: this share of the accepted rate, for so many units of time."""
STEADY, GENTLE, FAR = 0.97, 0.005, 45.0
"""Then this share, growing by so much a unit; after so many units the growth has doubled the rate, for the limit may have risen."""
NARROWING = 0.1
"""A bucket that stood full for a while makes a measurement too low: each unit leads this share of the way to what was refused."""
DOUBLING = 3.0
"""While the rate is not measured yet, it doubles in so many units of time; in so many seconds up to half of an earlier measurement."""
UNIT_REQUESTS, LONGEST_UNIT_S = 10, 30.0
"""A unit is a second, or the time of so many requests where that is longer: a refusal in ten requests would be too many."""
ENOUGH = 30
"""Requests between two refusals that make a measurement precise to a few in a hundred."""
BARELY = 3
"""Twice in a row fewer requests than this between two refusals: the measurement does not hold any more."""
SLOWEST = 1 / 60
"""Requests per second that are tried at least: a quota that is used up comes back some time."""


@dataclass(frozen=True, slots=True)
class Mark:
    """A refusal: when the refused request had gone, and how many had passed before it."""

    at: float
    passed: int


class Pace:
    """How fast requests may go; times are seconds of one clock. `rate` is what the provider accepted, 0 before its first refusal."""

    def __init__(self, began: float) -> None:
        self.rate = self._tried = self._known = 0.0
        self.measured = False
        self._sent = self._refused = self._barely = 0
        self._began = self._since = began
        self._marks: deque[Mark] = deque()

    def went(self) -> int:
        """Count one request that goes now; return how many went before it."""
        self._sent += 1
        return self._sent - 1

    def refused(self) -> None:
        """Count one request that was refused."""
        self._refused += 1

    def allowed(self, now: float) -> float:
        """Return the requests per second to try now; `rate` must be known."""
        seconds = max(0.0, now - self._since)
        if not self.measured:
            return self._guessed(seconds)
        since = seconds / _unit(self.rate)
        if since < SAVING_S:
            return self.rate * SAVING
        growth = max(GENTLE, NARROWING * (self._tried / self.rate - 1))
        return float(self.rate * (STEADY + growth * since + (since / FAR) ** 3))

    def _guessed(self, seconds: float) -> float:
        """Return the rate to try so long after a refusal while nothing is measured: soon half of what was measured once."""
        start, half = self.rate, self._known / 2
        if half > start:
            back = DOUBLING * math.log2(half / start)
            if seconds < back:
                return float(start * 2 ** (seconds / DOUBLING))
            start, seconds = half, seconds - back
        unit = min(LONGEST_UNIT_S / 3, max(1.0, UNIT_REQUESTS / 2 / start))  # there is less to lose than to learn
        return float(start * 2 ** min(20.0, seconds / unit / DOUBLING))

    def cut(self, at: float, number: int, now: float) -> None:
        """Learn from the refusal of the request that went at `at`, after `number` others; it is known since `now`."""
        mark = Mark(at, number - self._refused)
        if self._marks:
            self._tried = self.allowed(now)
            self._learn(mark)
        else:  # a full bucket was emptied first: a guess, mostly too high, and refusals soon bring it down
            self.rate = max(mark.passed, 1) / max(0.1, at - self._began)
        self._marks.append(mark)
        while len(self._marks) > 2 and mark.passed - self._marks[1].passed >= ENOUGH:
            self._marks.popleft()
        self._since = now

    def _learn(self, mark: Mark) -> None:
        """Measure the accepted rate from an earlier refusal to this one."""
        last = self._marks[-1]
        expected, passed = self.rate * (mark.at - last.at), mark.passed - last.passed
        self._barely = self._barely + 1 if passed < BARELY else 0
        if self._barely > 1 or (self.measured and passed < expected - 3 * expected**0.5 - 1):
            self._known, self.measured = (
                self.rate if self.measured else self._known,
                False,
            )  # sunk, or a quota is used up
            self._marks.clear()
            self._marks.append(last)
        elif not self.measured and passed:
            self._known = 0.0
        first = self._marks[0]
        passed = mark.passed - first.passed
        self.measured = self.measured or passed >= ENOUGH / 3
        accepted = passed / max(1e-3, mark.at - first.at)
        self.rate = max(SLOWEST, min(self._tried, max(self._tried / 2, accepted)))

    def wait_until(self, end: float) -> None:
        """Start the time after the last refusal only at `end`: the provider asked for a wait until then. A long one saves enough."""
        if end > self._since:
            unit = _unit(self.rate) if self.measured else 0.0
            self._since = end - (SAVING_S * unit if end - self._since > unit / 2 else 0.0)


def _unit(rate: float) -> float:
    """Return the seconds of a unit of time at this rate."""
    return min(LONGEST_UNIT_S, max(1.0, UNIT_REQUESTS / rate))
