"""Which runs of a suite share a board: those that have a comparison id in common, directly or through others."""

from __future__ import annotations

from collections.abc import Sequence

from harness.report.results import Run


def boards(runs: Sequence[Run]) -> dict[str, list[tuple[str, list[Run]]]]:
    """Return for each suite the groups of runs that share a board, the largest first, each with what sets its questions apart."""
    suites: dict[str, list[Run]] = {}
    for run in runs:
        for suite in dict.fromkeys(task.partition("/")[0] for task in run.summary["tasks"]):
            suites.setdefault(suite, []).append(run)
    found = {}
    for suite, mine in suites.items():
        groups = _alike(suite, mine)
        found[suite] = list(zip(_ways(suite, groups), groups, strict=True))
    return found


def _alike(suite: str, runs: Sequence[Run]) -> list[list[Run]]:
    """Return the runs in groups that share numbers which may be compared: each group gets tables of its own."""
    groups: list[tuple[set[str], list[Run]]] = []
    for run in runs:
        ids, members = _ids(suite, run), [run]
        apart = []
        for known, others in groups:
            if known & ids:
                ids, members = ids | known, others + members
            else:
                apart.append((known, others))
        groups = [*apart, (ids, members)]
    return [members for _, members in sorted(groups, key=lambda group: -len(group[1]))]


def _ids(suite: str, run: Run) -> set[str]:
    """Return the comparison ids of a run's headline numbers in one suite."""
    return {_headline_id(run, task) for task in run.summary["tasks"] if task.partition("/")[0] == suite}


def _ways(suite: str, groups: Sequence[Sequence[Run]]) -> list[str]:
    """Return for each group what sets its questions apart from the others': parts of the id of a task that all groups share."""
    asked = [{t for t in group[0].summary["tasks"] if t.partition("/")[0] == suite} for group in groups]
    common = sorted(set.intersection(*asked))
    if not common:
        return [", ".join(sorted(task.partition("/")[2] for task in tasks)) for tasks in asked]
    each = [parts(_headline_id(group[0], common[0])) for group in groups]
    shared = set.intersection(*map(set, each))
    return [", ".join(part for part in own if part not in shared) for own in each]


def _headline_id(run: Run, task: str) -> str:
    return str(run.summary["tasks"][task][run.manifest["tasks"][task]["headline"]]["comparison_id"])


def parts(cid: str) -> list[str]:
    """Return the parts of a comparison id; the metric, whose signature has bars of its own, is one of them."""
    before, _, metric = cid.partition("|metric:")
    return [*before.split("|"), *([f"metric:{metric}"] if metric else [])]
