"""What rotations of the options show: whether a model means the same option wherever it stands, and whether a place draws it.

Answers are held as numbers, about 20 bytes each.
"""

from __future__ import annotations

import hashlib
from array import array
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from harness.datasets import LETTERS
from harness.extract.referring import referring
from harness.prompts import as_shown
from harness.types import Choice, Job, Score, slot


@dataclass(slots=True)
class Places:
    """The answers to one choice task, job after job in the order of the data: which places were chosen and which were right.

    `asked_once` counts the questions that were left in one order because an option speaks of other options.
    """

    rotations: int
    questions: array[int] = field(default_factory=lambda: array("q"))
    groups: array[int] = field(default_factory=lambda: array("Q"))
    chosen: array[int] = field(default_factory=lambda: array("H"))
    right: array[int] = field(default_factory=lambda: array("H"))
    meant: array[int] = field(default_factory=lambda: array("H"))
    sizes: array[int] = field(default_factory=lambda: array("B"))
    failed: array[int] = field(default_factory=lambda: array("B"))
    asked_once: int = 0
    _left_out: bool = False

    def add(self, job: Job, score: Score) -> None:
        """Take one answer in. An answer that nobody could read chose no place."""
        sample = job.sample
        if not isinstance(sample.target, Choice):
            return
        new = job.variant == 0
        if new and self.rotations > 1:  # the other rotations of a question follow its first
            self._left_out = bool(referring(sample.options))
            self.asked_once += self._left_out
        if self._left_out:
            return
        letters = frozenset(score.answer or "") & frozenset(sample.options)
        group = sample.group if sample.group is not None else f"id:{sample.id}"
        self.questions.append((self.questions[-1] if self.questions else -1) + new)
        self.groups.append(int.from_bytes(hashlib.blake2b(group.encode("utf-8", "replace"), digest_size=8).digest()))
        right = sample.target.letters
        self.chosen.append(_mask(letters if new else as_shown(sample, job.variant, letters)))
        self.right.append(_mask(right if new else as_shown(sample, job.variant, right)))
        self.meant.append(_mask(letters) << 1 | (score.value == 1.0))
        self.sizes.append(len(sample.options))
        self.failed.append(score.status == "failed")

    def summary(self) -> dict[str, Any] | None:
        """Return the task's entry in a summary, None when no answer was read.

        `bias`, `noise` and `places` (surplus of each letter) as in `harness.stats.position`, over the answers that were read.
        `consistent`: the share of questions whose answer is the same option in every rotation, `right_in_all` the share that are
        right in every one, `kept`: of the questions right in the data's own order, the share right in all. An answer that was not read
        is like no other; questions with a failed call are left out. With `rotations` 1 the bias is that of the data's own order.
        """
        import numpy as np

        from harness.stats.position import position_bias

        chosen = np.frombuffer(self.chosen, dtype=np.uint16)
        read = chosen > 0
        if not read.any():
            return None
        groups = np.frombuffer(self.groups, dtype=np.uint64)
        sizes = np.frombuffer(self.sizes, dtype=np.uint8).astype(np.int64)
        width = int(sizes.max())
        bits = np.arange(width)
        taken = (chosen[read, None] >> bits & 1).astype(bool)
        right = (np.frombuffer(self.right, dtype=np.uint16)[read, None] >> bits & 1).astype(bool)
        found = position_bias(taken, right, sizes[read], groups[read])
        bias = {"mean": found.bias, "low": found.low, "high": found.high, "noise": found.noise}
        places = {
            letter: {"chosen": float(taken[:, bit].mean()), "right": float(right[:, bit].mean())}
            | _plain(found.places[bit])
            for bit, letter in enumerate(LETTERS[:width])
        }
        return {
            "rotations": self.rotations,
            "answers": int(read.sum()),
            "asked_once": self.asked_once,
            "bias": {**{name: _rounded(value) for name, value in bias.items()}, "level": found.level},
            "places": places,
            **(self._agreement() if self.rotations > 1 else {}),
        }

    def _agreement(self) -> dict[str, Any]:
        """Return whether the rotations of a question agree, over the questions that were asked in more than one without a failure."""
        import numpy as np

        from harness import stats

        questions = np.frombuffer(self.questions, dtype=np.int64)
        meant = np.frombuffer(self.meant, dtype=np.uint16)
        first = np.flatnonzero(np.diff(questions, prepend=-1))
        counts = np.diff(np.append(first, len(questions)))
        failed = np.add.reduceat(np.frombuffer(self.failed, dtype=np.uint8).astype(np.int64), first)
        whole = (counts > 1) & (failed == 0)
        same = (np.maximum.reduceat(meant, first) == np.minimum.reduceat(meant, first)) & (meant[first] > 1)
        right = np.add.reduceat((meant & 1).astype(np.int64), first) == counts
        groups = np.frombuffer(self.groups, dtype=np.uint64)[first]
        out: dict[str, Any] = {}
        for name, values, keep in (
            ("consistent", same, whole),
            ("right_in_all", right, whole),
            ("kept", right, whole & ((meant[first] & 1) == 1)),
        ):
            out[name] = _plain(stats.estimate(values[keep].astype(np.float64), groups[keep]))
        return out


def _rounded(value: float | None) -> float | None:
    """Return a number to six digits: the draws behind it differ beyond them from one machine to another."""
    return None if value is None else round(value, 6)


def _mask(letters: frozenset[str]) -> int:
    return sum(1 << LETTERS.index(letter) for letter in letters)


def _plain(interval: Any) -> dict[str, Any]:
    return {name: value for name, value in asdict(interval).items() if name != "method"}


def followed(
    places: Places, jobs: Iterator[Job], scored: Callable[[Iterator[Job]], Iterator[Score]]
) -> Iterator[Score]:
    """Yield what `scored` makes of the jobs, and show each job's first score to `places` on the way."""
    waiting: deque[Job] = deque()

    def noted() -> Iterator[Job]:
        for job in jobs:
            waiting.append(job)
            yield job

    last = ""
    for score in scored(noted()):
        place = slot(score.task, score.sample, score.repeat, score.variant, 0, "")
        if place != last:  # the further metrics of one answer follow its first
            places.add(waiting.popleft(), score)
            last = place
        yield score


def positions(tasks: Mapping[str, Places]) -> dict[str, Any]:
    """Return what `summary.json` says of places, by task; tasks without an answer that was read are left out."""
    return {task: entry for task, places in tasks.items() if (entry := places.summary()) is not None}


def sentences(summary: Mapping[str, Any]) -> Sequence[str]:
    """Return what the closing table says about rotations, a line a task; none for tasks that were asked in one order."""
    lines = []
    for task, entry in summary.get("position", {}).items():
        if entry["rotations"] > 1:
            once = f"; {entry['asked_once']} asked once, for an option speaks of others" if entry["asked_once"] else ""
            lines.append(
                f"{task} in {entry['rotations']} rotations: same option in all {share(entry['consistent'])}, right in all "
                f"{share(entry['right_in_all'])}; position bias {share(entry['bias'])}"
                f"{_by_chance(entry['bias']['noise'])}{_most(entry)}{once}"
            )
    return lines


def share(row: Mapping[str, Any]) -> str:
    """Return a share with its interval as text."""
    if row["mean"] is None:
        return "–"
    return f"{row['mean']:.3f}" + ("" if row["low"] is None else f" [{row['low']:.3f}, {row['high']:.3f}]")


def _by_chance(noise: float | None) -> str:
    return "" if noise is None else f", where chance alone gives {noise:.3f}"


def _most(entry: Mapping[str, Any]) -> str:
    """Return which letter is chosen most beyond its due, when that is more than its error."""
    letter, row = max(entry["places"].items(), key=lambda item: item[1]["mean"])
    return f" (most to {letter}: +{row['mean']:.3f})" if row["low"] is not None and row["low"] > 0 else ""
