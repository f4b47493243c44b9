"""Figures: drawn from real runs, with published numbers apart, in Chinese and English, without a warning."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from harness.report.chosen import chosen
from harness.report.figures import Wanted, draw, fonts
from harness.report.results import published, published_root
from tests.conftest import make_suite
from tests.unit.report.conftest import rows

Make = Callable[[dict[str, tuple[float, int]]], list[Path]]
Call = Callable[..., tuple[int, str, str]]
TWO = {"better": (0.8, 100), "worse": (0.3, 10)}
ROOT = Path(__file__).resolve().parents[3]
needs_chinese = pytest.mark.skipif(
    fonts.chinese() is None, reason="no Chinese font: apt-get install fonts-wqy-microhei"
)


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
        (("--font-size", "24"), "choose 5 to 14 points for --width page"),
        (("--font-size", "11", "--width", "column"), "choose 5 to 10 points for --width column (3.4 inches)"),
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
