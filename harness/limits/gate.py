"""The gate that every attempt passes: it keeps to what a provider allows and to what a run may cost.

A wait that a provider asks for holds all requests of the model. Where somebody counts our requests, the number in flight starts at
four and doubles while all goes well. From the first "slow down" on, requests are paced at the rate that the provider accepts (`Pace`).
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable
from dataclasses import dataclass

from harness.limits.health import Health
from harness.limits.pace import Pace
from harness.limits.stated import NOTHING_USED, Limits, Used
from harness.tables import printable
from harness.types import Failure, Request, Response

CUT, START = 0.7, 4.0
"""What is left of the number in flight after a cut, and the number that a cautious run starts with."""
LONGEST_WAIT_S = 3600.0
"""The longest wait that a provider may ask for: one that says "tomorrow" ends the session, and the same command goes on tomorrow."""
CATCH_UP = 0.05
"""Seconds that a request may be late (a timer's unevenness, a busy machine) without the next ones being put off too."""


class Stopped(Exception):
    """A limit of the whole run is reached: no more requests."""


@dataclass(slots=True)
class Ticket:
    """One attempt under way: when it went, after how many others, how many were in flight with it, and the tokens set aside for it."""

    at: float
    number: int
    running: int
    prompt: int = 0
    most: int = 0


class Gate:
    """Lets attempts pass. `cost(tokens in, tokens out)` prices them; `metered` says that the provider counts our requests.

    `earlier` is what earlier sessions of the same run used: it counts against the budgets. `clock` gives seconds, and is the running
    loop's own wherever the loop's is another than the system's.
    """

    def __init__(
        self,
        limits: Limits,
        cost: Callable[[float, float], float] | None = None,
        *,
        metered: bool = False,
        earlier: Used = NOTHING_USED,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.limits = limits
        self.stopped = ""
        self.retries = self.failures = self.running = 0
        self.earlier_tokens = self.tokens = earlier.tokens
        self.earlier_spent = self.spent = earlier.spent
        self.adaptive = metered if limits.adaptive is None else limits.adaptive
        self.window = min(START, limits.in_flight) if self.adaptive else float(limits.in_flight)
        self._cost, self._clock = cost, clock
        self._bounded = limits.max_total_tokens is not None or limits.max_cost is not None
        self._plain = not (self.adaptive or limits.rpm or limits.tpm or self._bounded)
        self._row, self._over = asyncio.Lock(), asyncio.Event()
        self._waiting: set[asyncio.Future[None]] = set()
        self._pause = self._next_request = self._next_tokens = 0.0
        self._reserved_tokens, self._reserved_cost = 0, 0.0
        self._answers = self._answer_tokens = 0
        self._cut_at, self._most_running = 0.0, 0
        self.health = Health(clock)
        self._pace = Pace(self.health.began)

    # -------------------------------------------------------------- passing

    async def enter(self, request: Request) -> Ticket:
        """Return a ticket when one more attempt may go; raise Stopped when none may any more."""
        while self._plain and not self.stopped and (waits := self._wait(0, 0)) != 0.0:
            await self._turn(waits)
        if self._plain:
            return self._go(0, 0)
        prompt, most = prompt_tokens(request), request.sampling.max_tokens
        async with self._row:  # in turn: who waits for a place learns of every change before going
            while not self.stopped and (waits := self._wait(prompt, most)) != 0.0:
                await self._turn(waits)
            return self._go(prompt, most)

    def _go(self, prompt: int, most: int) -> Ticket:
        if self.stopped:
            raise Stopped(self.stopped)
        self.running += 1
        ticket = Ticket(self._clock(), self._pace.went(), self.running, prompt, most)
        if not self._plain:
            self.reserve(prompt, most, 1.0)
            self._take_place(ticket)
        return ticket

    def _wait(self, prompt: int, most: int) -> float | None:
        """Return how many seconds the next attempt has to wait: 0 when it may go, None until another has come back."""
        now = self._clock()
        if now < self._pause:
            return self._pause - now
        if self.running >= int(self.window):
            return None
        if self._bounded and not self._affordable(prompt, most):
            if self.running:
                return None
            self.stop(self._why())
            return 0.0
        return max(0.0, self._next_request - now, self._next_tokens - now)

    def _take_place(self, ticket: Ticket) -> None:
        """Move the next request's place on by what this one takes up of the rates."""
        limits, now = self.limits, ticket.at
        interval = 60 / limits.rpm if limits.rpm else 0.0
        if self._pace.rate:
            interval = max(interval, 1 / self._pace.allowed(now))
        if interval:
            self._next_request = max(self._next_request, now - CATCH_UP) + interval
        if limits.tpm:
            expected = ticket.prompt + (self._answer_tokens / self._answers if self._answers else ticket.most)
            self._next_tokens = max(self._next_tokens, now) + 60 * expected / limits.tpm

    async def _turn(self, seconds: float | None) -> None:
        """Wait until an attempt has come back, or for so many seconds where they are given."""
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.add(future)
        try:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(seconds):
                    await future
        finally:
            self._waiting.discard(future)

    # -------------------------------------------------------------- coming back

    def answered(self, ticket: Ticket, response: Response) -> None:
        """Count an answer; while all goes well, let one more pass."""
        self.health.answered()
        self.bought(response, (ticket.prompt, ticket.most), 1.0)
        self._answers += 1
        self._answer_tokens += response.tokens_out
        self._most_running = max(self._most_running, ticket.running)
        if self.adaptive and self.window < self.limits.in_flight:
            self.window = min(self.limits.in_flight, self.window + 1)
        if self.limits.tpm and self._answers > 1:
            guess = ticket.prompt + self._answer_tokens / self._answers
            self._next_tokens += 60 * (response.tokens_in + response.tokens_out - guess) / self.limits.tpm
        self._release(ticket)

    def refused(self, ticket: Ticket, wait: float | None, why: str) -> None:
        """Note that the provider asked us to slow down: all wait as long as it says, and go more slowly from then on."""
        now = self._clock()
        self.health.faulted(why)
        self._hold(wait, why)
        if self.limits.adaptive is None and not self.adaptive:
            self.adaptive, self._plain = True, False
        if self.adaptive and ticket.at > self._cut_at:  # those that went before a cut say nothing new
            self._pace.cut(ticket.at, ticket.number, now)
            if (
                ticket.running > self._most_running
            ):  # else more were in flight and were answered: it is not their number
                self.window = max(1.0, self.window * CUT)
            self._cut_at, self._most_running = now, 0
            self._next_request = now + 1 / self._pace.allowed(now)
        self._pace.refused()
        self._pace.wait_until(self._pause)
        self._release(ticket)

    def faulted(self, ticket: Ticket, why: str, wait: float | None = None) -> None:
        """Note an attempt that came to nothing for another reason. It says nothing about load, but where it says how long, all wait."""
        self.health.faulted(why)
        self._hold(wait, why)
        self._release(ticket)

    def rejected(self, ticket: Ticket, why: str) -> None:
        """Note an attempt that the provider does not take, now or later."""
        self.health.rejected(why)
        self._release(ticket)

    def _hold(self, wait: float | None, why: str) -> None:
        """Let all requests wait as long as the provider asks; stop where that is longer than a run should sit and wait."""
        if not wait:
            return
        if wait > LONGEST_WAIT_S:
            self.stop(f"the provider asks to wait {wait / 3600:,.1f} hours, and said: {printable(why[:200])}")
            return
        until = self._clock() + wait
        if until > self._pause + 1:
            self.health.told_to_wait(wait)
        self._pause = max(self._pause, until)

    def withdrawn(self, ticket: Ticket) -> None:
        """Note an attempt that was broken off because the run ends."""
        self._release(ticket)

    def failed(self, failure: Failure) -> None:
        """Count a request that was given up; too many, or many in a row while nobody is answered, stop the run."""
        self.failures += 1
        self.health.given_up += failure.kind not in ("bad_request", "too_long")
        most = self.limits.max_failures
        if most is not None and self.failures > most:
            self.stop(f"{self.failures} requests failed (--max-failures allows {most})")
        elif why := self.health.hopeless(self.limits):
            self.stop(why)

    def stop(self, why: str) -> None:
        """Let nothing more pass."""
        self.stopped = self.stopped or why
        self._over.set()
        self._wake()

    async def rest(self, seconds: float) -> None:
        """Wait before another attempt, no longer than the run goes on."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._over.wait()

    # -------------------------------------------------------------- keeping count

    def sets_aside(self, prompt: int, most: int, share: float) -> bool:
        """Set aside what a question may take that is bought elsewhere, at a share of the price; False, and stopped, where a budget does not hold it."""
        if not self._affordable(prompt, most, share):
            self.stop(self._why())
            return False
        self.reserve(prompt, most, share)
        return True

    def reserve(self, prompt: int, most: int, share: float) -> None:
        """Set tokens of prompts and answers aside at a share of their price, or give them back where they are negative."""
        self._reserved_tokens += prompt + most
        if self._cost is not None:
            self._reserved_cost += share * self._cost(prompt, most)

    def bought(self, response: Response, most: tuple[int, int], share: float) -> None:
        """Count what an answer took, at a share of its price.

        Against a budget an answer whose tokens the provider does not tell counts as its `most` tokens in and out, unless a filter stopped it.
        """
        took = (response.tokens_in, response.tokens_out)
        if self._bounded and not any(took) and response.stop != "filter":
            took = most
        self.tokens += sum(took)
        if self._cost is not None:
            self.spent += share * self._cost(*took)

    def _affordable(self, prompt: int, most: int, share: float = 1.0) -> bool:
        limits = self.limits
        tokens = self.tokens + self._reserved_tokens + prompt + most
        if limits.max_total_tokens is not None and tokens > limits.max_total_tokens:
            return False
        if limits.max_cost is not None and self._cost is not None:
            return self.spent + self._reserved_cost + share * self._cost(prompt, most) <= limits.max_cost
        return True

    def _why(self) -> str:
        if self.limits.max_cost is not None and self._cost is not None:
            before = f", {self.earlier_spent:.4g} of it earlier" if self.earlier_spent else ""
            out = f"; set aside for what is out: {self._reserved_cost:.4g}" if self._reserved_tokens else ""
            return f"one more answer might exceed --max-cost {self.limits.max_cost:g} (spent: {self.spent:.4g}{before}{out})"
        before = f", {self.earlier_tokens:,} of them earlier" if self.earlier_tokens else ""
        out = f"; set aside for what is out: {self._reserved_tokens:,}" if self._reserved_tokens else ""
        return f"one more answer might exceed --max-total-tokens {self.limits.max_total_tokens:,} (used: {self.tokens:,}{before}{out})"

    def _release(self, ticket: Ticket) -> None:
        self.running -= 1
        self.reserve(-ticket.prompt, -ticket.most, 1.0)
        self._wake()

    def _wake(self) -> None:
        for future in self._waiting:
            if not future.done():
                future.set_result(None)


def prompt_tokens(request: Request) -> int:
    """Return an upper estimate of a prompt's tokens: one for every character, and a thousand for an image."""
    size = 0
    for message in request.messages:
        parts = (message.content,) if isinstance(message.content, str) else message.content
        size += 8 + sum(len(part) if isinstance(part, str) else 1000 for part in parts)
    return size
