"""A run of many samples with a model that costs nothing: time, peak memory, and how soon a resume starts to ask.

    python benchmarks/scale.py --samples 1000000

Peak memory is the child process's own (ru_maxrss). The run is killed half way; the resume's start is the time until the first new
record is written.
"""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks.trial import write_suite


def make(folder: Path, samples: int) -> None:
    options = {"A": "人参", "B": "当归", "C": "麦冬", "D": "枸杞子", "E": "熟地黄"}
    question = "第{}题：下列哪味药属于补气药？".format
    items = (
        {"id": f"q{i}", "question": question(i), "options": options, "answer": "ABCDE"[i % 5]} for i in range(samples)
    )
    write_suite(folder, "scale", items)


def timed(command: list[str]) -> tuple[float, float, float]:
    """Return wall seconds, CPU seconds and peak memory in MB of a command that must succeed."""
    started = time.monotonic()
    pid = os.posix_spawn(command[0], command, os.environ)
    _, status, usage = os.wait4(pid, 0)
    if os.waitstatus_to_exitcode(status):
        raise SystemExit(f"{command} ended with {os.waitstatus_to_exitcode(status)}")
    return time.monotonic() - started, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024


def lines(path: Path) -> int:
    with path.open("rb") as file:
        return sum(chunk.count(b"\n") for chunk in iter(lambda: file.read(1 << 22), b""))


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--samples", type=int, default=1_000_000)
    samples = options.parse_args().samples
    with tempfile.TemporaryDirectory(prefix="scale-") as work:
        folder, out = Path(work) / "scale", Path(work) / "out"
        make(folder, samples)
        asked = ["run", "--model", "guess", "--tasks", "scale", "--quiet"]
        command = [sys.executable, "-m", "harness.cli", *asked, "--task-path", str(folder), "--output", str(out)]
        first = subprocess.Popen(command)
        while not (found := list(out.glob("runs/*/records.jsonl"))) or found[0].stat().st_size < 1:
            time.sleep(0.05)
        records = found[0]
        while lines(records) < samples // 2:
            time.sleep(0.5)
        first.send_signal(signal.SIGKILL)
        first.wait()
        kept = lines(records)
        size = records.stat().st_size
        started = time.monotonic()
        second = subprocess.Popen(command)
        while records.stat().st_size <= size and second.poll() is None:
            time.sleep(0.02)
        resumed = time.monotonic() - started
        second.send_signal(signal.SIGKILL)
        second.wait()
        wall, cpu, peak = timed(command)
        again, cpu_again, peak_again = timed(command)
        print(f"samples {samples:,}; killed with {kept:,} answers kept")
        print(f"resume writes its first new answer after {resumed:.1f} s")
        print(f"the rest, scores and summary: {wall:.0f} s wall, {cpu:.0f} s CPU, peak memory {peak:.0f} MB")
        print(
            f"a finished run asked for again: {again:.0f} s wall, {cpu_again:.0f} s CPU, peak memory {peak_again:.0f} MB"
        )
        print(f"records in the end: {lines(records):,}")


if __name__ == "__main__":
    main()
