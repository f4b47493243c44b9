"""Records -> scores. No model is called here: a mended metric costs nothing but this pass."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from math import isfinite

from harness.errors import UsageError
from harness.extract.reasoning import split
from harness.metrics.ladder import shuffled_floor
from harness.prompts import Ask, as_written, judged, permuted
from harness.registry import Answer, Metric, Options, get_extractor, get_metric
from harness.specs import MetricUse, TaskSpec
from harness.types import Choice, Failure, Job, Record, Response, Sample, Score, Status, Value

CHUNK = 256
"""So many answers are handed to a metric at a time."""


@dataclass(frozen=True, slots=True)
class Reading:
    """What was read out of one answer.

    `sample` is what it is judged against; `answer` is in the letters of the data, whatever rotation the model saw.
    """

    job: Job
    sample: Sample
    status: Status
    answer: Answer | None
    record: Record | None


@dataclass(frozen=True, slots=True)
class Measure:
    """One metric as a task uses it."""

    metric: Metric
    options: Options

    @classmethod
    def of(cls, use: MetricUse) -> Measure:
        return cls(get_metric(use.name), use.options)


def score_task(
    task: TaskSpec,
    ask: Ask,
    uses: Sequence[MetricUse],
    jobs: Iterator[Job],
    find: Callable[[Job], Sequence[Record | None]],
) -> Iterator[Score]:
    """Yield one score per metric for every job, in the jobs' order; `find` gives the record of each step of a job, or None."""
    measures = [Measure.of(use) for use in uses]
    while chunk := list(islice(jobs, CHUNK)):
        yield from _score_chunk(measures, [read_job(task, ask, job, find(job)) for job in chunk])


def read_job(task: TaskSpec, ask: Ask, job: Job, records: Sequence[Record | None]) -> list[Reading]:
    """Return what was read at each turn of a job that is scored."""
    return [read(task, ask, job, records[turn], sample) for turn, sample in judged(task, job.sample)]


def _score_chunk(measures: Sequence[Measure], turns: Sequence[Sequence[Reading]]) -> Iterator[Score]:
    readings = [reading for of_job in turns for reading in of_job]
    columns = [_values(measure, readings) for measure in measures]
    at = 0
    for of_job in turns:
        for measure, column in zip(measures, columns, strict=True):
            yield _score(measure.metric, of_job, column[at : at + len(of_job)])
        at += len(of_job)


def _values(measure: Measure, readings: Sequence[Reading]) -> list[tuple[Value, Status]]:
    """Return each reading's value and status under one metric.

    An answered question without a readable answer counts 0. A corpus metric gets an empty text for it, so that it lowers the corpus
    value too: leaving it out would reward refusing. For a rate of faults, where 0 is best, it says nothing and is left out.
    """
    empty = measure.metric.combine is not None
    judged = [r for r in readings if r.answer is not None or (empty and r.status != "failed")]
    pairs = [(r.sample, "" if r.answer is None else _answer_for(measure.metric, r)) for r in judged]
    values = measure.metric.score(pairs, measure.options) if pairs else []
    if len(values) != len(judged):
        raise UsageError(f"metric {measure.metric.name} gave {len(values)} values for {len(judged)} answers")
    given = {
        id(r): v if v.value is None or isfinite(v.value) else Value(None) for r, v in zip(judged, values, strict=True)
    }
    out: list[tuple[Value, Status]] = []
    for reading in readings:
        nothing = reading.status == "failed" or not measure.metric.higher_is_better
        value = given.get(id(reading), Value(None if nothing else 0.0))
        unscored = reading.answer is not None and value.value is None
        out.append((value, "unscored" if unscored else reading.status))
    return out


def _answer_for(metric: Metric, reading: Reading) -> Answer:
    if metric.name == "accuracy_text_norm" and reading.record and isinstance(reading.record.outcome, Response):
        best = likeliest(reading.job.sample, reading.record.outcome, per_token=True)
        if best is not None:
            return as_written(reading.job.sample, reading.job.variant, best)
    if reading.answer is None:
        raise UsageError(f"sample {reading.job.sample.id}: no answer to judge")
    return reading.answer


def floors(
    task: TaskSpec,
    ask: Ask,
    uses: Sequence[MetricUse],
    jobs: Iterator[Job],
    find: Callable[[Job], Sequence[Record | None]],
) -> dict[str, float]:
    """Return for each metric of a text task the score of shuffled references, over the first `CHUNK` jobs at most.

    It is the level that an answer to another question reaches, far above 0 for most metrics of texts.
    """
    if not task.is_text:
        return {}
    readings = [read_job(task, ask, job, find(job))[-1] for job in islice(jobs, CHUNK)]
    pairs = [(r.sample, r.answer) for r in readings if isinstance(r.answer, str)]
    found: dict[str, float] = {}
    for use in uses:
        metric = get_metric(use.name)
        judged_by_models = "panel" in use.options  # they have read no answer beside another one's reference
        if metric.higher_is_better and len(pairs) > 1 and not judged_by_models:
            floor = shuffled_floor(pairs, metric, use.options, seed=0)
            if floor is not None:
                found[use.name] = floor
    return found


WORST: tuple[Status, ...] = ("failed", "unscored", "refused", "truncated", "unparsed", "ok")


def _score(metric: Metric, turns: Sequence[Reading], judged_turns: Sequence[tuple[Value, Status]]) -> Score:
    """Return a job's score: of its only judged turn, or the mean over its turns (sums of parts) with the worst turn's status."""
    job, sample = turns[-1].job, turns[-1].job.sample
    values = [value.value for value, _ in judged_turns]
    known = [value for value in values if value is not None]
    parts: dict[str, float] = {}
    for value, _ in judged_turns:
        for name, part in value.parts.items():
            parts[name] = parts.get(name, 0.0) + part
    chance = metric.chance(sample) if metric.chance else None
    if chance is not None:
        parts["chance"] = chance
    return Score(
        task=sample.task,
        sample=sample.id,
        metric=metric.name,
        value=sum(known) / len(known) if len(known) == len(values) else None,
        status=min((status for _, status in judged_turns), key=WORST.index),
        answer=written(turns[-1].answer),
        repeat=job.repeat,
        variant=job.variant,
        discipline=sample.discipline,
        group=sample.group,
        split=sample.split,
        parts=parts,
        tags=sample.tags,
    )


def written(answer: Answer | None) -> str | None:
    """Return a short answer as text; None for free text, which stands in the record, and when nothing was read."""
    if isinstance(answer, frozenset):
        return "".join(sorted(answer))
    return "；".join(answer) if isinstance(answer, tuple) else None


def read(task: TaskSpec, ask: Ask, job: Job, record: Record | None, sample: Sample) -> Reading:
    """Return what an outcome says: its status, and the answer when there is one to judge.

    No record and a Failure are `failed`. A refusal or a content filter is `refused`. Reasoning that never ended is `truncated`;
    so is an answer that the token limit cut before anything readable came, or in the middle of a free text (which is judged as
    far as it goes).
    """
    if record is None or isinstance(record.outcome, Failure):
        return Reading(job, sample, "failed", None, record)
    response = record.outcome
    if response.stop in ("filter", "refusal"):
        return Reading(job, sample, "refused", None, record)
    if response.logprobs is not None and isinstance(sample.target, Choice) and ask != "generate":
        best = likeliest(sample, response, per_token=False)
        if best is None:
            return Reading(job, sample, "unparsed", None, record)
        return Reading(job, sample, "ok", as_written(sample, job.variant, best), record)
    parts = split(response.text, response.reasoning)
    if not parts.closed:
        return Reading(job, sample, "truncated", None, record)
    answer = get_extractor(task.extractor).read(parts.answer, shown(job))
    if answer is None:
        return Reading(job, sample, "truncated" if response.stop == "length" else "unparsed", None, record)
    if isinstance(answer, frozenset):
        answer = as_written(sample, job.variant, answer)
    cut = response.stop == "length" and isinstance(answer, str)
    return Reading(job, sample, "truncated" if cut else "ok", answer, record)


def shown(job: Job) -> Sample:
    """Return the sample as the model saw it."""
    return permuted(job.sample, job.variant)


def likeliest(sample: Sample, response: Response, *, per_token: bool) -> frozenset[str] | None:
    """Return the shown letter of the most probable option; None when the server reported none of them."""
    scored = [
        (one.total / max(1, one.tokens) if per_token else one.total, letter)
        for letter, one in zip(sample.options, response.logprobs or (), strict=False)
        if one.total is not None
    ]
    return frozenset(max(scored)[1]) if scored else None
