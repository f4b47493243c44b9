"""Scores -> `summary.json`: estimates with intervals, counts by status, and the comparison id of every number.

Values are held as numbers (about 30 bytes a score); texts are not.
"""

from __future__ import annotations

import hashlib
from array import array
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from harness.registry import Metric, get_metric
from harness.store import SCHEMA
from harness.types import DISCIPLINES, STATUSES, Estimate, Score

_CODES = {status: code for code, status in enumerate(STATUSES)}
_PARSED = _CODES["ok"]

MOST_LABELS = 24
"""A tag with more values than this sorts nothing: such as an id or a free remark."""


@dataclass(slots=True)
class Column:
    """All scores of one metric on one task, or pooled over tasks: a value, a status, a group and a discipline each.

    `tags`: the rows that carry each value of each tag; tags that prove to have more than `MOST_LABELS` values are `crowded` instead.
    `questions` numbers the rows' questions: the rotations of one, which follow each other, have one number.
    """

    metric: str
    values: array[float] = field(default_factory=lambda: array("d"))
    status: array[int] = field(default_factory=lambda: array("B"))
    groups: array[int] = field(default_factory=lambda: array("Q"))
    disciplines: array[int] = field(default_factory=lambda: array("b"))
    parts: dict[str, array[float]] = field(default_factory=dict)
    chance: array[float] = field(default_factory=lambda: array("d"))
    names: tuple[str, ...] = ()
    tags: dict[str, dict[str, array[int]]] = field(default_factory=dict)
    crowded: set[str] = field(default_factory=set)
    questions: array[int] = field(default_factory=lambda: array("I"))
    rotated: bool = False

    def add(self, score: Score) -> None:
        """Take one score in."""
        for tag, label in score.tags.items():
            self._label(tag, label, (len(self.values),))
        self.rotated |= score.variant > 0
        self.questions.append((self.questions[-1] if self.questions else 0) + (score.variant == 0))
        self.values.append(float("nan") if score.value is None else score.value)
        self.status.append(_CODES[score.status])
        self.groups.append(_cluster(score))
        self.disciplines.append(DISCIPLINES.index(score.discipline) if score.discipline in DISCIPLINES else -1)
        for name in self.names:
            self.parts.setdefault(name, array("d")).append(score.parts.get(name, 0.0))
        self.chance.append(score.parts.get("chance", float("nan")))

    def extend(self, other: Column) -> None:
        """Take all scores of another column of the same metric in."""
        first = len(self.values)
        for tag in other.crowded:
            self._give_up(tag)
        for tag, labels in other.tags.items():
            for label, rows in labels.items():
                self._label(tag, label, [first + row for row in rows])
        last = self.questions[-1] if self.questions else 0
        self.questions.extend(last + question for question in other.questions)
        self.rotated |= other.rotated
        self.values.extend(other.values)
        self.status.extend(other.status)
        self.groups.extend(other.groups)
        self.disciplines.extend(other.disciplines)
        self.chance.extend(other.chance)
        for name in self.names:
            self.parts.setdefault(name, array("d")).extend(other.parts[name])

    def _label(self, tag: str, label: str, rows: Iterable[int]) -> None:
        if tag in self.crowded:
            return
        labels = self.tags.setdefault(tag, {})
        labels.setdefault(label, array("I")).extend(rows)
        if len(labels) > MOST_LABELS:
            self._give_up(tag)

    def _give_up(self, tag: str) -> None:
        self.tags.pop(tag, None)
        self.crowded.add(tag)


def _cluster(score: Score) -> int:
    """Return a number for the score's cluster. Equal questions are one cluster everywhere, named groups within a suite."""
    if score.group is None:
        name = f"id:{score.task}\x1f{score.sample}"
    else:
        name = score.group if score.group.startswith("=") else f"{score.task.partition('/')[0]}:{score.group}"
    return int.from_bytes(hashlib.blake2b(name.encode("utf-8", "replace"), digest_size=8).digest(), "big")


def columns(scores: Iterable[Score]) -> dict[tuple[str, str], Column]:
    """Return the scores as columns by (task, metric)."""
    found: dict[tuple[str, str], Column] = {}
    for score in scores:
        key = (score.task, score.metric)
        column = found.get(key)
        if column is None:
            metric = get_metric(score.metric)
            column = found[key] = Column(score.metric, names=metric.parts if metric.combine else ())
        column.add(score)
    return found


def of(manifest: Mapping[str, Any], scores: Iterable[Score], extra: Mapping[str, Any]) -> dict[str, Any]:
    """Return the summary of a run as it is written to `summary.json`."""
    found = columns(scores)
    ids = {(task, metric): cid for task, info in manifest["tasks"].items() for metric, cid in info["metrics"].items()}
    tasks: dict[str, dict[str, Any]] = {}
    for (task, metric), column in found.items():
        tasks.setdefault(task, {})[metric] = _row(column, ids[task, metric])
    disciplines, overall = _pooled(found, ids)
    suites = {}
    names = list(dict.fromkeys(task.partition("/")[0] for task, _ in found))
    for suite in names:
        if len(names) == 1:
            suites[suite] = {"disciplines": disciplines, "overall": overall}
            break
        own_disciplines, own_overall = _pooled(_of_suite(found, suite), ids)
        suites[suite] = {"disciplines": own_disciplines, "overall": own_overall}
    for suite in names:
        tags = _by_tag(_of_suite(found, suite), ids)
        if tags:
            suites[suite]["tags"] = tags
    return {
        "schema": SCHEMA,
        "run": manifest["run"],
        "subject": manifest["subject"],
        "complete": all(not _missing(c) for metrics in tasks.values() for c in metrics.values()),
        "tasks": tasks,
        "disciplines": disciplines,
        "overall": overall,
        "suites": suites,
        **extra,
    }


def _of_suite(found: Mapping[tuple[str, str], Column], suite: str) -> dict[tuple[str, str], Column]:
    return {key: column for key, column in found.items() if key[0].partition("/")[0] == suite}


def cost(usage: Mapping[str, Any], price: Mapping[str, Any] | None) -> dict[str, Any]:
    """Return what all answers cost at a price per million tokens, and that price; nothing where no price is known.

    The cost is None where the provider told no tokens. Adopted answers are priced too: it is what the answers are worth. What came
    through a batch interface cost half.
    """
    if price is None:
        return {}
    told = usage["tokens_in"] and usage["tokens_out"]
    spent = (usage["tokens_in"] * price["input"] + usage["tokens_out"] * price["output"]) / 1e6
    halved = usage.get("batch_tokens_in", 0) * price["input"] + usage.get("batch_tokens_out", 0) * price["output"]
    return {"cost": spent - halved / 2e6 if told else None, "price": dict(price)}


def _missing(row: Mapping[str, Any]) -> int:
    return int(row["counts"]["failed"]) + int(row["counts"]["unscored"])


def _row(column: Column, comparison_id: str, keep: Any = None) -> dict[str, Any]:
    import numpy as np

    row = asdict(estimate(column, comparison_id, keep))
    levels = np.frombuffer(column.chance, dtype=np.float64)
    levels = levels[~np.isnan(levels) if keep is None else keep & ~np.isnan(levels)]
    if len(levels):
        row["chance"] = float(levels.mean())
    return row


def estimate(column: Column, comparison_id: str, keep: Any = None) -> Estimate:
    """Return the estimate of one column, or of the rows that the boolean array `keep` of shape (n,) selects.

    The mean is over all answered samples: unparsed, truncated and refused ones count as they were valued (0 unless a cut text
    earned something); failed and unscored ones are left out and counted. A question that was asked in several rotations counts once,
    with the mean over them; `counts` counts every answer.
    """
    import numpy as np

    from harness import stats

    values = np.frombuffer(column.values, dtype=np.float64)
    status = np.frombuffer(column.status, dtype=np.uint8)
    groups = np.frombuffer(column.groups, dtype=np.uint64)
    chosen = np.ones(len(values), dtype=bool) if keep is None else keep
    tally = np.bincount(status[chosen], minlength=len(_CODES))
    counts: dict[str, int] = {name: int(tally[code]) for name, code in _CODES.items()}
    there = chosen & ~np.isnan(values)
    if not there.any():
        return Estimate(None, None, None, None, 0.95, 0, 0, counts, None, comparison_id)
    metric = get_metric(column.metric)
    parsed = there & (status == _PARSED)
    if metric.combine is not None:
        table = np.column_stack([np.frombuffer(column.parts[name], dtype=np.float64) for name in metric.parts])
        found = stats.bootstrap(table[there], metric.combine, groups[there])
        mean_parsed = float(metric.combine(table[parsed].sum(axis=0, keepdims=True))[0]) if parsed.any() else None
    else:
        found = stats.estimate(*_each_question(column, there, values, groups), bounds=_bounds(metric))
        mean_parsed = float(_each_question(column, parsed, values)[0].mean()) if parsed.any() else None
    return Estimate(
        _number(found.mean),
        _number(found.se),
        _number(found.low),
        _number(found.high),
        found.level,
        int(found.n),
        int(found.n_groups),
        counts,
        mean_parsed,
        comparison_id,
    )


def _each_question(column: Column, keep: Any, values: Any, *labels: Any) -> list[Any]:
    """Return the kept values, a mean for the rotations of each question, and each question's labels; arrays of one length."""
    import numpy as np

    if not column.rotated:
        whole = bool(keep.all())  # a copy of a million numbers is not for nothing
        return [one if whole else one[keep] for one in (values, *labels)]
    questions = np.frombuffer(column.questions, dtype=np.uint32)[keep]
    _, first, places = np.unique(questions, return_index=True, return_inverse=True)
    means = np.bincount(places, weights=values[keep]) / np.bincount(places)
    return [means, *(one[keep][first] for one in labels)]


def _bounds(metric: Metric) -> tuple[float, float] | None:
    low, high = metric.bounds
    return None if low is None or high is None else (low, high)


def _number(value: float | None) -> float | None:
    return None if value is None else float(value)


def _pooled(
    found: Mapping[tuple[str, str], Column], ids: Mapping[tuple[str, str], str]
) -> tuple[dict[str, dict[str, Any]], dict[str, dict[str, Any]]]:
    """Return each metric by discipline, pooled over the run's tasks, and its micro and macro means over disciplines."""
    import numpy as np

    disciplines: dict[str, dict[str, Any]] = {}
    overall: dict[str, dict[str, Any]] = {}
    for metric in dict.fromkeys(name for _, name in found):
        mine = [(task, column) for (task, name), column in found.items() if name == metric]
        pool = merged([column for _, column in mine])
        codes = np.frombuffer(pool.disciplines, dtype=np.int8)
        for code, name in enumerate(DISCIPLINES):
            keep = codes == code
            if keep.any():
                tasks = [t for t, column in mine if code in column.disciplines]
                disciplines.setdefault(name, {})[metric] = _row(
                    pool, joint_id([ids[t, metric] for t in tasks], name), keep
                )
        whole = joint_id([ids[t, metric] for t, _ in mine], "all")
        overall[metric] = {"micro": _row(pool, whole), "macro": _macro(pool, whole)}
    return {name: disciplines[name] for name in DISCIPLINES if name in disciplines}, overall


def _by_tag(
    found: Mapping[tuple[str, str], Column], ids: Mapping[tuple[str, str], str]
) -> dict[str, dict[str, dict[str, Any]]]:
    """Return each metric by the values of each tag, pooled over tasks; only tags that have two values or more."""
    import numpy as np

    tags: dict[str, dict[str, dict[str, Any]]] = {}
    for metric in dict.fromkeys(name for _, name in found):
        mine = [(task, column) for (task, name), column in found.items() if name == metric]
        pool = merged([column for _, column in mine])
        for tag, labels in pool.tags.items():
            for label in sorted(labels):
                keep = np.zeros(len(pool.values), dtype=bool)
                keep[np.frombuffer(labels[label], dtype=np.uintc)] = True
                tasks = [task for task, column in mine if label in column.tags.get(tag, {})]
                row = _row(pool, joint_id([ids[t, metric] for t in tasks], f"{tag}={label}"), keep)
                tags.setdefault(tag, {}).setdefault(label, {})[metric] = row
    return {tag: labels for tag, labels in tags.items() if len(labels) > 1}


def merged(parts: Sequence[Column]) -> Column:
    """Return the scores of several columns of one metric as one column; a single one is given back as it is."""
    if len(parts) == 1:
        return parts[0]
    pool = Column(parts[0].metric, names=parts[0].names)
    for part in parts:
        pool.extend(part)
    return pool


def joint_id(ids: Sequence[str], what: str) -> str:
    """Return the comparison id of a number pooled over several tasks: equal only when all of theirs are equal."""
    if len(ids) == 1 and what == "all":
        return ids[0]
    digest = hashlib.sha256("\n".join(sorted(ids)).encode()).hexdigest()[:12]
    return f"pooled:{what}|tasks:{len(ids)}|ids:{digest}"


def _macro(pool: Column, comparison_id: str) -> dict[str, Any] | None:
    """Return the mean over disciplines, each counting once; None with fewer than two disciplines or for corpus metrics."""
    import numpy as np

    from harness import stats

    metric = get_metric(pool.metric)
    values = np.frombuffer(pool.values, dtype=np.float64)
    codes = np.frombuffer(pool.disciplines, dtype=np.int8)
    there = (codes >= 0) & ~np.isnan(values)
    if metric.combine is not None or len(np.unique(codes[there])) < 2:
        return None
    each, groups, strata = _each_question(pool, there, values, np.frombuffer(pool.groups, dtype=np.uint64), codes)
    found = stats.estimate(each, groups, strata=strata, bounds=_bounds(metric))
    row = {name: _number(getattr(found, name)) for name in ("mean", "se", "low", "high")}
    return {
        **row,
        "level": found.level,
        "n": found.n,
        "n_groups": found.n_groups,
        "disciplines": len(np.unique(strata)),
        "comparison_id": f"macro|{comparison_id}",
    }
