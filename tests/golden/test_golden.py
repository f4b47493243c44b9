"""The same answers give the same bytes: scores, summary and leaderboard of a fixed run.

When a change of them is meant, delete `expected/` and run this test once: it writes the files anew and fails, so that the
difference is read before it is committed.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from harness.pipeline import RunSpec, leaderboard, run

HERE = Path(__file__).parent


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    out = tmp_path_factory.mktemp("golden")
    model = f"replay/{HERE / 'answers.jsonl'}"
    spec = RunSpec(model, ("suite",), name="golden", output=out, task_paths=(HERE / "suite",))
    [replayed] = run(spec)
    run(RunSpec("guess", ("suite",), output=out, task_paths=(HERE / "suite",)))
    summary = dict(replayed.summary)
    del summary["usage"]
    summary["subject"]["identity"].pop("answers")
    summary["run"] = "golden"
    return {
        "scores.jsonl": (replayed.folder / "scores.jsonl").read_text("utf-8"),
        "summary.json": json.dumps(summary, ensure_ascii=False, indent=1, sort_keys=True) + "\n",
        **{
            f"leaderboard.{form}": leaderboard(out, form, published=False)[0] + "\n"
            for form in ("markdown", "csv", "latex")
        },
    }


@pytest.mark.parametrize(
    "name", ["scores.jsonl", "summary.json", "leaderboard.markdown", "leaderboard.csv", "leaderboard.latex"]
)
def test_what_is_written_is_what_it_was(made: dict[str, str], name: str) -> None:
    expected = HERE / "expected" / name
    if not expected.exists():
        expected.parent.mkdir(exist_ok=True)
        expected.write_text(made[name], "utf-8")
        pytest.fail(f"{expected.name} was missing and has been written: read it, then run again")
    assert made[name] == expected.read_text("utf-8")
