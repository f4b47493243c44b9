"""Rotations end to end: what is asked, what the summary says, and what a reader sees."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from harness.pipeline import RunSpec, leaderboard, run
from harness.plan import Selection
from harness.position import Places, sentences
from harness.prompts import as_shown, as_written, permuted
from harness.types import Choice, Job, Sample, Score, Status
from tests.conftest import QUESTIONS, make_suite
from tests.support.chat_server import Reply, Seen, said, serving

Call = Callable[..., tuple[int, str, str]]
OPTIONS = {"A": "人参", "B": "当归", "C": "麦冬", "D": "鹿茸"}


def rotated(suite: Path, output: Path, model: str, variants: int = 5, **settings: str) -> dict[str, Any]:
    [done] = run(
        RunSpec(
            model=model,
            settings=settings,
            tasks=("own",),
            task_paths=(suite,),
            output=output,
            selection=Selection(variants=variants),
        )
    )
    return done.summary


def test_a_model_that_always_says_the_first_letter_is_told_so(suite: Path, tmp_path: Path) -> None:
    summary = rotated(suite, tmp_path, "echo/first")
    entry = summary["position"]["own/choice"]
    assert entry["bias"]["mean"] == pytest.approx(0.8)
    assert entry["bias"]["low"] > entry["bias"]["noise"]
    assert entry["places"]["A"]["mean"] == pytest.approx(0.8) and entry["places"]["A"]["chosen"] == 1.0
    assert entry["places"]["C"]["mean"] == pytest.approx(-0.2) and entry["places"]["C"]["right"] == pytest.approx(0.2)
    assert entry["consistent"]["mean"] == 0 and entry["consistent"]["n"] == 30
    [line] = sentences(summary)
    assert "in 5 rotations" in line and "(most to A: +0.800)" in line
    assert f", where chance alone gives {entry['bias']['noise']:.3f}" in line


def knowing(seen: Seen, _: int) -> Reply:
    """Answer as a model that knows the herbs, wherever the right option stands."""
    asked = seen.body["messages"][-1]["content"]
    herb = re.search("题：(.+)属于", asked)
    assert herb is not None
    letter = re.search(rf"^([A-E])\. {dict(QUESTIONS)[herb[1]]}$", asked, re.M)
    assert letter is not None
    return said(f"答案：{letter[1]}")


def test_a_model_that_knows_the_content_is_steady_and_unbiased(suite: Path, tmp_path: Path) -> None:
    with serving(knowing) as server:
        entry = rotated(suite, tmp_path, "server/mock", base_url=server.url)["position"]["own/choice"]
    assert entry["bias"]["mean"] == 0 and entry["bias"]["low"] == 0
    assert entry["consistent"]["mean"] == entry["right_in_all"]["mean"] == entry["kept"]["mean"] == 1


def test_in_one_order_the_bias_is_labelled_and_nothing_is_said_of_agreement(suite: Path, tmp_path: Path) -> None:
    summary = rotated(suite, tmp_path, "echo/first", variants=1)
    entry = summary["position"]["own/choice"]
    assert entry["rotations"] == 1 and "consistent" not in entry
    assert sentences(summary) == []


def with_options_that_refer(folder: Path, rows: Sequence[int]) -> Path:
    suite = make_suite(folder, 40)
    data = suite / "choice.jsonl"
    lines = [json.loads(line) for line in data.read_text("utf-8").splitlines()]
    for row in rows:
        right = str(lines[row]["answer"])
        lines[row]["options"]["E" if right != "E" else "D"] = "以上都不是"
    data.write_text("".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines), "utf-8")
    return suite


def test_questions_whose_options_speak_of_others_are_asked_once_and_counted(tmp_path: Path) -> None:
    suite = with_options_that_refer(tmp_path / "own", [0, 1, 2])
    summary = rotated(suite, tmp_path / "out", "echo/first")
    entry, row = summary["position"]["own/choice"], summary["tasks"]["own/choice"]["accuracy"]
    assert entry["asked_once"] == 3 and entry["answers"] == 27 * 5 and entry["consistent"]["n"] == 27
    assert row["counts"]["ok"] == 27 * 5 + 3
    assert row["n"] == row["n_groups"] == 30, "every question counts once, however often it was asked"
    assert row["mean"] == pytest.approx((27 * 0.2 + 1) / 30), "row 0 has its right option first"
    assert "3 asked once" in sentences(summary)[0]


def test_the_leaderboard_and_its_json_and_csv_show_rotations(suite: Path, tmp_path: Path, tcm_eval: Call) -> None:
    for model in ("echo/first", "guess"):
        rotated(suite, tmp_path, model)
    tables = json.loads(leaderboard(tmp_path, "json", published=False)[0])["tables"]
    [table] = [t for t in tables if "rotations of the options" in t["title"]]
    cells = {row["name"]: row["cells"] for row in table["rows"]}["echo/first"]
    assert cells["choice position bias"]["value"] == pytest.approx(0.8)
    assert cells["choice position bias"]["places"]["A"]["chosen"] == 1.0
    text, _ = leaderboard(tmp_path, "csv", published=False)
    assert any("rotations of the options" in cell for row in csv.reader(text.splitlines()) for cell in row)


def test_the_bias_is_drawn_with_its_error_and_its_numbers_beside_it(
    suite: Path, tmp_path: Path, tcm_eval: Call
) -> None:
    for model in ("echo/first", "guess"):
        rotated(suite, tmp_path / "r", model)
    rotated(suite, tmp_path / "r", "echo/first", variants=1)
    for language in ("en", "zh"):
        out = tmp_path / language
        code, said, _ = tcm_eval(
            "figures", tmp_path / "r", "--output", out, "--language", language, "--format", "svg", "--width", "column"
        )
        assert code == 0 and "own-position-choice.svg" in said
    with (tmp_path / "en" / "own-position-choice.csv").open(encoding="utf-8", newline="") as file:
        rows = {(row["model"].partition(" (")[0], row["column"]): row for row in csv.DictReader(file)}
    assert float(rows["echo/first", "A"]["low"]) < 0.8 < float(rows["echo/first", "A"]["high"])
    assert float(rows["echo/first", "position_bias"]["value"]) == pytest.approx(0.8)
    assert len({model for model, _ in rows}) == 2, "the run in one order only shares no figure with rotated ones"


def scored(answer: str | None, variant: int, status: Status = "ok") -> tuple[Job, Score]:
    sample = Sample("q", "s/t", {"question": "补气药是", "options": OPTIONS}, Choice(frozenset("A")))
    value = None if status == "failed" else float(answer == "A")
    return Job(sample, lambda _: None, variant=variant), Score(
        "s/t", "q", "accuracy", value, status, answer, variant=variant
    )


@pytest.mark.parametrize(
    ("answers", "consistent", "right", "counted"),
    [
        (["A", "A", "A"], 1, 1, 1),
        (["B", "B", "B"], 1, 0, 1),
        (["A", "A", "B"], 0, 0, 1),
        (["A", "A", None], 0, 0, 1),
        ([None, None, "A"], 0, 0, 1),
    ],
)
def test_an_answer_that_nobody_could_read_is_like_no_other(
    answers: list[str | None], consistent: int, right: int, counted: int
) -> None:
    places = Places(3)
    for variant, answer in enumerate(answers):
        places.add(*scored(answer, variant, "ok" if answer else "unparsed"))
    entry = places.summary()
    assert entry is not None
    assert (entry["consistent"]["mean"], entry["right_in_all"]["mean"], entry["consistent"]["n"]) == (
        consistent,
        right,
        counted,
    )


def test_a_question_with_a_failed_call_says_nothing_about_agreement() -> None:
    places = Places(2)
    places.add(*scored("A", 0))
    places.add(*scored(None, 1, "failed"))
    entry = places.summary()
    assert entry is not None and entry["consistent"]["n"] == 0 and entry["answers"] == 1


def test_letters_shown_and_letters_written_are_each_others_inverse() -> None:
    sample = Sample("q", "s/t", {"options": OPTIONS}, Choice(frozenset("BD")))
    for variant in range(5):
        shown = permuted(sample, variant)
        assert isinstance(shown.target, Choice)
        assert as_shown(sample, variant, "BD") == shown.target.letters
        assert as_written(sample, variant, shown.target.letters) == frozenset("BD")
