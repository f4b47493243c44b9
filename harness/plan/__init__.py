"""Run spec -> manifest + the requests that still need an answer."""

from __future__ import annotations

from harness.plan.manifest import Plan, open_plan, planned
from harness.plan.part import Encoder, Part, prepare
from harness.plan.resume import earlier_answers, earlier_identity, may_be_of, pending
from harness.plan.selection import Selection

__all__ = [
    "Encoder",
    "Part",
    "Plan",
    "Selection",
    "earlier_answers",
    "earlier_identity",
    "may_be_of",
    "open_plan",
    "pending",
    "planned",
    "prepare",
]
