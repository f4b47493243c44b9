"""What a check says of a task's data before anything is asked."""

from __future__ import annotations

from pathlib import Path

from harness.preflight import check
from tests.support.data_files import HEADED, make


def test_a_check_names_disciplines_that_are_none_of_the_seven(tmp_path: Path) -> None:
    yaml = HEADED.format(ext="csv") + "  discipline: {column: d, map: {方剂学: Herbal Formulas}}\n"
    rows = "q,A,B,answer,d\n一,甲,乙,A,方剂学\n二,甲,乙,A,中药学\n三,甲,乙,B,中药学\n四,甲,乙,B,Surgery\n"
    [finding] = check(*make(tmp_path / "own", yaml, rows, "csv"))
    assert finding.level == "warning"
    assert "these values of 'd' are none: 中药学 (2); name them" in finding.message


def test_a_check_finds_keys_of_several_letters_where_one_is_asked_and_a_prompt_without_the_options(
    tmp_path: Path,
) -> None:
    rows = "q,A,B,answer\n一,甲,乙,AB\n二,丙,丁,A\n"
    [several] = check(*make(tmp_path / "1" / "own", HEADED.format(ext="csv"), rows, "csv"))
    assert (several.level, several.what, several.samples) == ("warning", "several right options", ("0",))
    yaml = HEADED.format(ext="csv") + "prompt: '{question}'\n"
    first, second = check(*make(tmp_path / "2" / "own", yaml, rows, "csv"))
    assert (first.level, first.what, first.samples) == ("error", "options not shown", ("0", "1"))
    assert second == several, "errors come first"


def test_a_check_finds_questions_that_tell_their_own_key(tmp_path: Path) -> None:
    """Exam papers are often copied with the answer written into the blank."""
    told = ("君药是（ A ）", "下列正确的是【A】", "君药是 答案：A", "Which is right? Answer: A")
    untold = ("维生素A的作用是", "君药是（　）", "下列（B）与之相反的是", "与（AB）型血")
    rows = "q,A,B,answer\n" + "".join(f"{question},甲{n},乙,A\n" for n, question in enumerate((*told, *untold)))
    [finding] = check(*make(tmp_path / "own", HEADED.format(ext="csv"), rows, "csv"))
    assert (finding.level, finding.what) == ("warning", "key in the question")
    assert finding.samples == tuple(str(n) for n in range(len(told)))


def test_a_check_finds_a_letter_that_is_nearly_always_right(tmp_path: Path) -> None:
    def found(keys: str, folder: str) -> list[str]:
        rows = "q,A,B,answer\n" + "".join(f"题{n},甲,乙,{key}\n" for n, key in enumerate(keys))
        return [f.message for f in check(*make(tmp_path / folder / "own", HEADED.format(ext="csv"), rows, "csv"))]

    assert found("A" * 20 + "B" * 5, "1") == ["A is the key of 20 of 25 questions: who always says A scores 0.80"]
    assert found("A" * 18 + "B" * 7, "2") == [], "of two options one may well be right more often"
    assert found("AB" * 12, "3") == [] and found("A" * 19, "4") == [], "of few it may be chance"
