"""Small editions of `benchmarks/faults.py`: the real command line against a server in another process. Times are not judged here."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from benchmarks import faults
from benchmarks.trial import NotHeld, Run, serving


def test_of_a_tenth_that_goes_wrong_nothing_is_lost_asked_twice_or_scored(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(faults, "LATENCY", 0.1)
    [(_, _, said)] = faults.transient(tmp_path, 500, 0)
    assert not said.startswith("0 5xx, 0 dropped"), said


def test_a_provider_that_is_killed_and_comes_back_costs_no_answer(tmp_path: Path) -> None:
    [(_, _, said)] = faults.gone(tmp_path, 500, 3)
    assert "no failure" in said


def test_a_question_that_always_gets_a_400_costs_only_itself(tmp_path: Path) -> None:
    [(_, _, said)] = faults.poison(tmp_path, 500, 0)
    assert said == "499 answered, 1 failed after 1 attempt"


def test_the_checks_find_an_answer_taken_from_a_fault(tmp_path: Path) -> None:
    """One record with a fault's letter in it, and one question answered twice: both must be noticed."""
    with serving("--latency", 0.01) as server:
        run = Run(tmp_path / "run", 20)
        run.finish(server)
        run.check()
        [records] = tmp_path.glob("run/out/runs/*/records.jsonl")
        lines = records.read_text("utf-8").splitlines(keepends=True)
        records.write_text("".join([*lines, lines[0]]), "utf-8")
        with pytest.raises(NotHeld, match="exactly one record"):
            run.check()
        wrong = re.sub("答案：([A-E])", lambda found: f"答案：{'BCDEA'['ABCDE'.index(found[1])]}", lines[3])
        records.write_text("".join([*lines[:3], wrong, *lines[4:]]), "utf-8")
        records.with_name("summary.json").unlink()
        run.finish(server)
        with pytest.raises(NotHeld, match="scored from a fault"):
            run.check()
