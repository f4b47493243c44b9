from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from harness.errors import UsageError
from harness.suites import Catalogue
from ladder_trainer.data import Chat, gather, worded_answer
from ladder_trainer.fence import Fence, bare
from ladder_trainer.recipe import Recipe
from tests.trainer.conftest import TASK, rows, write_suite

Make = Callable[..., Recipe]


def words(chat: Chat) -> int:
    return sum(len(turn["content"]) for turn in chat)


def catalogue(folder: Path) -> Catalogue:
    return Catalogue((folder,))


def test_only_the_train_split_is_trained_on_in_the_harness_own_words(recipe: Make, herbs: Path) -> None:
    found = gather(recipe(), catalogue(herbs), words)
    assert [q.sample.id for q in found.train] == [f"q{i}" for i in range(32) if i % 4 < 2]
    assert found.train[0].messages == [{"role": "user", "content": "0号人参\nA. 补血\nB. 补气"}]
    assert (found.fenced, found.left_out) == (8, {"prompt too long": 0, "in a test split": 0})


def test_the_papers_system_prompt_is_the_first_message(recipe: Make, herbs: Path) -> None:
    found = gather(recipe(data={"system": "ladder-paper", "max_prompt_tokens": 1000}), catalogue(herbs), words)
    first = found.train[0].messages[0]
    assert first["role"] == "system" and first["content"].startswith("You are a helpful AI Assistant")


def test_prompts_that_are_too_long_are_counted_and_left_out(recipe: Make, tmp_path: Path) -> None:
    items = rows(16)
    items[0]["question"] = "很长" * 100
    folder = write_suite(tmp_path / "herbs", items)
    found = gather(recipe(), catalogue(folder), words)
    assert found.left_out["prompt too long"] == 1
    assert "q0" not in [q.sample.id for q in found.train]
    with pytest.raises(UsageError, match="nothing is left to train on: 8 left out"):
        gather(recipe(data={"max_prompt_tokens": 2}), catalogue(folder), words)


# ------------------------------------------------------------------ the fence


def planted(tmp_path: Path, question: str) -> Path:
    """A suite whose test question q3 stands in the train split too, under another id and in other words."""
    items = rows(16)
    items.append({**items[3], "id": "planted", "split": "train", "question": question})
    return write_suite(tmp_path / "herbs", items)


@pytest.mark.parametrize("question", ["3号鹿茸", " 3 号 鹿茸。", "３号鹿茸？"])
def test_a_planted_test_question_stops_the_run(recipe: Make, tmp_path: Path, question: str) -> None:
    folder = planted(tmp_path, question)
    with pytest.raises(UsageError) as error:
        gather(recipe(), catalogue(folder), words)
    assert "herbs/choice q3 (same text)" in str(error.value) and "nothing was trained" in str(error.value)


def test_a_planted_question_with_its_options_in_another_order_stops_the_run(recipe: Make, tmp_path: Path) -> None:
    items = rows(16)
    turned = dict(zip("AB", reversed(list(items[3]["options"].values())), strict=True))
    items.append({**items[3], "id": "planted", "split": "train", "options": turned, "answer": "B"})
    with pytest.raises(UsageError, match="same text"):
        gather(recipe(), catalogue(write_suite(tmp_path / "herbs", items)), words)


def test_a_leak_may_be_left_out_and_is_counted(recipe: Make, tmp_path: Path) -> None:
    found = gather(recipe(data={"leaks": "leave_out"}), catalogue(planted(tmp_path, "3号鹿茸")), words)
    assert found.left_out["in a test split"] == 1
    assert "planted" not in [q.sample.id for q in found.train]


def test_the_fence_knows_ids(recipe: Make, herbs: Path) -> None:
    from dataclasses import replace

    fence = Fence(catalogue(herbs), ["herbs"])
    train = gather(recipe(), catalogue(herbs), words).train[0].sample
    assert fence.sample(train) is None
    leak = fence.sample(replace(train, id="q3"))
    assert leak is not None and "same id" in leak.where
    assert fence.sample(replace(train, split="test")) is not None


def test_a_test_question_inside_a_supervised_text_stops_the_run(recipe: Make, tmp_path: Path) -> None:
    items = rows(16)
    items[3]["question"] = "畏寒肢冷、腰膝酸软、五更泄泻，其证候是"
    folder = write_suite(tmp_path / "herbs", items)
    text = tmp_path / "texts.jsonl"
    clean = {"text": "畏寒肢冷是阳虚的表现，五更泄泻多属脾肾阳虚。"}
    text.write_text(json.dumps(clean) + "\n", "utf-8")
    make = recipe(stages=["sft"], sft={"files": [str(text)]})
    assert len(gather(make, catalogue(folder), words).documents) == 9
    leak = {"text": "讲义：畏寒肢冷，腰膝酸软，五更泄泻；其证候是脾肾阳虚。"}
    text.write_text(json.dumps(clean) + "\n" + json.dumps(leak) + "\n", "utf-8")
    with pytest.raises(UsageError) as error:
        gather(make, catalogue(folder), words)
    assert "texts.jsonl:2" in str(error.value) and "herbs/choice q3" in str(error.value)


def test_texts_are_compared_without_widths_case_punctuation_and_traditional_forms() -> None:
    assert bare("Ｔｈｅ 補氣藥，是？") == bare("the补气药是")


# ------------------------------------------------------------------ bad input


def test_a_task_without_a_train_split_says_which_it_has(recipe: Make, tmp_path: Path) -> None:
    folder = write_suite(tmp_path / "herbs", rows(16), TASK.replace("{ column: split }", "{ constant: test }"))
    with pytest.raises(UsageError, match=r"herbs/choice has no train split \(it has: test\)"):
        gather(recipe(), catalogue(folder), words)


def test_an_empty_data_file_is_one_message(recipe: Make, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no items in"):
        gather(recipe(), catalogue(write_suite(tmp_path / "herbs", [])), words)


def test_missing_data_says_how_to_bring_it(recipe: Make) -> None:
    with pytest.raises(UsageError, match="Bring it with:\n  tcm-eval data pull tcm_ladder"):
        gather(recipe(data={"tasks": ["tcm_ladder/single_zh"]}), Catalogue(), words)


def test_without_a_validation_split_the_message_names_both_ways_out(recipe: Make, tmp_path: Path) -> None:
    items = [row for row in rows(32) if row["split"] != "validation"]
    folder = write_suite(tmp_path / "herbs", items)
    make = recipe(data={"validation_samples": 4})
    with pytest.raises(UsageError, match=r"data\.validation=train"):
        gather(make, catalogue(folder), words)
    held = gather(recipe(data={"validation_samples": 4, "validation": "train"}), catalogue(folder), words)
    ids = {q.sample.id for q in held.validation}
    assert len(ids) == 4 and ids.isdisjoint(q.sample.id for q in held.train) and len(held.train) == 12


# ------------------------------------------------------------------ supervised texts


def test_a_train_question_becomes_a_reply_in_the_papers_form(recipe: Make, herbs: Path) -> None:
    found = gather(recipe(stages=["sft"]), catalogue(herbs), words)
    assert found.documents[0].learned == "<think>\n补气\n</think>\n<answer>\n答案:B\n</answer>"
    sample = found.train[0].sample
    assert worded_answer("{question}选{letters}", sample) == "0号人参选B"
    with pytest.raises(UsageError, match=r"names '\{thought\}'"):
        worded_answer("{thought}", sample)


def test_supervised_files_hold_texts_or_prompts_with_completions(recipe: Make, herbs: Path, tmp_path: Path) -> None:
    file = tmp_path / "more.jsonl"
    file.write_text('{"text": "黄芪补气。"}\n{"prompt": "黄芪？", "completion": "补气"}\n', "utf-8")
    only = {"files": [str(file)], "questions": False}
    found = gather(recipe(stages=["sft"], sft=only), catalogue(herbs), words).documents
    assert [(len(d.given), d.learned) for d in found] == [(0, "黄芪补气。"), (1, "补气")]
    file.write_text('{"words": 1}\n', "utf-8")
    with pytest.raises(UsageError, match=r"more.jsonl:1: expected 'text'"):
        gather(recipe(stages=["sft"], sft=only), catalogue(herbs), words)
    with pytest.raises(UsageError, match="does not exist"):
        gather(recipe(stages=["sft"], sft={"files": ["no-such.jsonl"]}), catalogue(herbs), words)
    with pytest.raises(UsageError, match="no text"):
        gather(recipe(stages=["sft"], sft={"questions": False}), catalogue(herbs), words)


def test_the_data_hash_changes_with_the_data(recipe: Make, herbs: Path) -> None:
    whole = gather(recipe(), catalogue(herbs), words).sha256
    assert gather(recipe(), catalogue(herbs), words).sha256 == whole
    assert gather(recipe(data={"limit": 8}), catalogue(herbs), words).sha256 != whole
