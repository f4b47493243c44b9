"""The whole story on one screen: run() = answer(), score(), report(). Documented for notebooks in docs/api.md."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Protocol

from harness import batch, engine, summary
from harness.engine import WINDOW, Batched
from harness.errors import UsageError, unknown
from harness.limits import Gate, Limits, Used, prompt_tokens
from harness.models import Subject, published_root, resolve
from harness.plan import Encoder, Part, Plan, Selection, earlier_answers, open_plan, pending, prepare
from harness.position import Places, followed, positions
from harness.prompts import Style, step_by_step
from harness.report.chosen import chosen
from harness.report.export import To, Written
from harness.report.export import export as write_export
from harness.report.leaderboard import build
from harness.report.results import load
from harness.report.results import published as load_published
from harness.report.site import Built
from harness.report.site import write as write_site
from harness.score import Reading, read, score_task
from harness.score import floors as floors_of
from harness.store import (
    Answers,
    Index,
    Writer,
    encode_record,
    encode_score,
    explain,
    read_json,
    read_scores,
    write_json,
    write_lines,
)
from harness.suites import Catalogue
from harness.tables import Form, render
from harness.types import BatchModel, Failure, Job, Model, Record, Sampling, Score
from harness.verdicts import tallied, with_panel

CHOICES = ("single_choice", "multiple_choice")

PATIENCE = 1e9
"""Seconds that a request to a model on this machine may take: it is working, not silent."""


@dataclass(frozen=True, slots=True)
class RunSpec:
    """What the user asked for. `sampling` holds only the fields that were stated.

    `max_failures` from 1 is a count, below 1 a share of all answers; `price` is for a million tokens in and out.
    """

    model: str
    tasks: tuple[str, ...]
    settings: Mapping[str, Any] = field(default_factory=dict)
    name: str | None = None
    selection: Selection = field(default_factory=Selection)
    style: Style = field(default_factory=Style)
    sampling: Mapping[str, Any] = field(default_factory=dict)
    limits: Limits = field(default_factory=Limits)
    max_failures: float | None = None
    price: tuple[float, float] | None = None
    output: Path = Path("results")
    task_paths: tuple[Path, ...] = ()
    data_root: Path | None = None
    data_path: Path | None = None
    encoder: Encoder | None = None
    fresh: bool = False
    strict: bool = False
    batch: bool = False


@dataclass(frozen=True, slots=True)
class Done:
    """A finished run: its folder and its summary."""

    folder: Path
    summary: dict[str, Any]

    @property
    def complete(self) -> bool:
        return bool(self.summary["complete"])


class Watch(Protocol):
    """Sees a run's progress; the console is one, a notebook may have another. Answers are read for it only if it `reads` them.

    `answered` counts the answers of each task that are there already.
    """

    reads: bool

    def start(self, plan: Plan, answered: Mapping[str, int], absent: Sequence[str]) -> None: ...

    def follow(self, gate: Gate) -> None: ...

    def record(self, record: Record, reading: Reading | None) -> None: ...

    def tell(self, text: str) -> None: ...

    def stop(self) -> None: ...


class Silent:
    """Watches nothing."""

    reads = False

    def start(self, plan: Plan, answered: Mapping[str, int], absent: Sequence[str]) -> None:
        """Ignore the start."""

    def follow(self, gate: Gate) -> None:
        """Ignore the gate."""

    def record(self, record: Record, reading: Reading | None) -> None:
        """Ignore a record."""

    def tell(self, text: str) -> None:
        """Ignore news."""

    def stop(self) -> None:
        """Ignore the end."""


def run(spec: RunSpec, watch: Watch | None = None) -> list[Done]:
    """Ask, score and summarise; return one finished run per subject (two when the model has a prompt of its own).

    Raises UsageError for wrong input, AdapterError when the model cannot be used, StorageError when results cannot be written.
    Whatever was answered before an error stays in the run's folder, and the same call goes on from there.
    """
    subjects = resolve(spec.model, spec.settings, spec.name)
    catalogue = open_catalogue(spec)
    here, absent = catalogue.select(spec.tasks)
    missing = {task.id: catalogue.bring(task.suite) for task in absent}
    if missing and (spec.strict or not here):
        listed = "".join(f"\n  {task}" for task in missing)
        ways = "".join(f"\n  {command}" for command in dict.fromkeys(missing.values()))
        raise UsageError(f"the data of these tasks is not here:{listed}\nBring it with:{ways}")
    done = []
    for subject in subjects:
        priced = replace(spec, price=_price(spec, subject))
        plan, model = _prepare(spec, subject, catalogue, [task.id for task in here], missing)
        _note_price(plan, spec, subject)
        asked = answer(plan, model, priced, watch or Silent())
        finished = None if asked else scored_already(plan)
        done.append(finished or score(plan.folder, plan=plan))
    return done


def _price(spec: RunSpec, subject: Subject) -> tuple[float, float] | None:
    """Return what a million tokens in and out cost, None when nobody has said; raise UsageError when a cost is to be kept to."""
    known = (subject.price.input, subject.price.output) if subject.price else None
    if spec.limits.max_cost is not None and not (spec.price or known):
        raise UsageError(
            f"--max-cost: no price of {subject.name} is known. State it per million tokens: --price INPUT,OUTPUT"
        )
    return spec.price or known


def _note_price(plan: Plan, spec: RunSpec, subject: Subject) -> None:
    """Keep in the manifest what a million tokens cost: a price stated by the user has no date, source or currency."""
    if spec.price:
        price: dict[str, Any] = {"input": spec.price[0], "output": spec.price[1], "currency": ""}
    elif subject.price and not plan.manifest.get("price"):
        price = subject.price.model_dump()
    else:
        return
    if plan.manifest.get("price") != price:
        plan.manifest = {**plan.manifest, "price": price}
        write_json(plan.folder / "manifest.json", plan.manifest)


def estimate(spec: RunSpec) -> str:
    """Return how many requests, tokens and how much money a run would take at most; nothing is asked, built or written."""
    catalogue = open_catalogue(spec)
    here, absent = catalogue.select(spec.tasks)
    lines = []
    for subject in resolve(spec.model, spec.settings, spec.name):
        style = replace(spec.style, own_system=subject.own_system)
        budget = {"max_tokens": subject.max_tokens} if subject.max_tokens else {}
        requests = prompt = most = 0
        for task in here:
            part = prepare(catalogue, task, style, spec.selection, {**budget, **spec.sampling}, spec.encoder)
            bare = Plan(subject.name, {}, [part], spec.selection, catalogue, spec.output)
            for job in bare.jobs(part):
                first = job.next([])
                requests += job.steps
                prompt += job.steps * (prompt_tokens(first) if first else 0)
                most += job.steps * part.prompter.sampling.max_tokens
        price = spec.price or ((subject.price.input, subject.price.output) if subject.price else None)
        share = batch.DISCOUNT if spec.batch else 1.0
        cost = (
            f"{share * (prompt * price[0] + most * price[1]) / 1e6:,.2f}"
            if price
            else "unknown (no price: --price INPUT,OUTPUT)"
        )
        if price and subject.price and not spec.price:
            cost += f" {subject.price.currency} (price of {subject.price.date}, {subject.price.source})"
        if price and spec.batch:
            cost += ", which is half the price"
        lines.append(
            f"{subject.name}: {requests:,} requests; at most {prompt:,} tokens in and {most:,} out; cost at most {cost}"
        )
    lines += [f"not counted, for the data is not here: {', '.join(task.id for task in absent)}"] if absent else []
    return "\n".join(lines)


def open_catalogue(spec: RunSpec) -> Catalogue:
    """Return the suites that a spec can see."""
    return Catalogue(spec.task_paths, data_root=spec.data_root, data_path=spec.data_path)


def _prepare(
    spec: RunSpec, subject: Subject, catalogue: Catalogue, task_ids: Sequence[str], missing: Mapping[str, str]
) -> tuple[Plan, Model | BatchModel]:
    """Return the plan of one subject's run, in its folder, and the model ready to answer."""
    style = replace(spec.style, own_system=subject.own_system)
    budget = {"max_tokens": subject.max_tokens} if subject.max_tokens and "max_tokens" not in spec.sampling else {}
    tasks, _ = catalogue.select(task_ids)
    parts = [
        prepare(catalogue, task, style, spec.selection, {**budget, **spec.sampling}, spec.encoder) for task in tasks
    ]
    model = engine.apart(subject.build)
    identity = dict(model.identity)
    if subject.own_system:
        identity["own_prompt"] = subject.own_system
    extra = {
        "subject": {"name": subject.name, "identity": identity, "trained_on": list(subject.trained_on)},
        "absent": dict(missing),
        "encoder": asdict(spec.encoder) if spec.encoder else None,
        "limits": asdict(spec.limits),
        "task_paths": [str(path.resolve()) for path in spec.task_paths],
        "data_root": str(catalogue.data_root),
        "data_path": str(spec.data_path.resolve()) if spec.data_path else None,
    }
    runs = spec.output / "runs"
    with explain(runs):
        runs.mkdir(parents=True, exist_ok=True)
    plan = open_plan(subject.name, identity, parts, spec.selection, catalogue, runs, extra)
    if spec.fresh:
        batch.refuse_if_open(plan.folder, " and without --fresh")
    elif not spec.batch:
        batch.refuse_if_open(plan.folder, "")
    if spec.fresh and (plan.folder / "records.jsonl").exists():
        _set_aside(plan.folder)
        plan = open_plan(subject.name, identity, parts, spec.selection, catalogue, runs, extra)
    return with_panel(plan), model


def _set_aside(folder: Path) -> None:
    """Rename a run's folder so that a fresh one can take its name: paid answers are never deleted."""
    number = 1
    while (old := folder.with_name(f"{folder.name}.old-{number}")).exists():
        number += 1
    folder.rename(old)


def answer(plan: Plan, model: Model | BatchModel, spec: RunSpec, watch: Watch) -> int:
    """Ask everything that still needs an answer; return how many calls were recorded."""
    limits = spec.limits
    api = _batch_interface(plan, model) if spec.batch else None
    if isinstance(model, BatchModel):
        # a request waits here for the whole window before it: only a server's silence is a time-out
        limits = replace(limits, in_flight=max(limits.in_flight, WINDOW * model.max_batch), timeout=PATIENCE)
        asked: Model = Batched(model)
    else:
        asked = model
    records = plan.folder / "records.jsonl"
    parts = {part.task.id: part for part in plan.parts}
    with Writer(records) as writer, Index(records) as index:
        earlier = Answers(()) if spec.fresh else earlier_answers(plan.folder.parent, plan)
        watch.start(plan, index.by_task, list(plan.manifest["absent"]))

        def put(record: Record, job: Job) -> None:
            writer.append(encode_record(record))
            part = parts[record.task]
            watch.record(
                record, read(part.task, part.prompter.style.ask, job, record, job.sample) if watch.reads else None
            )

        todo = pending(plan, index, earlier, put)
        gate = _gate(plan, model, spec, limits, Used(index.tokens_in, index.tokens_out))
        started = time.monotonic()
        try:
            if api is None:
                watch.follow(gate)
                count = engine.settled(engine.run(asked, todo, gate.limits, put, plan.identity_key, gate))
            else:
                used, half = (index.tokens_in, index.tokens_out), _price_of(spec.price, batch.DISCOUNT)
                told = (gate.limits, watch.tell, half, used)
                going = batch.run(asked, api, todo, plan.folder, put, plan.identity_key, *told)
                count, gate.stopped = engine.settled(going)
                if gate.stopped:
                    watch.tell(f"stopped: {gate.stopped}. All answers so far are kept; the same command goes on.")
        finally:
            watch.stop()
    if count:
        _note_time(plan.folder, time.monotonic() - started, count, gate.stopped)
    return count


def _batch_interface(plan: Plan, model: object) -> batch.BatchApi:
    """Return the model's batch interface; raise UsageError for a run that no batch can ask."""
    api = batch.interface(model, plan.name)
    for part in plan.parts:
        if part.prompter.style.ask != "generate":
            raise UsageError(
                f"--batch: no batch interface gives option log-probabilities (--ask {part.prompter.style.ask})"
            )
        if step_by_step(part.task):
            raise UsageError(
                f"--batch cannot ask {part.task.id} step by step, for each question needs the answer before it. "
                "Leave this task out, or ask it without --batch."
            )
    return api


def _price_of(price: tuple[float, float] | None, share: float = 1.0) -> Callable[[float, float], float] | None:
    """Return what so many tokens in and out cost at a share of a price for a million, None where no price is known."""
    if price is None:
        return None
    return lambda tokens_in, tokens_out: share * (tokens_in * price[0] + tokens_out * price[1]) / 1e6


def _gate(plan: Plan, model: object, spec: RunSpec, limits: Limits, earlier: Used) -> Gate:
    """Return the gate of one session: a share of failures becomes a count, tokens get their price, earlier sessions' count too."""
    most = spec.max_failures
    if most is not None:
        total = sum(info["answers"] for info in plan.manifest["tasks"].values())
        limits = replace(limits, max_failures=int(most if most >= 1 else most * total))
    return Gate(limits, _price_of(spec.price), metered=bool(getattr(model, "metered", False)), earlier=earlier)


def _note_time(folder: Path, seconds: float, calls: int, stopped: str) -> None:
    """Keep how long each session of a run took: figures of speed are made of it."""
    path = folder / "sessions.json"
    sessions = read_json(path)["sessions"] if path.exists() else []
    sessions.append({"seconds": round(seconds, 3), "calls": calls, **({"stopped": stopped} if stopped else {})})
    write_json(path, {"schema": 1, "sessions": sessions})


def _metric_ids(plan: Plan) -> dict[str, dict[str, str]]:
    """Return the comparison id that each metric of each task has today."""
    return {p.task.id: {use.name: p.comparison_id(use, plan.selection) for use in p.metrics()} for p in plan.parts}


def scored_already(plan: Plan) -> Done | None:
    """Return the finished run when its summary is whole and made by the very metrics and price of today, else None."""
    path = plan.folder / "summary.json"
    if not path.exists() or _metric_ids(plan) != {
        task: info["metrics"] for task, info in plan.manifest["tasks"].items()
    }:
        return None
    done = Done(plan.folder, read_json(path))
    return done if done.complete and done.summary["usage"].get("price") == plan.manifest.get("price") else None


def score(folder: Path, plan: Plan | None = None, encoder: Encoder | None = None) -> Done:
    """Score a run's records anew and write its scores and its summary; the asked model is not called."""
    manifest = read_json(folder / "manifest.json")
    plan = plan or reopen(folder, manifest, encoder)
    today = _metric_ids(plan)
    if today != {task: info["metrics"] for task, info in manifest["tasks"].items()}:
        for task, ids in today.items():
            manifest["tasks"][task]["metrics"] = ids
        manifest["encoder"] = next((asdict(part.encoder) for part in plan.parts if part.encoder), None)
        write_json(folder / "manifest.json", manifest)
    index = Index(folder / "records.jsonl")
    usage = {"calls": 0, "tokens_in": 0, "tokens_out": 0, "seconds": 0.0, "adopted": 0, **batch.batched(folder)}
    marks: dict[str, set[str]] = {"model_versions": set(), "not_accepted": set()}
    path = folder / "scores.jsonl"
    places = {p.task.id: Places(plan.selection.variants) for p in plan.parts if p.task.type in CHOICES}
    scores = (one for p in plan.parts for one in _part_scores(plan, p, index, usage, marks, places.get(p.task.id)))
    write_lines(path, map(encode_score, scores))
    floors = {p.task.id: found for p in plan.parts if (found := _floors(plan, p, index))}
    judging = tallied(plan, index)
    index.close()
    del index  # its 25 bytes a record are not needed while the estimates are made
    sessions = folder / "sessions.json"
    spent = sum(s["seconds"] for s in read_json(sessions)["sessions"]) if sessions.exists() else 0.0
    extra = {
        "usage": {**usage, "wall_seconds": round(spent, 3), **summary.cost(usage, manifest.get("price"))},
        **{name: sorted(values) for name, values in marks.items()},
        "absent": manifest.get("absent", {}),
        "floors": floors,
        **({"position": found} if (found := positions(places)) else {}),
        **({"judging": judging} if judging else {}),
    }
    result = summary.of(manifest, read_scores(path), extra)
    write_json(folder / "summary.json", result)
    return Done(folder, result)


def _floors(plan: Plan, part: Part, index: Index) -> dict[str, float]:
    def answers(job: Job) -> list[Record | None]:
        return [index.get(job.slot(step)) for step in range(job.steps)]

    return floors_of(part.task, part.prompter.style.ask, part.metrics(), plan.jobs(part), answers)


def _part_scores(
    plan: Plan, part: Part, index: Index, usage: dict[str, Any], marks: dict[str, set[str]], places: Places | None
) -> Iterator[Score]:
    def answers(job: Job) -> list[Record | None]:
        """Return what came back at each step of a job; None where nothing was asked, after a failed step."""
        records = [index.get(job.slot(step)) for step in range(job.steps)]
        for record in records:
            if record is not None:
                _count(record, usage, marks)
        return records

    ask, uses = part.prompter.style.ask, part.metrics()
    if places is None:
        return score_task(part.task, ask, uses, plan.jobs(part), answers)
    return followed(places, plan.jobs(part), lambda jobs: score_task(part.task, ask, uses, jobs, answers))


def _count(record: Record, usage: dict[str, Any], marks: dict[str, set[str]]) -> None:
    response = record.outcome
    if isinstance(response, Failure):
        return
    usage["calls"] += 1
    usage["adopted"] += record.origin is not None
    usage["tokens_in"] += response.tokens_in
    usage["tokens_out"] += response.tokens_out
    usage["seconds"] += response.seconds
    if response.model_version:
        marks["model_versions"].add(response.model_version)
    marks["not_accepted"].update(response.not_accepted)


def reopen(folder: Path, manifest: Mapping[str, Any], encoder: Encoder | None = None) -> Plan:
    """Return the plan of an existing run; raise UsageError when its tasks or data are gone or have changed."""
    paths = tuple(Path(p) for p in manifest.get("task_paths", []))
    root, data_path = manifest.get("data_root"), manifest.get("data_path")
    catalogue = Catalogue(
        paths, data_root=Path(root) if root else None, data_path=Path(data_path) if data_path else None
    )
    selection = Selection(**manifest["selection"])
    style = Style(**manifest["style"])
    if encoder is None and manifest.get("encoder"):
        encoder = Encoder(**manifest["encoder"])
    parts = []
    for task_id, info in manifest["tasks"].items():
        here, absent = catalogue.select([task_id])
        if absent:
            raise UsageError(
                f"{folder}: the data of {task_id} is no longer here. Bring it with: {catalogue.bring(absent[0].suite)}"
            )
        sampling = {**info["sampling"], "stop": tuple(info["sampling"]["stop"])}
        part = prepare(catalogue, here[0], style, selection, asdict(Sampling(**sampling)), encoder)
        if dict(part.data) != info["data"]:
            raise UsageError(
                f"{folder}: the data of {task_id} has changed since the run. Bring the old version back to score it again."
            )
        parts.append(part)
    subject = manifest["subject"]
    return with_panel(Plan(subject["name"], subject["identity"], parts, selection, catalogue, folder, dict(manifest)))


def leaderboard(
    output: Path, form: Form, *, published: bool = True, metric: str | None = None
) -> tuple[str, list[str]]:
    """Return the leaderboard of a results folder in one form, and notes on runs that were left out.

    `metric` is shown where a task has it, instead of the task's headline; raises UsageError when no task has it. Markdown and
    LaTeX are for papers: there numbers that are significantly better than all others are bold.
    """
    runs, left = load(output)
    known = {name for run in runs for metrics in run.summary["tasks"].values() for name in metrics}
    if metric is not None and metric not in known:
        raise unknown("metric in these runs", metric, known)
    numbers = load_published(published_root()) if published else []
    width = shutil.get_terminal_size((120, 40)).columns
    tables = build(runs, numbers, metric, tested=form in ("markdown", "latex"))
    return render(tables, form, width=width), [f"left out: {run.folder}: {run.reason}" for run in left]


def site(output: Path, folder: Path, *, published: bool = True) -> Built:
    """Write the static site of a results folder to `folder`; what was there stays when anything goes wrong."""
    return write_site(output, folder, load_published(published_root()) if published else [], reopen)


def export(paths: Sequence[Path], to: To, folder: Path) -> Written:
    """Write the finished runs at `paths` (run folders, results folders) in one format; return the files, and notes on what was left out.

    What was in `folder` before stays when anything goes wrong. Raises UsageError, IncompleteError or StorageError.
    """
    runs, left = chosen(paths)
    if not runs:
        raise UsageError("\n".join(["no finished run there, so there is nothing to export", *left]))
    written = write_export(runs, to, folder, reopen)
    return Written(written.files, [*left, *written.notes])
