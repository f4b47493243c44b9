"""What ships is chosen on validation, and the card says what was chosen and why."""

from __future__ import annotations

import json
from typing import Any

import pytest

from harness.models import shipped
from ladder_trainer.tiny.card import card
from ladder_trainer.tiny.publish import chosen


@pytest.mark.parametrize(
    ("before", "after", "stage"), [(0.80, 0.83, "grpo"), (0.774, 0.755, "supervised"), (0.80, 0.80, "supervised")]
)
def test_the_better_one_on_validation_ships_and_of_two_equals_the_start(
    before: float, after: float, stage: str
) -> None:
    ships = chosen(before, after)
    assert ships["stage"] == stage and ships["validation"] == {"supervised": before, "grpo": after}
    assert f"{before:.3f}" in ships["why"] and f"{after:.3f}" in ships["why"]
    assert ships["why"].startswith("The model after GRPO" if stage == "grpo" else "The supervised start")


def test_the_card_says_which_one_ships_both_figures_and_why() -> None:
    folder = shipped("ladder_trainer/checkpoints/ladder_tiny")
    known: dict[str, Any] = json.loads((folder / "training.json").read_text("utf-8"))
    for ships in (chosen(0.7, 0.8), chosen(0.8, 0.7)):
        text = card({**known, "ships": ships}, [])
        assert ships["why"] in text and "0.700" in text and "0.800" in text
