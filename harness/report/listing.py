"""What `tasks`, `data`, `models` and `doctor` print."""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Sequence
from importlib.util import find_spec
from itertools import islice

from harness.acquire import status
from harness.datasets import stream
from harness.errors import UsageError
from harness.models import entries, obstacle
from harness.preflight import Finding, check
from harness.prompts import Prompter, Style
from harness.registry import adapter_names, plugin_states
from harness.specs import Language, TaskSpec
from harness.suites import Catalogue
from harness.tables import Cell, Table, counted, printable, render, terminal_width
from harness.types import Blanks, Case, Choice, Sampling, Target

PIPED = 1000
"""Columns of a list that goes to no terminal: a line an entry, for tools that read lines."""


def tasks_text(catalogue: Catalogue) -> str:
    """Return a table of all tasks."""
    tables = []
    for name, suite in catalogue.suites.items():
        rows = []
        for task in catalogue.tasks(name):
            here = "here" if not catalogue.missing(task) else "absent"
            metrics = ", ".join(use.name for use in task.metric_uses)
            rows.append((task.id, [Cell(text=task.type), Cell(text=here), Cell(text=metrics)]))
        notes = [f"licence {suite.licence}"]
        if any(catalogue.missing(task) for task in catalogue.tasks(name)):
            notes.append(f"data is absent; {_cure(catalogue, name)}")
        tables.append(Table(f"{name}: {suite.title}", ["type", "data", "metrics"], rows, notes))
    return render(tables, "table", width=terminal_width(PIPED))


def task_text(catalogue: Catalogue, task: TaskSpec, language: Language | None) -> str:
    """Return one task with the first prompt as a model would get it."""
    lines = [f"{task.id}  (version {task.version}, {task.type})", f"  {task.title}" if task.title else ""]
    lines.append(f"  extraction: {task.extractor}   metrics: {', '.join(use.name for use in task.metric_uses)}")
    missing = catalogue.missing(task)
    if missing:
        return "\n".join([*filter(None, lines), f"  data is absent; {_cure(catalogue, task.suite)}"])
    splits = Counter(sample.split for sample in stream(catalogue, task))
    lines.append("  samples: " + ", ".join(f"{n:,} {split}" for split, n in splits.items()))
    prompter = Prompter(task, Style(language=language), Sampling(**task.sampling.model_dump()))
    for sample in islice(stream(catalogue, task), 1):
        request = prompter.job(sample).next([])
        for message in request.messages if request else ():
            content = message.content if isinstance(message.content, str) else "[images and text]"
            lines += [f"--- {message.role}", *(printable(line) for line in content.split("\n"))]
        lines += ["--- key", *(printable(line) for line in _key(sample.target))]
    return "\n".join(line for line in lines if line)


def _key(target: Target) -> list[str]:
    """Return the right answer as a reader writes it, line by line."""
    if isinstance(target, Choice):
        return ["".join(sorted(target.letters))]
    if isinstance(target, Blanks):
        return ["；".join(" | ".join(one) for one in target.accepted)]
    parts: dict[str, Sequence[str]] = {"rubric": target.rubric, "terms": target.terms}
    if isinstance(target, Case):
        herbs = [name if dose is None else f"{name} {dose:g} g" for name, dose in target.herbs]
        parts = {**target.slots, "herbs": herbs, **parts}
    texts = [line for text in target.texts for line in text.split("\n")]
    return [*texts, *(f"{name}: {'; '.join(values)}" for name, values in parts.items() if values)]


def checked(catalogue: Catalogue, here: Sequence[TaskSpec], absent: Sequence[TaskSpec]) -> tuple[str, bool]:
    """Return the findings of several tasks as text, and whether none of them is an error."""
    lines, good = [], True
    for task in here:
        findings = check(catalogue, task)
        errors = [f for f in findings if f.level == "error"]
        good = good and not errors
        lines.append(f"{task.id}: {counted(len(errors), 'error')}, {counted(len(findings) - len(errors), 'warning')}")
        lines += [_finding(f) for f in findings[:40]]
        if len(findings) > 40:
            lines.append(f"  ... and {len(findings) - 40} more")
    lines += [f"{task.id}: data is absent; {_cure(catalogue, task.suite)}" for task in absent]
    return "\n".join(lines), good and not any(catalogue.is_own(task.suite) for task in absent)


def _cure(catalogue: Catalogue, suite: str) -> str:
    return catalogue.bring(suite) if catalogue.is_own(suite) else f"bring it with: {catalogue.bring(suite)}"


def _finding(finding: Finding) -> str:
    samples = (
        f" [{', '.join(finding.samples[:6])}{', …' if len(finding.samples) > 6 else ''}]" if finding.samples else ""
    )
    return printable(f"  {finding.level}: {finding.what}{samples}: {finding.message}")


def data_text(catalogue: Catalogue) -> str:
    """Return the state of every data file."""
    rows = [(f"{s.suite}/{s.name}", [Cell(text=s.state), Cell(text=str(s.path))]) for s in status(catalogue)]
    absent = dict.fromkeys(s.suite for s in status(catalogue) if s.state == "absent")
    notes = [f"bring {suite}: {catalogue.bring(suite)}" for suite in absent]
    return render([Table("data files", ["state", "path"], rows, notes)], "table", width=terminal_width(PIPED))


def models_text() -> str:
    """Return all aliases, and the providers that any model name can follow."""
    rows = []
    for alias, entry in entries().items():
        if entry.published_only:
            state = "published numbers only"
        elif entry.retired:
            state = f"retired {entry.retired.day}{f', now {entry.retired.instead}' if entry.retired.instead else ''}"
        else:
            reasons = [obstacle(way) for way in entry.ways]
            possible = [w for w, r in zip(entry.ways, reasons, strict=True) if not r]
            nearest = min(reasons, key=lambda said: said.count("; "), default="no way is declared")
            state = f"ready ({possible[0].provider})" if possible else f"not here: {nearest.partition(' (')[0]}"
        marks = "" if entry.confirmed else " (version not confirmed)"
        marks += f" (until {entry.ends.day})" if entry.ends else ""
        trained = f"; trained on {', '.join(entry.trained_on)}" if entry.trained_on else ""
        rows.append((alias, [Cell(text=state), Cell(text=entry.title + marks + trained)]))
    notes = [f"any model: PROVIDER/NAME with one of the providers {', '.join(adapter_names())}"]
    notes.append("every way to an alias, and what each needs: tcm-eval models show NAME")
    return render([Table("models", ["state", "what it is"], rows, notes)], "table", width=terminal_width(PIPED))


EXTRAS = {
    "data": ("pandas", "pyarrow", "openpyxl"),
    "providers": ("openai", "anthropic"),
    "figures": ("matplotlib",),
    "hf": ("torch", "transformers"),
    "bertscore": ("bert_score",),
    "vllm": ("vllm",),
    "train": ("trl", "peft"),
    "wandb": ("wandb",),
    "mlflow": ("mlflow", "sqlalchemy", "alembic"),
    "site": ("vl_convert",),
    "compat": ("jieba",),
}


def doctor_text(catalogue: Catalogue) -> tuple[str, bool]:
    """Return what is installed and what is missing, and whether the core can work."""
    suites = {name: _suite_state(catalogue, name) for name in catalogue.suites}
    width = max(map(len, [*EXTRAS, *suites]))
    lines = [f"extra {extra:{width}} {_extra_state(extra)}" for extra in EXTRAS]
    lines += [printable(f"provider {name} {wrong or 'installed'}") for name, wrong in plugin_states().items()]
    lines += [f"suite {name:{width}} {state}" for name, (state, _) in suites.items()]
    free = shutil.disk_usage(".").free / 1e9
    lines.append(f"disk  {free:.1f} GB free here")
    if free < 1:
        lines.append("      less than 1 GB: long runs may stop (nothing is lost; free some and run again)")
    return "\n".join(lines), all(good for _, good in suites.values())


def _extra_state(extra: str) -> str:
    missing = [package for package in EXTRAS[extra] if find_spec(package) is None]
    return f"missing: {', '.join(missing)}  ->  pip install 'tcm-eval[{extra}]'" if missing else "installed"


def _suite_state(catalogue: Catalogue, name: str) -> tuple[str, bool]:
    """Return whether a suite's data is here, and whether the suite and what is here of its data are whole."""
    try:
        tasks = catalogue.tasks(name)
        here = [task for task in tasks if not catalogue.missing(task)]
        for task in here:
            catalogue.data_files(task)
    except UsageError as error:
        return f"BROKEN: {error}", False
    absent = len(tasks) - len(here)
    return f"data of {absent} of {len(tasks)} tasks absent  ->  {catalogue.bring(name)}" if absent else "here", True


def knowledge_text() -> tuple[str, bool]:
    """Return what is wrong with the knowledge base, how much of it was compared with a text, and whether it has no error."""
    from harness.knowledge.check import check as check_knowledge
    from harness.knowledge.check import unchecked

    findings = check_knowledge()
    errors = [finding for finding in findings if finding.severity == "error"]
    lines = [printable(str(finding)) for finding in errors]
    lines.append(f"{counted(len(errors), 'error')}, {counted(len(findings) - len(errors), 'warning')}")
    for name, (bare, total) in unchecked().items():
        lines.append(f"{name}: {total:,} lines, {total - bare:,} compared with a text that is named")
    return "\n".join(lines), not errors
