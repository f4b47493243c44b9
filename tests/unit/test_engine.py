"""What is answered must not depend on how it was run."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping, Sequence

import pytest

from harness.engine import Batched, Limits, Todo, run
from harness.errors import Fatal, RateLimited, Rejected, TooLong, Transient
from harness.types import Choice, Failure, Job, Message, Record, Request, Response, Sample


class Upper:
    """Answers with its prompt in capitals."""

    name = "upper"
    identity: Mapping[str, str] = {"model": "upper"}

    def __init__(self) -> None:
        self.calls = 0
        self.closed = False

    async def generate(self, request: Request) -> Response:
        self.calls += 1
        return Response(str(request.messages[-1].content).upper())

    async def aclose(self) -> None:
        self.closed = True


class Blocking:
    """The same, in batches."""

    name = "blocking"
    identity: Mapping[str, str] = {"model": "upper"}

    def __init__(self, max_batch: int) -> None:
        self.max_batch = max_batch
        self.sizes: list[int] = []
        self.lengths: list[list[int]] = []

    def generate_batch(self, requests: Sequence[Request]) -> list[Response | Failure]:
        self.sizes.append(len(requests))
        self.lengths.append([len(str(r.messages[-1].content)) for r in requests])
        out: list[Response | Failure] = []
        for r in requests:
            text = str(r.messages[-1].content)
            out.append(Failure("too_long", "too long", 1) if text == "q 13" else Response(text.upper()))
        return out


def job(n: int, steps: int = 1) -> Job:
    sample = Sample(str(n), "s/t", {"question": f"q {n}"}, Choice(frozenset("A")))

    def following(done: Sequence[Response]) -> Request | None:
        if len(done) >= steps:
            return None
        said = " ".join([f"q {n}", *(r.text for r in done)])
        return Request((Message("user", said),))

    return Job(sample, following)


def go(model: object, jobs: Iterator[Job], **limits: float) -> list[Record]:
    out: list[Record] = []
    settings = {"backoff": 0.0, **limits}
    count = asyncio.run(run(model, map(Todo, jobs), Limits(**settings), lambda r, _: out.append(r), "me"))  # type: ignore[arg-type]
    assert count == len(out)
    return out


def texts(records: list[Record]) -> dict[str, str]:
    return {f"{r.sample}/{r.turn}": r.outcome.text for r in records if isinstance(r.outcome, Response)}


@pytest.mark.parametrize("in_flight", [1, 7, 300])
def test_answers_do_not_depend_on_how_many_are_in_flight(in_flight: int) -> None:
    assert texts(go(Upper(), map(job, range(200)), in_flight=in_flight)) == {f"{n}/0": f"Q {n}" for n in range(200)}


@pytest.mark.parametrize("batch", [1, 3, 64])
def test_a_batched_model_answers_the_same_and_a_bad_item_fails_alone(batch: int) -> None:
    model = Blocking(batch)
    records = go(Batched(model), map(job, range(100)), in_flight=8 * batch)
    expected = {f"{n}/0": f"Q {n}" for n in range(100) if n != 13}
    assert texts(records) == expected
    [failed] = [r for r in records if isinstance(r.outcome, Failure)]
    assert failed.sample == "13" and failed.outcome == Failure("too_long", "too long", 1)
    assert max(model.sizes) == min(batch, 100)


def test_a_window_is_sorted_so_that_like_lengths_share_a_batch() -> None:
    model = Blocking(4)
    numbers = [1, 10_000, 100] * 16  # shuffled lengths; one window of 48 comes first, sorted from long to short
    go(Batched(model), map(job, numbers), in_flight=48)
    first_window = [length for batch in model.lengths[:12] for length in batch]
    assert first_window == sorted(first_window, reverse=True) and len(first_window) == 48


def test_a_chain_sees_its_own_earlier_answers_and_stops_at_a_failure() -> None:
    records = go(Upper(), iter([job(1, steps=3)]))
    assert [r.turn for r in records] == [0, 1, 2]
    assert texts(records)["1/2"] == "Q 1 Q 1 Q 1 Q 1"

    class SecondFails(Upper):
        async def generate(self, request: Request) -> Response:
            if "Q" in str(request.messages[-1].content):
                raise Rejected("no")
            return await super().generate(request)

    records = go(SecondFails(), iter([job(1, steps=3)]))
    assert [(r.turn, isinstance(r.outcome, Failure)) for r in records] == [(0, False), (1, True)]


@pytest.mark.parametrize(
    ("error", "kind", "attempts"),
    [
        (Rejected("400"), "bad_request", 1),
        (TooLong("8k"), "too_long", 1),
        (Transient("503"), "server", 4),
        (RateLimited("429", 0.0), "rate_limit", 4),
    ],
)
def test_only_what_can_be_retried_is_retried_and_the_failure_says_why(
    error: Exception, kind: str, attempts: int
) -> None:
    class Failing(Upper):
        async def generate(self, request: Request) -> Response:
            self.calls += 1
            raise error

    model = Failing()
    [record] = go(model, iter([job(0)]), attempts=4)
    assert record.outcome == Failure(kind, str(error), attempts)  # type: ignore[arg-type]
    assert model.calls == attempts and model.closed


def test_a_slow_answer_times_out() -> None:
    class Slow(Upper):
        async def generate(self, request: Request) -> Response:
            await asyncio.sleep(30)
            return Response("late")

    [record] = go(Slow(), iter([job(0)]), attempts=2, timeout=0.01)
    assert isinstance(record.outcome, Failure) and record.outcome.kind == "timeout" and record.outcome.attempts == 2


def test_retry_after_is_waited_for() -> None:
    waits: list[float] = []

    class Limited(Upper):
        async def generate(self, request: Request) -> Response:
            waits.append(asyncio.get_running_loop().time())
            if len(waits) == 1:
                raise RateLimited("429", retry_after=0.2)
            return Response("ok")

    go(Limited(), iter([job(0)]))
    assert waits[1] - waits[0] >= 0.2


@pytest.mark.parametrize("error", [Fatal("bad key"), ZeroDivisionError("a bug")])
def test_what_stops_the_run_reaches_the_caller_and_keeps_what_was_put(error: Exception) -> None:
    class Dies(Upper):
        async def generate(self, request: Request) -> Response:
            if str(request.messages[-1].content) == "q 50":
                raise error
            return await super().generate(request)

    out: list[Record] = []
    model = Dies()
    with pytest.raises(type(error), match=str(error)):
        asyncio.run(run(model, map(Todo, map(job, range(100))), Limits(in_flight=4), lambda r, _: out.append(r), "me"))
    assert {r.sample for r in out} >= {str(n) for n in range(46)} and model.closed


def test_a_batch_of_the_wrong_length_is_a_bug_that_reaches_the_caller() -> None:
    class Short(Blocking):
        def generate_batch(self, requests: Sequence[Request]) -> list[Response | Failure]:
            return super().generate_batch(requests)[:-1]

    with pytest.raises(RuntimeError, match="requests"):
        go(Batched(Short(8)), map(job, range(20)))


def test_jobs_are_pulled_only_as_they_are_needed() -> None:
    pulled = 0

    def jobs() -> Iterator[Job]:
        nonlocal pulled
        for n in range(10_000):
            pulled += 1
            yield job(n)

    class Dies(Upper):
        async def generate(self, request: Request) -> Response:
            raise Fatal("at once")

    with pytest.raises(Fatal):
        go(Dies(), jobs(), in_flight=5)
    assert pulled <= 10
