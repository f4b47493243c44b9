"""What a panel's verdicts amount to: how many there are, how far the judges agree, which answers speak to a judge, what it took."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from harness.judge.agreement import Agreement
from harness.judge.panel import Member, Opinion, Panel
from harness.judge.signs import signs
from harness.judge.verdict import Unread, Verdict
from harness.types import Sample


@dataclass(frozen=True, slots=True)
class Answered:
    """One answer that a judge is to read, with what it is judged against and its place in the run."""

    sample: Sample
    answer: str
    repeat: int = 0
    variant: int = 0
    turn: int = 0


@dataclass(slots=True)
class _Count:
    """One judge's verdicts over a run."""

    verdicts: int = 0
    reminded: int = 0
    unread: int = 0
    refused: int = 0
    missing: int = 0
    versions: set[str] = field(default_factory=set)
    not_accepted: set[str] = field(default_factory=set)

    def add(self, opinion: Opinion) -> None:
        self.reminded += len(opinion.replies) > 1
        self.verdicts += isinstance(opinion.found, Verdict)
        self.missing += opinion.found is None
        if isinstance(opinion.found, Unread):
            self.refused += opinion.found.refused
            self.unread += not opinion.found.refused
        for reply in opinion.replies:
            self.versions.update([reply.model_version] if reply.model_version else ())
            self.not_accepted.update(reply.not_accepted)


@dataclass(slots=True)
class _Task:
    """One task's answers under the whole panel."""

    answers: int = 0
    by_all: int = 0
    by_some: int = 0
    by_none: int = 0
    flagged: int = 0
    flags: dict[str, int] = field(default_factory=dict)
    criteria: Agreement = field(default_factory=Agreement)
    meaning: Agreement = field(default_factory=Agreement)

    def add(self, answer: str, opinions: list[Opinion]) -> None:
        verdicts = [one.found for one in opinions if isinstance(one.found, Verdict)]
        self.answers += 1
        self.by_all += len(verdicts) == len(opinions)
        self.by_some += 0 < len(verdicts) < len(opinions)
        self.by_none += not verdicts
        found = signs(answer)
        self.flagged += bool(found)
        for name in found:
            self.flags[name] = self.flags.get(name, 0) + 1
        for marks in zip(*(one.marks for one in verdicts), strict=True):
            self.criteria.add(marks)
        self.meaning.add([one.meaning for one in verdicts])

    def as_row(self) -> dict[str, Any]:
        counts = {name: getattr(self, name) for name in ("answers", "by_all", "by_some", "by_none", "flagged", "flags")}
        return {**counts, "agreement": {"criteria": self.criteria.as_row(), "meaning": self.meaning.as_row()}}


def tally(panel: Panel, answered: Iterable[Answered], used: Mapping[str, Mapping[str, float | None]]) -> dict[str, Any]:
    """Return what stands under `judging` in a run's summary; `used` is what each judge took and cost, by its role."""
    counts = {one.name: _Count() for one in panel.members}
    tasks: dict[str, _Task] = {}
    for one in answered:
        opinions = panel.opinions(one.sample, one.answer)
        for opinion in opinions:
            counts[opinion.member.name].add(opinion)
        tasks.setdefault(one.sample.task, _Task()).add(one.answer, opinions)
    return {
        "judges": [_judge(one, counts[one.name], used[one.role]) for one in panel.members],
        "prompt": panel.wording.fingerprint,
        "ladder": panel.ladder,
        "tasks": {task: found.as_row() for task, found in tasks.items()},
    }


def _judge(member: Member, count: _Count, used: Mapping[str, float | None]) -> dict[str, Any]:
    names = ("verdicts", "reminded", "unread", "refused", "missing")
    return {
        "name": member.name,
        "identity": dict(member.identity),
        **{name: getattr(count, name) for name in names},
        "versions": sorted(count.versions),
        "not_accepted": sorted(count.not_accepted),
        "usage": dict(used),
    }
