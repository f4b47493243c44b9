"""Runs jobs: bounded concurrency, one retry policy, one place where outcomes go."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, TypeVar

from harness.errors import Fatal, RateLimited, Rejected, TooLong, Transient
from harness.limits import Gate, Limits, Stopped, Tries
from harness.types import BatchModel, Failure, FailureKind, Job, Model, Record, Request, Response

_Result = TypeVar("_Result")

WINDOW = 8
"""A batched model has this many batches in flight, so that it can put requests of like length together."""

STAND_INS = 4
"""So many times the requests in flight may be under way when most of them rest before another attempt."""

IN_TROUBLE = 0.5
"""Where more than this share of attempts comes to nothing, nobody stands in for who rests: more questions would only share their fate."""


class Batched:
    """Makes a blocking `BatchModel` look like a `Model`.

    Requests that arrive while the device works form the next window; a window is sorted by length and cut into batches. A full
    window so gives full batches without a timer.
    """

    def __init__(self, model: BatchModel) -> None:
        self.name = model.name
        self.identity = model.identity
        self._model = model
        self._queue: asyncio.Queue[tuple[Request, asyncio.Future[Response | Failure]]] = asyncio.Queue()
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="device")
        self._loop: asyncio.Task[None] | None = None

    async def generate(self, request: Request) -> Response:
        if self._loop is None:
            self._loop = asyncio.create_task(self._serve())
        future: asyncio.Future[Response | Failure] = asyncio.get_running_loop().create_future()
        self._queue.put_nowait((request, future))
        outcome = await future
        if isinstance(outcome, Response):
            return outcome
        if outcome.kind == "too_long":
            raise TooLong(outcome.message)
        raise Rejected(outcome.message) if outcome.kind == "bad_request" else Transient(outcome.message)

    async def _serve(self) -> None:
        while True:
            window = [await self._queue.get()]
            await asyncio.sleep(0)  # let every runnable worker enqueue first
            while not self._queue.empty():
                window.append(self._queue.get_nowait())
            window.sort(
                key=lambda item: _length(item[0]), reverse=True
            )  # longest first: memory is short at once or never
            for start in range(0, len(window), self._model.max_batch):
                await self._answer(window[start : start + self._model.max_batch])

    async def _answer(self, batch: list[tuple[Request, asyncio.Future[Response | Failure]]]) -> None:
        requests = [request for request, _ in batch]
        loop = asyncio.get_running_loop()
        try:
            answers = await loop.run_in_executor(self._thread, self._model.generate_batch, requests)
            if len(answers) != len(batch):
                raise RuntimeError(f"{self.name}: {len(batch)} requests, {len(answers)} answers")
        except Exception as error:  # noqa: BLE001 - handed to every waiter, not swallowed
            for _, future in batch:
                if not future.done():
                    future.set_exception(error)
            return
        for (_, future), answer in zip(batch, answers, strict=True):
            if not future.done():
                future.set_result(answer)

    async def aclose(self) -> None:
        if self._loop is not None:
            self._loop.cancel()
        await asyncio.to_thread(self._thread.shutdown, wait=True)
        close = getattr(self._model, "close", None)
        if close is not None:
            close()


def _length(request: Request) -> int:
    return sum(
        len(m.content) if isinstance(m.content, str) else sum(map(_part_length, m.content)) for m in request.messages
    )


def _part_length(part: object) -> int:
    return len(part) if isinstance(part, str) else 1000


async def answer(
    model: Model,
    request: Request,
    limits: Limits,
    gate: Gate | None = None,
    rest: Callable[[float], Awaitable[None]] | None = None,
) -> Response | Failure:
    """Return the model's response, or the failure after the last attempt; raise `Fatal`, `Stopped` and bugs.

    Attempts made while the provider answers nobody do not count until `limits.patience` is over. `rest` waits so many seconds before
    another attempt; None for the gate's own.
    """
    gate = gate or Gate(limits)
    rest = rest or gate.rest
    tries = Tries(limits, gate.health)
    try:
        while True:
            outcome, asked, began = await _attempt(model, request, limits, gate, tries.made + 1)
            if isinstance(outcome, Response) or outcome.kind in ("too_long", "bad_request") or tries.used_up(began):
                return outcome
            gate.retries += 1
            await rest(max(tries.wait(outcome.kind), asked or 0.0))
    finally:
        tries.over()


async def _attempt(
    model: Model, request: Request, limits: Limits, gate: Gate, number: int
) -> tuple[Response | Failure, float | None, float]:
    """Return what one attempt came to, the seconds that the provider asks to wait before the next, and when it began."""
    kind: FailureKind
    asked: float | None = None
    ticket = await gate.enter(request)
    try:
        async with asyncio.timeout(limits.timeout):
            response = await model.generate(request)
        gate.answered(ticket, response)
        return response, None, ticket.at
    except Rejected as error:
        kind, message = "too_long" if isinstance(error, TooLong) else "bad_request", str(error)
        gate.rejected(ticket, message)
    except RateLimited as error:
        kind, message, asked = "rate_limit", str(error), error.retry_after
        gate.refused(ticket, asked, message)
    except Transient as error:
        kind, message, asked = "server", str(error), error.retry_after
        gate.faulted(ticket, message, asked)
    except TimeoutError:
        kind, message = "timeout", f"no answer within {limits.timeout:g} s"
        gate.faulted(ticket, message)
    except BaseException:  # passed on: whoever waits for this one's place must learn that it is free
        gate.withdrawn(ticket)
        raise
    return Failure(kind, message, number), asked, ticket.at


@dataclass(frozen=True, slots=True)
class Todo:
    """What the engine still has to do for one job: the answers it has already, and the step to go on from."""

    job: Job
    done: tuple[Response, ...] = ()


async def run(
    model: Model,
    todo: Iterator[Todo],
    limits: Limits,
    put: Callable[[Record, Job], None],
    identity: str,
    gate: Gate | None = None,
) -> int:
    """Answer every step of every job and `put` one record each, keyed by the subject's `identity`; return how many were put.

    `todo` is pulled lazily, so memory does not grow with its length. `limits.in_flight` workers are busy; one that rests before another
    attempt is stood in for, up to `STAND_INS` times as many in all: a fault must not keep others from being asked. A chain stops at its first
    failure. `Fatal` and bugs stop the run; everything put so far stays. A limit of the whole run ends it early and quietly: then
    `gate.stopped` says why.
    """
    try:
        async with asyncio.TaskGroup() as group:
            crew = _Crew(model, todo, limits, put, identity, gate or Gate(limits), group)
            for _ in range(limits.in_flight):
                crew.hire()
    except (
        BaseExceptionGroup
    ) as errors:  # whatever a worker raised, an interruption too, comes wrapped: it is passed on bare
        raise _first(errors) from None
    finally:
        await model.aclose()
    return crew.put_count


@dataclass(slots=True)
class _Crew:
    """The workers of one run: `workers` in all, of which `busy` do not rest before another attempt."""

    model: Model
    todo: Iterator[Todo]
    limits: Limits
    put: Callable[[Record, Job], None]
    identity: str
    gate: Gate
    group: asyncio.TaskGroup
    busy: int = 0
    workers: int = 0
    put_count: int = 0

    def hire(self) -> None:
        """Start one more worker."""
        self.busy, self.workers = self.busy + 1, self.workers + 1
        self.group.create_task(self._work())

    async def _work(self) -> None:
        for item in self.todo:
            try:
                await self._follow(item)
            except Stopped:
                return
            await asyncio.sleep(0)  # an adapter that never waits must not starve the rest
            if self.busy > self.limits.in_flight:  # whom this one stood in for is back
                break
        self.busy, self.workers = self.busy - 1, self.workers - 1

    async def _follow(self, item: Todo) -> None:
        """Ask the steps of one job that are left, until its end or its first failure."""
        job, responses = item.job, list(item.done)
        while (request := job.next(responses)) is not None:
            outcome = await answer(self.model, request, self.limits, self.gate, self._rest)
            sample, turn = job.sample, len(responses)
            place = (job.repeat, job.variant, turn, job.role)
            self.put(Record(request.key(self.identity, job.repeat), sample.task, sample.id, outcome, *place), job)
            self.put_count += 1
            if isinstance(outcome, Failure):
                self.gate.failed(outcome)
                return
            responses.append(outcome)

    async def _rest(self, seconds: float) -> None:
        """Rest before another attempt; somebody else asks meanwhile, where that helps."""
        gate, in_flight = self.gate, self.limits.in_flight
        helps = not gate.stopped and gate.health.share < IN_TROUBLE
        if helps and self.busy <= in_flight and self.workers < STAND_INS * in_flight:
            self.hire()
        self.busy -= 1
        await gate.rest(seconds)
        self.busy += 1


def _first(errors: BaseExceptionGroup[BaseException]) -> BaseException:
    """Return the first error of a group, a `Fatal` before others: it says more."""
    first: BaseException = errors.subgroup(Fatal) or errors
    while isinstance(first, BaseExceptionGroup):
        first = first.exceptions[0]
    return first


def apart(call: Callable[[], _Result]) -> _Result:
    """Return what a call gives, made in a thread of its own where an event loop is running already: it may start one itself."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return call()
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(call).result()


def settled(work: Coroutine[Any, Any, _Result]) -> _Result:
    """Return what a coroutine gives, also where an event loop is running already, as in a notebook: then in a thread of its own.

    An interruption cancels the work and waits until it has ended.
    """
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return asyncio.run(work)
    started: Future[tuple[asyncio.AbstractEventLoop, asyncio.Task[Any]]] = Future()

    async def noted() -> _Result:
        task = asyncio.current_task()
        if task is not None:
            started.set_result((asyncio.get_running_loop(), task))
        return await work

    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(asyncio.run, noted())
        try:
            return running.result()
        except BaseException:  # passed on: an interruption of this thread must end the work in the other
            if not running.done():
                loop, task = started.result()
                loop.call_soon_threadsafe(task.cancel)
            raise
