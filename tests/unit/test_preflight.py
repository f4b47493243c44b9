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
