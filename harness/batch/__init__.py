"""Asks through a provider's batch interface: half the price, answers within a day, and nothing is paid for twice.

A run's questions go out in parts. What is about to be submitted is written down before it is (`batches.jsonl`, and the part's requests
as a file beside it), and its id as soon as there is one. So a process that is killed anywhere finds its batches again: by the id, or,
killed between the submission and the note, by the tag that the provider was given. The same command goes on from there.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import orjson

from harness.batch.api import PROVIDERS, BatchApi, interface
from harness.batch.asking import Asking, Put, Tell
from harness.batch.collecting import collect, found_again
from harness.batch.notes import Notes, Part, parts, refuse_if_open
from harness.batch.prices import DISCOUNT, TOKENS, as_bought, count_tokens
from harness.batch.submit import Submission
from harness.engine import Todo
from harness.limits import Gate
from harness.store import explain
from harness.types import Model

__all__ = [
    "DISCOUNT",
    "PROVIDERS",
    "TOKENS",
    "BatchApi",
    "as_bought",
    "count_tokens",
    "interface",
    "parts",
    "refuse_if_open",
    "run",
]


async def run(
    model: Model, rounds: Iterable[Iterator[Todo]], folder: Path, put: Put, identity: str, gate: Gate, tell: Tell
) -> int:
    """Submit what is not out yet, wait, and put one record for each outcome; return how many.

    A round is asked when the one before is collected: so a job of several steps has one in each, and what is to be asked next may be read
    from what was put. The first question of a round that submits something is asked at once and by itself (and the next one, where it is refused for
    what it says): so it is known that the model answers and which sampling fields it takes, before thousands go out. A part is submitted where the gate's budgets hold the most that it may take;
    else the session ends early, and `gate.stopped` says why. Raises adapter errors; what is out then is collected by the next call, and
    UsageError for a model without a batch interface.
    """
    notes = Notes(folder)
    asking = Asking(interface(model, model.name), notes, put, identity, gate, tell)
    try:
        out = [await found_again(asking, part) for part in parts(folder) if not part.closed]
        old = [part for part in out if part is not None]
        for part in old:
            gate.reserve(part.tokens_in, part.tokens_out, DISCOUNT)
        submission = Submission(asking, model)
        for todo in rounds:
            rest = _not_out(asking, old, todo)
            new = [part async for part in submission.parts(rest)]
            for _ in rest:  # what is not submitted now may yet be out since an earlier session
                continue
            for part in (*old, *new):
                await collect(asking, part, str(part.batch))
            old = []
            if gate.stopped:
                break
    finally:
        notes.close()
        await model.aclose()
    return asking.put_count


def _not_out(asking: Asking, old: Sequence[Part], todo: Iterator[Todo]) -> Iterator[Todo]:
    """Yield the questions that no part holds; those that one holds are set beside it."""
    names: dict[str, str] = {}
    for part in old:
        asking.out[part.tag] = {}
        with explain(asking.notes.file(part.tag)), asking.notes.file(part.tag).open("rb") as lines:
            for line in lines:
                name = str(orjson.loads(line)["custom_id"])
                names[name.partition("-")[2]] = part.tag
    for item in todo:
        tag = names.get(asking.name_of("", item)[1:])
        if tag is None:
            yield item
        else:
            asking.out[tag][asking.name_of(tag, item)] = item
