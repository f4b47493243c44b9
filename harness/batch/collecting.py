"""Batches -> outcomes: found again after a crash, waited for, and read."""

from __future__ import annotations

import asyncio
import time
from dataclasses import replace

from harness.batch.asking import Asking, asked
from harness.batch.notes import NOTES, Part
from harness.engine import Todo
from harness.errors import AdapterError, RateLimited, Transient
from harness.tables import counted
from harness.types import Failure, Request, Response

POLLS = (1.0, 60.0)
"""Seconds before the first look at a batch, and the most between two."""
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
            found = await asking.api.find(part.tag, part.at, part.count)
        except RateLimited as error:  # it may be this one, or the provider wants a pause
            asking.tell(str(error))
            await asyncio.sleep(error.retry_after or POLLS[1])
            continue
        except Transient:
            failed += 1
            if failed >= asking.limits.attempts:
                raise
            await asyncio.sleep(min(2.0**failed, POLLS[1]))
            continue
        if found is not None or time.time() - max(part.at, began - SETTLED) >= SETTLED:
            return found
        await asyncio.sleep(min(SETTLED, 2.0))


async def collect(asking: Asking, part: Part, batch: str) -> None:
    """Wait for a part's batch to end and put its outcomes; a question without one becomes a failure, and is asked again next time."""
    said = await _waited_for(asking, part, batch)
    learnt = asking.api.left_out.fields
    asking.api.left_out.fields = tuple(dict.fromkeys((*learnt, *part.left_out)))
    items, failed = asking.out.pop(part.tag), 0
    while True:
        try:
            await _read(asking, batch, items)
            break
        except (Transient, RateLimited) as error:  # the results stay with the provider for weeks
            failed += 1
            if failed >= asking.limits.attempts:
                raise
            asking.tell(f"batch {batch}: its results broke off ({error}); once more")
            await asyncio.sleep(error.retry_after or min(2.0**failed, POLLS[1]))
    for item in items.values():
        asking.keep(item, Failure("timeout" if "expired" in said else "server", f"batch {batch}: {said}, no answer", 1))
    asking.notes.closed(part.tag, said)
    asking.api.left_out.fields = learnt


async def _read(asking: Asking, batch: str, items: dict[str, Todo]) -> None:
    """Put the outcomes of a batch, in whatever order they come."""

    def request_of(name: str) -> Request | None:
        return asked(items[name]) if name in items else None

    async for name, outcome in asking.api.results(batch, request_of):
        item = items.pop(name, None)
        if item is not None:  # else an earlier session kept it before it was stopped
            asking.keep(item, replace(outcome, batched=True) if isinstance(outcome, Response) else outcome)


async def _waited_for(asking: Asking, part: Part, batch: str) -> str:
    """Return what the provider says of a batch that has ended. Looks seldom, and goes on when a look fails."""
    wait, started, before = POLLS[0], time.monotonic(), ""
    asking.tell(
        f"waiting for batch {batch} ({counted(part.count, 'question')}; mostly within an hour, at most 24 hours). "
        "You may stop this at any time: the same command goes on."
    )
    while True:
        try:
            async with asyncio.timeout(asking.limits.timeout):
                now = await asking.api.progress(batch)
        except (Transient, RateLimited, TimeoutError) as error:
            asking.tell(f"batch {batch}: no news ({error})")
        except AdapterError as error:
            raise type(error)(
                f"batch {batch}: {error} (Should it be gone for good: delete {NOTES} in the run's folder, and its questions are asked anew.)"
            ) from None
        else:
            if now.ended:
                return now.said
            text = f"batch {batch}: {now.done:,} of {now.total or part.count:,} done ({now.said})"
            if text != before:
                asking.tell(f"{text}, {(time.monotonic() - started) / 60:.0f} min")
                before = text
        await asyncio.sleep(wait)
        wait = min(wait * 1.5, POLLS[1])
