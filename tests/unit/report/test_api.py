"""The Python in docs/api.md runs as it stands there, and in a notebook, whose event loop is running already."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

from harness.pipeline import RunSpec, run
from tests.support.chat_server import Reply, said, serving

ROOT = Path(__file__).resolve().parents[3]
DOC = ROOT / "docs" / "api.md"


def test_every_snippet_of_the_page_runs_in_a_fresh_process(tmp_path: Path) -> None:
    snippets = re.findall(r"```python\n(.*?)```", DOC.read_text("utf-8"), re.DOTALL)
    assert len(snippets) == 3
    (tmp_path / "page.py").write_text("\n".join(snippets), "utf-8")
    env = {**os.environ, "PYTHONPATH": str(ROOT), "TCM_EVAL_DATA": str(tmp_path / "data")}
    command = [sys.executable, "-W", "error", "page.py"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, env=env)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("True 0.") and "Pharmacognosy" in done.stdout and "答案：" in done.stdout
    assert len(list((tmp_path / "results" / "runs").iterdir())) == 1
    assert [path.suffix for path in (tmp_path / "out").iterdir()] == [".json"]


def test_a_run_works_where_an_event_loop_is_running(suite: Path, tmp_path: Path) -> None:
    async def notebook() -> float:
        (done,) = run(RunSpec(model="guess", tasks=("own",), task_paths=(suite,), output=tmp_path / "r"))
        return float(done.summary["tasks"]["own/choice"]["accuracy"]["n"])

    assert asyncio.run(notebook()) == 30


NOTEBOOK = """
import asyncio, sys
from pathlib import Path
from harness.limits import Limits
from harness.pipeline import RunSpec, run
url, suite, output = sys.argv[1:]
async def cell():
    spec = RunSpec(model="server/mock", settings={"base_url": url}, tasks=("own",), task_paths=(Path(suite),),
                   limits=Limits(in_flight=1), output=Path(output))
    run(spec)
loop = asyncio.new_event_loop()
try:
    loop.run_until_complete(cell())
except KeyboardInterrupt:
    print("interrupted")
"""


def test_an_interrupted_cell_ends_at_once_and_keeps_its_answers(suite: Path, tmp_path: Path) -> None:
    with serving(lambda _s, _n: Reply(200, said("答案：A").body, delay=0.2)) as server:
        command = [sys.executable, "-c", NOTEBOOK, server.url, str(suite), str(tmp_path / "r")]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT)
        until = time.monotonic() + 60
        while len(server.posts()) < 4 and time.monotonic() < until:
            time.sleep(0.01)
        process.send_signal(signal.SIGINT)
        out, _ = process.communicate(timeout=30)
    assert (process.returncode, out) == (0, "interrupted\n") and len(server.posts()) < 30
    [records] = (tmp_path / "r").glob("runs/*/records.jsonl")
    assert records.read_bytes().count(b"\n") >= 2
