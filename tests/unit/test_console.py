"""What a run says while it runs: speeds of the last minute, the cost of the whole run, and the time that is left."""

from __future__ import annotations

import io
from types import SimpleNamespace
from typing import Any

import pytest

from harness import console
from harness.console import Console, Line, Quiet
from harness.console.news import Causes, folded
from harness.limits import Gate, Limits, Used
from harness.types import Failure, Record, Request, Response


class Clock:
    """A clock that only the test moves on."""

    now = 1000.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(console, "time", clock)
    return clock


def plan(**tasks: int) -> Any:
    return SimpleNamespace(
        name="m", parts=list(tasks), identity={}, manifest={"tasks": {t: {"answers": n} for t, n in tasks.items()}}
    )


def answered(task: str, origin: str | None = None) -> Record:
    return Record("k", task, "s", Response("x"), origin=origin)


async def test_a_line_says_speed_tokens_cost_retries_and_what_is_in_flight(clock: Clock) -> None:
    out = io.StringIO()
    shown = Console(out)
    price = lambda tokens_in, tokens_out: (tokens_in + 3 * tokens_out) / 1000  # noqa: E731
    gate = Gate(Limits(in_flight=8), price, earlier=Used(1500, 2.5))
    shown.start(plan(a=1000, b=500), {"a": 400}, [])
    shown.follow(gate)
    gate.retries = 7
    for _ in range(200):
        clock.now += 0.1
        gate.answered(await gate.enter(Request(())), Response("x", tokens_in=30, tokens_out=10))
        shown.record(answered("a"), None)
    lines = out.getvalue().splitlines()
    assert lines[0] == "m: 1,500 questions in 2 tasks; 400 already answered"
    assert lines[1].startswith(
        "a: 500 of 1,000; b: 0 of 500; 10 req/s, 400 tokens/s, cost so far 8.50, 7 retries, 0 of 8"
    )
    assert lines[1].endswith("0 of 8 in flight, 2 min left")
    assert len(lines) == 3, "one line in ten seconds"


def test_answers_are_told_from_questions_where_there_are_more_of_them(clock: Clock) -> None:
    """A dialogue's turns, repeats and rotations are answers of their own."""
    out = io.StringIO()
    told = plan(a=3550)
    told.manifest["tasks"]["a"]["samples"] = 3346
    Console(out).start(told, {"a": 1200}, [])
    assert out.getvalue() == "m: 3,346 questions in 1 task, 3,550 answers wanted; 1,200 already answered\n"


async def test_a_cost_is_never_told_in_powers_of_ten(clock: Clock) -> None:
    shown = Console(io.StringIO())
    gate = Gate(Limits(), lambda tokens_in, tokens_out: (tokens_in + tokens_out) * 6e-7)
    shown.start(plan(a=1000), {}, [])
    shown.follow(gate)
    gate.answered(await gate.enter(Request(())), Response("x", tokens_in=100, tokens_out=30))
    assert "cost so far 0.000078" in shown._pushing(clock.now) and "cost so far 0.000078" in shown._ended(1)


def test_a_narrow_terminal_breaks_between_facts_and_a_low_one_shows_fewer_tasks(
    clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    facts = "14 req/s, 135 tokens/s, cost so far 1,000.32, 22 retries, 7 of 8 in flight, 9 s left"
    assert folded(facts, 200) == [facts]
    assert folded(facts, 60) == [
        "14 req/s, 135 tokens/s, cost so far 1,000.32, 22 retries",
        "7 of 8 in flight, 9 s left",
    ]
    assert folded(facts, 5)[:2] == ["14 req/s", "135 tokens/s"], "a fact is never broken"

    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    monkeypatch.setenv("COLUMNS", "60")
    monkeypatch.setenv("LINES", "8")
    shown = Console(Terminal())
    shown.start(plan(**{f"task{n}": 10 for n in range(9)}), {}, [])
    try:
        assert shown._room() == 3 and len(shown._lines_now(clock.now, shown._room())) == 4
    finally:
        shown.stop()


def answer_one_a_second(shown: Console, clock: Clock, seconds: int) -> None:
    for _ in range(seconds):
        clock.now += 1
        shown.record(answered("a"), None)


def test_the_time_left_of_a_resumed_run_is_that_of_what_is_still_asked(clock: Clock) -> None:
    shown = Console(io.StringIO())
    shown.start(plan(a=1000), {"a": 900}, [])
    answer_one_a_second(shown, clock, 20)
    assert "1.0 req/s, 80 s left" in shown._pushing(clock.now)


def test_a_slow_model_is_told_from_one_that_stands_still(clock: Clock) -> None:
    shown = Console(io.StringIO())
    shown.start(plan(a=1000), {}, [])
    assert shown._pushing(clock.now) == "0.0 req/s"
    clock.now += 25
    shown.record(answered("a"), None)
    assert shown._pushing(clock.now).startswith("0.04 req/s")


@pytest.mark.parametrize(
    ("provider", "asked", "version", "told"),
    [
        ("google", "gemini-2.5-pro", "gemini-3.8-flash", True),
        ("server", "grok-3", "grok-4.3", True),
        ("openai", "gpt-4o", "gpt-4o-2024-08-06", False),
        ("server", "/home/me/checkpoint", "checkpoint", False),
        ("server", "org/Qwen2.5-7B", "qwen2.5-7b@main", False),
        ("replay", "answers.csv", "web assistant", False),
    ],
)
def test_who_answered_in_anothers_name_is_told(
    clock: Clock,
    provider: str,
    asked: str,
    version: str,
    told: bool,
) -> None:
    out = io.StringIO()
    shown, run = Console(out), plan(a=2)
    run.identity = {"provider": provider, "model": asked}
    shown.start(run, {}, [])
    shown.record(Record("k", "a", "s", Response("x", model_version=version)), None)
    shown.stop()
    assert (f"asked for {asked}, answered by {version}: is that the model you mean?" in out.getvalue()) == told


def test_answers_of_earlier_runs_do_not_count_as_speed(clock: Clock) -> None:
    shown = Console(io.StringIO())
    shown.start(plan(a=1000), {}, [])
    for _ in range(500):
        shown.record(answered("a", origin="another run"), None)
    answer_one_a_second(shown, clock, 10)
    assert "1.0 req/s, 8 min left" in shown._pushing(clock.now)


def test_a_slow_start_is_forgotten_after_a_minute(clock: Clock) -> None:
    shown = Console(io.StringIO())
    shown.start(plan(a=10_000), {}, [])
    for seconds, each in ((600, 1), (90, 50)):
        for _ in range(seconds):
            clock.now += 1
            for _ in range(each):
                shown.record(answered("a"), None)
            said = shown._pushing(clock.now)
    assert "51 req/s, 2 min left" in said or "50 req/s, 2 min left" in said


def test_what_failed_is_not_waited_for_and_the_end_says_what_it_took(clock: Clock) -> None:
    out = io.StringIO()
    shown = Console(out)
    gate = Gate(Limits(max_cost=1.0))
    shown.start(plan(a=3), {}, ["far/task"])
    shown.follow(gate)
    clock.now += 4
    shown.record(answered("a"), None)
    shown.record(Record("k", "a", "t", Failure("server", "500", 6)), None)
    assert shown._lines["a"].left == 1 and Line("b", 3, done=3).left == 0
    gate.stop("one more answer might exceed --max-cost 1")
    shown.stop()
    said = out.getvalue()
    assert "not asked, for their data is not here: far/task" in said and "  a: 1 of 3, 1 failed\n" in said
    assert "  2 asked in 4 s" in said
    assert "exceed --max-cost 1. All answers so far are kept; the same command with a greater budget goes on." in said


def fail(clock: Clock, gate: Gate, times: int, every: float, error: str = "HTTP 500: no such GPU") -> None:
    for _ in range(times):
        clock.now += every
        gate.health.faulted(error)


def watching(clock: Clock, kind: type[Console] | type[Quiet], out: io.StringIO) -> tuple[Console | Quiet, Gate]:
    shown, gate = kind(out), Gate(Limits(), clock=clock.monotonic)
    shown.start(plan(a=1000), {}, [])
    shown.follow(gate)
    out.truncate(0)
    out.seek(0)
    return shown, gate


@pytest.mark.parametrize("kind", [Console, Quiet])
def test_that_nothing_is_answered_is_told_within_seconds_then_less_and_less_often(
    clock: Clock, kind: type[Console] | type[Quiet]
) -> None:
    out = io.StringIO()
    shown, gate = watching(clock, kind, out)
    fail(clock, gate, 29, 0.1)
    assert not out.getvalue(), "a fault in the first moments is nothing to speak of"
    fail(clock, gate, 2, 0.1)
    whose = "m: " if kind is Quiet else ""
    assert out.getvalue() == (
        f"{whose}nothing answered yet in 3 s: 30 attempts came to nothing, the last with: HTTP 500: no such GPU\n"
    )
    fail(clock, gate, 6000, 0.1)
    assert [line.removeprefix(whose).partition(":")[0] for line in out.getvalue().splitlines()] == [
        *(f"nothing answered yet in {span}" for span in ("3 s", "13 s", "33 s", "73 s", "3 min", "5 min"))
    ]
    gate.health.answered()
    shown.record(answered("a"), None)
    shown.record(answered("a"), None)
    assert [line for line in out.getvalue().splitlines() if "again" in line] == [f"{whose}answered again after 10 min"]
    fail(clock, gate, 40, 0.1)
    assert "nobody answered for 3 s: 3" in out.getvalue().splitlines()[-1]


def failures(*causes: tuple[str, str, int]) -> list[Record]:
    """Return records of calls that failed: (kind, message, how many)."""
    return [Record("k", "a", "s", Failure(kind, why, 6)) for kind, why, times in causes for _ in range(times)]  # type: ignore[arg-type]


@pytest.mark.parametrize("kind", [Console, Quiet])
def test_the_end_says_why_calls_failed_and_what_can_be_done(clock: Clock, kind: type[Console] | type[Quiet]) -> None:
    out = io.StringIO()
    shown, _ = watching(clock, kind, out)
    refused, broken = ("bad_request", "HTTP 400: \x1b[2Jno such role"), ("server", "HTTP 502")
    for record in failures((*broken, 2), (*refused, 5), ("too_long", "HTTP 413", 3), ("timeout", "no answer", 1)):
        shown.record(record, None)
    shown.stop()
    lines = [line.strip().removeprefix("m: ") for line in out.getvalue().splitlines()]
    assert lines[-6:] == [
        "5 calls failed (bad_request): HTTP 400: no such role",
        "3 calls failed (too_long): HTTP 413",
        "2 calls failed (server): HTTP 502",
        "1 call failed with 1 other error: records.jsonl holds all",
        "such a call is not tried again by itself: asked again unchanged, these questions most likely fail again",
        "the model has no room for these questions and their answers: try fewer --shots or a smaller --max-tokens",
    ]


def test_a_million_different_errors_take_no_more_room_than_a_thousand() -> None:
    causes = Causes()
    for number in range(5000):
        causes.note(Failure("server", f"request {number} broke", 1))
    lines = list(causes.lines())
    assert lines[0] == "4,000 calls failed (server): other errors" and lines[-1].startswith("998 calls failed with")


def test_faults_among_answers_are_not_told(clock: Clock) -> None:
    out = io.StringIO()
    shown, gate = watching(clock, Quiet, out)
    for _ in range(100):
        fail(clock, gate, 1, 4.0)
        gate.health.answered()
        shown.record(answered("a"), None)
    assert not out.getvalue()


@pytest.mark.parametrize("kind", [Console, Quiet])
def test_an_error_cannot_write_on_the_terminal_or_fill_it(clock: Clock, kind: type[Console] | type[Quiet]) -> None:
    out = io.StringIO()
    _, gate = watching(clock, kind, out)
    fail(clock, gate, 31, 0.1, "\x1b[2J\x1b]0;mine\x07gone\r\n\u202egnp.exe" + "x" * 5000)
    [line] = out.getvalue().splitlines()
    assert "gone" in line and len(line) < 400 and not {"\x1b", "\x07", "\r", "\u202e"} & set(line)


def test_a_terminal_shows_it_below_the_speed_as_long_as_it_lasts(clock: Clock) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    out = Terminal()
    shown = Console(out)
    gate = Gate(Limits(), clock=clock.monotonic)
    shown.start(plan(a=1000), {}, [])
    try:
        shown.follow(gate)
        fail(clock, gate, 40, 0.1, "\x1b[31mHTTP 500")
        assert shown._lines_now(clock.now, 12)[-1] == (
            "nothing answered yet in 4 s: 40 attempts came to nothing, the last with: HTTP 500"
        )
        gate.health.answered()
        shown.record(answered("a"), None)
        assert "in flight" in shown._lines_now(clock.now, 12)[-1]
        fail(clock, gate, 40, 0.1)
    finally:
        shown.stop()
    assert "nobody answered for 4 s: 40 attempts came to nothing" in out.getvalue(), "left on the screen"
