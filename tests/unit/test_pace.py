"""What rate is found and kept to, against providers that limit in other ways. All in virtual time: minutes pass in milliseconds."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import pytest

from harness.engine import run
from harness.errors import RateLimited
from harness.limits import Gate, Limits
from harness.types import Failure, Record, Request, Response
from tests.support.todos import jobs
from tests.support.virtual_time import VirtualLoop, in_virtual_time

Asks = Callable[[float, float], float | None]
"""(tokens that the bucket holds, its rate) -> the seconds that a refusal asks to wait, None when it does not say."""


def exactly(level: float, rate: float) -> float | None:
    return (1 - level) / rate


def whole_seconds(level: float, rate: float) -> float | None:
    return 1.0


def silent(level: float, rate: float) -> float | None:
    return None


class Bucket:
    """Lets `rate(now)` requests a second pass after a burst, and answers after `latency` seconds, more or less."""

    name = "bucket"
    identity: Mapping[str, str] = {"model": "bucket"}

    def __init__(self, loop: VirtualLoop, rate: Callable[[float], float], burst: float, latency: float, asks: Asks):
        self._loop, self._rate, self._burst, self._latency, self._asks = loop, rate, burst, latency, asks
        self._level, self._filled = burst, 0.0
        self._chance = random.Random(1)
        self.passed: list[float] = []
        self.refused: list[float] = []

    def full(self, now: float) -> float | None:
        """Return None when a request passes, else the seconds to wait, -1 when it is not told."""
        self._level = min(self._burst, self._level + (now - self._filled) * self._rate(now))
        self._filled = now
        if self._level >= 1:
            self._level -= 1
            return None
        wait = self._asks(self._level, self._rate(now))
        return -1 if wait is None else wait

    async def generate(self, request: Request) -> Response:
        await asyncio.sleep(0.02 * self._chance.uniform(0.5, 1.5))
        now = self._loop.time()
        wait = self.full(now)
        if wait is not None:
            self.refused.append(now)
            await asyncio.sleep(0.02)
            raise RateLimited("slow down", None if wait < 0 else wait)
        self.passed.append(now)
        await asyncio.sleep(self._latency * self._chance.uniform(0.5, 1.5))
        return Response("好", tokens_in=10, tokens_out=5)

    async def aclose(self) -> None:
        """Close nothing."""


class ByTheMinute(Bucket):
    """Lets so many requests pass in each minute of the clock, and then none until the next."""

    def full(self, now: float) -> float | None:
        this_minute = sum(int(at // 60) == int(now // 60) for at in self.passed)
        return None if this_minute < self._burst else -1


class ByNumber(Bucket):
    """Answers so many requests at a time."""

    running = 0

    def full(self, now: float) -> float | None:
        return None if self.running < self._burst else -1

    async def generate(self, request: Request) -> Response:
        self.running += 1
        try:
            return await super().generate(request)
        finally:
            self.running -= 1


@dataclass(frozen=True)
class Found:
    """How a run went: seconds until the last request that passed, the provider, the gate, and its records."""

    seconds: float
    provider: Bucket
    gate: Gate
    records: list[Record]

    @property
    def refused(self) -> float:
        """Refusals for each answer."""
        return len(self.provider.refused) / len(self.records)


def played(
    count: int,
    kind: type[Bucket] = Bucket,
    *,
    rate: Callable[[float], float] = lambda _: 20.0,
    burst: float = 20,
    latency: float = 0.1,
    asks: Asks = silent,
    limits: Limits | None = None,
) -> Found:
    """Return how a run of `count` questions goes; every one must get its answer."""
    limits = limits or Limits(adaptive=True)

    async def play(loop: VirtualLoop) -> Found:
        random.seed(0)  # the jitter of the engine's waits
        provider, records = kind(loop, rate, burst, latency, asks), []
        gate = Gate(limits, metered=True, clock=loop.time)
        await run(provider, jobs(count), limits, lambda record, _: records.append(record), "me", gate)
        return Found(max(provider.passed), provider, gate, records)

    found = in_virtual_time(play)
    assert len(found.records) == count and not any(isinstance(r.outcome, Failure) for r in found.records)
    return found


@pytest.mark.parametrize("asks", [silent, exactly, whole_seconds], ids=lambda f: f.__name__)
@pytest.mark.parametrize(
    ("rate", "burst", "latency", "count"),
    [(20, 20, 0.1, 1000), (200, 200, 0.1, 5000), (8.3, 500, 2, 3000), (1 / 3, 20, 3, 300)],
)
def test_a_token_bucket_is_used_to_nine_tenths_with_few_refusals(
    rate: float, burst: float, latency: float, count: int, asks: Asks
) -> None:
    found = played(count, rate=lambda _: rate, burst=burst, latency=latency, asks=asks)
    share = count / (burst + rate * found.seconds)  # of every token that the bucket ever gave
    assert share > 0.92, share
    assert found.refused < (0.02 if rate > 1 else 0.06), found.refused


def test_the_rate_itself_is_found_to_a_few_in_a_hundred() -> None:
    found = played(2000)
    assert found.gate._pace.rate == pytest.approx(20, rel=0.05)


def test_a_wait_that_the_provider_asks_for_holds_all_requests_of_the_model() -> None:
    """Only what was on its way already, 0.06 s at most, may reach the provider within the wait."""
    found = played(1000, asks=whole_seconds)
    provider = found.provider
    for at in provider.refused:
        late = [t for t in [*provider.passed, *provider.refused] if at + 0.06 < t < at + 1.0]
        assert not late, (at, late)


def test_slow_answers_do_not_keep_the_rate_down() -> None:
    """At 20 a second and 2 s an answer 40 must be in flight; the cautious start takes a dozen seconds."""
    found = played(3000, latency=2)
    assert 3000 / (20 + 20 * found.seconds) > 0.9 and found.refused < 0.02


def test_a_limit_that_sinks_is_followed_down_and_one_that_rises_up() -> None:
    sinks = played(2000, rate=lambda now: 20.0 if now < 40 else 5.0)
    assert sinks.seconds < 1.05 * (40 + (2000 - 820) / 5) and sinks.refused < 0.03
    assert sinks.gate._pace.rate == pytest.approx(5, rel=0.1)
    rises = played(3000, rate=lambda now: 20.0 if now < 40 else 40.0)
    assert rises.seconds < 1.25 * (40 + (3000 - 820) / 40) and rises.refused < 0.02


def test_a_quota_of_a_minute_is_come_back_to_after_it_was_used_up() -> None:
    found = played(2000, ByTheMinute, burst=500, latency=2)
    assert found.seconds < 400 and found.refused < 0.06, (
        "four minutes' quota, and nobody says when the next minute begins"
    )


def test_a_provider_that_answers_few_at_a_time_is_kept_busy() -> None:
    found = played(1000, ByNumber, burst=16, latency=2)
    assert found.seconds < 1000 / (16 / 2) / 0.65 and found.refused < 0.03


def test_a_rate_that_the_user_states_is_never_exceeded_while_another_is_looked_for() -> None:
    found = played(300, limits=Limits(adaptive=True, rpm=600))
    assert not found.provider.refused and found.seconds == pytest.approx(29.9, abs=0.5)


def test_the_same_run_takes_the_same_virtual_time() -> None:
    assert played(300).provider.passed == played(300).provider.passed
