"""Run spec -> manifest + the requests that still need an answer."""

from __future__ import annotations

import hashlib
import json
import platform
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from harness.datasets import census, chosen, stream
from harness.engine import Todo
from harness.errors import UsageError
from harness.extract.referring import referring
from harness.judge import Panel
from harness.prompts import Prompter, Style
from harness.registry import get_extractor, get_metric
from harness.specs import MetricUse, TaskSpec
from harness.store import SCHEMA, Answers, Index, read_json, write_json
from harness.suites import Catalogue, file_sha256, shared_prompts
from harness.types import Job, Record, Response, Sample, Sampling

VERSION = "0.1"
"""The part of tcm-eval's version that may change a number; it stands in every signature."""


@dataclass(frozen=True, slots=True)
class Selection:
    """Which samples of the chosen tasks a run asks, and how often. `limit` is per task; `variants` rotates the options."""

    split: str | None = "test"
    limit: int | None = None
    repeats: int = 1
    variants: int = 1
    seed: int = 0


@dataclass(frozen=True, slots=True)
class Encoder:
    """The model that BERTScore and Ladder-Score compare meanings with: a folder or hub id, and the layer to read."""

    model: str
    layer: int | None = None


TEXT_TASKS = ("dialogue", "free_text")

SEMANTIC = ("bertscore", "ladder_score", "compat_embedding_cosine")
"""The metrics that need an encoder. Without one they are not asked for by default; a task that lists them gets them unscored."""


@dataclass(frozen=True, slots=True)
class Part:
    """One task of a run, worded."""

    task: TaskSpec
    prompter: Prompter
    data: Mapping[str, str]
    encoder: Encoder | None = None
    panel: Panel | None = None

    def metrics(self) -> tuple[MetricUse, ...]:
        """Return the metrics that score this part: the task's, or those of option log-probabilities."""
        ask = self.prompter.style.ask
        if ask == "generate" or self.task.type not in ("single_choice", "multiple_choice"):
            return self._with_panel(self._with_encoder(self.task.metric_uses))
        names = ("accuracy_letter",) if ask == "letter" else ("accuracy_text", "accuracy_text_norm")
        return tuple(MetricUse(name=name) for name in names)

    def _with_encoder(self, uses: tuple[MetricUse, ...]) -> tuple[MetricUse, ...]:
        """Return the metrics of a text task with the run's encoder, and BERTScore and Ladder-Score added to them."""
        if self.encoder is None or not self.is_text:
            return uses
        named = {use.name for use in uses}
        weights = shared_prompts()["ladder_score"]
        added = [
            MetricUse(name=n, options=o) for n, o in (("bertscore", {}), ("ladder_score", weights)) if n not in named
        ]
        encoder = {"model": self.encoder.model} | ({} if self.encoder.layer is None else {"layer": self.encoder.layer})
        return tuple(
            use.model_copy(update={"options": {**encoder, **use.options}}) if use.name in SEMANTIC else use
            for use in (*uses, *added)
        )

    @property
    def is_text(self) -> bool:
        """Tell whether the answers are texts, which an encoder and a judge can read."""
        return self.task.type in TEXT_TASKS

    @property
    def has_rubric(self) -> bool:
        """Tell whether a judge has criteria here: a rubric is about the last answer, so not where every turn is scored."""
        return self.task.columns.rubric is not None and self.task.score_turns == "last"

    def _with_panel(self, uses: tuple[MetricUse, ...]) -> tuple[MetricUse, ...]:
        """Return the metrics of a text task with those of the run's judges, and their mark of meaning in Ladder-Score if asked."""
        if self.panel is None or not self.is_text:
            return uses
        judged = {"panel": self.panel}
        names = ("judge_rubric", "judge_semantic") if self.has_rubric else ("judge_semantic",)
        kept = [use for use in uses if use.name not in ("judge_rubric", "judge_semantic")]
        if self.panel.ladder:
            kept = [use for use in kept if use.name != "ladder_score"]
            stated = next((use.options for use in uses if use.name == "ladder_score"), shared_prompts()["ladder_score"])
            weights = {name: value for name, value in stated.items() if name in ("w_term", "w_sem", "lexicon")}
            kept.append(MetricUse(name="ladder_score", options={**weights, "semantic": "judge", **judged}))
        return (*kept, *(MetricUse(name=name, options=judged) for name in names))

    def comparison_id(self, use: MetricUse, selection: Selection) -> str:
        """Return what must be equal for two numbers to be compared: task, data, prompt, sampling, shots, metric."""
        metric, s, style = get_metric(use.name), self.prompter.sampling, self.prompter.style
        said = metric.signature(use.options)
        sampling = (
            f"temp:{s.temperature:g}|top_p:{s.top_p:g}|top_k:{s.top_k}|rep:{s.repetition_penalty:g}|max:{s.max_tokens}"
        )
        stop = f"|stop:{_short(list(s.stop))}" if s.stop else ""
        reader = get_extractor(self.task.extractor).signature if style.ask == "generate" else f"argmax-{style.ask}"
        return (
            f"tcm-eval:{VERSION}|task:{self.task.id}@{self.task.version}|data:{_short(self.data)}|{_which(selection)}"
            f"|prompt:{self.prompter.fingerprint}|{sampling}{stop}|seed:{s.seed}"
            f"|shots:{style.shots}{f'@{style.seed}' if style.shots else ''}|read:{reader}"
            f"|metric:{metric.name}@{metric.version}{f'({said})' if said else ''}"
        )


def _which(selection: Selection) -> str:
    parts = [f"split:{selection.split or 'all'}"]
    if selection.limit is not None:
        parts.append(f"limit:{selection.limit}@{selection.seed}")
    if selection.repeats > 1:
        parts.append(f"repeats:{selection.repeats}")
    if selection.variants > 1:
        parts.append(f"rotations:{selection.variants}")
    return "|".join(parts)


def _short(value: Any) -> str:
    text = json.dumps(value, sort_keys=True, ensure_ascii=False, default=dict)
    return hashlib.sha256(text.encode()).hexdigest()[:6]


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
        selection = self.selection
        for sample in chosen(self.catalogue, part.task, selection.split, selection.limit, selection.seed):
            for repeat in range(selection.repeats):
                for variant in range(_variants(sample, selection.variants)):
                    yield part.prompter.job(sample, repeat, variant)


def _variants(sample: Sample, wanted: int) -> int:
    """Return in how many rotations a sample is asked: once where an option speaks of others, such as 以上都是."""
    if wanted == 1 or not sample.options or referring(sample.options):
        return 1
    return min(wanted, len(sample.options))


def prepare(
    catalogue: Catalogue,
    task: TaskSpec,
    style: Style,
    selection: Selection,
    sampling: Mapping[str, Any],
    encoder: Encoder | None = None,
) -> Part:
    """Return one task worded; raise UsageError for missing or changed data, an unknown metric or too few examples."""
    for use in task.metric_uses:
        get_metric(use.name)
    get_extractor(task.extractor)
    data = {path.name: file_sha256(path) for path in catalogue.data_files(task)}
    decoding = replace(Sampling(**{**task.sampling.model_dump(), "seed": selection.seed}), **sampling)
    examples: Sequence[Sample] = ()
    if style.shots:
        examples = [s for s in stream(catalogue, task) if s.split in ("validation", "train")]
    shape = {"columns": task.columns.shape(), "split": task.split.model_dump(mode="json")}
    return Part(task, Prompter(task, style, decoding, examples), {**data, "": _short(shape)}, encoder)


def count(catalogue: Catalogue, task: TaskSpec, selection: Selection) -> int:
    """Return how many samples of a task a run asks, after reading every row; raise UsageError for a malformed one or none."""
    counted = census(catalogue, task, selection.split)
    if not counted:
        splits = sorted({sample.split for sample in stream(catalogue, task)})
        raise UsageError(f"{task.id}: split '{selection.split}' is empty. The task has: {', '.join(splits)}.")
    return counted if selection.limit is None else min(counted, selection.limit)


def open_plan(
    name: str,
    identity: Mapping[str, str],
    parts: list[Part],
    selection: Selection,
    catalogue: Catalogue,
    runs: Path,
    extra: Mapping[str, Any],
) -> Plan:
    """Return the plan of a run in its folder below `runs`, and write its manifest if it is new.

    The folder's name is a hash of all that determines the answers, so the same command finds the same folder again.
    """
    determined = {
        "version": VERSION,
        "identity": dict(identity),
        "tasks": {
            part.task.id: {
                "version": part.task.version,
                "data": part.data,
                "prompt": part.prompter.fingerprint,
                "sampling": asdict(part.prompter.sampling),
                "shots": [part.prompter.style.shots, part.prompter.style.seed],
            }
            for part in parts
        },
        "selection": asdict(selection),
    }
    digest = hashlib.sha256(json.dumps(determined, sort_keys=True, default=dict).encode()).hexdigest()[:10]
    safe = re.sub(r"[^A-Za-z0-9._-]+", "-", name).strip("-.")[-60:] or "model"
    plan = Plan(name, identity, parts, selection, catalogue, runs / f"{safe}-{digest}")
    path = plan.folder / "manifest.json"
    if path.exists():
        plan.manifest = read_json(path)
    else:
        plan.manifest = _manifest(plan, determined, extra)
        write_json(path, plan.manifest)
    return plan


def _manifest(plan: Plan, determined: dict[str, Any], extra: Mapping[str, Any]) -> dict[str, Any]:
    tasks = {}
    for part in plan.parts:
        samples = count(plan.catalogue, part.task, plan.selection)
        suite = plan.catalogue.suites[part.task.suite]
        tasks[part.task.id] = {
            **determined["tasks"][part.task.id],
            "type": part.task.type,
            "title": part.task.title,
            "headline": part.metrics()[0].name if part.prompter.style.ask != "generate" else part.task.headline_metric,
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


def earlier_answers(runs: Path, plan: Plan) -> Answers:
    """Return the answers of earlier runs of the same subject, so that no question is ever paid for twice."""
    files = []
    for manifest in sorted(runs.glob("*/manifest.json")):
        if manifest.parent == plan.folder:
            continue
        try:
            known = read_json(manifest)["subject"]["identity"]
        except (UsageError, KeyError):
            continue  # another version's run, or none: there is nothing to adopt from it
        if known == dict(plan.identity):
            files.append(manifest.parent / "records.jsonl")
    return Answers(files)


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
