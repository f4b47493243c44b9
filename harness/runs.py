"""What a run is asked to do, who watches it, and what is left when it is done."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Protocol

from harness.limits import Gate, Limits
from harness.models import Subject, address_of
from harness.plan import Encoder, Part, Plan, Selection, prepare
from harness.prompts import Style
from harness.score import Reading
from harness.specs import TaskSpec
from harness.suites import Catalogue
from harness.types import Record


@dataclass(frozen=True, slots=True)
class RunSpec:
    """What the user asked for. `sampling` holds only the fields that were stated.

    `max_failures` from 1 is a count, below 1 a share of all answers; `price` is for a million tokens in and out.
    `replicas` is how many copies of the model answer, on a Ray cluster where there is more than one.
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
    replicas: int = 1


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


def worded(spec: RunSpec, subject: Subject, catalogue: Catalogue, tasks: Iterable[TaskSpec]) -> list[Part]:
    """Return these tasks as a subject is asked them; raise UsageError for missing or changed data, or too few examples."""
    style = replace(spec.style, own_system=subject.own_system, own_max_tokens=own_budget(spec, subject))
    return [prepare(catalogue, task, style, spec.selection, spec.sampling, spec.encoder) for task in tasks]


def own_budget(spec: RunSpec, subject: Subject) -> int | None:
    """Return the tokens that a subject's entry allows for an answer; None where it says nothing, or the run says how many all get."""
    return None if "max_tokens" in spec.sampling else subject.max_tokens


def own_words(spec: RunSpec, subject: Subject) -> dict[str, str]:
    """Return what of an entry's own belongs to who answers: its prompt and its token budget, where it has them."""
    budget = own_budget(spec, subject)
    prompt = {"own_prompt": subject.own_system} if subject.own_system else {}
    return {**prompt, **({"own_max_tokens": str(budget)} if budget else {})}


def asked_as(spec: RunSpec, subject: Subject) -> str:
    """Return a hash of how a model is named and set up: what is known of who answers before it is built. Where its key lies is no part of it."""
    settings = {key: value for key, value in subject.settings.items() if key not in ("key_env", "key_file")}
    settings["base_url"] = address_of(subject.provider, subject.settings)
    named = [subject.provider, subject.model, settings, own_words(spec, subject)]
    return hashlib.sha256(json.dumps(named, sort_keys=True, default=str).encode()).hexdigest()[:16]


def open_catalogue(spec: RunSpec) -> Catalogue:
    """Return the suites that a spec can see."""
    return Catalogue(spec.task_paths, data_root=spec.data_root, data_path=spec.data_path)
