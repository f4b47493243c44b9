"""Runs that are interrupted, repeated or made larger: nothing is lost, and no answer is paid for twice."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from harness.engine import Limits
from harness.pipeline import run
from harness.plan import Selection
from harness.store import read, read_scores
from harness.types import Failure
from tests.conftest import choice_rows, make_suite
from tests.support.small_runs import RUN, answers, spec


def test_the_numbers_do_not_depend_on_concurrency_order_or_being_interrupted(suite: Path, tmp_path: Path) -> None:
    summaries = []
    for name, in_flight in (("a", 1), ("b", 7), ("c", 300)):
        [done] = run(spec(suite, tmp_path / name, limits=Limits(in_flight=in_flight)))
        summaries.append((done.folder / "scores.jsonl").read_bytes())
    [whole] = run(spec(suite, tmp_path / "d"))
    records = whole.folder / "records.jsonl"
    records.write_bytes(b"".join(records.read_bytes().splitlines(keepends=True)[:11]) + b'{"torn')
    [again] = run(spec(suite, tmp_path / "d"))
    assert again.folder == whole.folder
    summaries.append((again.folder / "scores.jsonl").read_bytes())
    assert len(set(summaries)) == 1
    assert len(list(read(records))) == 30


def test_a_finished_run_asks_nothing_again(suite: Path, tmp_path: Path) -> None:
    [first] = run(spec(suite, tmp_path / "out"))
    size = (first.folder / "records.jsonl").stat().st_size
    [second] = run(spec(suite, tmp_path / "out"))
    assert (second.folder / "records.jsonl").stat().st_size == size and second.summary == first.summary


def test_a_larger_run_adopts_the_answers_of_a_smaller_one_and_says_where_they_came_from(
    suite: Path, tmp_path: Path
) -> None:
    [small] = run(spec(suite, tmp_path / "out", selection=Selection(limit=10)))
    [large] = run(spec(suite, tmp_path / "out"))
    assert small.folder != large.folder
    origins = [r.origin for r in read(large.folder / "records.jsonl")]
    assert origins.count(small.folder.name) == 10 and origins.count(None) == 20
    assert large.summary["usage"]["adopted"] == 10
    [fresh] = run(spec(suite, tmp_path / "out", fresh=True))
    assert not any(r.origin for r in read(fresh.folder / "records.jsonl"))
    assert any(".old-1" in p.name for p in (tmp_path / "out" / "runs").iterdir()), "earlier answers are set aside"


def test_another_subject_never_gets_the_answers_of_the_first(suite: Path, tmp_path: Path) -> None:
    run(spec(suite, tmp_path / "out", "guess"))
    [other] = run(spec(suite, tmp_path / "out", "echo/first"))
    assert other.summary["usage"]["adopted"] == 0
    assert {s.answer for s in read_scores(other.folder / "scores.jsonl")} == {"A"}


def test_a_failed_call_is_asked_again_by_the_same_command(suite: Path, tmp_path: Path) -> None:
    rows = [{"id": r["id"], "response": f"答案：{r['answer']}"} for r in choice_rows(40)]
    file = answers(tmp_path, *rows[:20])
    [partial] = run(spec(suite, tmp_path / "out", file))
    failed = [r for r in read(partial.folder / "records.jsonl") if isinstance(r.outcome, Failure)]
    assert len(failed) == 15 and not partial.complete
    answers(tmp_path, *rows)
    [whole] = run(spec(suite, tmp_path / "out", file))
    assert whole.complete and whole.summary["tasks"]["own/choice"]["accuracy"]["mean"] == 1.0


KILLED = """
import sys, asyncio
from pathlib import Path
sys.path.insert(0, {root!r})
import model_adapters.echo as echo
real = echo.Echo.generate
async def slow(self, request):
    await asyncio.sleep(0.004)
    return await real(self, request)
echo.Echo.generate = slow
from harness.cli import main
sys.exit(main(sys.argv[1:]))
"""


def test_killed_again_and_again_a_run_loses_only_what_was_in_flight(tmp_path: Path) -> None:
    suite = make_suite(tmp_path / "own", 800)
    script = tmp_path / "killed.py"
    script.write_text(KILLED.format(root=str(Path(__file__).resolve().parents[2])))
    command = [sys.executable, str(script), *RUN, "--task-path", str(suite), "--quiet"]
    command += ["--output", str(tmp_path / "out"), "--concurrency", "4"]
    kept: list[int] = []
    for _ in range(5):
        process = subprocess.Popen(command, stderr=subprocess.PIPE, env={**os.environ, "PYTHONWARNINGS": ""})
        before, deadline = (kept or [0])[-1], time.monotonic() + 60
        while time.monotonic() < deadline and process.poll() is None:
            found = list((tmp_path / "out" / "runs").glob("*/records.jsonl")) if (tmp_path / "out").exists() else []
            if found and found[0].read_bytes().count(b"\n") >= before + 60:
                break
            time.sleep(0.005)
        process.send_signal(signal.SIGKILL)
        process.wait()
        assert process.stderr is not None
        process.stderr.close()
        kept.append(len(list(read(found[0]))))
    assert kept == sorted(kept) and kept[0] >= 60, "nothing written is ever lost"
    subprocess.run(command, check=True)
    records = list(read(found[0]))
    slots = [r.slot for r in records]
    assert len(slots) == len(set(slots)) == 600, "each question is answered exactly once"
