"""The three parts of the reward: the answer is right, the format is whole, each tag stands once. All from 0 to 1.

Correctness is the harness's own extraction and the task's own headline metric, so what is trained is what is tested. An
answer that cannot be read is worth 0; a reward that cannot be computed stops the run, it never becomes 0.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from harness.errors import HarnessError
from harness.extract.reasoning import split
from harness.registry import get_extractor, get_metric
from harness.types import Choice
from ladder_trainer.authors import read_letter
from ladder_trainer.data import Question
from ladder_trainer.recipe import Rewards

Reward = Callable[[str, Question], float]
PARTS = ("correctness", "format", "tags")

_WHOLE = re.compile(r"<think>\n.*?\n</think>\n<answer>\n.*?\n</answer>", re.DOTALL)
_TAGS = ("<think>\n", "\n</think>\n", "\n<answer>\n", "\n</answer>")


class RewardError(HarnessError):
    """A reward could not be computed: training stops, for a 0 would teach that a good answer is bad."""

    exit_code = 3


def correctness(text: str, question: Question) -> float:
    """Return the task's headline metric of the answer that the harness reads in the text; 0 when there is none."""
    parts = split(text)
    answer = get_extractor(question.task.extractor).read(parts.answer, question.sample) if parts.closed else None
    if answer is None:
        return 0.0
    use = next(u for u in question.task.metric_uses if u.name == question.task.headline_metric)
    value = get_metric(use.name).score([(question.sample, answer)], use.options)[0].value
    if value is None:
        raise RewardError(f"metric {use.name} gave no value")
    return value


def authors_correctness(text: str, question: Question) -> float:
    """Return 1 when the authors' parser, faults included, reads the right letter; only for single choices."""
    target = question.sample.target
    if not isinstance(target, Choice) or len(target.letters) != 1:
        raise RewardError("rewards.variant 'authors' knows only questions with one right letter; use 'harness'")
    return float(read_letter(text) == next(iter(target.letters)))


def whole(text: str) -> bool:
    """Tell whether the text is a think block and then an answer block on lines of their own, from beginning to end.

    As in the field's usual pattern, a block may hold tags itself: a pair that comes twice costs `tags`, not this.
    """
    return _WHOLE.fullmatch(text) is not None


def whole_format(text: str, _question: Question) -> float:
    """Return 1 when the text is `whole`."""
    return float(whole(text))


def tags(text: str, _question: Question) -> float:
    """Return a quarter for each of the four tags that stands exactly once, with its line breaks."""
    return sum(0.25 for tag in _TAGS if text.count(tag) == 1)


def reward_parts(rewards: Rewards) -> dict[str, tuple[Reward, float]]:
    """Return each part's function and weight, in the order of `PARTS`."""
    right = authors_correctness if rewards.variant == "authors" else correctness
    shape = authors_format if rewards.variant == "authors" else whole_format
    weights = rewards.weights
    return {
        "correctness": (right, weights.correctness),
        "format": (shape, weights.format),
        "tags": (tags, weights.tags),
    }


def authors_format(text: str, _question: Question) -> float:
    """Return 1 as the authors do: the blocks stand at the beginning, and what follows a line end after them does not matter.

    Their pattern is matched with `$` meaning any line's end, so a text that goes on below the answer still counts as whole.
    """
    return float(re.match(_WHOLE.pattern + r"$", text, re.DOTALL | re.MULTILINE) is not None)


def total(rewards: Rewards, text: str, question: Question) -> float:
    """Return the weighted sum that an advantage is made of: at most 7 with the paper's weights."""
    return sum(weight * part(text, question) for part, weight in reward_parts(rewards).values())


def as_trl(name: str, part: Reward, questions: Sequence[Question]) -> Callable[..., list[float]]:
    """Return a reward function for TRL: it finds each completion's question by the row's number.

    Raises RewardError with the question and the text when `part` raises, whatever it raises.
    """

    def judge(completions: Sequence[Any], row: Sequence[int], **_context: Any) -> list[float]:
        return [_one(name, part, completion_text(c), questions[i]) for c, i in zip(completions, row, strict=True)]

    judge.__name__ = name
    return judge


def completion_text(completion: str | Sequence[Mapping[str, Any]]) -> str:
    """Return what the model wrote: TRL gives a text, or a list with one assistant message."""
    return completion if isinstance(completion, str) else str(completion[0]["content"])


def _one(name: str, part: Reward, text: str, question: Question) -> float:
    try:
        value = part(text, question)
    except Exception as error:  # whatever a reward raises must stop training, never become a 0
        where = f"{question.sample.task} {question.sample.id}"
        said = str(error) if isinstance(error, HarnessError) else f"{type(error).__name__}: {error}"
        raise RewardError(
            f"reward '{name}' failed on {where}: {said}. Training stops, for a failed reward is not a 0. Completion: {text[:200]!r}"
        ) from error
    if not 0.0 <= value <= 1.0:
        raise RewardError(
            f"reward '{name}' gave {value} on {question.sample.task} {question.sample.id}, expected 0 to 1"
        )
    return value
