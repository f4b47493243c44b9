"""Bold means tested: the best of a column stands out only where the paired tests of its table say so."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from harness.pipeline import leaderboard
from harness.report.chosen import chosen
from harness.report.leaderboard import build
from harness.report.results import Run, published, published_root
from harness.report.standing import Asked, marked
from harness.store import encode_score
from harness.tables import Cell, Emphasis, Table, render
from harness.types import DISCIPLINES, Score

ASKED = Asked(("own/t",), "accuracy")


def made(folder: Path, values: list[float], metric: str = "accuracy", **changes: Any) -> tuple[Run, list[Cell]]:
    """A run of one task with these values, and its only cell; `changes` are of the summary."""
    folder.mkdir()
    scores = [
        Score("own/t", f"q{i}", metric, value, "ok", "A", discipline=DISCIPLINES[i % 2], parts=_parts(metric, value))
        for i, value in enumerate(values)
    ]
    (folder / "scores.jsonl").write_bytes(b"".join(map(encode_score, scores)))
    summary = {"complete": True, "subject": {"name": folder.name, "trained_on": []}} | changes
    return Run(folder, {}, summary), [Cell(sum(values) / len(values))]


def _parts(metric: str, value: float) -> dict[str, float]:
    return {"precision": value, "recall": value, "answers": 1.0} if metric.endswith("of_means") else {}


def signs(rows: list[tuple[Run, list[Cell]]], asked: Asked = ASKED) -> list[Emphasis]:
    return [cells[0].emphasis for _, cells in marked(rows, [asked], "own")[0]]


def test_the_best_is_bold_when_it_beats_every_other(tmp_path: Path) -> None:
    rows = [made(tmp_path / "a", [1.0] * 40), made(tmp_path / "b", [0.0] * 40), made(tmp_path / "c", [0.0, 1.0] * 20)]
    assert signs(rows) == ["bold", "", ""]
    assert "Holm's correction over the 2 comparisons" in marked(rows, [ASKED], "own")[1]


def test_where_none_beats_every_other_the_best_and_all_like_it_are_italic(tmp_path: Path) -> None:
    good = [1.0] * 30 + [0.0] * 10
    rows = [made(tmp_path / "a", good), made(tmp_path / "b", [*good[1:], 1.0]), made(tmp_path / "c", [0.0] * 40)]
    assert signs(rows) == ["italic", "italic", ""]


def test_a_small_lead_on_few_questions_is_not_bold_though_the_number_is_higher(tmp_path: Path) -> None:
    assert signs([made(tmp_path / "a", [1.0] * 5), made(tmp_path / "b", [1.0] * 3 + [0.0] * 2)]) == ["italic"] * 2


def test_lower_is_better_where_the_metric_says_so(tmp_path: Path) -> None:
    rows = [made(tmp_path / name, [level] * 40, "dose_error") for name, level in (("a", 0.9), ("b", 0.1))]
    assert signs(rows, Asked(("own/t",), "dose_error")) == ["", "bold"]


def test_a_metric_of_the_whole_corpus_is_tested_by_its_statistics(tmp_path: Path) -> None:
    name = "herb_f1_at_5_k_of_means"
    rows = [made(tmp_path / "a", [0.9, 0.8] * 20, name), made(tmp_path / "b", [0.2, 0.3] * 20, name)]
    assert signs(rows, Asked(("own/t",), name)) == ["bold", ""]


@pytest.mark.parametrize(
    "left_out", [{"complete": False}, {"subject": {"name": "b", "trained_on": ["own"]}}], ids=["incomplete", "trained"]
)
def test_a_run_that_is_not_ranked_takes_no_part(tmp_path: Path, left_out: dict[str, Any]) -> None:
    rows = [
        made(tmp_path / "a", [0.0, 1.0] * 20),
        made(tmp_path / "b", [1.0] * 40, **left_out),
        made(tmp_path / "c", [0.0] * 40),
    ]
    assert signs(rows) == ["bold", "", ""]


def test_a_single_run_is_compared_with_nothing(tmp_path: Path) -> None:
    assert marked([made(tmp_path / "a", [1.0] * 9)], [ASKED], "own")[1] == ""


def test_disciplines_and_their_mean_are_tested_on_their_own_questions(tmp_path: Path) -> None:
    first, second = DISCIPLINES[:2]
    rows = [made(tmp_path / "a", [1.0, 0.0] * 30), made(tmp_path / "b", [0.0, 0.0] * 30)]
    assert signs(rows, Asked(("own/t",), "accuracy", first)) == ["bold", ""]
    assert signs(rows, Asked(("own/t",), "accuracy", second)) == ["italic", "italic"]
    assert signs(rows, Asked(("own/t",), "accuracy", macro=True)) == ["bold", ""]


def test_published_numbers_are_never_emphasised_and_only_tested_tables_are(
    runs: Callable[[dict[str, tuple[float, int]]], list[Path]],
) -> None:
    found, _ = chosen(runs({"better": (0.9, 1), "worse": (0.3, 1)}))
    tables = build(found, published(published_root()), tested=True)
    emphasised = {table.kind for table in tables for _, cells in table.rows for cell in cells if cell.emphasis}
    assert emphasised == {"measured"}
    assert not any(cell.emphasis for table in build(found) for _, cells in table.rows for cell in cells)
    output = found[0].folder.parent.parent
    for form, sign in (("markdown", r"\*\*\d\.\d{3}\*\*"), ("latex", r"\\textbf\{\d\.\d{3}\}")):
        text = leaderboard(output, form, published=False)[0]  # type: ignore[arg-type]
        [line] = [line for line in text.splitlines() if "1. better" in line and "accuracy" not in line][:1]
        assert "Bold: significantly better than every other run" in text and re.search(sign, line)
    assert "Bold" not in leaderboard(output, "table", published=False)[0]


def test_emphasis_keeps_to_the_number_and_to_the_form() -> None:
    table = Table("t", ["a"], [("m", [Cell(0.5, 0.4, 0.6, marks="*", emphasis="bold")])], ["50% †"], legend="Bold: x_y")
    assert r"**0.500** \[0.400, 0.600\]\*" in render([table], "markdown") and r"Bold: x\_y" in render(
        [table], "markdown"
    )
    latex = render([table], "latex")
    assert r"\textbf{0.500} [0.400, 0.600]*" in latex and r"\caption[{t}]{\raggedright t. Bold: x\_y}" in latex
    assert r"50\% $^\dagger$\par" in latex and latex.count("{") == latex.count("}")
    assert "Bold" not in render([table], "table") + render([table], "csv") + render([table], "json")
