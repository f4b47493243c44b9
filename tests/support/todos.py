"""Questions for the engine that need no suite."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from harness.engine import Todo
from harness.types import Choice, Job, Message, Request, Response, Sample, Sampling


def jobs(count: int) -> Iterator[Todo]:
    """Return `count` questions of one step each: "q0", "q1", ... with at most five tokens for an answer."""

    def one(n: int) -> Job:
        def following(done: Sequence[Response]) -> Request | None:
            return None if done else Request((Message("user", f"q{n}"),), Sampling(max_tokens=5))

        return Job(Sample(str(n), "s/t", {}, Choice(frozenset("A"))), following)

    return (Todo(one(n)) for n in range(count))
