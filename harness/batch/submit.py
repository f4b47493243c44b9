"""Questions -> parts within the provider's limits and the user's budget -> batches."""

from __future__ import annotations

import asyncio
import os
import secrets
import time
from collections.abc import AsyncIterator, Iterator, Sequence

from harness import engine
from harness.batch.asking import Asking, asked
from harness.batch.collecting import located
from harness.batch.notes import Part
from harness.batch.prices import DISCOUNT
from harness.engine import Todo
from harness.errors import AdapterError, Rejected, Transient
from harness.limits import Used, prompt_tokens
from harness.store import explain
from harness.tables import counted
from harness.types import Failure, Model, Request

UPLOAD = 1800.0
"""Seconds that a submission may take: a part may have 200 MB."""


class Submission:
    """Cuts questions into parts within the provider's limits and the user's budget, and submits them."""

    def __init__(self, asking: Asking, model: Model, used: Used, old: Sequence[Part]) -> None:
        self._asking, self._model = asking, model
        self._tokens, self._spent = used.tokens, used.spent
        for part in old:
            self._tokens += part.tokens_in + part.tokens_out
            self._spent += self._cost(part.tokens_in, part.tokens_out, DISCOUNT)

    async def parts(self, todo: Iterator[Todo]) -> AsyncIterator[Part]:
        """Yield each part as soon as it is submitted."""
        head = next(todo, None)
        if head is None:
            return
        if not self._set_aside(*_most(asked(head)), 1.0) or not await self._first_alone(head):
            return
        waiting = next(todo, None)
        while waiting is not None and not self._asking.stopped:
            made, waiting = self._written(waiting, todo)
            if made is not None:
                yield await self._submitted(made)

    async def _first_alone(self, item: Todo) -> bool:
        """Ask one question by itself; tell whether to go on. One that the provider refuses for what it says stops nothing."""
        outcome = await engine.answer(self._model, asked(item), self._asking.limits)
        self._asking.keep(item, outcome)
        if isinstance(outcome, Failure) and outcome.kind not in ("bad_request", "too_long"):
            self._asking.stopped = f"the first question got no answer ({outcome.message}), so nothing was submitted"
        return not self._asking.stopped

    def _written(self, head: Todo, todo: Iterator[Todo]) -> tuple[Part | None, Todo | None]:
        """Write a part's requests to its file; return the part, and the question that no longer fitted."""
        asking, api = self._asking, self._asking.api
        tag = secrets.token_hex(4)
        file, size, tokens_in, tokens_out = asking.notes.file(tag), 0, 0, 0
        held: dict[str, Todo] = {}
        waiting: Todo | None = head
        with explain(file):
            file.parent.mkdir(parents=True, exist_ok=True)
            with file.open("wb") as lines:
                while waiting is not None and len(held) < api.most_requests:
                    name = asking.name_of(tag, waiting)
                    try:
                        line = api.line(name, asked(waiting))
                    except Rejected as error:
                        asking.keep(waiting, Failure("bad_request", str(error), 1))
                        waiting = next(todo, None)
                        continue
                    if size + len(line) > api.most_bytes * 0.95 and held:
                        break
                    most = _most(asked(waiting))
                    if not self._set_aside(*most, DISCOUNT):
                        break
                    tokens_in, tokens_out = tokens_in + most[0], tokens_out + most[1]
                    lines.write(line)
                    size, held[name] = size + len(line), waiting
                    waiting = next(todo, None)
                lines.flush()
                os.fsync(lines.fileno())
        if not held:
            file.unlink()
            return None, waiting
        asking.out[tag] = held
        return Part(tag, len(held), time.time(), tuple(api.left_out.fields), tokens_in, tokens_out), waiting

    def _set_aside(self, tokens_in: int, tokens_out: int, share: float) -> bool:
        """Set a request's tokens aside, at a share of the price; tell whether the budget holds them."""
        limits = self._asking.limits
        tokens = self._tokens + tokens_in + tokens_out
        spent = self._spent + self._cost(tokens_in, tokens_out, share)
        if limits.max_total_tokens is not None and tokens > limits.max_total_tokens:
            self._asking.stopped = f"--max-total-tokens {limits.max_total_tokens:,}: more questions might use more"
        elif limits.max_cost is not None and spent > limits.max_cost:
            self._asking.stopped = f"--max-cost {limits.max_cost:g}: more questions might cost more"
        else:
            self._tokens, self._spent = tokens, spent
            return True
        return False

    def _cost(self, tokens_in: int, tokens_out: int, share: float) -> float:
        return share * self._asking.cost(tokens_in, tokens_out) if self._asking.cost else 0.0

    async def _submitted(self, part: Part) -> Part:
        """Submit a part: noted before, so that it can be found, and after, with its id."""
        asking = self._asking
        asking.notes.intent(part)
        failed = 0
        while True:
            try:
                async with asyncio.timeout(UPLOAD):
                    batch: str | None = await asking.api.submit(part.tag, asking.notes.file(part.tag))
            except (Transient, TimeoutError) as error:  # it may have been made all the same
                asking.tell(f"a batch may have been submitted or not ({error or 'time-out'}): looking for it")
                failed += 1
                batch = await located(asking, part)
                if batch is None and failed >= asking.limits.attempts:
                    raise
            except AdapterError:
                asking.notes.closed(part.tag, "refused")
                raise
            if batch is not None:
                out = asking.notes.submitted(part, batch)
                asking.tell(f"submitted batch {batch}: {counted(part.count, 'question')} at half the price")
                return out


def _most(request: Request) -> tuple[int, int]:
    """Return the tokens in and out that a request may use at most."""
    return prompt_tokens(request), request.sampling.max_tokens
