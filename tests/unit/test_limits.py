"""The gate: rates, waits that a provider asks for, budgets, and the number in flight."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from typing import Any

import pytest

from harness.engine import run
from harness.errors import RateLimited, Rejected, Transient
from harness.limits import Gate, Limits, Used
from harness.types import Failure, Message, Record, Request, Response
from tests.support.todos import jobs
from tests.support.virtual_time import VirtualLoop, in_virtual_time


class Provider:
    """Answers after `delay` seconds with 10 tokens in and 5 out; `trouble(n, now)` may raise first."""

    name = "provider"
    identity: Mapping[str, str] = {"model": "provider"}

    def __init__(self, delay: float = 0.0) -> None:
        self.delay = delay
        self.times: list[float] = []
        self.running = self.most = 0

    def trouble(self, request: Request, n: int, now: float) -> None:
        """Cause none."""

    async def generate(self, request: Request) -> Response:
        now = asyncio.get_running_loop().time()
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


def go(model: Provider, count: int, limits: Limits, **settings: Any) -> tuple[list[Record], Gate]:
    """Return the records of a run in virtual time, and its gate."""

    async def play(loop: VirtualLoop) -> tuple[list[Record], Gate]:
        out: list[Record] = []
        passing = Gate(limits, clock=loop.time, **settings)
        await run(model, jobs(count), limits, lambda r, _: out.append(r), "me", passing)
        return out, passing

    return in_virtual_time(play)


def test_requests_per_minute_are_kept_to_from_the_first_second_on() -> None:
    model = Provider()
    go(model, 21, Limits(rpm=1200))
    assert len(model.times) == 21 and model.times[-1] >= 0.95 * 20 / 20
    assert max(sum(start <= t < start + 0.25 for t in model.times) for start in model.times) <= 7


def test_tokens_per_minute_are_kept_to() -> None:
    model = Provider()
    go(model, 21, Limits(tpm=60 * 15 * 40))  # 40 answers a second
    assert 0.3 <= model.times[-1] <= 2.0


@pytest.mark.parametrize("error", [RateLimited("slow", 0.4), Transient("HTTP 503", 0.4)])
def test_a_wait_that_the_provider_asks_for_holds_every_request(error: Exception) -> None:
    class Once(Provider):
        def trouble(self, request: Request, n: int, now: float) -> None:
            if n == 5:
                raise error

    model = Once(0.01)
    records, _ = go(model, 40, Limits(in_flight=4, backoff=0.001))
    hit = model.times[4]
    assert len(records) == 40 and not [t for t in model.times if hit + 0.02 < t < hit + 0.38]


@pytest.mark.parametrize("kind", [RateLimited, Transient])
def test_a_provider_that_says_tomorrow_ends_the_session_and_an_hour_is_waited_for(kind: type[RateLimited]) -> None:
    class Once(Provider):
        wait = 3600.0

        def trouble(self, request: Request, n: int, now: float) -> None:
            if n == 5:
                raise kind("quota of the day\x1b[2J", self.wait)

    patient, records = Once(0.01), go(model := Once(0.01), 10, Limits(in_flight=2))[0]
    assert len(records) == 10 and model.times[-1] > 3600
    patient.wait = 86400.0
    records, gate = go(patient, 10, Limits(in_flight=2))
    assert len(records) < 10 and patient.times[-1] < 1
    assert gate.stopped.startswith("the provider asks to wait 24.0 hours, and said: quota of the day")
    assert "\x1b" not in gate.stopped


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
            gate.refused(ticket, None, "429")

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


@pytest.mark.parametrize("limits", [Limits(in_flight=4, backoff=2), Limits(in_flight=4, backoff=2, rpm=1e6)])
def test_a_fault_does_not_keep_others_from_being_asked(limits: Limits) -> None:
    """A tenth fails once and rests two seconds, as long as twenty answers take; no more than four are in flight for that."""

    class Stumbles(Provider):
        ended, seen = 0.0, frozenset[str]()

        def trouble(self, request: Request, n: int, now: float) -> None:
            asked = str(request.messages[0].content)
            self.ended = now
            if asked.endswith("7") and asked not in self.seen:
                self.seen |= {asked}
                raise Transient("500")

    model = Stumbles(0.1)
    records, gate = go(model, 400, limits)
    assert len(records) == 400 and not any(isinstance(r.outcome, Failure) for r in records) and gate.retries == 40
    assert model.most == 4 and model.ended < 1.1 * 400 * 0.1 / 4 + 3, "the last one's rest comes on top"


def test_bad_luck_four_times_in_a_row_does_not_draw_out_the_end_of_a_run() -> None:
    """One of the last questions fails four times while most are answered: doubling waits would take about 15 seconds."""

    class Unlucky(Provider):
        tried = 0

        def trouble(self, request: Request, n: int, now: float) -> None:
            if request.messages[0].content == "q560":
                self.tried += 1
                if self.tried <= 4:
                    raise Transient("502")

    model = Unlucky(0.5)
    records, _ = go(model, 600, Limits(in_flight=16))
    assert len(records) == 600 and model.tried == 5 and model.times[-1] < 600 * 0.5 / 16 + 9


def test_a_provider_that_is_gone_for_good_is_asked_ever_less_and_then_no_more() -> None:
    class Dies(Provider):
        def trouble(self, request: Request, n: int, now: float) -> None:
            if now > 10:
                raise Transient("cannot connect: refused")

    model = Dies(0.5)
    records, gate = go(model, 4000, Limits(in_flight=16, patience=60))
    failed = [r for r in records if isinstance(r.outcome, Failure)]
    assert gate.stopped.startswith("nobody has been answered for") and "(--patience 60)" in gate.stopped
    assert "the last error: cannot connect: refused" in gate.stopped
    assert 16 <= len(failed) <= 32 and 60 < model.times[-1] - 10 < 120
    first, later = (sum(start < t <= start + 20 for t in model.times) for start in (10, 40))
    assert first < 500 and later < first / 2


def test_one_that_always_fails_is_given_up_while_the_others_are_answered() -> None:
    class Poison(Provider):
        def trouble(self, request: Request, n: int, now: float) -> None:
            if request.messages[0].content == "q3":
                raise Transient("500")

    records, _ = go(Poison(0.01), 60, Limits(in_flight=4, attempts=3, backoff=0.01, patience=30))
    [failed] = [r for r in records if isinstance(r.outcome, Failure)]
    assert failed.sample == "3"


def test_who_waits_in_the_row_learns_of_a_wait_that_the_provider_asks_for() -> None:
    """At 20 a second with 64 in flight nobody may have been given a place in the row beforehand."""

    class Once(Provider):
        def trouble(self, request: Request, n: int, now: float) -> None:
            if n == 5:
                raise RateLimited("slow", 0.4)

    model = Once(0.01)
    go(model, 20, Limits(in_flight=64, rpm=1200, backoff=0.001))
    hit = model.times[4]
    assert not [t for t in model.times if hit + 0.001 < t < hit + 0.38]


def test_a_model_that_nobody_meters_goes_at_full_speed_until_it_is_told_to_slow_down() -> None:
    gate = Gate(Limits(in_flight=32))
    assert not gate.adaptive and gate.window == 32

    async def told() -> None:
        gate.refused(await gate.enter(Request(())), None, "429")

    asyncio.run(told())
    assert gate.adaptive and gate.window < 32
    gate = Gate(Limits(in_flight=32, adaptive=False))
    asyncio.run(told())
    assert not gate.adaptive and gate.window == 32


def test_what_earlier_sessions_used_counts_against_the_budgets() -> None:
    price = lambda tokens_in, tokens_out: (tokens_in + 10 * tokens_out) / 100  # noqa: E731
    earlier = Used(150, 6.0)
    records, gate = go(Provider(0.001), 100, Limits(max_cost=9.0), cost=price, earlier=earlier)
    assert len(records) == 5 and gate.spent == pytest.approx(6.0 + 5 * 0.6)
    assert gate.stopped == "one more answer might exceed --max-cost 9 (spent: 9, 6 of it earlier)"
    records, gate = go(Provider(0.001), 100, Limits(max_total_tokens=1200), earlier=Used(1130))
    assert gate.tokens == 1130 + 15 * len(records) <= 1200 and len(records) == 4
    assert "--max-total-tokens 1,200 (used: 1,190, 1,130 of them earlier)" in gate.stopped
    assert go(Provider(), 5, Limits(max_cost=6.0), cost=price, earlier=earlier)[0] == []


def test_a_run_that_is_stopped_does_not_sit_out_a_long_wait() -> None:
    class Asks(Provider):
        def trouble(self, request: Request, n: int, now: float) -> None:
            if n == 1:
                raise RateLimited("slow", 60)

    async def play(loop: VirtualLoop) -> float:
        gate = Gate(Limits(in_flight=4, adaptive=True), metered=True, clock=loop.time)
        loop.call_later(0.3, gate.stop, "enough")
        await run(Asks(0.2), jobs(50), gate.limits, lambda _r, _j: None, "me", gate)
        return loop.time()

    assert in_virtual_time(play) == pytest.approx(0.3, abs=0.1)


def test_the_gate_costs_microseconds() -> None:
    gate, request, answer = Gate(Limits()), Request((Message("user", "x"),)), Response("y")

    async def many() -> float:
        began = time.process_time()
        for _ in range(20_000):
            gate.answered(await gate.enter(request), answer)
        return (time.process_time() - began) / 20_000

    assert asyncio.run(many()) < 30e-6
