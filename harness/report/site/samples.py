"""A run -> its samples one by one: what was asked, what came back, what was read and how each metric judged it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any

from harness.errors import UsageError
from harness.extract.reasoning import split
from harness.metrics.safety import RULES
from harness.plan import Part, Plan
from harness.registry import get_extractor, get_metric
from harness.report.opinions import opinions
from harness.score import Reading, read
from harness.store import Index, read_scores
from harness.types import Blanks, Case, Choice, Failure, Image, Job, Record, Reference, Request, Response, Score, slot

OUTCOMES = ("right", "partly right", "wrong", "unparsed", "truncated", "refused", "failed", "unscored")
"""What became of a sample under its task's headline metric."""

HARMFUL = ("incompatible", "pregnancy", "dose_above", "toxic_without_precaution")
"""The rules whose breach marks an answer as unsafe; a herb that the knowledge base does not know is said, but is no harm."""

SHOWN_IMAGES = ("image/png", "image/jpeg", "image/gif", "image/webp")
ABOUT, ANSWER = 90, 60
"""So many characters of a question and of an answer stand in the list."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One sample of a run: its scores, its records by turn, and its job and part where the data is still here."""

    scores: Sequence[Score]
    headline: Score
    records: Sequence[Record]
    job: Job | None
    part: Part | None


def entries(folder: Path, manifest: Mapping[str, Any], plan: Plan | None, index: Index) -> Iterator[Entry]:
    """Yield the samples of a run in the order of its scores; raise UsageError for a damaged or outdated scores file."""
    jobs = iter([]) if plan is None else ((part, job) for part in plan.parts for job in plan.jobs(part))
    path = folder / "scores.jsonl"
    for place, group in groupby(read_scores(path), lambda s: (s.task, s.sample, s.repeat, s.variant)):
        scores = list(group)
        if place[0] not in manifest["tasks"]:
            raise _outdated(path, folder, f"task {place[0]} is not in its manifest")
        part, job = next(jobs, (None, None))
        if plan is not None and (job is None or (job.sample.task, job.sample.id, job.repeat, job.variant) != place):
            raise _outdated(path, folder, f"it has {place[0]} {place[1]} where the data has another sample")
        wanted = manifest["tasks"][place[0]]["headline"]
        headline = next((score for score in scores if score.metric == wanted), scores[0])
        yield Entry(scores, headline, list(_records(index, place)), job, part)
    if next(jobs, None) is not None:
        raise _outdated(path, folder, "it ends before the data does")


def _outdated(path: Path, folder: Path, why: str) -> UsageError:
    return UsageError(f"{path} does not fit the run: {why}. Score it again: tcm-eval score {folder}")


def _records(index: Index, place: tuple[str, str, int, int]) -> Iterator[Record]:
    turn = 0
    while (record := index.get(slot(*place, turn, "candidate"))) is not None:
        yield record
        turn += 1


def outcome(score: Score) -> int:
    """Return the sample's outcome as a position in `OUTCOMES`; a mean between best and worst is partly right."""
    if score.status != "ok":
        return OUTCOMES.index(score.status)
    metric = get_metric(score.metric)
    low, high = metric.bounds
    best, worst = (high, low) if metric.higher_is_better else (low, high)
    if best is not None and score.value == best:
        return 0
    return 2 if worst is not None and score.value == worst else 1


def in_full(entry: Entry) -> dict[str, Any]:
    """Return all that the page of a sample shows, as plain data."""
    head = entry.headline
    shown: dict[str, Any] = {
        "sample": head.sample,
        "task": head.task,
        "repeat": head.repeat,
        "variant": head.variant,
        "discipline": head.discipline,
        "group": head.group,
        "outcome": OUTCOMES[outcome(head)],
        "status": head.status,
        "answer": head.answer,
        "turns": [_turn(record) for record in entry.records],
        "metrics": [
            {"name": s.metric, "value": s.value, "status": s.status, "parts": dict(s.parts)} for s in entry.scores
        ],
    }
    if entry.job is not None and entry.part is not None:
        sample, request = entry.job.sample, _last_request(entry)
        shown |= {
            "question": sample.question,
            "options": [[letter, text] for letter, text in sample.options.items()],
            "target": _target(sample.target),
            "prompt": [_message(m.role, m.content) for m in request.messages] if request else [],
            "asked_options": list(request.options) if request else [],
            "reader": _reader(entry.part),
            "unsafe": findings(entry.part, entry.job, entry.records),
            "judged": opinions(entry.part, entry.job, entry.records),
        }
    return shown


def _turn(record: Record) -> dict[str, Any]:
    said = record.outcome
    if isinstance(said, Failure):
        return {"failure": {"kind": said.kind, "message": said.message, "attempts": said.attempts}}
    parts = split(said.text, said.reasoning)
    turn: dict[str, Any] = {
        "text": said.text,
        "answer": parts.answer if parts.answer != said.text.strip() else None,
        "reasoning": parts.reasoning or None,
        "closed": parts.closed,
        "stop": said.stop,
        "tokens": [said.tokens_in, said.tokens_out, said.tokens_reasoning, said.tokens_cached],
        "seconds": said.seconds,
        "version": said.model_version,
        "origin": record.origin,
    }
    if said.logprobs is not None:
        turn["logprobs"] = [[one.total, one.tokens] for one in said.logprobs]
    return turn


def _message(role: str, content: str | tuple[str | Image, ...]) -> dict[str, Any]:
    parts = (content,) if isinstance(content, str) else content
    return {"role": role, "parts": [{"text": part} if isinstance(part, str) else _image(part) for part in parts]}


def _image(image: Image) -> dict[str, str]:
    if image.media_type in SHOWN_IMAGES:
        return {"image": f"data:{image.media_type};base64,{image.data}"}
    return {"text": f"[image of type {image.media_type}]"}


def _last_request(entry: Entry) -> Request | None:
    """Return the last request that was sent for a sample; of a dialogue it holds all that went before."""
    if entry.job is None:
        return None
    before = [r.outcome for r in entry.records[:-1] if isinstance(r.outcome, Response)]
    return entry.job.next(before)


def _reading(part: Part, job: Job, records: Sequence[Record]) -> Reading:
    last = records[-1] if len(records) == job.steps else None
    return read(part.task, part.ask, job, last, job.sample)


def _reader(part: Part) -> str:
    ask = part.ask
    return get_extractor(part.task.extractor).signature if ask == "generate" else f"argmax-{ask}"


def _target(target: Choice | Blanks | Reference | Case) -> list[str]:
    match target:
        case Choice(letters):
            return ["".join(sorted(letters))]
        case Blanks(accepted):
            return [" / ".join(one) for one in accepted]
        case Reference(texts):
            return list(texts)
        case Case(texts, slots, herbs):
            named = [f"{name}: {' / '.join(values)}" for name, values in slots.items() if values]
            doses = "、".join(name if grams is None else f"{name} {grams:g} g" for name, grams in herbs)
            return [*texts, *named, *([f"herbs: {doses}"] if doses else [])]


def findings(part: Part, job: Job, records: Sequence[Record]) -> list[dict[str, Any]]:
    """Return what the safety rules find in a prescription, with the reason of each; empty for tasks whose answers are no texts."""
    if not part.task.is_text:
        return []
    reading = _reading(part, job, records)
    if reading.answer is None:
        return []
    return [
        {"rule": name, "harm": name in HARMFUL, "why": why}
        for name, (find, _) in RULES.items()
        for why in find(reading.sample, reading.answer)
    ]


def in_list(entry: Entry, full: Mapping[str, Any], tasks: Sequence[str], disciplines: Sequence[str]) -> list[Any]:
    """Return a sample's row of the list, in the order of `shards.COLUMNS`."""
    head = entry.headline
    dialogue = (
        entry.part is not None and entry.part.task.type == "dialogue"
    )  # its last turn asks the same of every case
    question = None if dialogue else full.get("question")
    about = str(question or _asked(full) or "")
    answer = head.answer
    if answer is None and full["turns"] and "text" in full["turns"][-1]:
        last = full["turns"][-1]
        answer = last["answer"] or last["text"]
    discipline = disciplines.index(head.discipline) if head.discipline in disciplines else -1
    unsafe = sum(bool(found["harm"]) for found in full.get("unsafe", ()))
    value = None if head.value is None else round(head.value, 4)
    place = (head.repeat, head.variant)
    return [
        head.sample,
        tasks.index(head.task),
        discipline,
        outcome(head),
        value,
        _short(answer or "", ANSWER),
        _short(about, ABOUT),
        unsafe,
        *place,
    ]


def _asked(full: Mapping[str, Any]) -> str | None:
    """Return the first words that a user says in the prompt, for samples without a question of their own."""
    for message in full.get("prompt", ()):
        if message["role"] == "user":
            return next((part["text"] for part in message["parts"] if "text" in part), None)
    return None


def _short(text: str, length: int) -> str:
    line = " ".join(text[: 4 * length].split())
    return line if len(line) <= length else line[: length - 1] + "…"
