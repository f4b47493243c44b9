"""Comparison ids: may two numbers be compared, and if not, what differs."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from harness.errors import UsageError

UNSAID = {"rotations": "1", "repeats": "1"}
"""What a comparison id means that does not state a part; other parts have no such value."""

WORDS = {"max": "max tokens", "temp": "temperature", "rep": "repetition penalty", "read": "reading of answers"}
"""What a reader is told where a comparison id is short."""


def differences(first: str, second: str) -> list[str]:
    """Return the parts in which two comparison ids differ: `prompt 1b77e0 -> 90aa12`; none when they are equal."""
    a, b = _parts(first), _parts(second)
    found = []
    for name in dict.fromkeys([*a, *b]):
        if a.get(name) != b.get(name):
            before, after = (ids.get(name, UNSAID.get(name, "not stated")) for ids in (a, b))
            found.append(f"{WORDS.get(name, name)} {before} -> {after}")
    return found


def _parts(comparison_id: str) -> dict[str, str]:
    # The metric stands last, and its own signature may hold the separator.
    head, _, metric = comparison_id.partition("|metric:")
    parts = {name: value for name, _, value in (part.partition(":") for part in head.split("|"))}
    return {**parts, "metric": metric}


def refuse_different(ids: Iterable[tuple[str, str, str, str]], way_out: str) -> None:
    """Raise UsageError when one of the (task, metric, baseline's id, candidate's id) has two ids, naming what differs."""
    wrong: dict[str, dict[str, list[str]]] = {}
    for task, metric, first, second in ids:
        differs = differences(first, second)
        if differs:
            wrong.setdefault(", ".join(differs), {}).setdefault(task, []).append(metric)
    if wrong:
        lines = "".join(
            f"\n  {', '.join(_numbers(*one) for one in tasks.items())}: {what}" for what, tasks in wrong.items()
        )
        raise UsageError(f"these numbers may not be compared, for the runs were not asked alike:{lines}\n{way_out}")


def _numbers(task: str, metrics: Sequence[str]) -> str:
    more = f" and {len(metrics) - 1} more" if len(metrics) > 1 else ""
    return f"{task} {metrics[0]}{more}"
