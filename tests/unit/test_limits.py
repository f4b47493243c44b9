"""The gate: rates, waits that a provider asks for, budgets, and the number in flight."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Iterator, Mapping, Sequence

import pytest

from harness.engine import Todo, run
from harness.errors import RateLimited, Rejected, Transient
from harness.limits import Gate, Limits
from harness.types import Choice, Failure, Job, Message, Record, Request, Response, Sample, Sampling


class Provider:
    """Answers after `delay` seconds with 10 tokens in and 5 out; `trouble(n, now)` may raise first."""

    name = "provider"
    identity: Mapping[str, str] = {"model": "provider"}

    def __init__(self, delay: float = 0.0) -> None:
        self.delay = delay
        self.times: list[float] = []
        self.began = time.monotonic()
        self.running = self.most = 0

    def trouble(self, request: Request, n: int, now: float) -> None:
        """Cause none."""

    async def generate(self, request: Request) -> Response:
        now = time.monotonic() - self.began
        self.times.append(now)
        self.running += 1
        self.most = max(self.most, self.running)
        try:
            self.trouble(request, len(self.times), now)
            await asyncio.sleep(self.delay)
        finally:
            self.running -= 1
        return Response("好", tokens_in=10, tokens_out=5)

    async def aclose(self) -> None:
        """Close nothing."""


def jobs(count: int) -> Iterator[Todo]:
    def one(n: int) -> Job:
        def following(done: Sequence[Response]) -> Request | None:
            return None if done else Request((Message("user", f"q{n}"),), Sampling(max_tokens=5))

        return Job(Sample(str(n), "s/t", {}, Choice(frozenset("A"))), following)

    return (Todo(one(n)) for n in range(count))


def go(model: Provider, count: int, limits: Limits, **gate: object) -> tuple[list[Record], Gate]:
    out: list[Record] = []
    passing = Gate(limits, **gate)  # type: ignore[arg-type]
    asyncio.run(run(model, jobs(count), limits, lambda r, _: out.append(r), "me", passing))
    return out, passing


def test_requests_per_minute_are_kept_to_from_the_first_second_on() -> None:
    model = Provider()
    go(model, 21, Limits(rpm=1200))
    assert len(model.times) == 21 and model.times[-1] >= 0.95 * 20 / 20
    assert max(sum(start <= t < start + 0.25 for t in model.times) for start in model.times) <= 7


def test_tokens_per_minute_are_kept_to() -> None:
    model = Provider()
    go(model, 21, Limits(tpm=60 * 15 * 40))  # 40 answers a second
    assert 0.3 <= model.times[-1] <= 2.0


def test_a_wait_that_the_provider_asks_for_holds_every_request() -> None:
    class Once(Provider):
        def trouble(self, request: Request, n: int, now: float) -> None:
            if n == 5:
                raise RateLimited("slow", 0.4)

    model = Once(0.01)
    records, _ = go(model, 40, Limits(in_flight=4, backoff=0.001))
    hit = model.times[4]
    assert len(records) == 40 and not [t for t in model.times if hit + 0.02 < t < hit + 0.38]


def test_a_cost_is_never_exceeded_and_the_run_says_why_it_stopped() -> None:
    price = lambda tokens_in, tokens_out: (tokens_in + tokens_out) / 100  # noqa: E731
    model = Provider(0.001)
    records, gate = go(model, 100, Limits(max_cost=3.0), cost=price)
    assert 0 < len(records) < 100 and gate.spent == pytest.approx(0.15 * len(records)) and gate.spent <= 3.0
    assert "--max-cost 3" in gate.stopped and len(records) in (19, 20), "what was set aside and not used is used again"


def test_total_tokens_are_never_exceeded() -> None:
    records, gate = go(Provider(0.001), 100, Limits(max_total_tokens=100))
    assert gate.tokens == 15 * len(records) <= 100 and "--max-total-tokens 100" in gate.stopped


def test_too_many_failures_stop_the_run() -> None:
    class Broken(Provider):
        def trouble(self, request: Request, n: int, now: float) -> None:
            raise Rejected("400")

    records, gate = go(Broken(), 1000, Limits(in_flight=2, max_failures=5))
    assert 6 <= len(records) <= 8 and "--max-failures allows 5" in gate.stopped


def test_a_cautious_run_starts_slowly_finds_the_top_and_is_cut_once_a_round() -> None:
    model = Provider(0.005)
    _, gate = go(model, 400, Limits(in_flight=32, adaptive=True))
    assert gate.window == 32 and model.most == 32
    gate = Gate(Limits(in_flight=32), metered=True)
    assert gate.window == 4 and gate.adaptive
    assert not Gate(Limits(in_flight=32, adaptive=False), metered=True).adaptive

    async def two_of_one_round() -> None:
        tickets = [await gate.enter(Request(())) for _ in range(2)]
        for ticket in tickets:
            gate.refused(ticket, None)

    asyncio.run(two_of_one_round())
    assert gate.window == pytest.approx(2.8)


def test_a_provider_that_is_gone_for_a_while_costs_no_answer() -> None:
    class Gone(Provider):
        def trouble(self, request: Request, n: int, now: float) -> None:
            if 0.05 < now < 0.8:
                raise Transient("gone")

    model = Gone(0.005)
    records, _ = go(model, 300, Limits(in_flight=8, attempts=3, backoff=0.02, patience=30))
    assert len(records) == 300 and not any(isinstance(r.outcome, Failure) for r in records)


def test_one_that_always_fails_is_given_up_while_the_others_are_answered() -> None:
    class Poison(Provider):
        def trouble(self, request: Request, n: int, now: float) -> None:
            if request.messages[0].content == "q3":
                raise Transient("500")

    records, _ = go(Poison(0.01), 60, Limits(in_flight=4, attempts=3, backoff=0.01, patience=30))
    [failed] = [r for r in records if isinstance(r.outcome, Failure)]
    assert failed.sample == "3"


def test_a_token_bucket_is_used_well_with_few_refusals() -> None:
    class Bucket(Provider):
        rate, level, at, refusals = 200.0, 20.0, 0.0, 0

        def trouble(self, request: Request, n: int, now: float) -> None:
            self.level, self.at = min(20.0, self.level + (now - self.at) * self.rate), now
            if self.level < 1:
                self.refusals += 1
                raise RateLimited("slow", 0.1)
            self.level -= 1

    random.seed(0)
    model = Bucket(0.01)
    records, _ = go(model, 1000, Limits(in_flight=32, adaptive=True, backoff=0.05))
    used = (1000 / 200) / max(model.times)
    assert len(records) == 1000 and not any(isinstance(r.outcome, Failure) for r in records)
    assert used > 0.7 and model.refusals < 100, (used, model.refusals)


def test_the_gate_costs_microseconds() -> None:
    gate, request, answer = Gate(Limits()), Request((Message("user", "x"),)), Response("y")

    async def many() -> float:
        began = time.process_time()
        for _ in range(20_000):
            gate.answered(await gate.enter(request), answer)
        return (time.process_time() - began) / 20_000

    assert asyncio.run(many()) < 30e-6
