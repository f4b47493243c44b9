"""A finished run's answers -> what judges say of them: a pass of its own through the same engine, resumable like a run.

Replies go to `judge.jsonl` in the run's folder; `records.jsonl` is only read. Equal questions are never paid for twice: not in this
run, and not where another run of the results folder has the reply.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

from harness import batch, engine
from harness.engine import Batched
from harness.errors import UsageError
from harness.judge import Candidate, Member, Panel, Wording, question_of, relatives, wording_from
from harness.limits import Gate, Limits, prompt_tokens
from harness.models import Subject, resolve
from harness.pipeline import Done, Silent, Watch, one_by_one, reopen, score
from harness.plan import Plan
from harness.spending import (
    PerMillion,
    gate_of,
    most_cost,
    price_of,
    refuse_uncounted,
    refuse_without_batches,
    used_before,
)
from harness.store import Answers, Index, Writer, read_json, set_aside, write_json
from harness.tables import counted, money
from harness.types import BatchModel, Model, Sampling
from harness.verdicts import (
    FILE,
    Pass,
    batch_place,
    batch_places,
    panel_in,
    tallied,
    text_answers,
    used,
    versions_told,
    with_panel,
)

MAX_TOKENS = 4096
"""Tokens of a reply, unless the user or the judge's registry entry says otherwise."""


@dataclass(frozen=True, slots=True)
class JudgeSpec:
    """What the user asked for; `price` and `max_failures` as in `RunSpec`.

    The budget in `limits` is for all judges and sessions together. `add` keeps the judges that the run has; `ladder` puts their mark of
    meaning into Ladder-Score; `force` lets a model judge itself; `fresh` sets earlier replies aside; `again` asks again where a reply could
    not be read; `batch` asks through the provider's batch interface.
    """

    run: Path
    judges: tuple[str, ...]
    settings: Mapping[str, Any] = field(default_factory=dict)
    max_tokens: int | None = None
    wording: Path | None = None
    limits: Limits = field(default_factory=Limits)
    max_failures: float | None = None
    price: tuple[float, float] | None = None
    add: bool = False
    ladder: bool = False
    force: bool = False
    fresh: bool = False
    again: bool = False
    batch: bool = False


@dataclass(frozen=True, slots=True)
class Judged:
    """A judged run; whether every judge has answered everything; what a reader should know; which verdicts are missing, and why."""

    done: Done
    complete: bool
    notes: tuple[str, ...]
    missing: tuple[str, ...]


def judge(spec: JudgeSpec, watch: Watch | None = None) -> Judged:
    """Ask the judges about a run's answers that are texts, and score the run with their verdicts.

    Raises UsageError for wrong input and for a model as its own judge, IncompleteError for an unfinished run, AdapterError when a
    judge cannot be used. Whatever was said before an error is kept, and the same call goes on from there.
    """
    plan, subjects, panel = _prepared(spec)
    if spec.batch:
        _refuse_without_batches(subjects)
    if spec.fresh:
        for place in batch_places(plan.folder):
            batch.refuse_if_open(place, "tcm-eval judge with --batch and without --fresh")
        set_aside(plan.folder / FILE)
    notes = _pictures(plan)
    prices = {f"judge:{subject.name}": price_of(spec.price, subject, spec.limits) for subject in subjects}
    for subject in subjects:
        model = engine.apart(subject.build)
        member = Member(
            subject.name,
            dict(model.identity),
            _sampling(spec, subject),
            price=price_of(spec.price, subject, spec.limits),
        )
        try:
            _candidate(spec).refuse(member.name, member.identity, versions_told(plan.folder / FILE, member.role))
            _refuse_another_name(panel, member)
        except UsageError:  # the same weights under another name: only the built model tells
            engine.settled((Batched(model) if isinstance(model, BatchModel) else model).aclose())
            raise
        notes += relatives(plan.identity, member.identity, member.name)
        allowed = replace(spec, limits=_left(spec.limits, plan.folder / FILE, prices, member.role))
        gate = _ask(plan, allowed, member, model, panel.wording, watch or Silent())
        shared = "; what the other judges used is taken off" if allowed.limits != spec.limits else ""
        notes += [f"{member.name}: stopped: {gate.stopped}{shared}"] if gate.stopped else []
        panel = replace(panel, members=(*(one for one in panel.members if one.name != member.name), member))
    done = _scored(plan, panel)
    judges = done.summary["judging"]["judges"]
    complete = done.complete and not any(one["missing"] for one in judges)
    return Judged(done, complete, tuple(notes), tuple(line for one in judges for line in _missing(one)))


def _missing(judge: Mapping[str, Any]) -> list[str]:
    """Return which verdicts of one judge are missing, and what can be done."""
    told = {
        "missing": "no verdict yet: the same command asks about them",
        "unread": "no reply that could be read: --again asks anew",
        "refused": "refused",
    }
    return [f"{judge['name']}: {counted(judge[kind], 'answer')}: {what}" for kind, what in told.items() if judge[kind]]


def _pictures(plan: Plan) -> list[str]:
    """Return a note where answers are about pictures: a judge reads texts."""
    if not any("images" in part.task.columns.fields for part in plan.parts):
        return []
    with Index(plan.folder / "records.jsonl") as index:
        shown = sum(bool(one.sample.fields.get("images")) for one in text_answers(plan, index))
    return [f"pictures are not shown to a judge: {counted(shown, 'answer')} to questions with some"] if shown else []


def estimate(spec: JudgeSpec) -> str:
    """Return how much the judges would be asked at most; nothing is asked, built or written."""
    plan, subjects, panel = _prepared(spec, only_possible=False)
    lines = []
    for subject in subjects:
        if spec.batch:
            refuse_without_batches(subject)
        sampling, price = _sampling(spec, subject), price_of(spec.price, subject, spec.limits)
        answers = prompt = longest = 0
        with Index(plan.folder / "records.jsonl") as index:
            for one in text_answers(plan, index):
                asked = prompt_tokens(question_of(one.sample, one.answer, panel.wording, sampling).request)
                answers, prompt, longest = answers + 1, prompt + asked, max(longest, asked)
        most_in, most_out = 2 * prompt + answers * sampling.max_tokens, 2 * answers * sampling.max_tokens
        cost = "unknown (no price: --price INPUT,OUTPUT)"
        if price:
            first = (2 * longest + sampling.max_tokens, 2 * sampling.max_tokens) if answers else (0, 0)
            cost = money(most_cost(price, (most_in, most_out), first, batched=spec.batch), up=True)
            cost += ", at half the price but for the first question and the first reminder" if spec.batch else ""
        lines.append(
            f"{subject.name}: {counted(answers, 'answer')} to judge; at most {2 * answers:,} requests (a reminder for each), "
            f"{most_in:,} tokens in and {most_out:,} out; cost at most {cost}"
        )
    return "\n".join([*lines, *_pictures(plan), "What the judges have said already is not taken off."])


def _prepared(spec: JudgeSpec, *, only_possible: bool = True) -> tuple[Plan, list[Subject], Panel]:
    """Return the run's plan, who is to judge, and the panel so far: empty, or with `add` the judges that the run has.

    Unless `only_possible`, a judge needs no key: for an estimate that asks nobody.
    """
    refuse_uncounted(spec.max_failures, batched=spec.batch)
    if not (spec.run / "manifest.json").is_file():
        raise UsageError(f"{spec.run} is no run folder: it has no manifest.json")
    manifest = read_json(spec.run / "manifest.json")
    candidate = _candidate(spec)  # an unfinished run is refused here
    plan = reopen(spec.run, manifest)
    plan.parts = [part for part in plan.parts if part.task.is_text]
    if not plan.parts:
        raise UsageError(f"{spec.run}: none of its tasks has answers that are texts, so there is nothing to judge")
    subjects = [resolve(name, spec.settings, only_possible=only_possible)[0] for name in spec.judges]
    models = Counter((subject.provider, subject.model) for subject in subjects)
    if twice := [f"{provider}/{model}" for (provider, model), n in models.items() if n > 1]:
        raise UsageError(f"{twice[0]} is named as a judge twice: its marks would count twice")
    for subject in subjects:
        candidate.refuse(subject.name, {"provider": subject.provider, "model": subject.model})
    before = panel_in(spec.run, manifest) if spec.add else None
    wording = wording_from(spec.wording) if spec.wording or before is None else before.wording
    if before is None:
        return plan, subjects, Panel((), wording, spec.ladder)
    if before.wording != wording:
        raise UsageError(f"--add: the judges of {spec.run} were asked in other words. Judge anew without --add.")
    return plan, subjects, Panel(before.members, wording, spec.ladder or before.ladder)


def _candidate(spec: JudgeSpec) -> Candidate:
    """Return whose answers are judged; raise IncompleteError for an unfinished run."""
    summary = read_json(spec.run / "summary.json")
    return Candidate(summary["subject"]["identity"], tuple(summary.get("model_versions", ())), spec.force)


def _refuse_another_name(panel: Panel, member: Member) -> None:
    for one in panel.members:
        if one.name != member.name and one.identity == member.identity:
            raise UsageError(f"{member.name} is the judge {one.name} by another name: its marks would count twice")


def _refuse_without_batches(subjects: Sequence[Subject]) -> None:
    """Raise UsageError when one of the judges has no batch interface: before another one is paid."""
    for subject in subjects:
        model = engine.apart(subject.build)
        try:
            batch.interface(model, subject.name)
        finally:
            engine.settled((Batched(model) if isinstance(model, BatchModel) else model).aclose())


def _sampling(spec: JudgeSpec, subject: Subject) -> Sampling:
    return Sampling(temperature=0.0, max_tokens=spec.max_tokens or subject.max_tokens or MAX_TOKENS, seed=0)


def _left(limits: Limits, file: Path, prices: Mapping[str, PerMillion], role: str) -> Limits:
    """Return the limits with what the other judges, now and in earlier sessions, have left of the budget."""
    tokens, cost = limits.max_total_tokens, limits.max_cost
    for other, spent in used(file).items():
        if other != role and other in prices:
            price = prices[other] or (0.0, 0.0)
            tokens = None if tokens is None else max(0, tokens - int(spent["tokens_in"] + spent["tokens_out"]))
            cost = None if cost is None else max(0.0, cost - batch.as_bought(price, spent))
    return replace(limits, max_cost=cost, max_total_tokens=tokens)


# ------------------------------------------------------------------ asking one judge


def _ask(
    plan: Plan, spec: JudgeSpec, member: Member, model: Model | BatchModel, wording: Wording, watch: Watch
) -> Gate:
    """Ask one judge everything that it has not said yet; return the gate that the requests went through."""
    path, place = plan.folder / FILE, batch_place(plan.folder, member, wording)
    for other in batch_places(plan.folder, member):
        if other != place or not spec.batch:
            batch.refuse_if_open(other, "the same command as then, with --batch")
    asked, limits = one_by_one(model, spec.limits)
    with Writer(path) as writer, Index(plan.folder / "records.jsonl") as index:
        others = (
            () if spec.fresh else sorted(p for p in plan.folder.parent.glob(f"*/{FILE}") if p.parent != plan.folder)
        )
        way = Pass(
            plan,
            member,
            wording,
            index,
            writer,
            Answers([path]),
            Answers(others),
            lambda record: watch.record(record, None),
            partial(_candidate(spec).refuse_reply, member.name, member.identity),
            spec.again,
        )
        total, have = way.counts()
        shown = {"tasks": {task: {"answers": n} for task, n in total.items()}, "absent": {}}
        watch.start(replace(plan, name=f"{member.name} judges {plan.name}", manifest=shown), have, [])
        earlier = used_before(used(path).get(member.role, {}), member.price)
        gate = gate_of(model, limits, spec.max_failures, sum(total.values()), member.price, earlier)
        try:
            watch.follow(gate)
            if spec.batch:
                going = batch.run(asked, way.rounds(path), place, way.put, member.key, gate, watch.tell)
            else:
                going = engine.run(asked, way.todo(), gate.limits, way.put, member.key, gate)
            engine.settled(going)
        finally:
            watch.stop()
    return gate


# ------------------------------------------------------------------ scoring


def _scored(plan: Plan, panel: Panel) -> Done:
    """Write the panel, with the versions that answered, into the run's manifest, and score the run with it."""
    manifest = read_json(plan.folder / "manifest.json")
    with Index(plan.folder / "records.jsonl") as index:
        plan.manifest = {**manifest, "judging": panel.as_row()}
        found = tallied(with_panel(plan), index)
    versions: dict[str, Sequence[str]] = {one["name"]: one["versions"] for one in (found or {})["judges"]}
    members = tuple(replace(one, versions=tuple(versions[one.name])) for one in panel.members)
    write_json(plan.folder / "manifest.json", {**manifest, "judging": replace(panel, members=members).as_row()})
    return score(plan.folder)
