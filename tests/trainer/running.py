"""What the tests of whole runs share: a run that is broken off, and its weights."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from ladder_trainer.recipe import Recipe

Make = Callable[..., Recipe]


def weights(folder: Path) -> dict[str, bytes]:
    from safetensors.numpy import load_file

    return {name: array.tobytes() for name, array in load_file(folder / "model.safetensors").items()}


class Stopped(Exception):
    """The process goes away in the middle of a run."""


def until(step: int) -> Callable[[str], None]:
    """Return a listener that stops the run when the line of an update comes."""

    def say(text: str) -> None:
        if text.startswith(f"{step}/"):
            raise Stopped

    return say
