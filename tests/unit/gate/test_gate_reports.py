"""The gate's reports hold whatever a model may say, and do nothing with it."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ET
from pathlib import Path

from harness.gate import (
    Changed,
    Outcome,
    as_json,
    as_junit,
    as_markdown,
    as_text,
    decide,
    write_reports,
)
from tests.support.gating import SPEC, outcome_of, row
from tests.support.sides import one_task

EVIL = "\x1b[31m<script>alert(1)</script> | `` [a](http://x.y) @all \x00\x08\ufffe =1+1 \u202e\nsecond line"


def evil_outcome() -> tuple[Outcome, list[Changed]]:
    outcome = decide(one_task(EVIL, row(400, 300)), one_task(EVIL, row(400, 200)), SPEC, None)
    return outcome, [Changed("own/choice", "accuracy", EVIL, 1.0, 0.0, EVIL, EVIL, "`" * 3 + EVIL)]


def test_junit_is_well_formed_whatever_the_texts_hold(tmp_path: Path) -> None:
    outcome, changed = evil_outcome()
    write_reports(outcome, changed, junit=tmp_path / "g.xml", markdown=tmp_path / "g.md", json=tmp_path / "g.json")
    text = (tmp_path / "g.xml").read_text("utf-8")
    suite = ET.fromstring(text)
    assert suite.get("failures") == "2"
    assert suite.get("tests") == "2"
    assert "<script>" not in text
    assert not any(c in text for c in "\x00\x08\x1b\ufffe\u202e")
    assert "alert(1)" in (suite.findtext("testcase/system-out") or ""), "the text is shown, and does nothing"


def test_markdown_shows_hostile_texts_letter_by_letter() -> None:
    text = as_markdown(*evil_outcome())
    assert not any(c in text for c in "\x00\x08\x1b\u202e")
    for line in text.splitlines():
        if line.startswith(("- question", "- baseline", "- candidate")):
            fence = line.split(": ", 1)[1].split(" ")[0]
            assert set(fence) == {"`"}
            assert line.endswith(f" {fence}")
            assert fence not in line.split(": ", 1)[1][len(fence) : -len(fence)], "nothing inside ends the code span"
        else:
            assert "<script>" not in line
            assert "[a](" not in line
    table = [line for line in text.splitlines() if line.startswith("|")]
    assert len({line.replace("\\|", "").count("|") for line in table}) == 1


def test_the_terminal_gets_no_escape_sequences_and_json_none_unescaped() -> None:
    outcome, changed = evil_outcome()
    assert not any(c in as_text(outcome) for c in "\x00\x08\x1b\u202e")
    raw = as_json(outcome, changed)
    assert not any(c in raw for c in "\x00\x08\x1b")
    assert json.loads(raw)["changed"][0]["question"] == EVIL


def test_a_long_answer_is_cut_in_reports_and_whole_in_json() -> None:
    outcome, _ = evil_outcome()
    changed = [Changed("own/choice", "accuracy", "s", 1.0, 0.0, "题" * 5000, "答" * 5000, "x")]
    assert len(as_markdown(outcome, changed)) < 4000
    assert json.loads(as_json(outcome, changed))["changed"][0]["baseline"] == "答" * 5000


def test_skipped_failed_and_broken_checks_are_told_apart_in_junit(tmp_path: Path) -> None:
    inconclusive = outcome_of(SPEC, row(12, 9), row(12, 8))
    assert ET.fromstring(as_junit(inconclusive, [])).get("failures") == "2"
    let_pass = outcome_of(SPEC, row(12, 9), row(12, 8), "pass")
    suite = ET.fromstring(as_junit(let_pass, []))
    assert (suite.get("failures"), suite.get("skipped")) == ("0", "1")
    broken = decide(one_task("old", [1, 0]), one_task("new", [1, 0], task="own/other"), SPEC, None)
    assert ET.fromstring(as_junit(broken, [])).get("errors") == "2"
