"""What is stated of a run before it starts: how hard to push, and what its earlier sessions have used."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Limits:
    """How hard to push. Times are seconds; `timeout` covers one attempt; None and 0 mean no limit.

    `patience`: while the provider answers nobody, attempts do not count for so long, and then the run stops; with 0 it goes on.
    `adaptive` None: from the first request on for metered providers, for others from the first "slow down" on. `max_cost` is in the
    price's currency; like `max_total_tokens` it holds for the whole run, over all its sessions.
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


@dataclass(frozen=True, slots=True)
class Used:
    """What earlier sessions of a run have used: tokens of prompts and answers, and what they cost as they were bought."""

    tokens: int = 0
    spent: float = 0.0


NOTHING_USED = Used()
