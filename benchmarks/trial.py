"""What the benchmarks of whole runs share: a bare suite, the faulty server in a process of its own, and the real command line."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
import urllib.request
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
TASK = """type: single_choice
data: [items.jsonl]
columns:
  id: id
  question: question
  options: { form: dict, column: options }
"""


class NotHeld(Exception):
    """Something that had to hold did not. The message says what, and what was found."""


def must(held: object, message: str) -> None:
    """Raise NotHeld with the message unless it holds."""
    if not held:
        raise NotHeld(message)


def write_suite(folder: Path, name: str, items: Iterable[Mapping[str, Any]]) -> None:
    """Write a suite of one task with these rows (id, question, options, answer)."""
    folder.mkdir(parents=True)
    (folder / f"{name}.yaml").write_text(TASK, "utf-8")
    with (folder / "items.jsonl").open("w", encoding="utf-8") as file:
        file.writelines(json.dumps(item, ensure_ascii=False) + "\n" for item in items)


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
        must(self.url.startswith("http"), f"the faulty server did not start: {' '.join(command)}")
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
        texts = dict(zip("ABCDE", ("补气药", "补血药", "补阴药", "补阳药", "解表药"), strict=True))
        items = (
            {"id": f"q{i}", "question": f"第{i}题：下列哪一项正确？", "options": texts, "answer": "ABCDE"[i % 5]}
            for i in range(self.samples)
        )
        write_suite(self.folder / "faults", "faults", items)

    def start(self, server: Server) -> subprocess.Popen[str]:
        command = [sys.executable, "-m", "harness.cli", "run", "--model", "server/mock", "--base-url", server.url]
        command += ["--tasks", "faults", "--task-path", str(self.folder / "faults")]
        command += ["--output", str(self.folder / "out"), *self.options]
        environment = {**os.environ, "PYTHONPATH": str(HERE.parent)}
        return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environment)

    def finish(self, server: Server, code: int = 0) -> float:
        """Run to the end; return the wall seconds. Raises NotHeld for another exit code than `code`."""
        began = time.monotonic()
        process = self.start(server)
        self.ended(process, code)
        return time.monotonic() - began

    def ended(self, process: subprocess.Popen[str], code: int = 0) -> None:
        """Wait for a run's end. Raises NotHeld for another exit code than `code`, with what it said and what failed."""
        said, _ = process.communicate()
        failures = [f"{row['sample']}: {row['failure']}" for row in self.lines() if "failure" in row][:10]
        found = "\n".join([said.strip(), *(["what failed:"] if failures else []), *failures])
        must(
            process.returncode == code, f"the run ended with {process.returncode} instead of {code}. It said:\n{found}"
        )

    def lines(self) -> list[dict[str, Any]]:
        """Return the complete lines of the records."""
        found = list((self.folder / "out").glob("runs/*/records.jsonl"))
        text = found[0].read_bytes() if found else b""
        return [json.loads(line) for line in text[: text.rfind(b"\n") + 1].splitlines()]

    def size(self) -> int:
        """Return how many records there are."""
        found = list((self.folder / "out").glob("runs/*/records.jsonl"))
        return found[0].read_bytes().count(b"\n") if found else 0

    def until(self, lines: int, process: subprocess.Popen[str]) -> None:
        """Wait until there are so many records. Raises NotHeld when the run ends before that."""
        while self.size() < lines:
            if process.poll() is not None:
                said, _ = process.communicate()
                raise NotHeld(f"the run ended at {self.size():,} of {lines:,} records. It said:\n{said.strip()}")
            time.sleep(0.05)

    def check(self, failed: int = 0) -> None:
        """Raise NotHeld unless every question was answered rightly and exactly once, but for so many that failed once."""
        rows = self.lines()
        times = Counter(row["sample"] for row in rows)
        uneven = [sample for sample, n in times.items() if n != 1][:5]
        must(not uneven, f"each question has exactly one record, but not {', '.join(uneven)}")
        must(len(times) == self.samples, f"{len(times):,} questions have a record, of {self.samples:,}")
        failures = sum("failure" in row for row in rows)
        must(failures == failed, f"{failures} questions failed, not {failed}")
        [path] = (self.folder / "out").glob("runs/*/summary.json")
        accuracy = json.loads(path.read_text("utf-8"))["tasks"]["faults/faults"]["accuracy"]
        must(accuracy["mean"] == 1.0, f"something was scored from a fault: the accuracy is {accuracy['mean']}")
        ok = (accuracy["n"], accuracy["counts"]["ok"])
        must(ok == (self.samples - failed,) * 2, f"{self.samples - failed:,} must be scored and ok, found: {accuracy}")
