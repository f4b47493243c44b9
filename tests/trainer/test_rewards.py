from __future__ import annotations

from typing import Any

import pytest

from harness.specs import Columns, OptionColumn, TaskSpec
from harness.types import Choice, Sample
from ladder_trainer.authors import read_letter
from ladder_trainer.data import Question
from ladder_trainer.recipe import Rewards, Weights
from ladder_trainer.rewards import (
    RewardError,
    as_trl,
    authors_format,
    correctness,
    reward_parts,
    tags,
    total,
    whole_format,
)

OPTIONS = {"A": "肝肾阴虚", "B": "脾肾阳虚", "C": "心脾两虚", "D": "肺气虚", "E": "肝郁气滞"}


def asked(right: str = "B", kind: str = "single_choice") -> Question:
    columns = Columns(options=OptionColumn(form="dict", column="options"))
    task = TaskSpec(name="t", type=kind, data=("x.jsonl",), columns=columns, suite="s")  # type: ignore[arg-type]
    sample = Sample("1", "s/t", {"question": "何证？", "options": OPTIONS}, Choice(frozenset(right)))
    return Question(sample, task, [])


GOOD = "<think>\n畏寒肢冷，属阳虚。\n</think>\n<answer>\n答案:B\n</answer>"


# ------------------------------------------------------------------ 5 : 1 : 1, each case counted by hand


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        (GOOD, (1, 1, 1.0)),
        (GOOD.replace("答案:B", "答案:C"), (0, 1, 1.0)),
        ("B", (1, 0, 0.0)),
        ("", (0, 0, 0.0)),
        # the answer block alone: right, no whole format, and of the tags only "\n</answer>" has its line break
        ("<answer>\nB\n</answer>", (1, 0, 0.25)),
        # one tag pair twice: the format still reads as one lazy block up to the end, "\n<answer>\n" and "\n</answer>" count twice
        (GOOD + "\n<answer>\nB\n</answer>", (1, 1, 0.5)),
        # a think block that never ends hides the answer
        ("<think>\n是B", (0, 0, 0.25)),
        ("<think>\n想\n</think>\n答案:B", (1, 0, 0.5)),
        # text after the answer: not whole
        (GOOD + "\n完", (1, 0, 1.0)),
        (GOOD.replace("\n", ""), (1, 0, 0.0)),
    ],
)
def test_the_reward_is_five_times_right_plus_format_plus_tags(text: str, parts: tuple[float, float, float]) -> None:
    question = asked()
    found = tuple(part(text, question) for part, _ in reward_parts(Rewards()).values())
    assert found == parts
    assert total(Rewards(), text, question) == 5 * parts[0] + parts[1] + parts[2]


def test_a_perfect_answer_earns_seven_and_the_weights_can_be_changed() -> None:
    assert total(Rewards(), GOOD, asked()) == 7.0
    assert total(Rewards(weights=Weights(correctness=1, format=0, tags=2)), GOOD, asked()) == 3.0


def test_correctness_is_the_tasks_own_metric() -> None:
    both = asked("AB", "multiple_choice")
    assert correctness("答案：AB", both) == 1.0
    assert correctness("答案：A", both) == 0.0


def test_what_the_harness_reads_and_the_authors_do_not() -> None:
    fixed, theirs = Rewards(), Rewards(variant="authors")
    text = "<think>\n想\n</think>\n<answer>\nThe answer is B\n</answer>"
    assert total(fixed, text, asked()) == 7.0
    assert total(theirs, text, asked()) == 2.0
    assert total(theirs, text, asked("E")) == 7.0


# ------------------------------------------------------------------ the authors' parser


@pytest.mark.parametrize(
    ("inside", "letter"),
    [
        ("The answer is B", "E"),
        ("B项", None),
        ("B脾肾阳虚", None),
        ("选B项", "B"),
        ("B.脾肾阳虚", "B"),
        ("答案：B 脾肾阳虚", "B"),
        ("答案：B脾肾阳虚", "B"),
        ("\n答案:B\n", "B"),
        ("b", "B"),
        ("F", None),
        ("", None),
        ("应选 C证", "C"),
        ("为D证", "D"),
        ("我选择A项", "A"),
        ("AB", "B"),
        ("C, not B", "C"),
    ],
)
def test_the_authors_parser_is_followed_in_its_faults(inside: str, letter: str | None) -> None:
    assert read_letter(f"<answer>{inside}</answer>") == letter


def test_the_authors_parser_reads_only_the_first_tag_pair_and_nothing_without_tags() -> None:
    assert read_letter("答案：B") is None
    assert read_letter("<answer>A</answer><answer>B</answer>") == "A"
    assert read_letter("<ANSWER>B</ANSWER>") == "B"


def test_the_authors_format_lets_text_follow_the_answer() -> None:
    assert authors_format(GOOD + "\n完", asked()) == 1.0
    assert whole_format(GOOD + "\n完", asked()) == 0.0
    assert authors_format("前言" + GOOD, asked()) == 0.0


def test_each_tag_counts_a_quarter_once() -> None:
    assert tags("<think>\n\n</think>\n<answer>\nx\n</answer>", asked()) == 0.75 + 0.25
    assert tags("<think>\n<think>\n", asked()) == 0.0


# ------------------------------------------------------------------ failures


def test_a_reward_that_raises_stops_and_names_the_question() -> None:
    def broken(_text: str, _question: Question) -> float:
        raise ZeroDivisionError("division by zero")

    judge = as_trl("correctness", broken, [asked()])
    with pytest.raises(RewardError) as error:
        judge(completions=[[{"role": "assistant", "content": "B"}]], row=[0], prompts=[""])
    assert "s/t 1" in str(error.value) and "ZeroDivisionError" in str(error.value)
    assert isinstance(error.value.__cause__, ZeroDivisionError)


def test_a_reward_outside_zero_to_one_stops() -> None:
    with pytest.raises(RewardError, match="gave nan"):
        as_trl("tags", lambda _t, _q: float("nan"), [asked()])(completions=["B"], row=[0])


def test_the_authors_variant_refuses_questions_with_several_right_letters() -> None:
    part = reward_parts(Rewards(variant="authors"))["correctness"][0]
    with pytest.raises(RewardError, match="one right letter"):
        part("<answer>A</answer>", asked("AB"))


def test_trl_gets_one_reward_for_each_completion_of_its_own_question() -> None:
    judge: Any = as_trl("correctness", correctness, [asked("A"), asked("B")])
    said = [[{"role": "assistant", "content": letter}] for letter in "AABB"]
    assert judge(completions=said, row=[0, 1, 0, 1], log_metric=None) == [1.0, 0.0, 0.0, 1.0]
    assert judge.__name__ == "correctness"
