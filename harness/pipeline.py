"""The whole story on one screen: run() = answer(), score(), report(). Documented for notebooks in docs/api.md."""

from __future__ import annotations

import shutil
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path

from harness import batch, engine
from harness.conclude import reopen, score, scored_already, sessions_of
from harness.engine import WINDOW, Batched
from harness.errors import UsageError, unknown
from harness.limits import Limits
from harness.models import Subject, resolve
from harness.plan import Plan, earlier_answers, open_plan, pending
from harness.replicas import Replicas, gpus_of
from harness.report.chosen import chosen
from harness.report.export import To, Written
from harness.report.export import export as write_export
from harness.report.leaderboard import build
from harness.report.results import load, notes_on, published_root
from harness.report.results import published as load_published
from harness.report.site import Built
from harness.report.site import write as write_site
from harness.runs import Done, RunSpec, Silent, Watch, asked_as, open_catalogue, own_words, worded
from harness.score import read
from harness.specs import TaskSpec
from harness.spending import estimate, gate_of, note_price, price_of, refuse_unbatched, refuse_uncounted, used_before
from harness.store import SCHEMA, Answers, Index, Writer, encode_record, explain, set_aside, write_json
from harness.suites import Catalogue
from harness.tables import Form, render
from harness.types import BatchModel, Job, LocalModel, Model, Record
from harness.verdicts import batch_places, with_panel

__all__ = [
    "Done",
    "RunSpec",
    "Silent",
    "Watch",
    "answer",
    "estimate",
    "export",
    "leaderboard",
    "open_catalogue",
    "reopen",
    "run",
    "score",
    "site",
]

PATIENCE = 1e9
"""Seconds that a request to a model on this machine may take: it is working, not silent."""


def run(spec: RunSpec, watch: Watch | None = None) -> list[Done]:
    """Ask, score and summarise; return one finished run per subject (two when the model has a prompt of its own).

    Raises UsageError for wrong input, AdapterError when the model cannot be used, StorageError when results cannot be written.
    Whatever was answered before an error stays in the run's folder, and the same call goes on from there.
    """
    refuse_uncounted(spec.max_failures, batched=spec.batch)
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
        priced = replace(spec, price=price_of(spec.price, subject, spec.limits))
        watch = watch or Silent()
        plan, model = _prepare(spec, subject, catalogue, here, missing)
        if isinstance(model, Replicas):
            watch.tell(f"{plan.name}: {model.said}")
        note_price(plan, spec, subject)
        asked = answer(plan, model, priced, watch)
        finished = None if asked else scored_already(plan)
        done.append(finished or score(plan.folder, plan=plan))
    return done


def _prepare(
    spec: RunSpec, subject: Subject, catalogue: Catalogue, tasks: Sequence[TaskSpec], missing: Mapping[str, str]
) -> tuple[Plan, Model | BatchModel]:
    """Return the plan of one subject's run, in its folder, and the model ready to answer."""
    parts = worded(spec, subject, catalogue, tasks)
    model = engine.apart(partial(_built, subject, spec))
    identity = {**model.identity, **own_words(spec, subject)}
    extra = {
        "subject": {"name": subject.name, "identity": identity, "trained_on": list(subject.trained_on)},
        "asked_as": asked_as(spec, subject),
        "absent": dict(missing),
        "encoder": asdict(spec.encoder) if spec.encoder else None,
        "limits": asdict(spec.limits),
        "task_paths": [str(path.resolve()) for path in spec.task_paths],
        "data_root": str(catalogue.data_root),
        "data_path": str(spec.data_path.resolve()) if spec.data_path else None,
    }
    where = (catalogue, _runs_folder(spec.output), extra)
    plan = open_plan(subject.name, identity, parts, spec.selection, *where)
    _refuse_open_batches(plan.folder, spec)
    if spec.fresh and (plan.folder / "records.jsonl").exists():
        set_aside(plan.folder)
        plan = open_plan(subject.name, identity, parts, spec.selection, *where)
    return with_panel(plan), model


def _built(subject: Subject, spec: RunSpec) -> Model | BatchModel:
    """Return the model, ready to answer: itself, or as many copies as are asked for."""
    if spec.replicas == 1:
        return subject.build()
    if spec.batch:
        raise UsageError(
            "--replicas does not go with --batch: a provider's model has no copies here. Leave one of the two out."
        )
    return Replicas(subject.build, spec.replicas, gpus_of(subject.settings))


def _runs_folder(output: Path) -> Path:
    """Return the folder of all runs, made if it is new; raise UsageError or StorageError where it cannot be one."""
    if output.exists() and not output.is_dir():
        raise UsageError(f"--output {output} is a file. Name a folder, or one that does not exist yet.")
    runs = output / "runs"
    with explain(runs):
        runs.mkdir(parents=True, exist_ok=True)
    return runs


def _refuse_open_batches(folder: Path, spec: RunSpec) -> None:
    """Raise UsageError where questions of the run are with a provider, and this command would not collect them."""
    if spec.fresh:
        batch.refuse_if_open(folder, "the same command with --batch and without --fresh")
        for place in batch_places(folder):
            batch.refuse_if_open(place, f"tcm-eval judge {folder} with --batch")
    elif not spec.batch:
        batch.refuse_if_open(folder, "the same command with --batch")


def one_by_one(model: Model | BatchModel, limits: Limits) -> tuple[Model, Limits]:
    """Return the model as one that is asked one request at a time, and limits under which a device of this machine is never idle."""
    if isinstance(model, BatchModel):
        at_once, model = WINDOW * model.max_batch, Batched(model)
    elif isinstance(model, LocalModel):
        at_once = model.at_once
    else:
        return model, limits
    # a request waits here for those before it: only a server's silence is a time-out
    return model, replace(limits, in_flight=max(limits.in_flight, at_once), timeout=PATIENCE)


def answer(plan: Plan, model: Model | BatchModel, spec: RunSpec, watch: Watch) -> int:
    """Ask everything that still needs an answer; return how many calls were recorded."""
    if spec.batch:
        batch.interface(model, plan.name)
        refuse_unbatched(plan.parts)
    asked, limits = one_by_one(model, spec.limits)
    records = plan.folder / "records.jsonl"
    parts = {part.task.id: part for part in plan.parts}
    with Writer(records) as writer, Index(records) as index:
        earlier = Answers(()) if spec.fresh else earlier_answers(plan.folder.parent, plan)
        watch.start(plan, index.by_task, list(plan.manifest["absent"]))

        def put(record: Record, job: Job) -> None:
            writer.append(encode_record(record))
            part = parts[record.task]
            watch.record(record, read(part.task, part.ask, job, record, job.sample) if watch.reads else None)

        todo = pending(plan, index, earlier, put)
        used = used_before(index.tokens, spec.price)
        answers = sum(info["answers"] for info in plan.manifest["tasks"].values())
        gate = gate_of(model, limits, spec.max_failures, answers, spec.price, used)
        started = time.monotonic()
        try:
            watch.follow(gate)
            if spec.batch:
                going = batch.run(asked, [todo], plan.folder, put, plan.identity_key, gate, watch.tell)
            else:
                going = engine.run(asked, todo, gate.limits, put, plan.identity_key, gate)
            count = engine.settled(going)
        finally:
            watch.stop()
    if count:
        _note_time(plan.folder, time.monotonic() - started, count, gate.stopped)
    return count


def _note_time(folder: Path, seconds: float, calls: int, stopped: str) -> None:
    """Keep how long each session of a run took: figures of speed are made of it."""
    session = {"seconds": round(seconds, 3), "calls": calls, **({"stopped": stopped} if stopped else {})}
    write_json(folder / "sessions.json", {"schema": SCHEMA, "sessions": [*sessions_of(folder), session]})


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
    return render(tables, form, width=width), notes_on(runs, left)


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
