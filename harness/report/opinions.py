"""What a run's judges said of one answer: each one's marks with their reasons, or why its reply could not be read."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from harness.judge import Opinion, Unread, Verdict
from harness.plan import Part
from harness.prompts import judged
from harness.score import read_job
from harness.types import Case, Job, Record, Reference, Sample


def opinions(part: Part, job: Job, records: Sequence[Record]) -> list[dict[str, Any]]:
    """Return a row for each judge and judged turn; empty for a task or a run without judges, and for answers that are no text.

    `unread` says why there is no verdict: "not asked yet", or what was wrong with the reply, which is `said` then.
    """
    if part.panel is None or not part.task.is_text or len(records) != job.steps:
        return []
    readings = read_job(part.task, part.prompter.style.ask, job, records)
    found = []
    for reading, (turn, _) in zip(readings, judged(part.task, job.sample), strict=True):
        if isinstance(reading.answer, str):
            said = part.panel.opinions(reading.sample, reading.answer)
            found += [_row(one, reading.sample, turn) for one in said]
    return found


def _row(opinion: Opinion, sample: Sample, turn: int) -> dict[str, Any]:
    row: dict[str, Any] = {"judge": opinion.member.name, "turn": turn}
    if isinstance(opinion.found, Verdict):
        rubric = sample.target.rubric if isinstance(sample.target, Reference | Case) else ()
        marks = zip(rubric, opinion.found.marks, opinion.found.reasons, strict=True)
        criteria = [{"criterion": text, "mark": mark, "reason": reason} for text, mark, reason in marks]
        return row | {"criteria": criteria, "meaning": opinion.found.meaning, "reason": opinion.found.reason}
    why = opinion.found.why if isinstance(opinion.found, Unread) else "not asked yet"
    return row | {"unread": why, "said": opinion.replies[-1].text if opinion.replies else ""}
