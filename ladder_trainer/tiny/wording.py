"""Questions in the harness's own words."""

from __future__ import annotations

from collections.abc import Mapping

from harness.prompts import Prompter, Style
from harness.specs import TaskSpec
from harness.types import Sampling


class Wording:
    """The harness's own words for the questions of one task."""

    def __init__(self, task: TaskSpec) -> None:
        self._template = Prompter(task, Style(), Sampling()).template

    def __call__(self, question: str, options: Mapping[str, str]) -> str:
        listed = "\n".join(f"{letter}. {text}" for letter, text in options.items())
        return self._template.replace("{question}", question).replace("{options}", listed).strip()
