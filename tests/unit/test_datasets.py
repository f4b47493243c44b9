"""Files of many shapes become samples, and a faulty row is named by its place."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from harness.datasets import count_blanks
from harness.errors import UsageError
from harness.types import Blanks, Case, Choice, Reference
from tests.support.data_files import BASE, DICT, GOOD, HEADED, load

OPTIONS: list[tuple[str, Mapping[str, Any]]] = [
    ("{ form: dict, column: o }", {"q": "补气药是", "o": {"A": "人参", "B": "当归", "C": "麦冬", "D": "", "E": " "}}),
    ("{ form: list, column: o }", {"q": "补气药是", "o": ["A.人参", "B.当归", "C.麦冬"]}),
    ("{ form: list, column: o }", {"q": "补气药是", "o": ["人参", "当归", "麦冬"]}),
    ("{ form: string, column: o }", {"q": "补气药是", "o": "A. 人参 B. 当归 C. 麦冬"}),
    ("{ form: string, column: o }", {"q": "补气药是", "o": "A．人参\nB．当归\nC．麦冬"}),
    ("{ form: columns, columns: [A, B, C, D] }", {"q": "补气药是", "A": "人参", "B": "当归", "C": "麦冬", "D": ""}),
    ("{ form: inline }", {"q": "补气药是\nA 人参\nB 当归\nC 麦冬"}),
    ("{ form: inline }", {"q": "补气药是 A、人参 B、当归 C、麦冬"}),
]


@pytest.mark.parametrize(("options", "row"), OPTIONS)
def test_options_are_read_in_every_form_and_an_empty_one_is_none(
    tmp_path: Path, options: str, row: Mapping[str, Any]
) -> None:
    [sample] = load(tmp_path / "own", BASE.format(ext="jsonl", options=options), [{**row, "answer": "A"}])
    assert sample.options == {"A": "人参", "B": "当归", "C": "麦冬"}
    assert sample.question == "补气药是" and sample.target == Choice(frozenset("A"))


@pytest.mark.parametrize(
    ("answer", "letters"), [("C", "C"), ("AB", "AB"), ("A、C", "AC"), ("a, b", "AB"), (["A", "B"], "AB"), ("当归", "B")]
)
def test_an_answer_is_letters_in_any_notation_or_an_options_own_text(
    tmp_path: Path, answer: object, letters: str
) -> None:
    rows = [{"q": "x", "o": {"A": "人参", "B": "当归", "C": "麦冬"}, "answer": answer}]
    [sample] = load(tmp_path / "own", DICT, rows)
    assert sample.target == Choice(frozenset(letters))


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([GOOD, {**GOOD, "answer": "E"}], r"items.jsonl:2: the answer 'E' is no option \(options: A, B\)"),
        ([GOOD, {"q": "x", "o": {"A": "人参", "B": "当归"}}], r"items.jsonl:2: no column 'answer'. The row has: q, o"),
        ([{**GOOD, "q": " "}], r"items.jsonl:1: the question is empty"),
        ([{**GOOD, "o": {"A": "人参"}}], r"items.jsonl:1: expected two or more options"),
        ('{"q": "x"\n', r"items.jsonl:1: malformed row"),
        ("[1, 2]\n", r"items.jsonl:1: malformed row: expected named columns"),
        ("", r"own/task: no items in"),
        (b"\xff\xfe{}\n", r"malformed row|not UTF-8"),
    ],
)
def test_a_faulty_row_is_named_by_file_and_line(tmp_path: Path, rows: object, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        load(tmp_path / "own", DICT, rows)


def test_an_id_that_stands_twice_is_named_with_both_places(tmp_path: Path) -> None:
    yaml = DICT + "  id: id\n"
    with pytest.raises(UsageError, match=r"items.jsonl:3: id '7' stands twice in own/task, first at .*items.jsonl:1"):
        load(tmp_path / "own", yaml, [{**GOOD, "id": 7}, {**GOOD, "id": 8}, {**GOOD, "id": 7}])


def test_malformed_rows_are_left_out_only_as_far_as_the_task_tolerates(tmp_path: Path) -> None:
    rows = [GOOD, {**GOOD, "answer": ""}, GOOD]
    assert [s.id for s in load(tmp_path / "own", "tolerate: 1\n" + DICT, rows)] == ["0", "2"]
    with pytest.raises(UsageError, match=r"items\.jsonl:2"):
        load(tmp_path / "own", DICT, rows)


@pytest.mark.parametrize("ext", ["csv", "tsv", "xlsx", "parquet", "json", "jsonl"])
def test_every_file_kind_gives_the_same_samples(tmp_path: Path, ext: str) -> None:
    import pandas

    rows = [{"id": f"q{i}", "q": f"第{i}题", "A": "人参", "B": "当归", "answer": "AB"[i % 2]} for i in range(3)]
    frame = pandas.DataFrame(rows)
    folder = tmp_path / "own"
    folder.mkdir()
    file = folder / f"items.{ext}"
    if ext == "csv":
        frame.to_csv(file, index=False)
    elif ext == "tsv":
        frame.to_csv(file, index=False, sep="\t")
    elif ext == "xlsx":
        frame.to_excel(file, index=False)
    elif ext == "parquet":
        frame.to_parquet(file)
    elif ext == "json":
        file.write_text(json.dumps(rows), "utf-8")
    else:
        file.write_text("".join(json.dumps(r) + "\n" for r in rows), "utf-8")
    yaml = BASE.format(ext=ext, options="{ form: columns, columns: [A, B] }") + "  id: id\n"
    samples = load(folder, yaml, None)
    assert [(s.id, s.question, s.target) for s in samples] == [
        (f"q{i}", f"第{i}题", Choice(frozenset("AB"[i % 2]))) for i in range(3)
    ]


def test_a_csv_row_with_too_many_cells_is_malformed(tmp_path: Path) -> None:
    yaml = BASE.format(ext="csv", options="{ form: columns, columns: [A, B] }")
    with pytest.raises(UsageError, match=r"items.csv:3: malformed row: 5 cells, the header names 4 columns"):
        load(tmp_path / "own", yaml, "q,A,B,answer\nx,1,2,A\nx,1,2,A,9\n", "csv")


def test_blanks_are_counted_and_alternatives_are_read(tmp_path: Path) -> None:
    yaml = "type: fill_blank\ndata: [items.jsonl]\ncolumns: { question: q }\n"
    rows = [
        {"q": "舌苔白滑多属（　）证", "answer": "寒"},
        {"q": "五脏中藏血的是____，主疏泄的是____", "answer": "肝；肝或足厥阴肝经"},
        {"q": "两味：（）（ ）", "answer": [["人参", "党参"], ["黄芪"]]},
    ]
    targets = [s.target for s in load(tmp_path / "own", yaml, rows)]
    assert targets == [
        Blanks((("寒",),)),
        Blanks((("肝",), ("肝或足厥阴肝经", "肝", "足厥阴肝经"))),
        Blanks((("人参", "党参"), ("黄芪",))),
    ]
    with pytest.raises(UsageError, match="2 blanks in the question, 1 answers"):
        load(tmp_path / "own", yaml, [{"q": "____和____", "answer": "肝"}])
    assert count_blanks("没有空") == 1


def test_a_dialogue_has_turns_slots_and_herbs(tmp_path: Path) -> None:
    yaml = (
        "type: dialogue\ndata: [items.jsonl]\ncolumns:\n  question: q\n  turns: turns\n"
        "  slots: { disease: s.disease, herbs: s.herbs }\n"
    )
    row = {
        "q": "请诊断",
        "turns": [
            {"role": "user", "content": "咳嗽"},
            {"role": "assistant", "content": "多久？"},
            {"role": "user", "content": "三天"},
        ],
        "s": {"disease": ["咳嗽"], "herbs": [{"name": "桔梗", "dose": 6}, "甘草"]},
        "answer": "咳嗽",
    }
    [sample] = load(tmp_path / "own", yaml, [row])
    assert sample.target == Case(("咳嗽",), {"disease": ("咳嗽",)}, (("桔梗", 6.0), ("甘草", None)))
    assert [t["role"] for t in sample.fields["turns"]] == ["user", "assistant", "user"]
    with pytest.raises(UsageError, match="turns must be a list"):
        load(tmp_path / "own", yaml, [{**row, "turns": "咳嗽"}])


def test_a_rubric_and_terms_reach_the_target_but_never_the_prompt(tmp_path: Path) -> None:
    yaml = "data: [items.jsonl]\ncolumns: { question: q, rubric: r, terms: t }\n"
    rows = [
        {"q": "何谓气虚？", "answer": "元气不足", "r": ["说到元气", " "], "t": "元气"},
        {"q": "何谓血虚？", "answer": "血液亏虚", "r": None, "t": []},
    ]
    texts = load(tmp_path / "own", "type: free_text\n" + yaml, rows)
    assert [s.target for s in texts] == [
        Reference(("元气不足",), ("说到元气",), ("元气",)),
        Reference(("血液亏虚",)),
    ]
    [case, _] = load(tmp_path / "own", "type: dialogue\n" + yaml, rows)
    assert isinstance(case.target, Case) and case.target.rubric == ("说到元气",) and case.target.terms == ("元气",)
    assert set(case.fields) == {"question"}
    with pytest.raises(UsageError, match="no column 't'"):
        load(tmp_path / "own", "type: free_text\n" + yaml, [{"q": "x", "answer": "y", "r": "z"}])


def test_a_rubric_is_refused_where_answers_are_letters_or_blanks(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"columns.rubric and columns.terms are for answers that are texts"):
        load(tmp_path / "own", "type: fill_blank\ndata: [items.jsonl]\ncolumns: { question: q, rubric: r }\n", [])


def test_free_text_takes_several_references(tmp_path: Path) -> None:
    yaml = "type: free_text\ndata: [items.jsonl]\ncolumns: { question: q }\n"
    [sample] = load(tmp_path / "own", yaml, [{"q": "何谓气虚？", "answer": ["一", "二"]}])
    assert sample.target == Reference(("一", "二"))


def test_a_discipline_is_mapped_or_none_but_never_guessed(tmp_path: Path) -> None:
    yaml = DICT + "  discipline: { column: d, map: { 方剂学: Herbal Formulas } }\n"
    rows = [{**GOOD, "d": d} for d in ("方剂学", "Surgery", "眼科学")]
    assert [s.discipline for s in load(tmp_path / "own", yaml, rows)] == ["Herbal Formulas", "Surgery", None]


@pytest.mark.parametrize(
    ("ext", "data", "message"),
    [
        ("csv", "q,A,B,answer\n题,甲,乙,A\n".encode("gbk"), "iconv -f GB18030"),
        ("csv", f"q,A,B,answer\n{'药' * 200_000},甲,乙,A\n", "malformed row: field larger"),
        ("csv", "q,A,A,answer\n题,甲,乙,A\n", "two columns are named 'A'"),
        ("xlsx", "q,A,B,answer\n题,甲,乙,A\n", "is not an xlsx file"),
    ],
)
def test_a_file_of_another_kind_than_its_name_says_is_refused_with_a_cure(
    tmp_path: Path, ext: str, data: str | bytes, message: str
) -> None:
    with pytest.raises(UsageError, match=message):
        load(tmp_path / "own", HEADED.format(ext=ext), data, ext)


@pytest.mark.parametrize("where", ["{n: 2}", "{n: [2]}", "{n: ['2']}"])
@pytest.mark.parametrize("number", [2, 2.0, "2"])
def test_rows_are_chosen_by_a_number_as_they_are_by_a_text(tmp_path: Path, where: str, number: object) -> None:
    yaml = DICT + f"  where: {where}\n"
    row = {"q": "一", "o": {"A": "甲", "B": "乙"}, "answer": "A"}
    [sample] = load(tmp_path / "own", yaml, [{**row, "n": number}, {**row, "q": "二", "n": 3}])
    assert sample.question == "一"


def test_a_map_may_name_numbers(tmp_path: Path) -> None:
    yaml = DICT + "  discipline: {column: n, map: {2: Surgery}}\n"
    [sample] = load(tmp_path / "own", yaml, [{"q": "一", "o": {"A": "甲", "B": "乙"}, "answer": "A", "n": 2}])
    assert sample.discipline == "Surgery"
