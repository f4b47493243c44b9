"""Run spec -> manifest + the requests that still need an answer."""

from __future__ import annotations

from harness.plan.manifest import Plan, open_plan
from harness.plan.part import Encoder, Part, prepare
from harness.plan.resume import earlier_answers, pending
from harness.plan.selection import Selection

__all__ = ["Encoder", "Part", "Plan", "Selection", "earlier_answers", "open_plan", "pending", "prepare"]
