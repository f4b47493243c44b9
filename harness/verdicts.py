"""A judged run: its panel, the answers that judges read, what is still to be asked, and what the verdicts come to."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from harness.batch import TOKENS, as_bought, count_tokens
from harness.engine import Todo
from harness.judge import Answered, Chain, Member, Panel, Unread, Wording, question_of, tally
from harness.plan import Plan
from harness.prompts import judged
from harness.score import read_job
from harness.store import Answers, Index, Writer, encode_record, file_name, read
from harness.types import Failure, Job, Record, Response

FILE = "judge.jsonl"
"""What judges said, one reply per line, beside the run's records."""


def batch_places(folder: Path, member: Member | None = None) -> list[Path]:
    """Return where the batches of a run's judges, or of one of them, are noted."""
    named = f"{file_name(member.name)}-{'[0-9a-f]' * 10}" if member else "*"
    return sorted((folder / "judging").glob(named))


def batch_place(folder: Path, member: Member, wording: Wording) -> Path:
    """Return where one judge's batches are noted: another place for other words, another budget of tokens and another identity."""
    what = f"{member.key}|{wording.fingerprint}|{member.sampling}"
    digest = hashlib.sha256(what.encode("utf-8", "replace")).hexdigest()[:10]
    return folder / "judging" / f"{file_name(member.name)}-{digest}"


def panel_in(folder: Path, manifest: Mapping[str, Any]) -> Panel | None:
    """Return the judges of a run with all that they said, None when it was not judged."""
    row = manifest.get("judging")
    return Panel.of(row, Answers([folder / FILE])) if row else None


def with_panel(plan: Plan) -> Plan:
    """Give every part of a plan the judges that its manifest names; return the plan."""
    panel = panel_in(plan.folder, plan.manifest)
    plan.parts = [replace(part, panel=panel) for part in plan.parts]
    return plan


def text_answers(plan: Plan, index: Index) -> Iterator[Answered]:
    """Yield all answers of a run that are texts, in the order of the data; what failed, was refused or is empty is none."""
    for part in plan.parts:
        if not part.task.is_text:
            continue
        for job in plan.jobs(part):
            readings = read_job(part.task, part.ask, job, index.of_job(job))
            for reading, (turn, _) in zip(readings, judged(part.task, job.sample), strict=True):
                if isinstance(reading.answer, str):
                    yield Answered(reading.sample, reading.answer, job.repeat, job.variant, turn)


def tallied(plan: Plan, index: Index) -> dict[str, Any] | None:
    """Return what stands under `judging` in a run's summary, None for a run that was not judged."""
    panel = next((part.panel for part in plan.parts if part.panel), None)
    if panel is None:
        return None
    found = used(plan.folder / FILE)
    spent: dict[str, dict[str, float | None]] = {}
    for one in panel.members:
        row = found.get(one.role, _unused())
        batched = {name: n for name, n in row.items() if name.startswith("batch_")}
        asked = {name: n for name, n in row.items() if name not in batched}
        cost = as_bought(one.price, row) if one.price else None
        spent[one.role] = {**asked, **(batched if any(batched.values()) else {}), "cost": cost}
    return tally(panel, text_answers(plan, index), spent)


def used(file: Path) -> dict[str, dict[str, float]]:
    """Return calls, tokens and seconds by role. Adopted replies are counted apart: another run has paid for them."""
    found: dict[str, dict[str, float]] = {}
    for record in read(file):
        if not isinstance(record.outcome, Response):
            continue
        row = found.setdefault(record.role, _unused())
        if record.origin is not None:
            row["adopted"] += 1
            continue
        row["calls"] += 1
        row["seconds"] += record.outcome.seconds
        count_tokens(record.outcome, row)
    return found


def versions_told(file: Path, role: str) -> set[str]:
    """Return the versions that the replies of one role are said to come from."""
    said = (record.outcome for record in read(file) if record.role == role)
    return {one.model_version for one in said if isinstance(one, Response) and one.model_version}


def _unused() -> dict[str, float]:
    return dict.fromkeys(("calls", "adopted", "tokens_in", "tokens_out", "seconds", *TOKENS), 0)


# ------------------------------------------------------------------ what is still to be asked


@dataclass(slots=True)
class Pass:
    """One judge's way through a run. `told` hears of each answer's last reply, and `refuse` of every one: it may raise.

    `again`: what could not be read is asked anew.
    """

    plan: Plan
    member: Member
    wording: Wording
    index: Index
    writer: Writer
    own: Answers
    others: Answers
    told: Callable[[Record], None]
    refuse: Callable[[Record], None]
    again: bool

    def jobs(self) -> Iterator[Job]:
        """Yield a job for each answer, equal questions once."""
        seen: set[str] = set()
        for one in text_answers(self.plan, self.index):
            question = question_of(one.sample, one.answer, self.wording, self.member.sampling)
            key = question.request.key(self.member.key)
            if key not in seen:
                seen.add(key)
                yield Job(one.sample, Chain(question, one.repeat, one.turn), 0, one.variant, self.member.role, 2)

    def counts(self) -> tuple[Counter[str], Counter[str]]:
        """Return by task how many questions there are, and how many have their verdict already."""
        total: Counter[str] = Counter()
        have: Counter[str] = Counter()
        for job in self.jobs():
            total[job.sample.task] += 1
            have[job.sample.task] += job.next(self._replies(job)) is None
        return total, have

    def _replies(self, job: Job) -> list[Response]:
        replies: list[Response] = []
        while (request := job.next(replies)) is not None and (said := self.own.find(request.key(self.member.key))):
            replies.append(said[0])
        return replies

    def todo(self) -> Iterator[Todo]:
        """Yield what the judge is still to be asked; adopt replies to equal questions about other runs."""
        for job in self.jobs():
            replies = self._replies(job)
            while (request := job.next(replies)) is not None:
                key = request.key(self.member.key)
                found = self.others.find(key)
                if found is None:
                    yield Todo(job, tuple(replies))
                    break
                place = (0, job.variant, len(replies), job.role, found[1])
                self.put(Record(key, job.sample.task, job.sample.id, found[0], *place), job)
                replies.append(found[0])
            else:
                if self.again and isinstance(_chain(job).question.read(replies[-1]), Unread):
                    yield Todo(job)

    def rounds(self, file: Path) -> Iterator[Iterator[Todo]]:
        """Yield what is to be asked, and, when that is answered and stands in `file`, the reminders: each a round of a batch."""
        yield self.todo()
        self.own, self.again = Answers([file]), False
        yield (one for one in self.todo() if one.done)

    def put(self, record: Record, job: Job) -> None:
        """Write one reply, with what was read in it."""
        chain = _chain(job)
        record = replace(record, repeat=chain.repeat)
        extra: dict[str, Any] = {"prompt": self.wording.fingerprint, "judged_turn": chain.turn}
        final = isinstance(record.outcome, Failure)
        if isinstance(record.outcome, Response):
            found = chain.question.read(record.outcome)
            final = record.turn > 0 or not isinstance(found, Unread) or found.refused
            extra |= (
                {"unread": found.why} if isinstance(found, Unread) else {"verdict": found.as_row(chain.question.ids)}
            )
        self.writer.append(encode_record(record, extra))
        self.refuse(record)
        if final:
            self.told(record)


def _chain(job: Job) -> Chain:
    if not isinstance(job.next, Chain):
        raise TypeError("a judge's job holds its question")
    return job.next
