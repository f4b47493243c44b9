"""The same runs give the same comparison and the same reports of the gate, byte for byte.

When a change of them is meant, delete `expected/gate/` and run this test once: it writes the files anew and fails, so that the
difference is read before it is committed.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from harness.baseline import load, set_baseline
from harness.compare import compare_runs, render_comparison
from harness.gate import GateSpec, as_json, as_junit, as_markdown, as_text, judge
from tests.conftest import make_suite
from tests.support.sides import Call, replayed

HERE = Path(__file__).parent / "expected" / "gate"
HOSTILE = "\x1b[31m<b>不知道</b> | `x` [a](b) =1+1 @all \x07"
LOST: dict[int, str | None] = {**{row: "答案：E" for row in range(0, 100, 2) if row % 5 != 4}, 0: HOSTILE}


def test_reports_are_what_they_were(tcm_eval: Call, tmp_path: Path) -> None:
    suite = make_suite(tmp_path / "own", 200)
    old = replayed(tcm_eval, tmp_path, suite, "old", {}, 200)
    new = replayed(tcm_eval, tmp_path, suite, "new", LOST, 200)
    set_baseline(old, tmp_path / "baseline.json")
    outcome, changed = judge(load(tmp_path / "baseline.json"), new, GateSpec())
    compared = compare_runs(load(old), [load(new)])
    made = {
        "baseline.json": re.sub(
            r'"created":"[^"]*"', '"created":"THEN"', (tmp_path / "baseline.json").read_text("utf-8")
        ),
        "gate.txt": as_text(outcome) + "\n",
        "gate.md": as_markdown(outcome, changed),
        "gate.xml": as_junit(outcome, changed),
        "gate.json": as_json(outcome, changed),
        "compare.txt": render_comparison(compared, "table") + "\n",
        "compare.md": render_comparison(compared, "markdown") + "\n",
        "compare.csv": render_comparison(compared, "csv"),
        "compare.tex": render_comparison(compared, "latex") + "\n",
        "compare.json": render_comparison(compared, "json") + "\n",
    }
    HERE.mkdir(parents=True, exist_ok=True)
    written = []
    for name, text in made.items():
        plain = _plain(text)
        if not (HERE / name).exists():
            (HERE / name).write_text(plain, "utf-8")
            written.append(name)
        assert plain == (HERE / name).read_text("utf-8"), name
    if written:
        pytest.fail(f"missing and now written: {', '.join(written)}: read them, then run again")


def _plain(text: str) -> str:
    """The text without what belongs to the machine: run names are hashes of data, and the last digits of a float its CPU's."""
    text = re.sub(r"\b(old|new)-[0-9a-f]{10}\b", r"\1-RUN", text)
    text = re.sub(r"(data|prompt):[0-9a-f]{6}", r"\1:HASH", text)
    text = re.sub(r'"answers":"[0-9a-f]{16}"', '"answers":"HASH"', text)
    return re.sub(r"-?\d+\.\d{9,}(e-?\d+)?", lambda found: f"{float(found[0]):.9g}", text)
