"""From a run's records to its scores and its summary; the asked model is not called."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from harness import batch, summary
from harness.errors import IncompleteError, UsageError
from harness.plan import Encoder, Part, Plan, Selection, prepare
from harness.position import Places, followed, positions
from harness.prompts import Style
from harness.runs import Done
from harness.score import floors as floors_of
from harness.score import score_task
from harness.store import Index, encode_score, read_json, read_scores, write_json, write_lines
from harness.suites import Catalogue
from harness.types import Failure, Job, Record, Sampling, Score
from harness.verdicts import tallied, with_panel


def scored_already(plan: Plan) -> Done | None:
    """Return the finished run when its summary is whole and made by the very metrics and price of today, else None."""
    path = plan.folder / "summary.json"
    if not path.exists() or _metric_ids(plan) != _noted_ids(plan.manifest):
        return None
    done = Done(plan.folder, read_json(path))
    return done if done.complete and done.summary["usage"].get("price") == plan.manifest.get("price") else None


def score(folder: Path, plan: Plan | None = None, encoder: Encoder | None = None) -> Done:
    """Score a run's records anew and write its scores and its summary; the asked model is not called."""
    manifest = read_json(folder / "manifest.json")
    if not (folder / "records.jsonl").is_file():
        raise IncompleteError(f"{folder}: records.jsonl, which holds the answers, is not there. Nothing was changed.")
    plan = plan or reopen(folder, manifest, encoder)
    today = _metric_ids(plan)
    if today != _noted_ids(manifest):
        for task, ids in today.items():
            manifest["tasks"][task]["metrics"] = ids
        manifest["encoder"] = next((asdict(part.encoder) for part in plan.parts if part.encoder), None)
        write_json(folder / "manifest.json", manifest)
    seen = Seen()
    places = {p.task.id: Places(plan.selection.variants) for p in plan.parts if p.task.is_choice}
    floors, judging = _write_scores(plan, seen, places)
    sessions = sessions_of(folder)
    usage = {**seen.usage, "wall_seconds": round(sum(one["seconds"] for one in sessions), 3)}
    told = {
        "unasked": seen.unasked,
        "stopped": sessions[-1].get("stopped") if seen.unasked and sessions else None,
        "position": positions(places),
        "judging": judging,
    }
    extra = {
        "usage": {**usage, **cost(usage, manifest.get("price"))},
        **{name: sorted(values) for name, values in seen.marks.items()},
        "absent": manifest.get("absent", {}),
        "floors": floors,
        **{name: what for name, what in told.items() if what},
    }
    result = summary.of(manifest, read_scores(folder / "scores.jsonl"), extra)
    write_json(folder / "summary.json", result)
    return Done(folder, result)


def sessions_of(folder: Path) -> list[dict[str, Any]]:
    """Return how long each session of a run took, how many calls it made, and what stopped it, if anything."""
    path = folder / "sessions.json"
    sessions: list[dict[str, Any]] = read_json(path)["sessions"] if path.exists() else []
    return sessions


def _write_scores(
    plan: Plan, seen: Seen, places: Mapping[str, Places]
) -> tuple[dict[str, dict[str, float]], dict[str, Any] | None]:
    """Write the scores of all records; return the floors of the tasks, and what judges say.

    The index ends here: its 25 bytes a record are not needed while the estimates are made.
    """
    with Index(plan.folder / "records.jsonl") as index:
        _refuse_fewer(plan.folder, index.answered)
        scores = (one for p in plan.parts for one in _part_scores(plan, p, index, seen, places.get(p.task.id)))
        write_lines(plan.folder / "scores.jsonl", map(encode_score, scores))
        floors = {}
        for part in plan.parts:
            if found := floors_of(part.task, part.ask, part.metrics(), plan.jobs(part), index.of_job):
                floors[part.task.id] = found
        return floors, tallied(plan, index)


def _refuse_fewer(folder: Path, answered: int) -> None:
    """Raise IncompleteError where the records hold fewer answers than the run was scored by: what is lost would take its scores along."""
    path = folder / "summary.json"
    tasks = read_json(path)["tasks"].values() if path.exists() else ()
    counts = [next(iter(metrics.values()))["counts"] for metrics in tasks]
    before = sum(sum(one.values()) - one["failed"] for one in counts)
    if answered < before:
        raise IncompleteError(
            f"{folder}: records.jsonl holds {answered:,} answers, but the run was scored by {before:,}. Nothing was changed. "
            "Bring the file back from a copy, or run the run's command again: it asks what is missing."
        )


def cost(usage: Mapping[str, Any], price: Mapping[str, Any] | None) -> dict[str, Any]:
    """Return what all answers cost at a price per million tokens, and that price; nothing where no price is known.

    The cost is None where the provider told no tokens. Adopted answers are priced too: it is what the answers are worth.
    """
    if price is None:
        return {}
    told = usage["tokens_in"] and usage["tokens_out"]
    return {"cost": batch.as_bought((price["input"], price["output"]), usage) if told else None, "price": dict(price)}


def _metric_ids(plan: Plan) -> dict[str, dict[str, str]]:
    """Return the comparison id that each metric of each task has today."""
    return {p.task.id: {use.name: p.comparison_id(use, plan.selection) for use in p.metrics()} for p in plan.parts}


def _noted_ids(manifest: Mapping[str, Any]) -> dict[str, dict[str, str]]:
    """Return the comparison id that each metric of each task had when the run was last scored."""
    return {task: info["metrics"] for task, info in manifest["tasks"].items()}


def _part_scores(plan: Plan, part: Part, index: Index, seen: Seen, places: Places | None) -> Iterator[Score]:
    def answers(job: Job) -> list[Record | None]:
        records = index.of_job(job)
        seen.count(job, records)
        return records

    ask, uses = part.ask, part.metrics()
    if places is None:
        return score_task(part.task, ask, uses, plan.jobs(part), answers)
    return followed(places, plan.jobs(part), lambda jobs: score_task(part.task, ask, uses, jobs, answers))


class Seen:
    """What a run's records say besides their answers: what was used, by which versions, and how much was never asked."""

    def __init__(self) -> None:
        self.tokens = dict.fromkeys(batch.TOKENS, 0)
        self.calls = self.adopted = 0
        self.seconds = 0.0
        self.marks: dict[str, set[str]] = {"model_versions": set(), "not_accepted": set()}
        self.unasked: dict[str, int] = {}

    def count(self, job: Job, records: Sequence[Record | None]) -> None:
        """Count what came back at each step of one job."""
        if records[0] is None:
            self.unasked[job.sample.task] = self.unasked.get(job.sample.task, 0) + 1
        for record in records:
            if record is not None:
                self._count(record)

    def _count(self, record: Record) -> None:
        response = record.outcome
        if isinstance(response, Failure):
            return
        self.calls += 1
        self.adopted += record.origin is not None
        self.seconds += response.seconds
        batch.count_tokens(response, self.tokens)
        if response.model_version:
            self.marks["model_versions"].add(response.model_version)
        self.marks["not_accepted"].update(response.not_accepted)

    @property
    def usage(self) -> dict[str, Any]:
        """Return calls, tokens and seconds; the tokens of batches only where there was one."""
        asked = {name: self.tokens[name] for name in ("tokens_in", "tokens_out")}
        batched = {name: self.tokens[name] for name in ("batch_tokens_in", "batch_tokens_out")}
        found = {"calls": self.calls, **asked, "seconds": self.seconds, "adopted": self.adopted}
        return {**found, **batched} if any(batched.values()) else found


def reopen(folder: Path, manifest: Mapping[str, Any], encoder: Encoder | None = None) -> Plan:
    """Return the plan of an existing run; raise UsageError when its tasks or data are gone or have changed."""
    catalogue = Catalogue.of_run(manifest)
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
