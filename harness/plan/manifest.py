"""A run's plan, in the folder that its name determines, and the manifest that says what the run is."""

from __future__ import annotations

import hashlib
import json
import platform
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from harness.plan.part import VERSION, Part
from harness.plan.selection import Selection
from harness.store import SCHEMA, file_name, read_json, write_json
from harness.suites import Catalogue
from harness.types import Job


@dataclass(slots=True)
class Plan:
    """All that a run is going to do, and the folder it does it in."""

    name: str
    identity: Mapping[str, str]
    parts: list[Part]
    selection: Selection
    catalogue: Catalogue
    folder: Path
    manifest: dict[str, Any] = field(default_factory=dict)

    @property
    def identity_key(self) -> str:
        """Return the text that stands for the subject in every answer's key."""
        return json.dumps(dict(self.identity), sort_keys=True, ensure_ascii=False)

    def jobs(self, part: Part) -> Iterator[Job]:
        """Yield every job of a part: samples in file order, then repeats, then rotations."""
        for sample, repeat, variant in self.selection.asked(self.catalogue, part.task):
            yield part.prompter.job(sample, repeat, variant)


def open_plan(
    name: str,
    identity: Mapping[str, str],
    parts: list[Part],
    selection: Selection,
    catalogue: Catalogue,
    runs: Path,
    extra: Mapping[str, Any],
) -> Plan:
    """Return the plan of a run in its folder below `runs`, and write its manifest if it is new."""
    plan = planned(name, identity, parts, selection, catalogue, runs)
    path = plan.folder / "manifest.json"
    if path.exists():
        plan.manifest = read_json(path)
    else:
        plan.manifest = _manifest(plan, _determined(identity, parts, selection), extra)
        write_json(path, plan.manifest)
    return plan


def planned(
    name: str,
    identity: Mapping[str, str],
    parts: list[Part],
    selection: Selection,
    catalogue: Catalogue,
    runs: Path,
) -> Plan:
    """Return the plan of a run, without a manifest; nothing is written.

    The folder's name is a hash of all that determines the answers, so the same command finds the same folder again.
    """
    determined = _determined(identity, parts, selection)
    digest = hashlib.sha256(json.dumps(determined, sort_keys=True, default=dict).encode()).hexdigest()[:10]
    return Plan(name, identity, parts, selection, catalogue, runs / f"{file_name(name)}-{digest}")


def _determined(identity: Mapping[str, str], parts: list[Part], selection: Selection) -> dict[str, Any]:
    """Return all that determines a run's answers."""
    return {
        "version": VERSION,
        "identity": dict(identity),
        "tasks": {
            part.task.id: {
                "version": part.task.version,
                "data": part.data,
                "prompt": part.prompter.fingerprint,
                "sampling": asdict(part.prompter.common_sampling),
                "shots": [part.prompter.style.shots, part.prompter.style.seed],
            }
            for part in parts
        },
        "selection": asdict(selection),
    }


def _manifest(plan: Plan, determined: dict[str, Any], extra: Mapping[str, Any]) -> dict[str, Any]:
    tasks = {}
    for part in plan.parts:
        samples = plan.selection.count(plan.catalogue, part.task)
        suite = plan.catalogue.suites[part.task.suite]
        tasks[part.task.id] = {
            **determined["tasks"][part.task.id],
            "type": part.task.type,
            "title": part.task.title,
            "headline": part.metrics()[0].name if part.ask != "generate" else part.task.headline_metric,
            "suite_version": suite.version,
            "licence": suite.licence,
            "samples": samples,
            "answers": _asked(plan, part, samples),
            "metrics": {use.name: part.comparison_id(use, plan.selection) for use in part.metrics()},
        }
    style = plan.parts[0].prompter.style
    return {
        "schema": SCHEMA,
        "run": plan.folder.name,
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "subject": {"name": plan.name, "identity": dict(plan.identity)},
        "tasks": tasks,
        "selection": asdict(plan.selection),
        "style": asdict(style),
        "environment": environment(),
        **extra,
    }


def _asked(plan: Plan, part: Part, samples: int) -> int:
    """Return how many answers a part asks for; only rotations and dialogues need a look at every sample."""
    if plan.selection.variants > 1 or part.task.type == "dialogue":
        return sum(job.steps for job in plan.jobs(part))
    return samples * plan.selection.repeats


def environment() -> dict[str, str]:
    """Return the versions of Python, of the machine's system and of the packages that may change a number."""
    found = {"python": platform.python_version(), "system": f"{platform.system()} {platform.machine()}"}
    for package in (
        "tcm-eval",
        "numpy",
        "sacrebleu",
        "rouge-score",
        "nltk",
        "bert-score",
        "transformers",
        "torch",
        "aiohttp",
    ):
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found
