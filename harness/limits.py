"""How hard to push: what one request may take, what a provider allows, what a run may cost; and the gate that keeps to it.

Every attempt passes the run's one `Gate`. A wait that a provider asks for holds all requests of the model. With `adaptive` the
number in flight starts at four, doubles while all goes well and is cut when the provider says "slow down"; from then on requests are
also paced just below the rate that it accepted.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from harness.types import Request, Response

CUT, KEPT, START = 0.7, 0.97, 4.0
"""What is left of the number in flight after a cut, of the accepted rate, and the number that a cautious run starts with."""


@dataclass(frozen=True, slots=True)
class Limits:
    """How hard to push. Times are seconds; `timeout` covers one attempt; None and 0 mean no limit.

    `patience`: while the provider answers nobody, attempts do not count for so long. `adaptive` None: for metered providers only.
    `max_cost` is in the price's currency, and like `max_total_tokens` for this call, not for earlier ones of the same run.
    """

    in_flight: int = 64
    attempts: int = 6
    timeout: float = 300.0
    backoff: float = 1.0
    longest_backoff: float = 60.0
    patience: float = 0.0
    rpm: float = 0.0
    tpm: float = 0.0
    adaptive: bool | None = None
    max_total_tokens: int | None = None
    max_cost: float | None = None
    max_failures: int | None = None


class Stopped(Exception):
    """A limit of the whole run is reached: no more requests."""


@dataclass(slots=True)
class Ticket:
    """One attempt under way: when it went, and the tokens that were set aside for it (prompt, answer)."""

    at: float
    prompt: int
    most: int


class Gate:
    """Lets attempts pass. `cost(tokens in, tokens out)` prices them; `metered` says that the provider counts our requests."""

    def __init__(
        self, limits: Limits, cost: Callable[[float, float], float] | None = None, *, metered: bool = False
    ) -> None:
        self.limits = limits
        self.stopped = ""
        self.retries = self.failures = self.tokens = self.running = 0
        self.spent = 0.0
        self.adaptive = metered if limits.adaptive is None else limits.adaptive
        self.window = min(START, limits.in_flight) if self.adaptive else float(limits.in_flight)
        self._cost = cost
        self._bounded = limits.max_total_tokens is not None or limits.max_cost is not None
        self._plain = not (self.adaptive or limits.rpm or limits.tpm or self._bounded)
        self._threshold = float(limits.in_flight)
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._pause = self._next_request = self._next_tokens = 0.0
        self._reserved_tokens, self._reserved_cost = 0, 0.0
        self._answers = self._answer_tokens = 0
        self._rate = self._cut_at = 0.0
        self._since_cut, self._growth = 0, 0.0
        self.last_answer = self._began = time.monotonic()

    # -------------------------------------------------------------- passing

    async def enter(self, request: Request) -> Ticket:
        """Return a ticket when one more attempt may go; raise Stopped when none may any more."""
        while True:
            if self.stopped:
                raise Stopped(self.stopped)
            now = time.monotonic()
            if now < self._pause:
                await asyncio.sleep(self._pause - now)
            elif self._plain:
                self.running += 1
                return Ticket(now, 0, 0)
            elif self.running >= int(self.window):
                await self._turn()
            else:
                prompt, most = prompt_tokens(request), request.sampling.max_tokens
                if self._bounded and not self._affordable(prompt, most):
                    if not self.running:
                        self.stop(self._why())
                    else:
                        await self._turn()
                    continue
                return await self._paced(Ticket(now, prompt, most))

    async def _paced(self, ticket: Ticket) -> Ticket:
        """Set the ticket's tokens aside and wait for its place in the row of requests."""
        self.running += 1
        self._reserve(ticket, 1)
        now, limits = ticket.at, self.limits
        go = now
        interval = 60 / limits.rpm if limits.rpm else 0.0
        if self._rate:
            interval = max(interval, 1 / self._allowed(now))
        if interval:
            go = max(now, self._next_request)
            self._next_request = go + interval
        if limits.tpm:
            expected = ticket.prompt + (self._answer_tokens / self._answers if self._answers else ticket.most)
            start = max(now, self._next_tokens)
            self._next_tokens = start + 60 * expected / limits.tpm
            go = max(go, start)
        if go > now:
            try:
                await asyncio.sleep(go - now)
            except asyncio.CancelledError:
                self._release(ticket)
                raise
        ticket.at = time.monotonic()
        return ticket

    async def _turn(self) -> None:
        """Wait until an attempt has come back."""
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append(future)
        await future

    # -------------------------------------------------------------- coming back

    def answered(self, ticket: Ticket, response: Response) -> None:
        """Count an answer; while all goes well, let one more pass."""
        self.last_answer = time.monotonic()
        self.tokens += response.tokens_in + response.tokens_out
        if self._cost is not None:
            self.spent += self._cost(response.tokens_in, response.tokens_out)
        self._answers += 1
        self._answer_tokens += response.tokens_out
        self._since_cut += 1
        if self.adaptive and self.window < self.limits.in_flight:
            self.window = min(
                self.limits.in_flight, self.window + (1 if self.window < self._threshold else 1 / self.window)
            )
        if self.limits.tpm and self._answers > 1:
            guess = ticket.prompt + self._answer_tokens / self._answers
            self._next_tokens += 60 * (response.tokens_in + response.tokens_out - guess) / self.limits.tpm
        self._release(ticket)

    def refused(self, ticket: Ticket, wait: float | None) -> None:
        """Note that the provider asked us to slow down: all wait as long as it says, and fewer go at a time."""
        now = time.monotonic()
        if wait:
            self._pause = max(self._pause, now + wait)
        if self.adaptive and ticket.at > self._cut_at:  # those that went before a cut say nothing new
            elapsed = now - (self._cut_at or self._began)
            self._growth = 0.1 if not self._cut_at else 0.005  # the first estimate holds the provider's burst
            self._rate = max(0.01, self._since_cut / max(0.1, elapsed))
            self.window = self._threshold = max(1.0, self.window * CUT)
            self._cut_at, self._since_cut = now, 0
            self._next_request = 0.0
        self._release(ticket)

    def faulted(self, ticket: Ticket) -> None:
        """Note an attempt that came to nothing for another reason."""
        self._release(ticket)

    def failed(self) -> None:
        """Count a request that was given up; too many stop the run."""
        self.failures += 1
        most = self.limits.max_failures
        if most is not None and self.failures > most:
            self.stop(f"{self.failures} requests failed (--max-failures allows {most})")

    def stop(self, why: str) -> None:
        """Let nothing more pass."""
        self.stopped = self.stopped or why
        while self._waiting:
            self._wake()

    def gone_since(self) -> float:
        """Return for how many seconds nobody has got an answer."""
        return time.monotonic() - self.last_answer

    # -------------------------------------------------------------- keeping count

    def _allowed(self, now: float) -> float:
        """Return the requests per second to try: just below the accepted rate, then slowly more, and faster after a minute."""
        since = now - self._cut_at
        return float(self._rate * (KEPT + self._growth * since + (since / 120) ** 3))

    def _affordable(self, prompt: int, most: int) -> bool:
        limits = self.limits
        tokens = self.tokens + self._reserved_tokens + prompt + most
        if limits.max_total_tokens is not None and tokens > limits.max_total_tokens:
            return False
        if limits.max_cost is not None and self._cost is not None:
            return self.spent + self._reserved_cost + self._cost(prompt, most) <= limits.max_cost
        return True

    def _why(self) -> str:
        if self.limits.max_cost is not None and self._cost is not None:
            return f"one more answer might exceed --max-cost {self.limits.max_cost:g} (spent: {self.spent:.4g})"
        return f"one more answer might exceed --max-total-tokens {self.limits.max_total_tokens} (used: {self.tokens})"

    def _reserve(self, ticket: Ticket, sign: int) -> None:
        self._reserved_tokens += sign * (ticket.prompt + ticket.most)
        if self._cost is not None:
            self._reserved_cost += sign * self._cost(ticket.prompt, ticket.most)

    def _release(self, ticket: Ticket) -> None:
        self.running -= 1
        if not self._plain:
            self._reserve(ticket, -1)
        for _ in range(min(len(self._waiting), 2)):
            self._wake()

    def _wake(self) -> None:
        future = self._waiting.popleft()
        if not future.done():
            future.set_result(None)


def prompt_tokens(request: Request) -> int:
    """Return an upper estimate of a prompt's tokens: one for every character, and a thousand for an image."""
    size = 0
    for message in request.messages:
        parts = (message.content,) if isinstance(message.content, str) else message.content
        size += 8 + sum(len(part) if isinstance(part, str) else 1000 for part in parts)
    return size
