"""What goes wrong and what it takes, as a run's watcher tells it: an outage, why calls failed, and the speed of the last minute."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Iterator, Mapping

from harness.limits import Health
from harness.tables import counted
from harness.types import Failure, FailureKind, Record, Response

EVERY = 10.0
"""Seconds between two plain lines."""
SOON, FEW = 3.0, 3
"""Seconds without any answer, and attempts that came to nothing meanwhile, from which on a user is told."""
SELDOM = 300.0
"""Seconds between two lines that nobody is answered, at most: they begin with `EVERY` and double."""
WONDER = 20.0
"""A wait of so many seconds that a provider asks for is told."""
LONGEST_ERROR = 200
"""Characters of an error that are shown."""
RECENT = 60.0
"""Seconds that speeds are taken over: a slow start or a pause must not stay in the time left for hours."""
CAUSES = 3
"""So many different errors are told at a run's end."""

ADVICE: dict[FailureKind, str] = {
    "bad_request": "such a call is not tried again by itself: asked again unchanged, these questions most likely fail again",
    "too_long": "the model has no room for these questions and their answers: try fewer --shots or a smaller --max-tokens",
    "rate_limit": "more was asked than the provider allows: try a lower --rpm, --tpm or --concurrency, or go on later",
    "timeout": "--timeout SECONDS waits longer for an answer",
}


def span(seconds: float) -> str:
    """Return a time in words: 8 s, 12 min, 1.5 h."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def folded(text: str, width: int) -> list[str]:
    """Return a list of facts as lines of at most so many characters, broken after commas only."""
    lines = [""]
    for fact in text.split(", "):
        longer = f"{lines[-1]}, {fact}" if lines[-1] else fact
        if lines[-1] and len(longer) > width:
            lines.append(fact)
        else:
            lines[-1] = longer
    return lines


class Outage:
    """Tells that nobody is answered while attempts come to nothing: after `SOON` seconds, then at longer and longer intervals."""

    def __init__(self, health: Health, tell: Callable[[str], None]) -> None:
        self._health, self._tell = health, tell
        self._next, self._gap, self._since = SOON, EVERY, 0.0
        self._told = False

    def now(self) -> str:
        """Return what is wrong, with the last error; "" while somebody is answered, or too little has gone wrong to tell."""
        health, silence = self._health, self._health.silence()
        if silence < SOON or health.in_a_row < FEW:
            return ""
        state = f"nobody answered for {span(silence)}" if health.answers else f"nothing answered yet in {span(silence)}"
        return (
            f"{state}: {health.in_a_row:,} attempts came to nothing, the last with: {health.last_error[:LONGEST_ERROR]}"
        )

    def fault(self) -> None:
        """Tell it, if it is time to."""
        silence = self._health.silence()
        if silence >= self._next and (said := self.now()):
            self._since, self._told = self._health.last_answer, True
            self._next, self._gap = silence + self._gap, min(SELDOM, 2 * self._gap)
            self._tell(said)

    def hold(self, seconds: float) -> None:
        """Tell that the provider asks all requests to wait, if that is long enough to wonder about."""
        if seconds >= WONDER:
            self._tell(f"the provider asks to wait {span(seconds)}: nothing is asked until then")

    def over(self) -> None:
        """Tell that somebody has been answered again, if the contrary was told."""
        if self._health.in_a_row == 0:
            if self._told:
                self._tell(f"answered again after {span(self._health.last_answer - self._since)}")
            self._next, self._gap, self._told = SOON, EVERY, False


class Speed:
    """Requests and tokens per second of the last minute."""

    def __init__(self, now: float) -> None:
        self._points: deque[tuple[float, int, int]] = deque([(now, 0, 0)])

    def at(self, now: float, requests: int, tokens: int) -> tuple[float, float]:
        """Return both speeds, given how many there were in all until now."""
        while len(self._points) > 1 and self._points[1][0] <= now - RECENT:
            self._points.popleft()
        began, before, used = self._points[0]
        if now - self._points[-1][0] >= 1:
            self._points.append((now, requests, tokens))
        seconds = max(1e-9, now - began)
        return (requests - before) / seconds, (tokens - used) / seconds


class Causes:
    """Why calls failed: each error with how often it was the end of one, and what can be done about its kind."""

    def __init__(self) -> None:
        self._seen: Counter[tuple[FailureKind, str]] = Counter()

    def note(self, failure: Failure) -> None:
        """Count one call that failed. Of very many different errors only the first are told apart."""
        cause = (failure.kind, failure.message[:LONGEST_ERROR])
        if cause in self._seen or len(self._seen) < 1000:
            self._seen[cause] += 1
        else:
            self._seen[failure.kind, "other errors"] += 1

    def lines(self) -> Iterator[str]:
        """Yield the most frequent errors, and a word of advice for each of their kinds."""
        told = self._seen.most_common(CAUSES)
        for (kind, message), times in told:
            yield f"{counted(times, 'call')} failed ({kind}): {message}"
        if len(self._seen) > CAUSES:
            rest = sum(self._seen.values()) - sum(times for _, times in told)
            yield f"{counted(rest, 'call')} failed with {counted(len(self._seen) - CAUSES, 'other error')}: records.jsonl holds all"
        for kind in dict.fromkeys(kind for (kind, _), _ in told if kind in ADVICE):
            yield ADVICE[kind]


BY_NAME = ("openai", "anthropic", "google", "server")
"""The providers that are asked for a model by its name, and say which one answered."""


class Answerers:
    """Which models answered, by their provider's own word: a retired name may be given to another model."""

    def __init__(self, identity: Mapping[str, str]) -> None:
        self._asked = identity.get("model", "") if identity.get("provider") in BY_NAME else ""
        self._others: set[str] = set()

    def note(self, record: Record) -> None:
        """Note who answered, if it is not who was asked: gpt-4o-2024-08-06 is gpt-4o, and a file's name is its path's end."""
        version = record.outcome.model_version if isinstance(record.outcome, Response) else None
        if not version or not self._asked or record.role != "candidate" or len(self._others) > CAUSES:
            return
        asked, said = self._asked.lower(), version.lower()
        if asked not in said and said not in asked and asked.rpartition("/")[2] not in said:
            self._others.add(version)

    def lines(self) -> Iterator[str]:
        """Yield who answered instead, if anybody did."""
        if self._others:
            yield f"asked for {self._asked}, answered by {', '.join(sorted(self._others))}: is that the model you mean?"
