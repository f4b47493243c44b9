from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from harness.errors import UsageError
from harness.knowledge import files
from harness.knowledge.check import check, unchecked
from harness.knowledge.formula_names import split_formulas
from harness.knowledge.names import formula_forms
from harness.knowledge.show import NOTICE, text

Row = dict[str, Any]


def errors(folder: Path) -> list[str]:
    return [str(finding) for finding in check(folder) if finding.severity == "error"]


@pytest.fixture
def base(tmp_path: Path) -> Path:
    for name in files.FILES:
        shutil.copy(files.HERE / f"{name}.jsonl", tmp_path)
    return tmp_path


def change(folder: Path, file: str, name: str, mend: Callable[[Row], object]) -> int:
    """Change the line of an entry and return its number."""
    path = folder / f"{file}.jsonl"
    rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    number = next(i for i, row in enumerate(rows, 1) if row.get("name", row.get("id")) == name)
    mend(rows[number - 1])
    path.write_text("\n".join(json.dumps(row, ensure_ascii=False) for row in rows) + "\n", encoding="utf-8")
    return number


def test_the_knowledge_base_breaks_no_rule() -> None:
    assert errors(files.HERE) == []


def test_it_is_as_large_as_promised() -> None:
    assert len(files.herbs()) >= 300 and len(files.formulas()) >= 160
    assert len(files.syndromes()) >= 150 and len(files.diseases()) >= 80 and len(files.facts()) >= 600
    assert {rule.kind for rule in files.incompatibilities()} == {"十八反", "十九畏", "妊娠禁用", "妊娠慎用"}


@pytest.mark.parametrize(
    ("file", "name", "mend", "reason"),
    [
        ("herbs", "黄芪", lambda r: r.update(nature="暖"), "nature '暖' is not one of"),
        ("herbs", "黄芪", lambda r: r.update(channels=["脑"]), "channel '脑'"),
        ("herbs", "黄芪", lambda r: r["dose"].update(high=900), "out of reason"),
        ("herbs", "黄芪", lambda r: r["dose"].update(low=40), "out of reason"),
        ("herbs", "黄芪", lambda r: r.update(dose=None), "no dose and no note why"),
        ("herbs", "黄芪", lambda r: r["aliases"].append("丹皮"), "'丹皮' would mean"),
        ("herbs", "黄芪", lambda r: r["source"].update(entry=""), "names no entry"),
        ("herbs", "黄芪", lambda r: r.update(base="某药"), "has no entry"),
        ("herbs", "黄芪", lambda r: r.update(pregnancy="forbidden"), "no rule names it"),
        ("herbs", "麝香", lambda r: r.update(pregnancy="none"), "its entry says 'none'"),
        ("formulas", "四君子汤", lambda r: r["composition"][0].update(herb="某药"), "'某药' is no herb"),
        ("formulas", "四逆汤", lambda r: r["composition"][1].update(herb="半夏"), "does not say why"),
        ("formulas", "四逆汤", lambda r: r.update(incompatible="故意"), "no pair of the rules is in it"),
        ("syndromes", "脾气虚证", lambda r: r.update(parent="无"), "its parent '无'"),
        ("diseases", "不寐", lambda r: r.update(patterns=[]), "no pattern"),
        ("fundamentals", "fund-0001", lambda r: r.update(object=[]), "no object"),
    ],
)
def test_a_line_that_breaks_a_rule_is_named_with_its_reason(
    base: Path, file: str, name: str, mend: Callable[[Row], object], reason: str
) -> None:
    number = change(base, file, name, mend)
    found = errors(base)
    assert any(reason in line for line in found), found
    assert any(f"{file}.jsonl:{number}" in line for line in found) or file == "herbs"


def test_a_line_that_is_no_entry_ends_the_check_with_its_place(base: Path) -> None:
    path = base / "herbs.jsonl"
    path.write_text("{not json\n" + path.read_text(encoding="utf-8"), encoding="utf-8")
    assert len(errors(base)) == 1 and "herbs.jsonl:1" in errors(base)[0]
    path.write_text('{"name": "某药"}\n', encoding="utf-8")
    assert "herbs.jsonl:1" in errors(base)[0]
    path.unlink()
    assert "herbs.jsonl" in errors(base)[0]


def test_the_share_of_unchecked_lines_is_counted_for_every_file() -> None:
    counts = unchecked()
    assert counts.keys() == set(files.FILES)
    assert all(0 <= without <= lines and lines > 0 for without, lines in counts.values())


@pytest.mark.parametrize(
    ("written", "names"),
    [
        ("四君子汤", ["四君子汤"]),
        ("天王补心丹合朱砂安神丸加减", ["天王补心丹", "朱砂安神丸"]),
        ("八珍汤或补中益气汤", ["八珍汤", "补中益气汤"]),
        ("百合固金汤加减", ["百合固金汤"]),
        ("加味逍遥散", ["加味逍遥散"]),
        ("逍遥散加牡丹皮、栀子", ["逍遥散"]),
        ("苏合香丸", ["苏合香丸"]),
        ("无此汤合四物汤", ["无此汤", "四物汤"]),
        ("", []),
    ],
)
def test_joined_formulas_are_taken_apart_and_names_are_not(written: str, names: list[str]) -> None:
    assert list(split_formulas(written, formula_forms())) == names


def test_an_entry_is_shown_by_any_of_its_names_with_the_notice() -> None:
    for name, part in (
        ("黃耆", "Astragali Radix"),
        ("炙黄芪", "炙黄芪"),
        ("麸炒枳实", "麸炒枳实 即 麸炒枳实，按 枳实 计"),
        ("四君子汤", "组成"),
        ("脾气虚", "四君子汤"),
        ("失眠", "心脾两虚证"),
        ("阴阳", "fund-0001"),
        ("附子", "十八反：不宜与半夏同用"),
        ("黄酒", "未立专条"),
        ("舌质淡", "舌淡（tongue）"),
    ):
        shown = text(name)
        assert part in shown and NOTICE in shown, name


def test_a_name_that_nobody_knows_gets_close_ones() -> None:
    with pytest.raises(UsageError, match="Did you mean"):
        text("四君子湯湯")
