"""Hostile text stays text in every form of a table."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable

import pytest

from harness.tables import FORMS, Cell, Name, Table, for_csv, for_latex, for_markdown, money, printable, render

EVIL = '\x1b[31m=HYPERLINK("x")|<script>\u202e&%$#_{}~^\\\n`*'


def table(name: str = "m") -> Table:
    return Table("t", ["a", "b"], [(name, [Cell(0.5, 0.4, 0.6, marks="*"), Cell()])], ["note"])


@pytest.mark.parametrize("form", FORMS)
def test_every_form_holds_the_number_and_no_control_character(form: str) -> None:
    drawn = render([table(EVIL)], form)  # type: ignore[arg-type]
    assert "0.5" in drawn
    assert not any(c in drawn for c in "\x1b\u202e"), "escape sequences and direction overrides are gone"
    if form == "json":
        assert json.loads(drawn)["tables"][0]["rows"][0]["name"] == EVIL
    assert "<script>" not in drawn or form in ("table", "csv", "json", "latex")


def test_a_formula_is_no_formula_in_a_csv_cell() -> None:
    assert (
        for_csv("=1+1") == "'=1+1"
        and for_csv("@x") == "'@x"
        and for_csv("＝1+1") == "'＝1+1"
        and for_csv("\t=1+1") == "' =1+1"
        and for_csv("\x1b[31m=1+1") == "'=1+1"
        and for_csv("-0.5") == "-0.5"
        and for_csv("人参") == "人参"
    )
    rows = list(csv.reader(io.StringIO(render([table("=cmd|' /C calc'!A0")], "csv"))))
    assert rows[1][2].startswith("'=") and rows[1][8:11] == ["0.5", "0.4", "0.6"]


def test_a_csv_holds_name_rank_marks_task_metric_and_count_apart() -> None:
    detail = {"n": 30, "comparison_id": "own/choice|data:1|metric:accuracy"}
    cells = [Cell(0.5, 0.4, 0.6, marks="*", detail=detail)]
    names = [Name("echo/first", 1), Name("ladder-tiny", "–", "†"), Name("=other", marks="†"), "plain"]
    ranking = Table(
        "t", ["choice accuracy, chance 0.20"], [(n, cells) for n in names], asked=[("own/choice", "accuracy")]
    )
    first, second, third, fourth = csv.DictReader(io.StringIO(render([ranking], "csv")))
    assert (first["model"], first["rank"], first["marks"]) == ("echo/first", "1", "*")
    assert (second["model"], second["rank"], second["marks"]) == ("ladder-tiny", "", "†*")
    assert (third["model"], third["rank"], third["marks"]) == ("'=other", "", "†*")
    assert (fourth["model"], fourth["rank"], fourth["marks"]) == ("plain", "", "*")
    assert {first[key] for key in ("task", "metric", "n")} == {"own/choice", "accuracy", "30"}
    assert first["comparison_id"] == detail["comparison_id"] and first["column"] == "choice accuracy, chance 0.20"


def test_a_ranked_name_reads_the_same_in_every_form_but_csv() -> None:
    names = [Name("echo/first", 1), Name("ladder-tiny", "–", "†"), Name("other", marks="†")]
    ranking = Table("t", ["a"], [(name, [Cell(0.5)]) for name in names])
    shown = ["1. echo/first", "–  ladder-tiny †", "other †"]
    assert [row["name"] for row in json.loads(render([ranking], "json"))["tables"][0]["rows"]] == shown
    assert all(name in render([ranking], form) for name in shown for form in ("table", "markdown"))  # type: ignore[arg-type]
    assert r"--  ladder-tiny $^\dagger$ & 0.500" in render([ranking], "latex")


def test_markdown_and_latex_show_their_own_signs() -> None:
    assert for_markdown("a|b<c>_d_") == r"a\|b&lt;c&gt;\_d\_"
    assert for_latex("50% & a_b") == r"50\% \& a\_b"
    assert for_latex("-0.3 [-0.4, -0.2] p < 0.001 2026-11-21 a-1 | x") == (
        r"$-$0.3 [$-$0.4, $-$0.2] p $<$ 0.001 2026-11-21 a-1 \textbar{} x"
    )
    assert printable("a\x1b]0;title\x07b\x1b[2Jc") == "abc"


def test_json_holds_the_interval() -> None:
    [loaded] = json.loads(render([table()], "json"))["tables"]
    assert loaded["rows"][0]["cells"]["a"] == {"value": 0.5, "low": 0.4, "high": 0.6, "marks": "*"}


def test_a_narrow_terminal_folds_columns_instead_of_breaking_lines() -> None:
    wide = Table("t", [f"column {i}" for i in range(12)], [("m", [Cell(i / 12) for i in range(12)])])
    drawn = render([wide], "table", width=60)
    assert max(map(len, drawn.splitlines())) <= 60 and all(f"column {i}" in drawn for i in range(12))


def test_a_wide_latex_table_folds_into_even_blocks_that_hold_every_number_once() -> None:
    cells = [Cell(i / 10, i / 10, i / 10) for i in range(9)]
    drawn = render([Table("t", [f"column {i}" for i in range(9)], [("m", cells)])], "latex")
    rows = [line for line in drawn.splitlines() if line.endswith(r"\\")]
    heads, numbers = rows[::2], rows[1::2]
    assert r"\begin{tabular}{lrrr}" in drawn and len(heads) == len(numbers) == 3
    assert all(line.count("&") == 3 for line in rows), "every row fills the table"
    assert all(f"column {i}" in heads[i // 3] and f"0.{i}00 [" in numbers[i // 3] for i in range(9))


def test_a_latex_table_whose_last_block_is_short_is_filled_up() -> None:
    cells = [Cell(i / 10, i / 10, i / 10) for i in range(5)]
    drawn = render([Table("t", [f"column {i}" for i in range(5)], [("m", cells)])], "latex")
    rows = [line for line in drawn.splitlines() if line.endswith(r"\\")]
    assert len(rows) == 4 and all(line.count("&") == 3 for line in rows)


def test_a_name_that_starts_with_a_bracket_is_no_option_of_a_latex_line_break() -> None:
    drawn = render([Table("t", ["a"], [("[0pt]", [Cell(0.5)]), ("*m", [Cell(0.5)])])], "latex")
    assert "\n{}[0pt] & 0.500" in drawn and "\n{}*m & 0.500" in drawn


def test_lists_fold_to_the_terminal_and_stay_in_one_line_where_there_is_none(
    tcm_eval: Callable[..., tuple[int, str, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("COLUMNS", raising=False)
    code, piped, _ = tcm_eval("models", "list")
    assert code == 0 and any(
        "guess" in line and "ready" in line and "picks an option" in line for line in piped.splitlines()
    )
    monkeypatch.setenv("COLUMNS", "90")
    folded = tcm_eval("models", "list")[1]
    assert folded.count("guess ") == 2 and max(len(line) for line in folded.splitlines() if set(line) == {"─"}) <= 90


def test_money_is_told_in_plain_decimals_that_are_not_zero() -> None:
    told = {
        0: "0.00",
        7.8e-5: "0.000078",
        0.0314: "0.031",
        0.5: "0.50",
        0.994: "0.99",
        0.996: "1.00",
        12345.678: "12,345.68",
    }
    assert {amount: money(amount) for amount in told} == told
    assert money(1e-12) == "0.0000000000010"
    upwards = {0.0: "0.00", 0.00812: "0.0082", 0.0082: "0.0082", 12.341: "12.35", 12.34: "12.34", 0.996: "1.00"}
    assert {amount: money(amount, up=True) for amount in upwards} == upwards


def test_a_latex_table_longer_than_a_page_is_continued_under_its_number() -> None:
    columns = [f"column {i}, as wide as a heading may be" for i in range(6)]
    rows = [(f"own/task{i} metric", [Cell(i / 100)] * 6) for i in range(33)]
    drawn = render([Table("long", columns, rows, ["a note"], legend="Bold: best.")], "latex")
    pages = drawn.split("\n\n")
    assert len(pages) == 3 and drawn.count(r"\begin{table}") == drawn.count(r"\end{table}") == 3
    assert all(page.count("own/task32 metric") == 1 for page in pages), "each page has every row, of other columns"
    assert "Bold: best." in pages[0] and "a note" not in pages[0] + pages[1] and "a note" in pages[2]
    assert drawn.count(r"\addtocounter{table}{-1}") == drawn.count("(continued)") == 2
    many = render([Table("many", ["one"], [(f"m{i}.", [Cell(0.5)]) for i in range(100)])], "latex")
    assert many.count(r"\begin{table}") == 3 and all(f"m{i}." in many for i in range(100))
