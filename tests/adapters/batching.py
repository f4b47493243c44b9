"""How the tests of `--batch` ask: the command, and what it leaves in a run's folder."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from harness.batch import collecting
from harness.store import read
from harness.types import Failure, Response
from tests.support.batch_server import BatchServer
from tests.support.planted import KEY as KEY

Call = Callable[..., tuple[int, str, str]]
both = pytest.mark.parametrize("provider", ["openai", "anthropic"])


@pytest.fixture
def quick_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    """A key, and batches that are looked at all the time."""
    monkeypatch.setenv("PLANTED_KEY", KEY)
    monkeypatch.setattr(collecting, "POLLS", (0.01, 0.02))
    monkeypatch.setattr(collecting, "SETTLED", 0.05)


def command(server: BatchServer, suite: Path, output: Path, *more: object) -> tuple[object, ...]:
    return (
        *("run", "--model", f"{server.provider}/mock", "--base-url", server.base, "--key-env", "PLANTED_KEY"),
        *("--tasks", "own", "--task-path", suite, "--output", output, *more),
    )


def folder_of(output: Path) -> Path:
    [folder] = [p for p in (output / "runs").iterdir() if ".old-" not in p.name]
    return folder


def outcomes(output: Path) -> dict[str, Response | Failure]:
    """The last outcome of each question."""
    return {record.sample: record.outcome for record in read(folder_of(output) / "records.jsonl")}


def as_asked(output: Path) -> dict[tuple[str, str], Response | Failure]:
    """The answers without what tells how they were bought: their time, and that they came through a batch."""
    return {
        (record.sample, record.key): replace(record.outcome, seconds=0.0, batched=False)
        for record in read(folder_of(output) / "records.jsonl")
        if isinstance(record.outcome, Response)
    }
