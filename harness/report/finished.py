"""What a run says at its end: a line a task, what is missing, and where everything lies."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from harness.position import sentences
from harness.report.judged import judged_tables
from harness.tables import Cell, Table, counted, render, terminal_width


class Finished(Protocol):
    """A run's folder and summary."""

    @property
    def folder(self) -> Path: ...

    @property
    def summary(self) -> dict[str, Any]: ...


def finished_text(finished: Sequence[Finished], output: Path) -> str:
    """Return the closing text of one or more runs."""
    blocks = [_one(done) for done in finished]
    blocks.append(
        f"All runs side by side: tcm-eval leaderboard{'' if output == Path('results') else f' --output {shlex.quote(str(output))}'}"
    )
    return "\n\n".join(blocks)


def _one(done: Finished) -> str:
    summary = done.summary
    rows, headlines, further = [], [], []
    for task, metrics in summary["tasks"].items():
        floors = summary.get("floors", {}).get(task, {})
        headline, *others = metrics
        headlines.append(headline)
        unasked = summary.get("unasked", {}).get(task, 0)
        rows.append((f"{task}  {headline}", _cells(metrics[headline], floors.get(headline), unasked)))
        if others:
            further.append(f"{task}: {', '.join(f'{m} {_mean(metrics[m])}' for m in others)}")
    for metric in dict.fromkeys(headlines):
        for kind, row in summary["overall"][metric].items():
            if row and (headlines.count(metric) > 1 or kind == "macro"):
                rows.append((_over(kind, metric, row), _cells(row)))
    columns = ["mean", "95% interval", "by chance", "n", "answers"]
    notes = [*_explained(summary), *further, *sentences(summary), *trouble(summary), f"run folder: {done.folder}"]
    tables = [Table(str(summary["subject"]["name"]), columns, rows, notes), *judged_tables(summary)]
    return render(tables, "table", width=terminal_width(120))


def _mean(row: Mapping[str, Any]) -> str:
    return "–" if row["mean"] is None else f"{row['mean']:.3f}"


def _explained(summary: Mapping[str, Any]) -> list[str]:
    notes = []
    if summary.get("floors"):
        notes.append("by chance: guessing; for texts, the answers scored against shuffled references")
    if own := summary["subject"]["identity"].get("own_max_tokens"):
        notes.append(f"an answer could have {int(own):,} tokens, the model's own budget, whatever the task allows")
    usage = summary.get("usage", {})
    if "batch_tokens_in" in usage:
        told = f"{usage['batch_tokens_in']:,} tokens in and {usage['batch_tokens_out']:,} out"
        notes.append(f"through the provider's batch interface, at half the price: {told}")
    names = [name for metrics in summary["tasks"].values() for name in metrics]
    if any(name.startswith(("herb_", "slot_", "safety_", "dose_")) for name in names):
        notes.append("clinical metrics: for research, not medical advice; safety_… are rates of answers with a fault")
    return notes


def _over(kind: str, metric: str, row: Mapping[str, Any]) -> str:
    what = "all questions" if kind == "micro" else f"mean of {row['disciplines']} disciplines"
    return f"{what}  {metric}"


def _cells(row: Mapping[str, Any], floor: float | None = None, unasked: int = 0) -> list[Cell]:
    interval = f"{row['low']:.3f} to {row['high']:.3f}" if row["low"] is not None and row["high"] is not None else "–"
    counts = dict(row.get("counts", {}))
    if unasked:  # no answer, but no failed call either
        counts = {**counts, "failed": counts["failed"] - unasked, "not asked": unasked}
    said = ", ".join(f"{n:,} {status}" for status, n in counts.items() if n)
    level = row.get("chance", floor)
    chance = Cell() if level is None else Cell(text=f"{level:.3f}")
    mean = Cell(text=_mean(row))
    return [mean, Cell(text=interval), chance, Cell(text=f"{row['n']:,}"), Cell(text=said)]


def trouble(summary: Mapping[str, Any]) -> list[str]:
    """Return what is missing in a run, and why; empty when nothing is."""
    notes = []
    failed = sum(max(row["counts"]["failed"] for row in metrics.values()) for metrics in summary["tasks"].values())
    unscored = sum(row["counts"]["unscored"] for metrics in summary["tasks"].values() for row in metrics.values())
    unasked = sum(summary.get("unasked", {}).values())
    if failed:
        lost = failed - unasked
        kinds = [f"{counted(lost, 'call')} failed (a failed call is no wrong answer)"] if lost > 0 else []
        kinds += [f"{unasked:,} {'was' if unasked == 1 else 'were'} not asked"] if unasked else []
        why = f" Stopped: {summary['stopped']}." if "stopped" in summary else ""
        lack = f"{counted(failed, 'question')} {'has' if failed == 1 else 'have'} no answer"
        notes.append(f"INCOMPLETE: {lack}: {', '.join(kinds)}.{why} The same command goes on.")
    if unscored:
        notes.append(f"INCOMPLETE: {counted(unscored, 'score')} could not be computed.")
    absent: dict[str, list[str]] = {}
    for task, command in summary.get("absent", {}).items():
        absent.setdefault(command, []).append(task)
    notes += [
        f"not asked, for the data is not here: {', '.join(tasks)}. Bring it with: {c}" for c, tasks in absent.items()
    ]
    if summary.get("not_accepted"):
        notes.append(f"the model did not accept: {', '.join(summary['not_accepted'])}")
    return notes
