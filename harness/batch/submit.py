"""Questions -> parts within the provider's limits and the user's budget -> batches."""

from __future__ import annotations

import asyncio
import itertools
import os
import secrets
import time
from collections.abc import AsyncIterator, Iterator

from harness import engine
from harness.batch.asking import Asking, asked, most_of
from harness.batch.collecting import located, pause
from harness.batch.notes import Part
from harness.batch.prices import DISCOUNT
from harness.engine import Todo
from harness.errors import AdapterError, RateLimited, Rejected, Transient
from harness.limits import LONGEST_WAIT_S, Stopped
from harness.store import explain
from harness.tables import counted
from harness.types import Failure, Model

AGAIN = ". The same command tries again."
UPLOAD = 1800.0
"""Seconds that a submission may take: a part may have 200 MB."""

ALONE = 3
"""So many questions are asked by themselves until one is answered: only an answer tells which fields the model takes."""


class Submission:
    """Cuts questions into parts within the provider's limits and the user's budget, and submits them."""

    def __init__(self, asking: Asking, model: Model) -> None:
        self._asking, self._model = asking, model

    async def parts(self, todo: Iterator[Todo]) -> AsyncIterator[Part]:
        """Yield each part as soon as it is submitted."""
        for head in itertools.islice(todo, ALONE):
            answered = await self._asked_alone(head)
            if self._asking.gate.stopped:
                return
            if answered:
                break
        waiting = next(todo, None)
        while waiting is not None and not self._asking.gate.stopped:
            made, waiting = self._written(waiting, todo)
            if made is not None:
                yield await self._submitted(made)

    async def _asked_alone(self, item: Todo) -> bool:
        """Ask one question by itself; tell whether it was answered. One that the provider refuses for what it says stops nothing."""
        gate = self._asking.gate
        try:
            outcome = await engine.answer(self._model, asked(item), gate.limits, gate)
        except Stopped:
            return False
        self._asking.keep(item, outcome)
        if isinstance(outcome, Failure) and outcome.kind not in ("bad_request", "too_long"):
            gate.stop(f"the first question got no answer ({outcome.message}), so nothing was submitted")
        return not isinstance(outcome, Failure)

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
                    most = most_of(asked(waiting))
                    if not asking.gate.sets_aside(*most, DISCOUNT):
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

    async def _submitted(self, part: Part) -> Part:
        """Submit a part: noted before, so that it can be found, and after, with its id."""
        asking, failed = self._asking, 0
        asking.notes.intent(part)
        while True:
            try:
                async with asyncio.timeout(UPLOAD):
                    batch: str | None = await asking.api.submit(part.tag, asking.notes.file(part.tag))
            except (Transient, TimeoutError) as error:  # it may have been made all the same
                asking.tell(f"a batch may have been submitted or not ({str(error) or 'time-out'}): looking for it")
                failed += 1
                batch = await located(asking, part)
                if batch is None and failed >= asking.gate.limits.attempts:
                    raise _refused(error, AGAIN) from None
            except RateLimited as error:
                failed += 1
                wait = pause(failed, error)
                if failed >= asking.gate.limits.attempts or wait > LONGEST_WAIT_S:
                    asking.notes.closed(part.tag, "refused")
                    raise _refused(error, AGAIN) from None
                asking.tell(f"the batch is not taken yet ({error}): again in {wait:.0f} s")
                await asyncio.sleep(wait)
                continue
            except AdapterError as error:
                asking.notes.closed(part.tag, "refused")
                raise _refused(error, "") from None
            if batch is not None:
                out = asking.notes.submitted(part, batch)
                asking.tell(f"submitted batch {batch}: {counted(part.count, 'question')} at half the price")
                return out


def _refused(error: Exception, more: str) -> AdapterError:
    """Return the error of a submission that came to nothing."""
    kind = type(error) if isinstance(error, AdapterError) else Transient
    return kind(f"the batch could not be submitted: {str(error) or 'time-out'}{more}")
