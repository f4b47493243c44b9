"""Two or more runs on the same questions: paired effects with intervals and tests, and what they say in words."""

from harness.compare.effects import Compared, Effect, NoPairs, compare_runs, effect_of
from harness.compare.pairs import Pairs, join
from harness.compare.words import (
    as_json,
    as_tables,
    budget_notes,
    p_text,
    render_comparison,
    sentence,
    signed,
    unpaired_notes,
)

__all__ = [
    "Compared",
    "Effect",
    "NoPairs",
    "Pairs",
    "as_json",
    "as_tables",
    "budget_notes",
    "compare_runs",
    "effect_of",
    "join",
    "p_text",
    "render_comparison",
    "sentence",
    "signed",
    "unpaired_notes",
]
