"""What of a run still needs an answer: not what its folder has, and not what an earlier run of the same subject has."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from harness.engine import Todo
from harness.errors import UsageError
from harness.plan.manifest import Plan
from harness.store import Answers, Index, read_json
from harness.types import Job, Record, Response


def earlier_answers(runs: Path, plan: Plan) -> Answers:
    """Return the answers of earlier runs of the same subject, so that no question is ever paid for twice."""
    return Answers(
        folder / "records.jsonl"
        for folder, manifest in _runs(runs)
        if folder != plan.folder and manifest["subject"]["identity"] == dict(plan.identity)
    )


def earlier_identity(runs: Path, asked_as: str) -> tuple[Mapping[str, str], str] | None:
    """Return who answered the newest run of a model named and set up like this, and that run's name; None where there is none.

    Only the built model tells who answers now: its weights or its server may be others by now.
    """
    found = [(manifest.get("created", ""), folder.name, manifest) for folder, manifest in _runs(runs)]
    same = [one for one in found if one[2].get("asked_as") == asked_as]
    if not same:
        return None
    _, name, manifest = max(same, key=lambda one: one[:2])
    return manifest["subject"]["identity"], name


def may_be_of(runs: Path, provider: str, model: str) -> bool:
    """Tell whether any run may be of a provider's model: of the same name, or of a folder on this machine, whose name says nothing."""
    names = {
        m["subject"]["identity"].get("model")
        for _, m in _runs(runs)
        if m["subject"]["identity"].get("provider") == provider
    }
    return bool(names) and (model in names or Path(model).expanduser().exists())


def _runs(runs: Path) -> Iterator[tuple[Path, dict[str, Any]]]:
    """Yield each run's folder and manifest; another version's run, or what is none, has nothing to adopt and is passed over."""
    for path in sorted(runs.glob("*/manifest.json")):
        try:
            manifest = read_json(path)
            manifest["subject"]["identity"]
        except (UsageError, KeyError):
            continue
        yield path.parent, manifest


CHECKED = 64
"""Of so many answers already there, one has its key checked: the folder's name vouches for the others."""


def pending(plan: Plan, index: Index, earlier: Answers, put: Callable[[Record, Job], None]) -> Iterator[Todo]:
    """Yield what still needs an answer, in sample order; adopt (`put`) equal answers of earlier runs on the way.

    Raises UsageError when the questions are worded differently from those already answered in the folder.
    """
    identity, there = plan.identity_key, 0
    for part in plan.parts:
        for job in plan.jobs(part):
            if job.steps == 1 and index.has_answer(job.slot(0)):
                there += 1
                if there % CHECKED == 1:
                    _same_question(job, identity, index)
                continue
            todo = _rest(job, identity, index, earlier, put)
            if todo is not None:
                yield todo


def _same_question(job: Job, identity: str, index: Index) -> None:
    request = job.next([])
    if request is not None and not index.has_answer(job.slot(0), request.key(identity, job.repeat)):
        raise UsageError(
            f"cannot resume {index.path.parent}: {job.sample.task} {job.sample.id} is asked differently now. "
            "Set the earlier answers aside with --fresh."
        )


def _rest(job: Job, identity: str, index: Index, earlier: Answers, put: Callable[[Record, Job], None]) -> Todo | None:
    done: list[Response] = []
    while (request := job.next(done)) is not None:
        key, place = request.key(identity, job.repeat), job.slot(len(done))
        if index.has_answer(place, key):
            record = index.get(place)
            if record is None or not isinstance(record.outcome, Response):
                raise UsageError(f"{index.path}: changed while it was read")
            done.append(record.outcome)
        elif found := earlier.find(key):
            response, origin = found
            where = (job.repeat, job.variant, len(done), job.role, origin)
            put(Record(key, job.sample.task, job.sample.id, response, *where), job)
            done.append(response)
        else:
            return Todo(job, tuple(done))
    return None
