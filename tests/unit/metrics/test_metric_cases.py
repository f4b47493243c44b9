"""The case files: one case a line, so that adding one needs no code. The file's name is the kind of target."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from harness.registry import Answer, get_metric
from harness.types import Blanks, Choice, Reference, Sample

CASES = Path(__file__).parent / "cases"
COUNTS = {"blanks": 35, "choice": 11, "text": 8}


def _lines() -> list[tuple[str, dict[str, Any]]]:
    files = sorted(CASES.glob("*.jsonl"))
    return [(f.stem, json.loads(line)) for f in files for line in f.read_text(encoding="utf-8").splitlines()]


def _pair(kind: str, case: dict[str, Any]) -> tuple[Sample, Answer]:
    target, answer = case["target"], case["answer"]
    if kind == "choice":
        fields = {"options": dict.fromkeys(case["options"], "…")}
        return Sample("1", "t", fields, Choice(frozenset(target))), frozenset(answer)
    if kind == "blanks":
        return Sample("1", "t", {}, Blanks(tuple(map(tuple, target)))), tuple(answer)
    return Sample("1", "t", {}, Reference(tuple(target))), answer


def test_every_case_file_is_read_and_not_shrinking() -> None:
    kinds = [kind for kind, _ in _lines()]
    assert {kind: kinds.count(kind) for kind in kinds}.keys() == COUNTS.keys()
    assert all(kinds.count(kind) >= least for kind, least in COUNTS.items())


@pytest.mark.parametrize(("kind", "case"), _lines(), ids=lambda x: x if isinstance(x, str) else x["why"])
def test_each_case_gets_the_value_it_states(kind: str, case: dict[str, Any]) -> None:
    pair = _pair(kind, case)
    for name, expected in case["expected"].items():
        (value,) = get_metric(name).score([pair], case.get("metric_options", {}))
        assert value.value == pytest.approx(expected, abs=1e-12), (name, case["why"])
