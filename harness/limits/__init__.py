"""How hard to push: what one request may take, what a provider allows, what a run may cost; and the gate that keeps to it."""

from __future__ import annotations

from harness.limits.gate import LONGEST_WAIT_S, Gate, Stopped, Ticket, prompt_tokens
from harness.limits.health import Health, Tries
from harness.limits.pace import Pace
from harness.limits.stated import Limits, Used

__all__ = ["LONGEST_WAIT_S", "Gate", "Health", "Limits", "Pace", "Stopped", "Ticket", "Tries", "Used", "prompt_tokens"]
