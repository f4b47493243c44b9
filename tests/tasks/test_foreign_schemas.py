"""The pulled suites' tasks, tried on rows of our own in the same schemas, traps of the real files included."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from harness.datasets import census, stream
from harness.errors import UsageError
from harness.suites import Catalogue, tasks_root
from harness.types import Blanks, Case, Choice, Reference, Sample

CHOICE = {"id": 0, "question": "下列属于补气药的是", "answer": "A", "source": "自编"}
FIVE = {"A": "人参", "B": "当归", "C": "麦冬", "D": "鹿茸", "E": "石膏"}
RECORD = {"性别": "女", "年龄": "30岁", "主诉": "咳嗽三天", "症状": "恶寒无汗"}


def lines(*rows: Mapping[str, Any]) -> str:
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)


def best(rows: list[Mapping[str, Any]]) -> str:
    return json.dumps(rows, ensure_ascii=False)


def item(**changes: Any) -> dict[str, Any]:
    base = {
        "id": 1,
        "class": "中医基础知识",
        "question": "补气药是",
        "answer": "A",
        "question_type": "单项选择题",
        "option": FIVE,
    }
    return {k: v for k, v in {**base, **changes}.items() if v is not None}


CASES: list[tuple[str, str, str, str, Any]] = [
    (
        "mtcmb",
        "ed_a",
        "TCM-ED-A.jsonl",
        lines({**CHOICE, "options": FIVE}, {**CHOICE, "id": 1, "options": {**FIVE, "E": ""}}),
        Choice(frozenset("A")),
    ),
    (
        "mtcmb",
        "ed_b",
        "TCM-ED-B.jsonl",
        lines({**CHOICE, "options": [f"{k}.{v}" for k, v in FIVE.items()]}),
        Choice(frozenset("A")),
    ),
    (
        "mtcmb",
        "se_a",
        "TCM-SE-A.jsonl",
        lines({"id": 0, "question": "某药的用量是________。", "answer": "1.5～3g"}),
        Blanks((("1.5～3g",),)),
    ),
    (
        "mtcmb",
        "se_b",
        "TCM-SE-B.jsonl",
        lines({**CHOICE, "options": "A. 人参 B. 当归 C. 麦冬 D. 鹿茸"}),
        Choice(frozenset("A")),
    ),
    (
        "mtcmb",
        "ft",
        "TCM-FT.jsonl",
        lines({"id": 1, "question": "请阐述血瘀的概念。", "points": "- 血行迟缓"}),
        Reference(("- 血行迟缓",)),
    ),
    (
        "mtcmb",
        "chgd",
        "TCM-CHGD.jsonl",
        lines({"id": 1, "dialogue": "医生：哪里不适？\n患者：咳嗽。", "answer": "中医疾病诊断：咳嗽"}),
        Case(("中医疾病诊断：咳嗽",)),
    ),
    (
        "mtcmb",
        "diagnosis",
        "TCM-Diagnosis.jsonl",
        lines({"id": 0, "question": "恶寒", "answer": {"疾病名称": "感冒", "证名": "风寒束表"}}),
        Reference(("疾病名称：感冒\n证名：风寒束表",)),
    ),
    (
        "mtcmb",
        "frd",
        "TCM-FRD.jsonl",
        lines({"id": 0, "question": "恶寒", "answer": {"治法": "辛温解表", "方剂": "荆防败毒散"}}),
        Reference(("治法：辛温解表\n方剂：荆防败毒散",)),
    ),
    (
        "mtcmb",
        "pr",
        "TCM-PR.jsonl",
        lines({"id": 1, "disease_case": RECORD, "answer": "['麻黄', '桂枝']"}),
        Reference(("['麻黄', '桂枝']",)),
    ),
    (
        "tcm_best4sdt",
        "basic_single",
        "Basic_knowledge.json",
        best([item(), item(id=2, answer=None), item(id=3, question_type="多项选择题", answer="AB")]),
        Choice(frozenset("A")),
    ),
    (
        "tcm_best4sdt",
        "basic_multi",
        "Basic_knowledge.json",
        best([item(), item(id=3, question_type="多项选择题", answer="ABD", option={**FIVE, "E": ""})]),
        Choice(frozenset("ABD")),
    ),
]


def load(tmp_path: Path, suite: str, task: str, file: str, content: str) -> list[Sample]:
    folder = tmp_path / f"{suite}_like"
    folder.mkdir()
    shutil.copy(tasks_root() / suite / f"{task}.yaml", folder)
    (folder / file).write_text(content, "utf-8")
    catalogue = Catalogue([folder])
    [spec] = catalogue.tasks(folder.name)
    census(catalogue, spec)
    return list(stream(catalogue, spec))


@pytest.mark.parametrize(("suite", "task", "file", "content", "target"), CASES)
def test_a_pulled_suites_rows_become_samples(
    tmp_path: Path, suite: str, task: str, file: str, content: str, target: Any
) -> None:
    samples = load(tmp_path, suite, task, file, content)
    assert samples[0].target == target
    assert all(sample.discipline is None for sample in samples), "the source names no discipline, so none is guessed"
    assert all("" not in sample.options.values() for sample in samples), "an empty option is no option"
    assert len(samples) == (2 if task == "ed_a" else 1)


def ladder(folder: Path, rows: list[dict[str, Any]]) -> Catalogue:
    import pandas

    (folder / "tcm_ladder").mkdir(parents=True)
    pandas.DataFrame(rows).to_parquet(folder / "tcm_ladder" / "multiChoice.parquet")
    return Catalogue(data_root=folder)


def ladder_rows(count: int) -> list[dict[str, Any]]:
    herbs = ["人参", "当归", "麦冬", "鹿茸", "石膏"]
    rows: list[dict[str, Any]] = []
    for lang in ("zh", "en"):
        for i in range(count):
            several = i % 4 == 3
            stem = (
                f"第{i}例，{'头痛' * (i % 5)}脉{i * 31 % 97}，当用"
                if lang == "zh"
                else f"Case {i}, pulse {i * 57 % 89}: choose"
            )
            options = dict(zip("ABCDE", herbs, strict=True)) if lang == "zh" else {k: f"herb {k} {i}" for k in "ABCDE"}
            rows.append(
                {
                    "question": stem,
                    **options,
                    "E": "" if i % 6 == 0 else options["E"],
                    "answer": "AC" if several else "ABCD"[i % 4],
                    "category": ["方剂学", "中药学", "未知学科"][i % 3],
                    "type": "Multiple" if several else "Single",
                    "lang": lang,
                }
            )
    return rows


def test_tcm_ladder_is_divided_by_us_with_translations_on_one_side_in_all_its_tasks(tmp_path: Path) -> None:
    catalogue = ladder(tmp_path, ladder_rows(200))
    tasks = {t.name: t for t in catalogue.tasks("tcm_ladder") if t.name != "fill"}
    assert set(tasks) == {"single_zh", "single_en", "multiple_zh", "multiple_en"}
    split: dict[int, str] = {}
    for task in tasks.values():
        for sample in stream(catalogue, task):
            split[int(sample.id)] = sample.split
            assert sample.discipline in ("Herbal Formulas", "Pharmacognosy", None)
    assert len(split) == 400 and all(split[i] == split[200 + i] for i in range(200))
    shares = {name: list(split.values()).count(name) / 400 for name in ("train", "validation", "test")}
    assert 0.76 < shares["train"] < 0.84 and 0.07 < shares["validation"] < 0.13 and 0.07 < shares["test"] < 0.13


def test_tcm_ladder_with_other_columns_is_refused_with_the_ones_there_are(tmp_path: Path) -> None:
    rows = [{k if k != "type" else "kind": v for k, v in row.items()} for row in ladder_rows(10)]
    catalogue = ladder(tmp_path, rows)
    task = next(t for t in catalogue.tasks("tcm_ladder") if t.name == "single_zh")
    with pytest.raises(UsageError, match=r"no column 'type'\. The row has: question, A"):
        list(stream(catalogue, task))


def test_a_few_malformed_rows_of_tcm_ladder_are_left_out_and_many_stop_it(tmp_path: Path) -> None:
    rows = ladder_rows(60)
    for i in (0, 1, 4):
        rows[i]["answer"] = "?"
    catalogue = ladder(tmp_path, rows)
    task = next(t for t in catalogue.tasks("tcm_ladder") if t.name == "single_zh")
    assert "0" not in {s.id for s in stream(catalogue, task)}
    for row in rows:
        row["answer"] = "?"
    catalogue = ladder(tmp_path / "worse", rows)
    with pytest.raises(UsageError, match=r"the answer '\?' is no option"):
        list(stream(catalogue, task.model_copy()))


def test_its_notes_say_that_the_split_is_not_the_papers() -> None:
    assert "NOT THE PAPER'S OWN SPLIT" in Catalogue().suites["tcm_ladder"].notes
