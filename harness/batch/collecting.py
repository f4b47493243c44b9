"""Batches -> outcomes: found again after a crash, waited for, and read."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Iterator
from dataclasses import replace

from harness.batch.api import Progress
from harness.batch.asking import Asking, asked
from harness.batch.notes import Part
from harness.batch.prices import DISCOUNT
from harness.engine import Todo
from harness.errors import AdapterError, RateLimited, Rejected, Transient
from harness.limits import LONGEST_WAIT_S
from harness.tables import counted
from harness.types import Failure, FailureKind, Request, Response

POLLS = (1.0, 60.0)
"""Seconds before the first look at a batch, and the most between two."""
SILENCE_S = 3600.0
"""Seconds without any news of a batch after which a session ends: it goes on at the provider all the same."""
STAYS = "It stays with the provider: the same command collects it."
SETTLED = 20.0
"""Seconds after which a batch that was submitted surely stands in the provider's list."""


async def found_again(asking: Asking, part: Part) -> Part | None:
    """Return a part of an earlier session with its batch's id; None when it never came to be."""
    if part.batch is not None:
        return part
    found = await located(asking, part)
    if found is None:
        asking.notes.closed(part.tag, "never submitted")
        return None
    asking.tell(f"found batch {found} again: it was submitted, but not noted, before an earlier stop")
    return asking.notes.submitted(part, found)


async def located(asking: Asking, part: Part) -> str | None:
    """Return the id of a part that may have been submitted, None when after `SETTLED` seconds it surely was not.

    Raises Transient when the provider cannot be asked in `limits.attempts` tries.
    """
    began, failed = time.time(), 0
    while True:
        try:
            async with asyncio.timeout(asking.gate.limits.timeout):
                found = await asking.api.find(part.tag, part.at, part.count)
        except RateLimited as error:  # it may be this one, or the provider wants a pause
            asking.tell(str(error))
            await asyncio.sleep(error.retry_after or POLLS[1])
            continue
        except (Transient, TimeoutError) as error:
            failed += 1
            if failed >= asking.gate.limits.attempts:
                raise Transient(f"it is not known whether a batch was submitted: {_said(asking, error)}") from None
            await asyncio.sleep(pause(failed, error))
            continue
        if found is not None or time.time() - max(part.at, began - SETTLED) >= SETTLED:
            return found
        await asyncio.sleep(min(SETTLED, 2.0))


def pause(failed: int, error: Exception) -> float:
    """Return the seconds to wait after so many failures in a row: what the provider asks for, else more each time."""
    asked: float | None = getattr(error, "retry_after", None)
    return asked or min(4.0**failed, POLLS[1])


def _said(asking: Asking, error: Exception) -> str:
    return str(error) or f"nothing came within {asking.gate.limits.timeout:g} s"


async def collect(asking: Asking, part: Part, batch: str) -> None:
    """Wait for a part's batch to end and put its outcomes; a question without one becomes a failure, and is asked again next time."""
    now = await _waited_for(asking, part, batch)
    learnt = asking.api.left_out.fields
    asking.api.left_out.fields = tuple(dict.fromkeys((*learnt, *part.left_out)))
    items = asking.out.pop(part.tag)
    with _named(asking, batch):
        await _whole(asking, batch, items, now.done)
    for item in items.values():
        kind: FailureKind = "timeout" if "expired" in now.said else "server"
        asking.keep(item, Failure(kind, f"batch {batch}: {now.said}, no answer", 1))
    asking.notes.closed(part.tag, now.said)
    asking.gate.reserve(-part.tokens_in, -part.tokens_out, DISCOUNT)
    asking.api.left_out.fields = learnt


async def _whole(asking: Asking, batch: str, items: dict[str, Todo], done: int) -> None:
    """Put a batch's outcomes; read them again where they break off, or are fewer than the `done` that the provider has counted.

    What never comes stays in `items`. Raises Transient when nothing can be read at all: the results stay with the provider for weeks.
    """
    failed = came = 0
    while True:
        try:
            came = await _read(asking, batch, items)
            if not items or came >= done:
                return
            raise Transient(f"{came:,} of {done:,} came")
        except (Transient, RateLimited, TimeoutError) as error:
            failed += 1
            if failed >= asking.gate.limits.attempts:
                if came:
                    return
                said = f"batch {batch}: its results cannot be read: {_said(asking, error)}. {STAYS}"
                raise Transient(f"{said} {_cure(asking)}") from None
            asking.tell(f"batch {batch}: its results broke off ({_said(asking, error)}); once more")
            await asyncio.sleep(pause(failed, error))


async def _read(asking: Asking, batch: str, items: dict[str, Todo]) -> int:
    """Put the outcomes of a batch, in whatever order they come, and take them off `items`; return how many came."""
    came = 0

    def request_of(name: str) -> Request | None:
        return asked(items[name]) if name in items else None

    async with contextlib.aclosing(asking.api.results(batch, request_of)) as results:
        while True:
            async with asyncio.timeout(asking.gate.limits.timeout):
                found = await anext(results, None)
            if found is None:
                return came
            came += 1
            name, outcome = found
            item = items.pop(name, None)
            if item is not None:  # else an earlier session kept it before it was stopped
                asking.keep(item, replace(outcome, batched=True) if isinstance(outcome, Response) else outcome)


async def _waited_for(asking: Asking, part: Part, batch: str) -> Progress:
    """Return how far a batch is that has ended. Looks seldom, and goes on when a look fails, for `SILENCE_S` in a row."""
    wait, started, before = POLLS[0], time.monotonic(), ""
    heard = started
    asking.tell(
        f"waiting for batch {batch} ({counted(part.count, 'question')}; mostly within an hour, at most 24 hours). "
        "You may stop this at any time: the same command goes on."
    )
    while True:
        asked_for = 0.0
        try:
            with _named(asking, batch):
                async with asyncio.timeout(asking.gate.limits.timeout):
                    now = await asking.api.progress(batch)
        except (Transient, RateLimited, TimeoutError) as error:
            if time.monotonic() - heard > SILENCE_S:
                raise Transient(f"batch {batch}: no news for an hour: {_said(asking, error)} {STAYS}") from None
            text = f"no news ({_said(asking, error)}); it goes on there, and is looked at again"
            asked_for = min(getattr(error, "retry_after", None) or 0.0, LONGEST_WAIT_S)
        else:
            if now.ended:
                return now
            heard = time.monotonic()
            text = f"{now.done:,} of {now.total or part.count:,} done ({now.said})"
        if text != before:
            asking.tell(f"batch {batch}: {text}, {(time.monotonic() - started) / 60:.0f} min")
            before = text
        await asyncio.sleep(max(wait, asked_for))
        wait = min(wait * 1.5, POLLS[1])


def _cure(asking: Asking) -> str:
    return f"(Should that be for good: delete {asking.notes.path}, and its questions are asked anew.)"


@contextlib.contextmanager
def _named(asking: Asking, batch: str) -> Iterator[None]:
    """Say in an error that ends the session which batch it is about, and of one that the provider does not know what can be done."""
    try:
        yield
    except (Transient, RateLimited):
        raise
    except Rejected as error:
        raise Rejected(f"batch {batch}: {error}. {_cure(asking)}") from None
    except AdapterError as error:
        raise type(error)(f"batch {batch}: {error} {STAYS}") from None
