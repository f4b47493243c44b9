"""What a run shows while it runs: one live line a task on a terminal, a plain line now and then elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, TextIO

from harness.limits import Gate
from harness.plan import Plan
from harness.score import Reading
from harness.tables import printable
from harness.types import Failure, Record

if TYPE_CHECKING:
    from rich.live import Live

EVERY = 10.0
"""Seconds between two plain lines."""


@dataclass(slots=True)
class Line:
    """One task's progress."""

    task: str
    total: int
    done: int = 0
    failed: int = 0
    unparsed: int = 0

    def show(self, rate: float) -> str:
        """Return the line: done of total, failed, unparsed, requests/s, time left."""
        left = f", {_span((self.total - self.done) / rate)} left" if rate > 0 and self.done < self.total else ""
        trouble = f", {self.failed} failed" if self.failed else ""
        trouble += f", {self.unparsed} unparsed" if self.unparsed else ""
        return f"{self.task}: {self.done:,} of {self.total:,}{trouble}, {rate:.0f} req/s{left}"


def _span(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


class Console:
    """Shows a run's progress on `out`."""

    reads = True

    def __init__(self, out: TextIO | None = None) -> None:
        self.out = out or sys.stderr
        self._live: Live | None = None
        self._gate: Gate | None = None
        self._lines: dict[str, Line] = {}
        self._started = self._told = 0.0
        self._count = 0

    def start(self, plan: Plan, answered: Mapping[str, int], absent: Sequence[str]) -> None:
        """Say what is going to be done."""
        total = sum(info["answers"] for info in plan.manifest["tasks"].values())
        self._lines = {task: Line(task, info["answers"]) for task, info in plan.manifest["tasks"].items()}
        for part, n in answered.items():
            if part in self._lines:
                self._lines[part].done = n
        have = sum(answered.values())
        tasks = len(plan.parts)
        self._say(
            f"{plan.name}: {total:,} questions in {tasks} task{'s' if tasks > 1 else ''}; {have:,} already answered"
        )
        if absent:
            self._say(f"not asked, for their data is not here: {', '.join(absent)}  (tcm-eval data status)")
        self._started = self._told = time.monotonic()
        self._count = 0
        if self.out.isatty():
            from rich.console import Console as RichConsole
            from rich.live import Live

            self._live = Live(console=RichConsole(file=self.out), refresh_per_second=4, transient=True)
            self._live.start()

    def follow(self, gate: Gate) -> None:
        """Show this gate's tokens, cost, retries and requests in flight too."""
        self._gate = gate

    def _pushing(self, seconds: float) -> str:
        """Return tokens/s, the cost so far, retries and the requests in flight."""
        gate = self._gate
        if gate is None or not gate.tokens:
            return ""
        cost = f", cost so far {gate.spent:,.4g}" if gate.spent else ""
        retries = f", {gate.retries:,} retries" if gate.retries else ""
        return f"{gate.tokens / max(1e-9, seconds):,.0f} tokens/s{cost}{retries}, {gate.running} in flight"

    def record(self, record: Record, reading: Reading | None) -> None:
        """Count one outcome, and show the state now and then."""
        line = self._lines[record.task]
        self._count += 1
        if isinstance(record.outcome, Failure):
            line.failed += 1
        else:
            line.done += 1
            line.unparsed += reading is not None and reading.status == "unparsed"
        now = time.monotonic()
        if now - self._told >= (0.25 if self._live else EVERY):
            self._told = now
            self._show(now)

    def _show(self, now: float) -> None:
        rate = self._count / max(1e-9, now - self._started)
        open_lines = [line for line in self._lines.values() if line.done < line.total] or list(self._lines.values())
        pushing = list(filter(None, [self._pushing(now - self._started)]))
        if self._live is not None:
            from rich.text import Text

            self._live.update(Text("\n".join([*(printable(line.show(rate)) for line in open_lines[:12]), *pushing])))
        else:
            self._say("; ".join([*(line.show(rate) for line in open_lines[:3]), *pushing]))

    def _say(self, text: str) -> None:
        self.out.write(printable(text) + "\n")
        self.out.flush()

    def stop(self) -> None:
        """Leave the final state of every task on the screen."""
        if self._live is not None:
            self._live.stop()
            self._live = None
        if self._count:
            rate = self._count / max(1e-9, time.monotonic() - self._started)
            for line in self._lines.values():
                self._say("  " + line.show(rate).replace(" 0 req/s", ""))
        if self._gate is not None and self._gate.stopped:
            self._say(f"stopped: {self._gate.stopped}. All answers so far are kept; the same command goes on.")


class Guarded(Console):
    """A console that first has the plan checked: a run that would be of no use is refused before its first question."""

    def __init__(self, check: Callable[[Plan], None], out: TextIO | None = None) -> None:
        super().__init__(out)
        self._check = check

    def start(self, plan: Plan, answered: Mapping[str, int], absent: Sequence[str]) -> None:
        """Check the plan, then say what is going to be done."""
        self._check(plan)
        super().start(plan, answered, absent)
