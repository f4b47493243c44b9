"""The gate on real runs of stored answers: which answers changed, and candidates that are unfinished or damaged."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from pathlib import Path

from harness.baseline import load, set_baseline
from harness.gate import (
    Verdict,
    as_junit,
    as_text,
    judge,
)
from tests.support.gating import SPEC
from tests.support.sides import Call, replayed


def test_the_answers_that_lost_most_are_shown_with_question_and_both_answers(
    tcm_eval: Call, suite: Path, tmp_path: Path
) -> None:
    old = replayed(tcm_eval, tmp_path, suite, "old", {})
    lost: dict[int, str | None] = {place: "答案：E" for place in range(0, 40, 2) if place % 5 != 4}
    new = replayed(tcm_eval, tmp_path, suite, "new", {**lost, 20: "我不知道<b>"})
    outcome, changed = judge(load(old), new, SPEC)
    assert outcome.verdict is Verdict.REGRESSION
    assert len(changed) == 5
    assert changed[0].question == "第0题：人参属于"
    assert (changed[0].baseline, changed[0].candidate) == ("A", "E")
    assert (changed[0].before, changed[0].after) == (1.0, 0.0)
    file = tmp_path / "b.json"
    set_baseline(old, file)
    assert judge(load(file), new, SPEC)[1] == changed, "short answers are in the baseline file"
    only = replayed(tcm_eval, tmp_path, suite, "only", {20: "我不知道<b>"})
    shown = judge(load(old), only, SPEC)[1]
    assert shown[0].candidate == "(unparsed) 我不知道<b>"
    assert judge(load(only), old, SPEC)[1] == []


def test_questions_that_are_gone_do_not_change_the_verdict(tcm_eval: Call, suite: Path, tmp_path: Path) -> None:
    old = replayed(tcm_eval, tmp_path, suite, "old", {})
    new = replayed(tcm_eval, tmp_path, suite, "new", dict.fromkeys(range(0, 40, 2), "不知道"))
    before = judge(load(old), new, SPEC)[0]
    (suite / "choice.jsonl").unlink()
    outcome, changed = judge(load(old), new, SPEC)
    assert outcome.verdict is before.verdict
    assert changed[0].question == "(the question is not here)"


def test_an_unfinished_or_damaged_candidate_is_an_outcome_with_reports(
    tcm_eval: Call, suite: Path, tmp_path: Path
) -> None:
    old = load(replayed(tcm_eval, tmp_path, suite, "old", {}))
    new = replayed(tcm_eval, tmp_path, suite, "new", {1: "不知道"})
    scores = (new / "scores.jsonl").read_bytes()
    (new / "scores.jsonl").write_bytes(scores.replace(b'"value":1.0', b'"value":NaN', 1))
    outcome, changed = judge(old, new, SPEC, "pass")
    assert (outcome.verdict, changed) == (Verdict.INVALID, [])
    assert "damaged" in as_text(outcome)
    (new / "summary.json").unlink()
    outcome, _ = judge(old, new, SPEC)
    assert outcome.verdict.exit_code == 3
    assert "unfinished" in as_text(outcome)
    assert ET.fromstring(as_junit(outcome, [])).get("errors") == "2"
