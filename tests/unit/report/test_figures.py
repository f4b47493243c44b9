"""Figures: drawn from real runs, with published numbers apart, in Chinese and English, without a warning."""

from __future__ import annotations

import csv
import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from harness.errors import UsageError
from harness.models import published_root
from harness.report.chosen import chosen
from harness.report.figures import Wanted, draw, fonts, formats, only
from harness.report.figures.costs import by_cost, by_tokens
from harness.report.figures.look import COLOURS, ems, narrowed, wrapped
from harness.report.figures.numbers import labels
from harness.report.figures.scores import by_discipline, by_metric, by_tag
from harness.report.results import Run, published
from tests.conftest import TASK, choice_rows, make_suite

Make = Callable[[dict[str, tuple[float, int]]], list[Path]]
Call = Callable[..., tuple[int, str, str]]
TWO = {"better": (0.8, 100), "worse": (0.3, 10)}
ROOT = Path(__file__).resolve().parents[3]
needs_chinese = pytest.mark.skipif(
    fonts.chinese() is None, reason="no Chinese font: apt-get install fonts-wqy-microhei"
)


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_every_figure_is_written_in_every_format_with_its_numbers_beside_it(
    runs: Make, tmp_path: Path, tcm_eval: Call
) -> None:
    folders = runs(TWO)
    out = tmp_path / "figures"
    code, said, _ = tcm_eval("figures", *folders, "--output", out, "--format", "png,svg,pdf", "--width", "column")
    assert code == 0
    for name in ("scores", "disciplines", "heatmap", "radar"):
        stem = out / f"tcm_ladder-{name}"
        assert Path(f"{stem}.png").read_bytes()[:4] == b"\x89PNG"
        assert Path(f"{stem}.pdf").read_bytes()[:4] == b"%PDF"
        assert "<svg" in Path(f"{stem}.svg").read_text("utf-8")
        assert str(stem) + ".csv" in said
    table = rows(out / "tcm_ladder-disciplines.csv")
    mine = [row for row in table if row["model"] == "better"]
    assert [row["origin"] for row in mine] == ["run"] * len(mine)
    assert all(float(row["low"]) <= float(row["value"]) <= float(row["high"]) for row in mine)
    theirs = {(r["model"], r["column"]): r for r in table if r["origin"] != "run"}
    assert theirs["Ladder-base †", "Pharmacognosy"]["origin"] == "published"
    assert theirs["Ladder-base †", "Surgery"]["origin"] == "digitised"
    assert float(theirs["BenCao", "Internal Medicine"]["value"]) == 0.726


def test_equal_runs_give_equal_bytes(runs: Make, tmp_path: Path) -> None:
    found, _ = chosen(runs({"one": (0.5, 1)}))
    wanted = Wanted(("png", "svg", "pdf"))
    first = draw(found, [], tmp_path / "a", wanted).files
    second = draw(found, [], tmp_path / "b", wanted).files
    assert [p.read_bytes() for p in first] == [p.read_bytes() for p in second]


def test_a_metric_that_a_model_lacks_leaves_no_bar_and_a_note_says_so(runs: Make) -> None:
    found, _ = chosen(runs({"one": (0.5, 1)}))
    numbers = by_metric(found, published(published_root()), "tcm_ladder")
    assert numbers is not None
    assert [row.label for row in numbers.rows] == ["one", "Ladder-base †"]
    assert list(numbers.rows[0].points) == ["exact_match"]
    assert ("missing", {"metric": "ladder_score", "models": "one"}) in numbers.notes
    assert ("formula", {}) in numbers.notes


def test_runs_that_were_asked_in_another_way_share_no_figure(runs: Make) -> None:
    found, _ = chosen(runs({"one": (0.5, 1), "two": (0.6, 1), "three": (0.7, 1)}))
    other = next(run for run in found if run.name == "two")
    changed: dict[str, Any] = {**other.summary, "suites": {"tcm_ladder": _asked_otherwise(other)}}
    mixed = [replace(other, summary=changed) if run is other else run for run in found]
    numbers = by_discipline(mixed, [], "tcm_ladder")
    assert numbers is not None
    assert {row.label for row in numbers.rows} == {"one", "three"}
    assert ("left", {"metric": "accuracy", "models": "two"}) in numbers.notes


def _asked_otherwise(run: Run) -> dict[str, Any]:
    own = run.summary["suites"]["tcm_ladder"]
    accuracy = own["overall"]["accuracy"]
    micro = {**accuracy["micro"], "comparison_id": "another way"}
    return {**own, "overall": {**own["overall"], "accuracy": {**accuracy, "micro": micro}}}


def test_measured_models_stand_above_those_of_others_and_best_comes_first(runs: Make) -> None:
    found, _ = chosen(runs(TWO))
    numbers = by_discipline(found, published(published_root()), "tcm_ladder")
    assert numbers is not None
    assert [row.label for row in numbers.rows[:3]] == ["better", "worse", "Ladder-base †"]
    assert [row.ours for row in numbers.rows] == [True] * 2 + [False] * 14


def test_two_subjects_of_one_name_are_told_apart(runs: Make) -> None:
    found, _ = chosen(runs({"one": (0.5, 1), "two": (0.6, 1)}))
    same = [replace(r, summary={**r.summary, "subject": {**r.summary["subject"], "name": "one"}}) for r in found]
    assert len(set(labels(same).values())) == 2


def test_tokens_are_drawn_only_where_providers_told_them(runs: Make, tmp_path: Path) -> None:
    found, _ = chosen(runs(TWO))
    assert by_tokens(found, "tcm_ladder") is None
    told = [
        replace(run, summary={**run.summary, "usage": {**run.summary["usage"], "tokens_out": 1130 * (i + 1)}})
        for i, run in enumerate(found)
    ]
    drawn = draw(told, [], tmp_path, Wanted())
    table = rows(tmp_path / "tcm_ladder-tokens.csv")
    assert tmp_path / "tcm_ladder-tokens.png" in drawn.files
    counts = [run.summary["usage"]["calls"] for run in told]
    tokens = sorted(float(row["value"]) for row in table if row["column"] == "tokens")
    assert tokens == sorted(1130 * (i + 1) / n for i, n in enumerate(counts))


def priced(run: Run, cost: float | None, currency: str = "USD", tokens: int = 1000) -> Run:
    """The run with told tokens, and with what all its answers cost unless `cost` is None."""
    use = {**run.summary["usage"], "tokens_out": tokens}
    if cost is not None:
        use |= {"cost": cost, "price": {"input": 1.0, "output": 1.0, "currency": currency}}
    return replace(run, summary={**run.summary, "usage": use})


def test_cost_is_drawn_by_currency_and_runs_without_a_price_by_their_tokens(runs: Make, tmp_path: Path) -> None:
    found, _ = chosen(runs({"a": (0.8, 1), "b": (0.5, 1), "c": (0.3, 1)}))
    a, b, c = sorted(found, key=lambda run: run.name)
    mixed = [priced(a, 0.5), priced(b, 3.0, "CNY"), priced(c, None)]
    drawn = draw(mixed, [], tmp_path, Wanted(("png",), "column"))
    assert tmp_path / "tcm_ladder-cost.png" in drawn.files
    calls = a.summary["usage"]["calls"]
    table = {(row["model"], row["column"]): row for row in rows(tmp_path / "tcm_ladder-cost.csv")}
    assert float(table["a", "cost:USD"]["value"]) == pytest.approx(1000 * 0.5 / calls)
    assert float(table["b", "cost:CNY"]["value"]) == pytest.approx(1000 * 3.0 / calls)
    assert float(table["c", "tokens"]["value"]) == pytest.approx(1000 / calls)
    assert ("c", "cost:USD") not in table and ("a", "tokens") not in table
    numbers = by_cost(mixed, "tcm_ladder")
    assert numbers is not None and list(numbers.columns) == ["accuracy", "cost:CNY", "cost:USD", "tokens"]
    assert by_cost([priced(run, None) for run in found], "tcm_ladder") is None, "tokens have a figure of their own"
    free = by_cost([priced(a, 0.0), priced(b, 1.0)], "tcm_ladder")
    assert free is not None and "tokens" in free.rows[0].points, "a price of nothing has no place on a logarithmic axis"


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("width", ["column", "page"])
def test_scores_by_difficulty_are_drawn_with_how_many_questions_a_level_has(
    tmp_path: Path, tcm_eval: Call, width: str
) -> None:
    task = TASK.replace("split: {", "  tags: { difficulty: level }\nsplit: {")
    folder = make_suite(tmp_path / "own", 0, task)
    level = ["1", "2", "10"]
    data = [{**row, "level": level[i % 3]} for i, row in enumerate(choice_rows(24))]
    (folder / "choice.jsonl").write_text("".join(json.dumps(r, ensure_ascii=False) + "\n" for r in data), "utf-8")
    output = tmp_path / "results"
    assert tcm_eval("run", "--model", "guess", "--tasks", "own", "--task-path", folder, "--output", output)[0] == 0
    options = ("--width", width, "--language", "zh" if fonts.chinese() else "en")
    assert tcm_eval("figures", output, "--output", tmp_path / "figures", *options)[0] == 0
    assert (tmp_path / "figures" / "own-by-difficulty.png").is_file()
    table = rows(tmp_path / "figures" / "own-by-difficulty.csv")
    assert [row["column"] for row in table] == ["difficulty=1", "difficulty=2", "difficulty=10"], "numbers by size"
    asked = [row["level"] for row in data if row["split"] == "test"]
    assert [int(row["n"]) for row in table] == [asked.count(one) for one in level]
    found, _ = chosen([output])
    assert by_tag(found, "own", "difficulty") is not None and by_tag(found, "own", "season") is None


def test_a_long_name_keeps_its_end_for_there_families_differ() -> None:
    names = [f"organisation/a-rather-long-model-name-v{i}-instruct" for i in range(10, 13)]
    short = [narrowed(name, 19) for name in names]
    assert len(set(short)) == 3 and all(ems(one) <= 19 and one.endswith("-instruct") for one in short)
    assert narrowed("仲景中医大模型对话版二〇二五年六月", 13) == "仲景中医大模型…二五年六月"
    assert narrowed("short", 19) == "short"


@needs_chinese
@pytest.mark.filterwarnings("error")
def test_chinese_labels_and_names_draw_without_a_warning(runs: Make, tmp_path: Path) -> None:
    found, _ = chosen(runs({"中医大模型": (0.5, 1)}))
    drawn = draw(found, published(published_root()), tmp_path, Wanted(("png", "svg", "pdf"), "column", 7, "zh"))
    assert drawn.notes == [
        "tcm_ladder: no figure of score against tokens: it needs two runs whose providers told tokens."
    ]
    assert fonts.drawer()("中医 诊断学") == "中医 诊断学"


@pytest.mark.filterwarnings("error")
def test_without_a_chinese_font_labels_are_english_and_the_package_is_named(
    runs: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found, _ = chosen(runs({"中医": (0.5, 1)}))
    monkeypatch.setattr(fonts, "chinese", lambda: None)
    drawn = draw(found, [], tmp_path, Wanted(language="zh"))
    assert "fonts-wqy-microhei" in drawn.notes[0]
    assert fonts.drawer()("中医x") == "??x"


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("name", ["$a_b$ \\frac", "=1+1", "\u202egpj.exe", "😀" * 3, "x" * 200, "a\nb\x1b[31m"])
def test_hostile_names_are_drawn_as_text(runs: Make, tmp_path: Path, name: str) -> None:
    found, _ = chosen(runs({"one": (0.5, 1)}))
    named = [replace(r, summary={**r.summary, "subject": {**r.summary["subject"], "name": name}}) for r in found]
    draw(named, [], tmp_path, Wanted())
    cells = {row["model"] for row in rows(tmp_path / "tcm_ladder-scores.csv")}
    assert all(cell[:1] not in ("=", "+", "-", "@") and cell.isprintable() for cell in cells)


def test_a_suite_without_disciplines_or_blanks_has_nothing_to_draw(tmp_path: Path, tcm_eval: Call) -> None:
    task = "type: single_choice\ndata: [choice.jsonl]\ncolumns:\n  id: id\n  question: question\n  options: { form: dict, column: options }\n"
    folder = make_suite(tmp_path / "own", 8, task)
    output = tmp_path / "results"
    assert tcm_eval("run", "--model", "guess", "--tasks", "own", "--task-path", folder, "--output", output)[0] == 0
    code, _, said = tcm_eval("figures", output, "--output", tmp_path / "figures")
    assert code == 2
    assert "nothing to draw" in said


def test_run_draws_only_when_asked(suite: Path, tmp_path: Path, tcm_eval: Call) -> None:
    output = tmp_path / "results"
    command = ("run", "--model", "guess", "--tasks", "own", "--task-path", suite, "--output", output, "--quiet")
    assert tcm_eval(*command)[0] == 0
    assert not (output / "figures").exists()
    assert tcm_eval(*command, "--figures")[0] == 0
    assert (output / "figures" / "own-heatmap.png").is_file()
    assert not (output / "figures" / "own-radar.png").exists(), "two disciplines make no radar"


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        (("--format", "gif"), "unknown figure format 'gif'"),
        (("--font-size", "90"), "choose 5 to 24 points"),
        (("--published", "GPT-5"), "unknown published model 'GPT-5'"),
    ],
)
def test_wrong_settings_are_one_message(
    suite: Path, tmp_path: Path, tcm_eval: Call, settings: tuple[str, str], said: str
) -> None:
    output = tmp_path / "results"
    tcm_eval("run", "--model", "guess", "--tasks", "own", "--task-path", suite, "--output", output, "--quiet")
    code, _, error = tcm_eval("figures", output, *settings)
    assert code == 2
    assert said in error


def test_a_folder_that_is_no_run_is_named(tmp_path: Path, tcm_eval: Call) -> None:
    code, _, said = tcm_eval("figures", tmp_path)
    assert code == 2
    assert f"{tmp_path} is no run folder" in said


def test_the_modules_load_without_matplotlib_and_its_absence_is_one_line(tmp_path: Path) -> None:
    code = (
        "import sys; sys.modules['matplotlib'] = None\n"
        "from pathlib import Path\n"
        "from harness.report.figures import Wanted, draw\n"
        "try: draw([], [], Path(sys.argv[1]), Wanted())\n"
        "except Exception as error: print(type(error).__name__, error)"
    )
    done = subprocess.run([sys.executable, "-c", code, tmp_path], capture_output=True, text=True, check=True, cwd=ROOT)
    assert done.stdout == "UsageError figures need matplotlib: pip install 'tcm-eval[figures]'\n"


def test_only_named_publications_are_shown() -> None:
    everyone = published(published_root())
    assert {one.model for one in only(everyone, "GPT-4o, BenCao")} == {"GPT-4o", "BenCao"}
    assert only(everyone, "none") == []
    assert only(everyone, "all") == everyone
    assert formats("pdf,png") == ("png", "pdf")
    with pytest.raises(UsageError, match="--format is empty"):
        formats(",")


def test_notes_wrap_within_the_width_and_lose_nothing() -> None:
    text = "No Ladder-Score: Qwen2.5-7B-Instruct, 中医大模型。他人数值未在此复现，其数据划分与提示词不同。"
    lines = wrapped(text, 20)
    assert all(ems(line) <= 21 for line in lines)
    assert "".join(lines).replace(" ", "") == text.replace(" ", "")
    assert all(line[0] not in "。，：；）、" for line in lines)


def test_no_two_colours_look_alike_in_grey_or_to_the_colour_blind() -> None:
    """Distances in linear light after the common simulation of missing red, green or blue cones."""
    seen = {
        "red": ((0.1524, 1.0526, -0.2049), (0.1145, 0.7860, 0.0993), (-0.0039, -0.0481, 1.0520)),
        "green": ((0.3673, 0.8607, -0.2279), (0.2803, 0.6726, 0.0471), (-0.0118, 0.0429, 0.9689)),
        "blue": ((1.2555, -0.0767, -0.1788), (-0.0784, 0.9308, 0.1476), (0.0047, 0.6914, 0.3039)),
    }
    for matrix in seen.values():
        points = [_through(matrix, colour) for colour in COLOURS]
        for i, a in enumerate(points):
            for b in points[i + 1 :]:
                assert sum((x - y) ** 2 for x, y in zip(a, b, strict=True)) ** 0.5 > 0.08


def _through(matrix: tuple[tuple[float, ...], ...], colour: str) -> list[float]:
    light = [((int(colour[i : i + 2], 16) / 255 + 0.055) / 1.055) ** 2.4 for i in (1, 3, 5)]
    return [sum(w * c for w, c in zip(row, light, strict=True)) for row in matrix]
