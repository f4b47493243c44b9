"""What the gate's tests share: rows of right and wrong answers, a gate.yaml, and what the gate says of two such rows."""

from __future__ import annotations

from pathlib import Path

from harness.gate import (
    GateSpec,
    Outcome,
    decide,
    read_spec,
)
from tests.support.sides import one_task

SPEC = GateSpec()


def row(n: int, right: int) -> list[float]:
    return [1.0] * right + [0.0] * (n - right)


def spec_of(tmp_path: Path, text: str) -> GateSpec:
    file = tmp_path / "gate.yaml"
    file.write_text(text, "utf-8")
    return read_spec(file)


def outcome_of(spec: GateSpec, before: list[float], after: list[float], policy: str | None = None) -> Outcome:
    return decide(one_task("old", before), one_task("new", after), spec, policy)  # type: ignore[arg-type]
