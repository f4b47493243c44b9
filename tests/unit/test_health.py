"""How a provider's state decides on waits and on giving up. All in virtual time, or with a clock that only the test moves on."""

from __future__ import annotations

import random

import pytest

from harness.limits import Gate, Health, Limits, Tries
from harness.types import Failure


class Clock:
    """A clock that only the test moves on."""

    now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


UNIFORM = random.uniform


@pytest.fixture(autouse=True)
def no_jitter(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(random, "uniform", lambda _low, _high: 1.0)


def waits(
    clock: Clock, health: Health, count: int, *, others: int, limits: Limits, kind: str = "server"
) -> list[float]:
    """Return the waits of one request that comes to nothing so often, while `others` are answered before each attempt."""
    tries, found = Tries(limits, health), []
    for _ in range(count):
        began = clock.now
        clock.now += 0.1
        for _ in range(others):
            health.answered()
        health.faulted("HTTP 500")
        assert not tries.used_up(began)
        found.append(tries.wait(kind))
        clock.now += found[-1]
    return found


def test_one_bad_request_among_many_good_ones_waits_hardly_longer_each_time(clock: Clock) -> None:
    found = waits(clock, Health(clock), 6, others=30, limits=Limits(attempts=99))
    assert found[0] == 1.0 and 1.0 < found[-1] < 1.25


def test_one_that_is_left_alone_with_its_bad_luck_does_not_hold_up_the_end_of_a_run(clock: Clock) -> None:
    health = Health(clock)
    health.answered()
    found = waits(clock, health, 20, others=0, limits=Limits(patience=120))
    assert sum(found[:4]) < 5, "nobody else is there to show that the provider is well"
    assert max(found) == 10, "but if it goes on, it is tried ever less"


def test_the_waits_of_many_requests_spread_so_that_they_do_not_come_back_all_at_once(
    clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of a thousand first waits of 8 s each tenth of 4 to 12 s gets a hundred; 50 is more than five standard deviations away."""
    monkeypatch.setattr(random, "uniform", UNIFORM)
    random.seed(0)
    limits = Limits(backoff=8.0, longest_backoff=8.0)
    found = [waits(clock, Health(clock), 1, others=1, limits=limits)[0] for _ in range(1000)]
    assert all(4 <= wait <= 12 for wait in found)
    tenths = [sum(4 + 0.8 * n <= wait < 4.8 + 0.8 * n for wait in found) for n in range(10)]
    assert min(tenths) > 50 and max(tenths) < 150, tenths


def test_waits_double_after_slow_down_whoever_else_is_answered(clock: Clock) -> None:
    limits = Limits(attempts=99)
    assert waits(clock, Health(clock), 8, others=30, limits=limits, kind="rate_limit") == [1, 2, 4, 8, 16, 32, 60, 60]


@pytest.mark.parametrize(("patience", "longest"), [(0.0, 60), (120.0, 10)])
def test_waits_double_where_all_comes_to_nothing_and_stay_short_enough_to_notice_its_end(
    clock: Clock, patience: float, longest: float
) -> None:
    health = Health(clock)
    for _ in range(300):
        health.faulted("HTTP 500")
    limits = Limits(attempts=99, patience=patience)
    found = waits(clock, health, 8, others=0, limits=limits)
    assert found == pytest.approx([min(longest, 2.0**n) for n in range(8)], rel=0.02)
    for _ in range(200):
        health.answered()
    assert health.share < 0.05


def test_attempts_count_only_when_others_are_answered_or_patience_is_over(clock: Clock) -> None:
    health = Health(clock)
    tries, other = (Tries(Limits(attempts=2, patience=60), health) for _ in range(2))
    other.used_up(clock.now)
    assert not tries.used_up(clock.now)
    clock.now += 59
    assert not tries.used_up(clock.now) and tries.counted == 0
    clock.now += 1
    assert not tries.used_up(clock.now) and tries.counted == 1 and tries.used_up(clock.now)


def test_one_that_is_left_alone_is_not_tried_for_the_whole_of_a_long_patience(clock: Clock) -> None:
    """With an hour of patience for a night, the last question must not cost an hour when it is the question's own fault."""
    health = Health(clock)
    health.answered()
    limits = Limits(attempts=1, patience=3600)
    alone = Tries(limits, health)
    clock.now += 119
    assert not alone.used_up(clock.now)
    another = Tries(limits, health)
    clock.now += 2
    assert not another.used_up(clock.now), "two of them: it is the provider"
    another.over()
    assert alone.used_up(clock.now)


def give_up(gate: Gate, count: int, kind: str = "server") -> None:
    for _ in range(count):
        gate.health.faulted("HTTP 500: no \x1b[31mGPU\nhere")
        gate.failed(Failure(kind, "HTTP 500", 6))  # type: ignore[arg-type]


def test_a_provider_that_answers_nobody_any_more_stops_the_run_once_patience_is_over(clock: Clock) -> None:
    gate = Gate(Limits(in_flight=16, patience=120), clock=clock)
    clock.now += 119
    give_up(gate, 100)
    assert gate.stopped == "", "it may come back"
    gate.health.answered()
    clock.now += 130
    give_up(gate, 15)
    assert gate.stopped == "", "each of those in flight may have been a bad one"
    give_up(gate, 1)
    assert str(gate.stopped) == (
        "nobody has been answered for 130 s (--patience 120), and 16 requests in a row were given up; "
        "the last error: HTTP 500: no GPU here"
    )


def test_requests_that_a_provider_does_not_take_show_that_it_is_there(clock: Clock) -> None:
    gate = Gate(Limits(in_flight=1, patience=10), clock=clock)
    clock.now += 60
    give_up(gate, 9)
    gate.health.rejected("HTTP 400")
    give_up(gate, 9)
    give_up(gate, 50, "bad_request")
    assert not gate.stopped
    give_up(gate, 1)
    assert "10 requests in a row" in gate.stopped


def test_without_patience_a_run_goes_on_whatever_fails(clock: Clock) -> None:
    gate = Gate(Limits(in_flight=1), clock=clock)
    clock.now += 1e6
    give_up(gate, 1000)
    assert not gate.stopped and gate.failures == 1000
