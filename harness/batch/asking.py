"""One session of asking in batches: what all of its steps share."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field

from harness.batch.api import BatchApi
from harness.batch.notes import Notes
from harness.errors import UsageError
from harness.limits import Limits
from harness.types import Failure, Job, Record, Request, Response

Put = Callable[[Record, Job], None]
Tell = Callable[[str], None]


@dataclass(slots=True)
class Asking:
    """One session: who is asked, where things are written, and the questions that are out, by the name they were given."""

    api: BatchApi
    notes: Notes
    put: Put
    identity: str
    tell: Tell
    cost: Callable[[float, float], float] | None
    limits: Limits
    out: dict[str, dict[str, Job]] = field(default_factory=dict)
    put_count: int = 0
    stopped: str = ""

    def keep(self, job: Job, outcome: Response | Failure) -> None:
        """Put one outcome."""
        request = first(job)
        place = (job.repeat, job.variant, 0, job.role)
        self.put(Record(request.key(self.identity, job.repeat), job.sample.task, job.sample.id, outcome, *place), job)
        self.put_count += 1


def first(job: Job) -> Request:
    """Return a job's only request; raise UsageError for a chain of several, which a batch cannot ask."""
    request = job.next([])
    if request is None or job.steps > 1:
        raise UsageError(
            f"--batch cannot ask {job.sample.task} step by step: each question needs the answer before it. "
            "Leave the task out, or ask it without --batch."
        )
    return request


def name_of(tag: str, job: Job) -> str:
    """Return the name of a question in a part: 8 + 1 + 24 letters and digits, the same in every session."""
    return f"{tag}-{hashlib.blake2b(job.slot(0).encode('utf-8', 'replace'), digest_size=12).hexdigest()}"
