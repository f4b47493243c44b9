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
import os
import platform
import re
import signal
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks.trial import HERE, NotHeld, Run, must, serving

RATE, BURST = 20.0, 20.0
LATENCY = 0.5
"""Mean seconds of an answer where time is compared: nearer to a model's than to a benchmark's, so that waiting decides, not this CPU."""
TIMES = 1.5
"""What a tenth of faults may make of the time of a run without any."""

Row = tuple[str, str, str]
"""What was done, what had to hold, what was measured."""


def transient(work: Path, samples: int, _gone: float) -> list[Row]:
    options = ["--timeout", "3"]
    with serving("--latency", LATENCY) as server:
        clean = Run(work / "clean", samples, options)
        alone = clean.finish(server)
        clean.check()
        asking = server.stats()["seconds"]
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
    said = (
        f"{faults}; {seconds:.1f} s against {alone:.1f} s: {seconds / alone:.2f} times (from the first request to the last "
        f"answer {stats['seconds']:.1f} s against {asking:.1f} s: {stats['seconds'] / asking:.2f} times)"
    )
    if samples >= 5000:
        must(seconds < TIMES * alone, f"faults may cost {TIMES:g} times the time at most: {said}")
    return [
        (
            f"{samples:,} requests, a tenth goes wrong",
            f"each answered once, none scored from a fault, at most {TIMES:g} times the time",
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
        must(share >= 0.9 and refused < 0.02 * samples + 10, f"{name}: at least 90 % and few refusals, not {said}")
        rows.append(
            (f"{samples:,} requests, a bucket of {RATE:g}/s and {BURST:g}, {name}", "at least 90 %, few refusals", said)
        )
    return rows


def gone(work: Path, samples: int, seconds: float) -> list[Row]:
    with serving("--latency", 0.1) as server:
        run = Run(work / "gone", samples)
        process = run.start(server)
        run.until(samples // 3, process)
        server.kill()
        time.sleep(seconds)
        before = run.size()
        server.start()
        back = time.monotonic()
        run.until(before + 1, process)
        again = time.monotonic() - back
        run.ended(process)
        run.check()
        words = f"{before:,} answered before; the next one {again:.1f} s after it was back; no failure"
        return [(f"{samples:,} requests, the provider killed for {seconds:g} s", "finishes, all answered", words)]


def killed(work: Path, samples: int, _gone: float) -> list[Row]:
    with serving("--latency", 0.1) as server:
        run = Run(work / "killed", samples)
        kept = 0
        for n in range(10):
            process = run.start(server)
            run.until((n + 1) * samples // 12, process)
            process.send_signal(signal.SIGKILL)
            process.communicate()
            must(run.size() >= kept, f"nothing written is ever lost, but of {kept:,} records {run.size():,} are left")
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


def table(rows: list[Row]) -> str:
    today = datetime.now(UTC).date()
    about = (
        f"`python benchmarks/faults.py`; {os.cpu_count()} cores, {platform.system()}, Python {platform.python_version()}, "
        f"aiohttp {version('aiohttp')}, {today}; 64 in flight; answers after 0.05 to 0.15 s, in the first row after 0.25 to 0.75 s with `--timeout 3`."
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
    broken = []
    for name in said.only or SCENES:
        scene, samples = SCENES[name]
        try:
            with tempfile.TemporaryDirectory(prefix="faults-") as work:
                rows += scene(Path(work), said.samples or samples, said.gone)
        except NotHeld as error:
            broken.append(name)
            print(f"{name}: DID NOT HOLD: {error}", file=sys.stderr, flush=True)
        else:
            print(" | ".join(rows[-1]), flush=True)
    if rows:
        print(table(rows))
    if broken:
        unwritten = " Nothing is written." if said.write else ""
        sys.exit(f"did not hold: {', '.join(broken)}.{unwritten}")
    if said.write:
        write(table(rows))


if __name__ == "__main__":
    main()
