"""What a run survives, through the real command line against a server in a process of its own. Each check must hold, else it ends with 1.

    python benchmarks/faults.py                    # all, about six minutes
    python benchmarks/faults.py --only transient --samples 500
    python benchmarks/faults.py --write            # puts the table into benchmarks/RESULTS.md

transient  a tenth of the requests goes wrong (5xx, connection dropped in mid-body, slower than --timeout, malformed JSON)
bucket     a token bucket of 20 requests/s, with and without Retry-After
gone       the provider is killed, and is back after --gone seconds
killed     the run is killed with -9 ten times
poison     one question always gets a 400
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import re
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
RATE, BURST = 20.0, 20.0
LATENCY = 0.5
"""Mean seconds of an answer where time is compared: nearer to a model's than to a benchmark's, so that waiting decides, not this CPU."""
TASK = """type: single_choice
data: [items.jsonl]
columns:
  id: id
  question: question
  options: { form: dict, column: options }
"""


@dataclass
class Server:
    """The faulty server: it can be killed and come back at the same address."""

    arguments: list[str]
    port: int = 0
    url: str = ""
    process: subprocess.Popen[str] | None = None

    def start(self) -> None:
        command = [sys.executable, str(HERE / "faulty_server.py"), "--port", str(self.port), *self.arguments]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert self.process.stdout is not None
        self.url = self.process.stdout.readline().strip()
        self.port = int(self.url.rsplit(":", 1)[1].partition("/")[0])

    def kill(self) -> None:
        assert self.process is not None and self.process.stdout is not None
        self.process.kill()
        self.process.wait()
        self.process.stdout.close()

    def stats(self) -> dict[str, float]:
        with urllib.request.urlopen(self.url.removesuffix("/v1") + "/stats", timeout=10) as reply:
            loaded: dict[str, float] = json.load(reply)
        return loaded


@contextmanager
def serving(*arguments: object) -> Iterator[Server]:
    server = Server([str(a) for a in arguments])
    server.start()
    try:
        yield server
    finally:
        server.kill()


@dataclass
class Run:
    """One run's folder, made for `samples` questions."""

    folder: Path
    samples: int
    options: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        suite = self.folder / "faults"
        suite.mkdir(parents=True)
        (suite / "faults.yaml").write_text(TASK, "utf-8")
        texts = dict(zip("ABCDE", ("补气药", "补血药", "补阴药", "补阳药", "解表药"), strict=True))
        with (suite / "items.jsonl").open("w", encoding="utf-8") as file:
            for i in range(self.samples):
                row = {
                    "id": f"q{i}",
                    "question": f"第{i}题：下列哪一项正确？",
                    "options": texts,
                    "answer": "ABCDE"[i % 5],
                }
                file.write(json.dumps(row, ensure_ascii=False) + "\n")

    def start(self, server: Server) -> subprocess.Popen[str]:
        command = [sys.executable, "-m", "harness.cli", "run", "--model", "server/mock", "--base-url", server.url]
        command += [
            "--tasks",
            "faults",
            "--task-path",
            str(self.folder / "faults"),
            "--output",
            str(self.folder / "out"),
        ]
        environment = {**os.environ, "PYTHONPATH": str(HERE.parent)}
        return subprocess.Popen(
            [*command, *self.options], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environment
        )

    def finish(self, server: Server, code: int = 0) -> float:
        """Run to the end; return the wall seconds. Another exit code than `code` is an error."""
        began = time.monotonic()
        process = self.start(server)
        said, _ = process.communicate()
        if process.returncode != code:
            raise AssertionError(f"exit {process.returncode}, expected {code}:\n{said}")
        return time.monotonic() - began

    def lines(self) -> list[dict[str, Any]]:
        """Return the complete lines of the records."""
        found = list((self.folder / "out").glob("runs/*/records.jsonl"))
        text = found[0].read_bytes() if found else b""
        return [json.loads(line) for line in text[: text.rfind(b"\n") + 1].splitlines()]

    def size(self) -> int:
        """Return how many records there are."""
        found = list((self.folder / "out").glob("runs/*/records.jsonl"))
        return found[0].read_bytes().count(b"\n") if found else 0

    def check(self, failed: int = 0) -> float:
        """Return the accuracy; every question must have been answered exactly once, but for so many that failed once."""
        rows = self.lines()
        times = Counter(row["sample"] for row in rows)
        assert len(times) == self.samples and set(times.values()) == {1}, "each question has exactly one record"
        assert sum("failure" in row for row in rows) == failed
        [path] = (self.folder / "out").glob("runs/*/summary.json")
        accuracy = json.loads(path.read_text("utf-8"))["tasks"]["faults/faults"]["accuracy"]
        assert accuracy["n"] == self.samples - failed and accuracy["counts"]["ok"] == self.samples - failed
        assert accuracy["mean"] == 1.0, f"something was scored from a fault: {accuracy['mean']}"
        return float(accuracy["mean"])


Row = tuple[str, str, str]
"""What was done, what had to hold, what was measured."""


def transient(work: Path, samples: int, _gone: float) -> list[Row]:
    options = ["--timeout", "3"]
    with serving("--latency", LATENCY) as server:
        clean = Run(work / "clean", samples, options)
        alone = clean.finish(server)
        clean.check()
    with serving("--latency", LATENCY, "--faults", 0.1, "--slow", 4) as server:
        run = Run(work / "faulty", samples, options)
        seconds = run.finish(server)
        run.check()
        stats = server.stats()
    faults = ", ".join(
        f"{stats.get(kind, 0):.0f} {name}"
        for kind, name in (
            ("status", "5xx"),
            ("drop", "dropped"),
            ("slow", "over the time-out"),
            ("malformed", "malformed"),
        )
    )
    said = f"{faults}; {seconds:.1f} s against {alone:.1f} s: {seconds / alone:.2f} times"
    if samples >= 5000:
        assert seconds < 1.5 * alone, said
    return [
        (
            f"{samples:,} requests, a tenth goes wrong",
            "each answered once, none scored from a fault, at most 1.5 times the time",
            said,
        )
    ]


def bucket(work: Path, samples: int, _gone: float) -> list[Row]:
    rows = []
    for asks, name in (
        ("none", "no Retry-After"),
        ("exact", "Retry-After to the millisecond"),
        ("whole", "Retry-After: 1"),
    ):
        arguments = ("--rate", RATE, "--burst", BURST, "--retry-after", asks)
        with serving("--latency", 0.1, *arguments) as server:
            run = Run(work / asks, samples, ["--adaptive"])
            run.finish(server)
            run.check()
            stats = server.stats()
        share = samples / (BURST + RATE * stats["seconds"])
        refused = stats.get("refused", 0)
        said = f"{share:.1%} of the tokens used, {refused:.0f} refusals ({refused / samples:.1%})"
        assert share >= 0.9 and refused < 0.02 * samples + 10, said
        rows.append(
            (f"{samples:,} requests, a bucket of {RATE:g}/s and {BURST:g}, {name}", "at least 90 %, few refusals", said)
        )
    return rows


def gone(work: Path, samples: int, seconds: float) -> list[Row]:
    with serving("--latency", 0.1) as server:
        run = Run(work / "gone", samples)
        process = run.start(server)
        _until(run, samples // 3, process)
        server.kill()
        time.sleep(seconds)
        before = run.size()
        server.start()
        back = time.monotonic()
        _until(run, before + 1, process)
        again = time.monotonic() - back
        said, _ = process.communicate()
        assert process.returncode == 0, said
        run.check()
        words = f"{before:,} answered before; the next one {again:.1f} s after it was back; no failure"
        return [(f"{samples:,} requests, the provider killed for {seconds:g} s", "finishes, all answered", words)]


def killed(work: Path, samples: int, _gone: float) -> list[Row]:
    with serving("--latency", 0.1) as server:
        run = Run(work / "killed", samples)
        kept = 0
        for n in range(10):
            process = run.start(server)
            _until(run, (n + 1) * samples // 12, process)
            process.send_signal(signal.SIGKILL)
            process.communicate()
            assert run.size() >= kept, "nothing written is ever lost"
            kept = run.size()
        run.finish(server)
        run.check()
        asked = server.stats()["requests"]
    words = f"{kept:,} kept by the tenth; {asked - samples:,.0f} answers lost on their way, of at most {10 * 64}"
    return [(f"{samples:,} requests, the run killed with -9 ten times", "records whole, each question once", words)]


def poison(work: Path, samples: int, _gone: float) -> list[Row]:
    with serving("--latency", 0.1, "--poison", samples // 2) as server:
        run = Run(work / "poison", samples)
        run.finish(server, code=3)
        run.check(failed=1)
        tries = server.stats()["poison"]
    return [
        (
            f"{samples:,} requests, one of them always gets a 400",
            "costs only itself, exit 3",
            f"{samples - 1:,} answered, 1 failed after {tries:.0f} attempt",
        )
    ]


SCENES: dict[str, tuple[Callable[[Path, int, float], list[Row]], int]] = {
    "transient": (transient, 10_000),
    "bucket": (bucket, 1000),
    "gone": (gone, 3000),
    "killed": (killed, 10_000),
    "poison": (poison, 1000),
}


def _until(run: Run, lines: int, process: subprocess.Popen[str]) -> None:
    while run.size() < lines:
        if process.poll() is not None:
            raise AssertionError(f"the run ended early:\n{process.communicate()[0]}")
        time.sleep(0.05)


def table(rows: list[Row]) -> str:
    today = datetime.now(UTC).date()
    about = (
        f"`python benchmarks/faults.py`; {os.cpu_count()} cores, {platform.system()}, Python {platform.python_version()}, "
        f"aiohttp {version('aiohttp')}, {today}; 64 in flight, `nice`d beside other work; answers after 0.05 to 0.15 s, in the first row after 0.25 to 0.75 s with `--timeout 3`."
    )
    lines = [f"| {done} | {held} | {said} |" for done, held, said in rows]
    return "\n".join(
        [
            "## Faults",
            "",
            about,
            "",
            "| what was done | what had to hold | measured |",
            "| --- | --- | --- |",
            *lines,
            "",
        ]
    )


def write(text: str) -> None:
    """Replace the section of faults, or put it before the knowledge base's."""
    path = HERE / "RESULTS.md"
    old = path.read_text("utf-8")
    section = re.compile(r"^## Faults\n.*?(?=^## )", re.M | re.S)
    new = (
        section.sub(lambda _: text + "\n", old)
        if section.search(old)
        else old.replace("## Knowledge base", text + "\n## Knowledge base")
    )
    path.write_text(new, "utf-8")


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--only", action="append", choices=[*SCENES], help="this one alone; may be given again")
    options.add_argument("--samples", type=int, help="requests of each (default: 10,000, 1,000, 3,000, 10,000, 1,000)")
    options.add_argument("--gone", type=float, default=60.0, help="seconds that the provider is gone")
    options.add_argument("--write", action="store_true", help="write the table into benchmarks/RESULTS.md")
    said = options.parse_args()
    rows: list[Row] = []
    for name in said.only or SCENES:
        scene, samples = SCENES[name]
        with tempfile.TemporaryDirectory(prefix="faults-") as work:
            rows += scene(Path(work), said.samples or samples, said.gone)
        print(" | ".join(rows[-1]), flush=True)
    print(table(rows))
    if said.write:
        write(table(rows))


if __name__ == "__main__":
    main()
