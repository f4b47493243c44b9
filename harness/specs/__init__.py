"""What suite.yaml and task.yaml may say. The schema is closed: an unknown key is an error with the nearest known one."""

from __future__ import annotations

from harness.specs.closed import Closed, faults, parse
from harness.specs.columns import Columns, OptionColumn, SplitRule
from harness.specs.tasks import (
    CHOICE_KINDS,
    TEXT_KINDS,
    DataFile,
    Language,
    MetricUse,
    Suite,
    TaskSpec,
)

__all__ = [
    "CHOICE_KINDS",
    "TEXT_KINDS",
    "Closed",
    "Columns",
    "DataFile",
    "Language",
    "MetricUse",
    "OptionColumn",
    "SplitRule",
    "Suite",
    "TaskSpec",
    "faults",
    "parse",
]
