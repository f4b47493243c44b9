"""What judges made of a run: their numbers with intervals, how far they agree, and what became of each judge's replies."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from harness.tables import Cell, Table

SHOWN = (("judge_rubric", "criteria"), ("judge_semantic", "meaning"))
"""The judged metrics, and what the judges agree or disagree about in each."""


def judged_tables(summary: Mapping[str, Any]) -> list[Table]:
    """Return the tables of a judged run, none for another."""
    judging = summary.get("judging")
    return [_numbers(summary, judging), _judges(judging)] if judging else []


def _numbers(summary: Mapping[str, Any], judging: Mapping[str, Any]) -> Table:
    rows, notes = [], []
    several = len(judging["judges"]) > 1
    for task, found in judging["tasks"].items():
        for metric, what in SHOWN:
            row = summary["tasks"].get(task, {}).get(metric)
            if row:
                agreed = _agreement(found["agreement"][what]) if several else []
                rows.append((f"{task}  {metric}", [*_mean(row), *agreed]))
        if found["by_some"]:
            notes.append(f"{task}: {found['by_some']} answers have the verdict of some judges only")
        if found["flagged"]:
            kinds = ", ".join(f"{name} {n}" for name, n in sorted(found["flags"].items()))
            notes.append(f"{task}: {found['flagged']} answers look as if they spoke to the judge ({kinds}): read them")
    columns = ["mean", "95% interval", "n", "unscored"]
    if several:
        columns += ["alpha", "same mark"]
        notes.append("agreement: Krippendorff's alpha (1 full, 0 chance), and how often two judges gave the same mark")
    return Table(f"Judged by {len(judging['judges'])} (prompt {judging['prompt']})", columns, rows, notes)


def _mean(row: Mapping[str, Any]) -> list[Cell]:
    low, high = row["low"], row["high"]
    interval = "–" if low is None or high is None else f"{low:.3f} to {high:.3f}"
    return [Cell(row["mean"]), Cell(text=interval), Cell(text=str(row["n"])), Cell(text=str(row["counts"]["unscored"]))]


def _agreement(row: Mapping[str, Any]) -> list[Cell]:
    equal = "–" if row["equal"] is None else f"{100 * row['equal']:.0f} %"
    return [Cell(row["alpha"]), Cell(text=equal)]


def _judges(judging: Mapping[str, Any]) -> Table:
    names = ("verdicts", "reminded", "unread", "refused", "missing")
    rows = []
    for one in judging["judges"]:
        used = one["usage"]
        cost = "–" if used["cost"] is None else f"{used['cost']:,.4f}"
        counts = [Cell(text=f"{one[name]:,}") for name in names]
        spent = [Cell(text=f"{used['tokens_in']:,.0f}"), Cell(text=f"{used['tokens_out']:,.0f}"), Cell(text=cost)]
        rows.append((one["name"], [*counts, *spent]))
    notes = [
        "unread: no verdict after a reminder; missing: not asked yet, or the call failed (judge.jsonl says why). Neither counts as a mark."
    ]
    if any(one["missing"] for one in judging["judges"]):
        notes.append("INCOMPLETE: run tcm-eval judge again to ask for what is missing.")
    if any(one["unread"] for one in judging["judges"]):
        notes.append(
            "Replies that stay unread are asked for anew with --again; another judge joins with --judge NAME --add."
        )
    for one in judging["judges"]:
        if "batch_tokens_in" in one["usage"]:
            told = f"{one['usage']['batch_tokens_in']:,} tokens in and {one['usage']['batch_tokens_out']:,} out"
            notes.append(f"{one['name']}: through the provider's batch interface, at half the price: {told}")
    notes += [
        f"{j['name']} did not accept: {', '.join(j['not_accepted'])}" for j in judging["judges"] if j["not_accepted"]
    ]
    return Table("Judges", [*names, "tokens in", "tokens out", "cost"], rows, notes, of="judge", kind="counts")
