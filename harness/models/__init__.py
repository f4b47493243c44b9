"""`--model` -> a subject that answers: registry entries (aliases, own prompts, what they were trained on) and providers."""

from __future__ import annotations

from harness.models.aliases import End, Entry, Price, Way, entries, known_price
from harness.models.here import checkpoint, obstacle, shipped, trained_on
from harness.models.subjects import Subject, address_of, resolve

__all__ = [
    "End",
    "Entry",
    "Price",
    "Subject",
    "Way",
    "address_of",
    "checkpoint",
    "entries",
    "known_price",
    "obstacle",
    "resolve",
    "shipped",
    "trained_on",
]
