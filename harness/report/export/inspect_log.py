"""A run -> logs that inspect_ai reads and its viewer shows: one `.eval` file a task, written sample by sample.

The file is what inspect_ai itself writes: a zip of JSON in version 2 of its log schema, which its later versions keep reading. It is
written here rather than with inspect_ai's own classes, which would hold all samples in memory and bring forty packages along.
"""

from __future__ import annotations

import base64
import hashlib
import re
import shutil
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from importlib.metadata import version
from itertools import groupby
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO, Any
from zipfile import ZIP_DEFLATED, ZipFile, ZipInfo

from harness.errors import HarnessError
from harness.plan import Plan
from harness.registry import get_metric
from harness.report.export.inspect_sample import Asked, sample_of, summary_of
from harness.report.export.staging import plain_name
from harness.report.results import Run
from harness.report.site.build import Reopen
from harness.report.site.samples import Entry, entries
from harness.store import Index
from harness.tables import plain_json, printable

Row = dict[str, Any]
LOG_VERSION = 2


def write_logs(run: Run, folder: Path, reopen: Reopen) -> list[str]:
    """Write a log for each task of a run and return notes; a run whose questions are gone is written without them.

    Raises UsageError for a damaged or outdated run.
    """
    plan: Plan | None = None
    notes = []
    try:
        plan = reopen(run.folder, run.manifest)
    except HarnessError as error:
        notes.append(f"{run.folder}: written without its questions: {error}")
    with Index(run.folder / "records.jsonl") as index:
        found = entries(run.folder, run.manifest, plan, index)
        for task, of_task in groupby(found, lambda entry: entry.headline.task):
            _write_log(run, task, of_task, folder)
    return notes


def _write_log(run: Run, task: str, found: Iterable[Entry], folder: Path) -> None:
    log = Log.of(run, task)
    start = {"version": LOG_VERSION, "eval": _spec(run, log), "plan": _plan(run, log)}
    with ZipFile(folder / log.file, "w") as archive, TemporaryFile(dir=folder) as summaries:
        _put(archive, "_journal/start.json", start)
        for sample in log.take(found):
            _put(archive, f"samples/{sample['id']}_epoch_{sample['epoch']}.json", sample)
            summaries.write(b",\n" if summaries.tell() else b"[")
            summaries.write(plain_json(summary_of(sample)).encode())
        summaries.write(b"]" if summaries.tell() else b"[]")
        _put_file(archive, "summaries.json", summaries)
        _put(archive, "header.json", {**start, **_outcome(run, log)})


@dataclass(slots=True)
class Log:
    """One task's log while it is written; `usage` and `count` grow with its samples."""

    asked: Asked
    id: str
    run_id: str
    created: str
    usage: dict[str, int] = field(default_factory=dict)
    count: int = 0
    failed: int = 0

    @classmethod
    def of(cls, run: Run, task: str) -> Log:
        asked = Asked(task, plain_name(run), run.folder.name, int(run.manifest["selection"]["variants"]))
        return cls(asked, _id(run.folder.name, task), _id(run.folder.name), str(run.manifest["created"]))

    @property
    def file(self) -> str:
        """Return the file's name in inspect_ai's form: time, task, id."""
        time = re.sub(r"[^0-9A-Za-z]", "-", self.created)
        return f"{time}_{re.sub(r'[^0-9A-Za-z]+', '-', self.asked.task)}_{self.id}.eval"

    def take(self, found: Iterable[Entry]) -> Iterator[Row]:
        """Yield the samples and count them."""
        for entry in found:
            sample = sample_of(entry, self.asked)
            self.count += 1
            self.failed += "error" in sample
            for name, tokens in sample["model_usage"].get(self.asked.model, {}).items():
                self.usage[name] = self.usage.get(name, 0) + tokens
            yield sample


def _id(*parts: str) -> str:
    """Return 22 letters and digits that are the same for the same parts."""
    digest = hashlib.sha256("\x1f".join(parts).encode("utf-8", "replace")).digest()
    return re.sub(r"[^0-9A-Za-z]", "x", base64.b64encode(digest).decode())[:22]


def _put(archive: ZipFile, name: str, value: Row) -> None:
    archive.writestr(_member(name), plain_json(value).encode())


def _put_file(archive: ZipFile, name: str, file: IO[bytes]) -> None:
    file.seek(0)
    with archive.open(_member(name), "w", force_zip64=True) as member:
        shutil.copyfileobj(file, member)


def _member(name: str) -> ZipInfo:
    """Return a member without a time of its own, so that the same run gives the same bytes."""
    info = ZipInfo(name)
    info.compress_type = ZIP_DEFLATED
    info.external_attr = 0o644 << 16
    return info


# ------------------------------------------------------------------ what was asked


def _spec(run: Run, log: Log) -> Row:
    info, selection = run.manifest["tasks"][log.asked.task], run.manifest["selection"]
    suite = log.asked.task.partition("/")[0]
    return {
        "eval_id": log.id,
        "run_id": log.run_id,
        "created": log.created,
        "task": log.asked.task,
        "task_id": log.id,
        "task_version": info["version"],
        "task_display_name": printable(info["title"] or log.asked.task),
        "task_attribs": {},
        "task_args": {},
        "task_args_passed": {},
        "dataset": {"name": suite, "samples": info["samples"], "shuffled": False},
        "model": log.asked.model,
        "model_generate_config": _decoding(run, info["sampling"]),
        "model_args": dict(run.summary["subject"]["identity"]),
        "config": {
            "limit": selection["limit"],
            "epochs": selection["repeats"] * selection["variants"],
            "epochs_reducer": ["mean"],
            "fail_on_error": False,
        },
        "packages": {"tcm-eval": version("tcm-eval")},
        "metadata": {
            "run": run.folder.name,
            "comparison_ids": dict(info["metrics"]),
            "sampling": dict(info["sampling"]),
            "selection": dict(selection),
            "style": dict(run.manifest["style"]),
            "suite_version": info["suite_version"],
            "licence": info["licence"],
            "trained_on": list(run.summary["subject"].get("trained_on", [])),
            "not_accepted": list(run.summary.get("not_accepted", [])),
            "environment": dict(run.manifest.get("environment", {})),
        },
        "viewer": {"trust_content": False},  # its viewer then shows what a model said as plain text
        "scorers": [{"name": metric, "metrics": [{"name": "mean"}, {"name": "stderr"}]} for metric in info["metrics"]],
    }


def _decoding(run: Run, sampling: Mapping[str, Any]) -> Row:
    """Return the decoding settings that inspect_ai has a name for, as they were sent; the task's stand in the log's metadata, all of them."""
    known = {name: sampling[name] for name in ("temperature", "top_p", "max_tokens", "seed")}
    known["max_tokens"] = run.own_max_tokens or known["max_tokens"]
    if sampling["top_k"]:
        known["top_k"] = sampling["top_k"]
    if sampling["stop"]:
        known["stop_seqs"] = list(sampling["stop"])
    return known


def _plan(run: Run, log: Log) -> Row:
    style = run.manifest["style"]
    return {
        "name": "plan",
        "steps": [{"solver": f"tcm_eval/{style['ask']}", "params": dict(style), "params_passed": {}}],
        "config": _decoding(run, run.manifest["tasks"][log.asked.task]["sampling"]),
    }


# ------------------------------------------------------------------ what came out


def _outcome(run: Run, log: Log) -> Row:
    scores = [_score(metric, found) for metric, found in run.summary["tasks"][log.asked.task].items()]
    head = run.manifest["tasks"][log.asked.task]["headline"]
    scores.sort(key=lambda score: score["name"] != head)  # a viewer takes the first for the headline
    spent = timedelta(seconds=run.summary.get("usage", {}).get("wall_seconds", 0.0))
    return {
        "status": "success",
        "results": {
            "total_samples": log.count,
            "completed_samples": log.count - log.failed,
            "scores": scores,
            "headline": {"scorer": head, "score": head, "metric": "mean"},
        },
        "stats": {
            "started_at": log.created,
            "completed_at": (datetime.fromisoformat(log.created) + spent).isoformat(),
            "model_usage": {log.asked.model: log.usage} if log.usage else {},
        },
    }


def _score(metric: str, found: Mapping[str, Any]) -> Row:
    """Return a metric's estimate; what could not be computed is left out, and counts by status stand in the metadata."""
    numbers = {
        "mean": found["mean"],
        "stderr": found["se"],
        "low_95": found["low"],
        "high_95": found["high"],
        "mean_parsed_only": found["mean_parsed_only"],
        "chance": found.get("chance"),
    }
    return {
        "name": metric,
        "scorer": metric,
        "scored_samples": found["n"],
        "unscored_samples": found["counts"]["failed"] + found["counts"]["unscored"],
        "metrics": {name: {"name": name, "value": v} for name, v in numbers.items() if v is not None},
        "metadata": {
            "counts": dict(found["counts"]),
            "n_groups": found["n_groups"],
            "comparison_id": found["comparison_id"],
            "higher_is_better": get_metric(metric).higher_is_better,
        },
    }
