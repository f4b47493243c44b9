"""One session of asking in batches: what all of its steps share."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field

from harness.batch.api import BatchApi
from harness.batch.notes import Notes
from harness.batch.prices import DISCOUNT
from harness.engine import Todo
from harness.limits import Gate, prompt_tokens
from harness.types import Failure, Job, Record, Request, Response

Put = Callable[[Record, Job], None]
Tell = Callable[[str], None]


@dataclass(slots=True)
class Asking:
    """One session: who is asked, where things are written, its budgets, and the questions that are out, by the name they were given."""

    api: BatchApi
    notes: Notes
    put: Put
    identity: str
    gate: Gate
    tell: Tell
    out: dict[str, dict[str, Todo]] = field(default_factory=dict)
    put_count: int = 0

    def keep(self, item: Todo, outcome: Response | Failure) -> None:
        """Put one outcome, and count what a batch's took: what was asked by itself the gate has counted."""
        if isinstance(outcome, Response) and outcome.batched:
            self.gate.bought(outcome, most_of(asked(item)), DISCOUNT)
        job, place = item.job, (item.job.repeat, item.job.variant, len(item.done), item.job.role)
        key = asked(item).key(self.identity, job.repeat)
        self.put(Record(key, job.sample.task, job.sample.id, outcome, *place), job)
        self.put_count += 1

    def name_of(self, tag: str, item: Todo) -> str:
        """Return the name of a question in a part: 8 + 1 + 24 letters and digits, the same in every session.

        Equal questions about several samples have several names, and so have several questions about one.
        """
        what = f"{item.job.slot(len(item.done))}\x1f{asked(item).key(self.identity, item.job.repeat)}"
        return f"{tag}-{hashlib.blake2b(what.encode('utf-8', 'replace'), digest_size=12).hexdigest()}"


def asked(item: Todo) -> Request:
    """Return the step of a job that is asked next."""
    request = item.job.next(item.done)
    if request is None:
        raise ValueError(f"{item.job.sample.task} {item.job.sample.id}: there is nothing left to ask")
    return request


def most_of(request: Request) -> tuple[int, int]:
    """Return the tokens in and out that a request may use at most."""
    return prompt_tokens(request), request.sampling.max_tokens
