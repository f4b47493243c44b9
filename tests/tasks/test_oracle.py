"""Every bundled task whose data is here: its own key scores 1, nothing is unparsed, a wrong answer 0, and no key is shown."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from harness.datasets import stream
from harness.preflight import check
from harness.prompts import Prompter, Style, reference_answer
from harness.registry import get_extractor, get_metric
from harness.suites import Catalogue, TaskSpec
from harness.types import Blanks, Choice, Sample, Sampling

CATALOGUE = Catalogue()
HERE = [task for task in CATALOGUE.all_tasks() if not CATALOGUE.missing(task)]
every_task = pytest.mark.parametrize("task", HERE, ids=lambda task: task.id)


def samples_of(task: TaskSpec) -> list[Sample]:
    return list(stream(CATALOGUE, task))


def headline(task: TaskSpec, sample: Sample, text: str) -> float | None:
    """Return the headline metric of a reply, or None where no answer can be read from it."""
    answer = get_extractor(task.extractor).read(text, sample)
    if answer is None:
        return None
    metric = get_metric(task.headline_metric)
    options = next(use.options for use in task.metric_uses if use.name == metric.name)
    return metric.score([(sample, answer)], options)[0].value


def wrong_answer(sample: Sample) -> str:
    match sample.target:
        case Choice(letters):
            wrong: Sequence[str] = [letter for letter in sample.options if letter not in letters]
            return f"答案：{wrong[0]}" if wrong else "答案：A"
        case Blanks(accepted):
            return "答案：" + "；".join("不对的内容" for _ in accepted)
        case _:
            return "今天天气很好，适合散步。"


def test_the_bundled_suite_is_among_the_tasks_that_are_checked() -> None:
    assert {task.suite for task in HERE} >= {"tcm_core"}


@every_task
def test_preflight_finds_no_error(task: TaskSpec) -> None:
    assert [f for f in check(CATALOGUE, task) if f.level == "error"] == []


@every_task
def test_the_key_scores_one_and_a_wrong_answer_zero(task: TaskSpec) -> None:
    for sample in samples_of(task)[::7]:
        assert headline(task, sample, reference_answer(sample)) == pytest.approx(1.0), sample.id
        assert headline(task, sample, wrong_answer(sample)) == pytest.approx(0.0), sample.id


@every_task
def test_an_empty_reply_is_unparsed(task: TaskSpec) -> None:
    assert all(headline(task, sample, text) is None for sample in samples_of(task)[::7] for text in ("", " \n"))


@every_task
def test_ids_are_unique(task: TaskSpec) -> None:
    ids = [sample.id for sample in samples_of(task)]
    assert len(set(ids)) == len(ids)


@every_task
def test_the_key_of_a_question_without_options_is_not_in_the_prompt(task: TaskSpec) -> None:
    prompter = Prompter(task, Style(), Sampling())
    for sample in samples_of(task)[::7]:
        if isinstance(sample.target, Choice):
            assert f"答案：{''.join(sorted(sample.target.letters))}\n" not in prompter.render(sample), sample.id
        elif isinstance(sample.target, Blanks):
            assert not all(one[0] in sample.question for one in sample.target.accepted), sample.id
        else:
            assert reference_answer(sample) not in prompter.render(sample), sample.id
