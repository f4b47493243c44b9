"""What a run shows while it runs: its tasks and its speed, live on a terminal, as a plain line now and then elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, TextIO

from harness.console.news import EVERY, Answerers, Causes, Outage, Speed, folded, span
from harness.limits import Gate
from harness.plan import Plan
from harness.runs import Silent
from harness.score import Reading
from harness.tables import counted, money, printable
from harness.types import Failure, Record

if TYPE_CHECKING:
    from rich.live import Live


@dataclass(slots=True)
class Line:
    """One task's progress."""

    task: str
    total: int
    done: int = 0
    failed: int = 0
    unparsed: int = 0

    @property
    def left(self) -> int:
        """What this session still asks."""
        return max(0, self.total - self.done - self.failed)

    def show(self) -> str:
        """Return the line: done of total, failed, unparsed."""
        trouble = f", {self.failed:,} failed" if self.failed else ""
        trouble += f", {self.unparsed:,} unparsed" if self.unparsed else ""
        return f"{self.task}: {self.done:,} of {self.total:,}{trouble}"


def _asked(plan: Plan) -> str:
    """Return how many questions there are and, where turns, repeats or rotations make them more, how many answers are wanted."""
    tasks = plan.manifest["tasks"].values()
    answers = sum(info["answers"] for info in tasks)
    samples = sum(info.get("samples", info["answers"]) for info in tasks)
    more = f", {answers:,} answers wanted" if answers != samples else ""
    return f"{counted(samples, 'question')} in {counted(len(plan.parts), 'task')}{more}"


class Console:
    """Shows a run's progress on `out`."""

    reads = True

    def __init__(self, out: TextIO | None = None) -> None:
        self.out = out or sys.stderr
        self._live: Live | None = None
        self._gate: Gate | None = None
        self._outage: Outage | None = None
        self._lines: dict[str, Line] = {}
        self._causes, self._answerers = Causes(), Answerers({})
        self._speed = Speed(0.0)
        self._started = self._told = 0.0
        self._count = self._asked = 0

    def start(self, plan: Plan, answered: Mapping[str, int], absent: Sequence[str]) -> None:
        """Say what is going to be done."""
        self._lines = {task: Line(task, info["answers"]) for task, info in plan.manifest["tasks"].items()}
        for part, n in answered.items():
            if part in self._lines:
                self._lines[part].done = n
        have = sum(answered.values())
        self._say(f"{plan.name}: {_asked(plan)}; {have:,} already answered")
        if absent:
            self._say(f"not asked, for their data is not here: {', '.join(absent)}  (tcm-eval data status)")
        self._started = self._told = time.monotonic()
        self._speed, self._causes, self._answerers = Speed(self._started), Causes(), Answerers(plan.identity)
        self._count = self._asked = 0
        if self.out.isatty():
            from rich.console import Console as RichConsole
            from rich.live import Live
            from rich.text import Text

            self._live = Live(  # drawn anew by the clock: while nobody answers, the retries still count up
                console=RichConsole(file=self.out),
                refresh_per_second=4,
                transient=True,
                get_renderable=lambda: Text("\n".join(self._lines_now(time.monotonic(), self._room()))),
            )
            self._live.start()

    def follow(self, gate: Gate) -> None:
        """Show this gate's tokens, cost, retries and requests in flight too, and say when the provider answers nobody."""
        self._gate = gate
        self._outage = Outage(gate.health, self._say)
        gate.health.hold = self._outage.hold
        if self._live is None:
            gate.health.notice = self._outage.fault

    def _pushing(self, now: float) -> str:
        """Return requests/s, tokens/s, the cost of the whole run so far, retries, the requests in flight, and the time left."""
        gate = self._gate
        rate, tokens = self._speed.at(now, self._asked, gate.tokens - gate.earlier_tokens if gate else 0)
        said = [f"{rate:,.0f} req/s" if rate >= 9.95 else f"{rate:.{1 if rate >= 0.95 or not rate else 2}f} req/s"]
        if gate is not None:
            said += [f"{tokens:,.0f} tokens/s"] if gate.tokens else []
            said += [f"cost so far {money(gate.spent)}"] if gate.spent else []
            said += [counted(gate.retries, "retry", "retries")] if gate.retries else []
            said += [f"{gate.running} of {int(gate.window)} in flight"]
        left = 0 if self._outage and self._outage.now() else sum(line.left for line in self._lines.values())
        return ", ".join([*said, *([f"{span(left / rate)} left"] if rate and left else [])])

    def record(self, record: Record, reading: Reading | None) -> None:
        """Count one outcome, and show the state now and then."""
        line = self._lines[record.task]
        self._count += 1
        self._asked += record.origin is None  # an earlier run's answer costs no time
        self._answerers.note(record)
        if isinstance(record.outcome, Failure):
            line.failed += 1
            self._causes.note(record.outcome)
        else:
            line.done += 1
            line.unparsed += reading is not None and reading.status == "unparsed"
        if self._outage is not None:
            self._outage.over()
        now = time.monotonic()
        if self._live is None and now - self._told >= EVERY:
            self._told = now
            self._say("; ".join(self._lines_now(now, 3)))

    def _room(self) -> int:
        """Return how many tasks can be shown live: what is below them must stay in sight of a low terminal."""
        return max(1, min(12, self._live.console.height - 5)) if self._live else 3

    def _lines_now(self, now: float, most: int) -> list[str]:
        open_lines = [line for line in self._lines.values() if line.left] or list(self._lines.values())
        wrong = [printable(said)] if self._live and self._outage and (said := self._outage.now()) else []
        pushing = folded(self._pushing(now), self._live.console.width) if self._live else [self._pushing(now)]
        return [*(printable(line.show()) for line in open_lines[:most]), *pushing, *wrong]

    def _say(self, text: str) -> None:
        self.out.write(printable(text) + "\n")
        self.out.flush()

    def tell(self, text: str) -> None:
        """Say a line of news, above what is live."""
        if self._live is None:
            self._say(f"  {text}")
        else:
            self._live.console.print(printable(text), markup=False, highlight=False)

    def stop(self) -> None:
        """Leave the final state of every task on the screen."""
        if self._live is not None:
            self._live.stop()
            self._live = None
        if self._count:
            for line in self._lines.values():
                self._say("  " + line.show())
            ended = self._ended(time.monotonic() - self._started)
            for said in (ended, *self._causes.lines(), *self._answerers.lines()):
                self._say("  " + said)
        left = any(line.left for line in self._lines.values())
        if left and self._gate and not self._gate.stopped and self._outage and (said := self._outage.now()):
            self._say(said)  # interrupted: what was live is gone from the screen
        if self._gate is not None and self._gate.stopped:
            more = (
                " with a greater budget" if "--max-cost" in self._gate.stopped or "tokens" in self._gate.stopped else ""
            )
            self._say(f"stopped: {self._gate.stopped}. All answers so far are kept; the same command{more} goes on.")

    def _ended(self, seconds: float) -> str:
        """Return what this session took in all."""
        said = [f"{self._asked:,} asked in {span(seconds)}"]
        gate = self._gate
        if gate is not None:
            said += [f"{gate.tokens - gate.earlier_tokens:,} tokens"] if gate.tokens else []
            said += [f"cost so far {money(gate.spent)}"] if gate.spent else []
            said += [counted(gate.retries, "retry", "retries")] if gate.retries else []
        return ", ".join(said)


class Quiet(Silent):
    """Says only what goes wrong: that the provider answers nobody, that it does again, and why calls failed."""

    def __init__(self, out: TextIO | None = None) -> None:
        self.out = out or sys.stderr
        self._name = ""
        self._outage: Outage | None = None
        self._causes = Causes()

    def start(self, plan: Plan, answered: Mapping[str, int], absent: Sequence[str]) -> None:  # noqa: ARG002 - a watch's form
        """Note whose run it is."""
        self._name, self._causes = plan.name, Causes()

    def _say(self, text: str) -> None:
        self.out.write(printable(f"{self._name}: {text}") + "\n")
        self.out.flush()

    def follow(self, gate: Gate) -> None:
        """Say when this gate's provider answers nobody."""
        self._outage = Outage(gate.health, self._say)
        gate.health.notice, gate.health.hold = self._outage.fault, self._outage.hold

    def record(self, record: Record, reading: Reading | None) -> None:  # noqa: ARG002 - a watch's form
        """Say when somebody is answered again."""
        if isinstance(record.outcome, Failure):
            self._causes.note(record.outcome)
        if self._outage is not None:
            self._outage.over()

    def stop(self) -> None:
        """Say why calls failed."""
        for said in self._causes.lines():
            self._say(said)


class Guarded(Console):
    """A console that first has the plan checked: a run that would be of no use is refused before its first question."""

    def __init__(self, check: Callable[[Plan], None], out: TextIO | None = None) -> None:
        super().__init__(out)
        self._check = check

    def start(self, plan: Plan, answered: Mapping[str, int], absent: Sequence[str]) -> None:
        """Check the plan, then say what is going to be done."""
        self._check(plan)
        super().start(plan, answered, absent)
