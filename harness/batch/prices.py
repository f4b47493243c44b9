"""What answers cost, by how they were bought: one by one, or through a provider's batch interface."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeVar

from harness.types import Response

Number = TypeVar("Number", int, float)

DISCOUNT = 0.5
"""What is left of the price of an answer that came through a batch interface."""

TOKENS = ("tokens_in", "tokens_out", "batch_tokens_in", "batch_tokens_out")
"""All tokens of prompts and of answers, and those among them that were bought through a batch interface."""


def count_tokens(response: Response, tokens: dict[str, Number]) -> None:
    """Add one answer's tokens to those counted under the names of `TOKENS`."""
    for kind, number in (("tokens_in", response.tokens_in), ("tokens_out", response.tokens_out)):
        tokens[kind] += number
        if response.batched:
            tokens[f"batch_{kind}"] += number


def as_bought(price: tuple[float, float], tokens: Mapping[str, float]) -> float:
    """Return what tokens cost; `price` is for a million in and out, `tokens` has the names of `TOKENS`, what is left out being 0.

    An answer whose record does not say that it came through a batch counts at the full price.
    """
    total = 0.0
    for one, kind in zip(price, ("tokens_in", "tokens_out"), strict=True):
        total += one * (tokens.get(kind, 0) - (1 - DISCOUNT) * tokens.get(f"batch_{kind}", 0))
    return total / 1e6
