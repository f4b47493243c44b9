"""What the tiny model reads: true statements, no question of the test split, thoughts that lead to the answer."""

from __future__ import annotations

import random
from collections import Counter
from pathlib import Path

import pytest

from harness.datasets import stream
from harness.suites import Catalogue
from ladder_trainer.config import load_recipe
from ladder_trainer.data import Question, gather
from ladder_trainer.fence import Fence
from ladder_trainer.rewards import correctness, whole_format
from ladder_trainer.tiny.drill import FEW, QUERIES, TASKS, Drill
from ladder_trainer.tiny.problems import LETTERS, reply
from ladder_trainer.tiny.rows import facts_of, read, task_of
from ladder_trainer.tiny.statements import book

pytest.importorskip("transformers")


@pytest.fixture(scope="module")
def drill() -> Drill:
    return Drill(Catalogue(), seed=1)


def test_no_text_holds_a_question_of_the_test_split(drill: Drill) -> None:
    fence = Fence(Catalogue(), ("tcm_core",))
    assert fence.questions > 2000
    for _ in range(60):
        for text in (drill.statement(), drill.lookup(), drill.case()):
            assert all(fence.text(line) is None for line in text.whole.splitlines())
        for task in TASKS:
            thought = drill.question(task).pieces[0][0]
            assert all(fence.text(line) is None for line in thought.splitlines())


def test_a_question_that_is_asked_is_no_test_question_whatever_options_it_has(drill: Drill) -> None:
    """Stems such as "which of these belongs to X" stand in several splits; what must not be shared is stem and options."""
    asked = {task: {row["question"]: row for row in read(Catalogue(), task, "test")} for task in TASKS}
    for task in TASKS:
        for problem in drill.problems[task]:
            twin = asked[task].get(problem.stem)
            assert twin is None or set(twin["options"].values()) != set(problem.options)
        own = {fact for row in drill.rows[task] for fact in facts_of(row)}
        assert not own & {fact for row in asked[task].values() for fact in facts_of(row)}


def test_a_planted_test_question_would_be_found() -> None:
    fence = Fence(Catalogue(), ("tcm_core",))
    row = max(read(Catalogue(), "single_choice", "test"), key=lambda one: len(one["question"]))
    assert fence.text(f"以下是{row['question']}。") is not None


@pytest.mark.parametrize("task", ["single_choice", "multiple_choice", "fill_blank"])
def test_the_reply_to_every_train_question_is_whole_and_right(drill: Drill, task: str) -> None:
    spec = task_of(Catalogue(), task)
    samples = {sample.id: sample for sample in stream(Catalogue(), spec, "train")}
    for row, problem in zip(drill.rows[task], drill.problems[task], strict=True):
        question = Question(samples[row["id"]], spec, [])
        said = reply(problem, problem.options)
        assert whole_format(said, question) == 1.0 and correctness(said, question) == 1.0, said


def test_nearly_all_train_questions_have_a_thought_that_recalls_a_fact(drill: Drill) -> None:
    for task, least in (("single_choice", 0.95), ("multiple_choice", 0.9), ("fill_blank", 0.85)):
        plain = sum(problem.kind == "plain" for problem in drill.problems[task])
        assert 1 - plain / len(drill.problems[task]) >= least, task


def test_new_questions_have_five_options_one_of_them_right_and_letters_are_even(drill: Drill) -> None:
    letters: Counter[str] = Counter()
    for _ in range(1000):
        text = drill.question("single_choice")
        letters[text.whole.rsplit("答案：", 1)[1][0]] += 1
        assert all(f"\n{letter}. " in (text.given or "") for letter in LETTERS)
    assert set(letters) == set(LETTERS) and min(letters.values()) > 120


def test_what_is_left_to_grpo_is_asked_in_no_supervised_text(drill: Drill) -> None:
    recipe = load_recipe("ladder-tiny")
    material = gather(recipe, Catalogue(), lambda _chat: 1)
    left, asked = {q.sample.id for q in material.train}, {row["id"] for row in drill.rows["single_choice"]}
    assert len(left) > 200 and not left & asked
    assert left | asked == {row["id"] for row in read(Catalogue(), "single_choice", "train")}


def test_lookups_begin_with_few_terms_and_get_more_up_to_all() -> None:
    drill = Drill(Catalogue(), seed=2)

    def terms(texts: int) -> set[str]:
        shown = (drill.lookup().pieces[0][0].splitlines() for _ in range(texts))
        return {line.split(". ", 1)[1] for lines in shown for line in lines}

    assert len(terms(200)) == FEW
    assert not drill.widen(2) and FEW < len(terms(400)) <= 2 * FEW
    assert drill.widen(1e6) and len(terms(400)) > 1000


def test_a_query_of_a_lookup_names_the_letter_or_the_term_of_its_own_list(drill: Drill) -> None:
    for _ in range(50):
        (listed, learned), *queries = drill.lookup().pieces
        options = dict(line.split(". ", 1) for line in listed.splitlines())
        assert not learned and len(options) == len(LETTERS) and len(queries) == 2 * QUERIES
        for (asked, _), (told, counts) in zip(queries[::2], queries[1::2], strict=True):
            assert counts and (options.get(asked.strip(". \n")) == told or asked.endswith(options[told]))


def test_withheld_facts_are_in_no_statement() -> None:
    gone = {fact for row in read(Catalogue(), "single_choice", "test") for fact in facts_of(row)}
    left = book(gone)
    assert not gone & {key.rstrip("^") for key in left}
    assert len(left) < len(book()) and len(left) > 5000


def test_the_same_seed_draws_the_same_texts() -> None:
    first, second = (Drill(Catalogue(), seed=3) for _ in range(2))
    for task in random.Random(1).choices(TASKS, k=20):
        assert first.question(task) == second.question(task)


def test_the_tokenizer_keeps_terms_whole_and_every_text_as_it_is(drill: Drill, tmp_path: Path) -> None:
    from transformers import AutoTokenizer

    from ladder_trainer.tiny.make import new_model, tokenizer_of
    from ladder_trainer.tiny.publish import half

    tokenizer = tokenizer_of(drill)
    half(new_model(tokenizer, 0), tokenizer, tmp_path / "model")
    again = AutoTokenizer.from_pretrained(tmp_path / "model")
    assert again.tokenize("半夏泻心汤属和解剂")[0] == "半夏泻心汤"
    for text in ("𠮷野 émile\t黄連 <think>", drill.question("single_choice").whole, drill.case().whole):
        assert again.decode(again(text)["input_ids"]) == text
    assert sum(path.stat().st_size for path in (tmp_path / "model").iterdir()) < 8_000_000
