"""Which samples of the chosen tasks a run asks, and how often."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from harness.datasets import census, chosen, stream
from harness.errors import UsageError
from harness.extract.referring import referring
from harness.specs import TaskSpec
from harness.suites import Catalogue
from harness.types import Sample


@dataclass(frozen=True, slots=True)
class Selection:
    """Which samples of the chosen tasks a run asks, and how often. `limit` is per task; `variants` rotates the options."""

    split: str | None = "test"
    limit: int | None = None
    repeats: int = 1
    variants: int = 1
    seed: int = 0

    def signature(self) -> str:
        """Return its part of a comparison id; what is as usual is left out."""
        parts = [f"split:{self.split or 'all'}"]
        if self.limit is not None:
            parts.append(f"limit:{self.limit}@{self.seed}")
        if self.repeats > 1:
            parts.append(f"repeats:{self.repeats}")
        if self.variants > 1:
            parts.append(f"rotations:{self.variants}")
        return "|".join(parts)

    def asked(self, catalogue: Catalogue, task: TaskSpec) -> Iterator[tuple[Sample, int, int]]:
        """Yield (sample, repeat, variant): samples in file order, then repeats, then rotations."""
        for sample in chosen(catalogue, task, self.split, self.limit, self.seed):
            for repeat in range(self.repeats):
                for variant in range(_rotations(sample, self.variants)):
                    yield sample, repeat, variant

    def count(self, catalogue: Catalogue, task: TaskSpec) -> int:
        """Return how many samples of a task are asked, after reading every row; raise UsageError for a malformed one or none."""
        counted = census(catalogue, task, self.split)
        if not counted:
            splits = sorted({sample.split for sample in stream(catalogue, task)})
            raise UsageError(f"{task.id}: split '{self.split}' is empty. The task has: {', '.join(splits)}.")
        return counted if self.limit is None else min(counted, self.limit)


def _rotations(sample: Sample, wanted: int) -> int:
    """Return in how many rotations a sample is asked: once where an option speaks of others, such as 以上都是."""
    if wanted == 1 or not sample.options or referring(sample.options):
        return 1
    return min(wanted, len(sample.options))
