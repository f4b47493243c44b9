"""How hard to push: what one request may take, what a provider allows, what a run may cost; and the gate that keeps to it."""

from __future__ import annotations

from harness.limits.gate import Gate, Stopped, Ticket, prompt_tokens
from harness.limits.health import Health, Tries
from harness.limits.pace import Pace
from harness.limits.stated import Limits, Used

__all__ = ["Gate", "Health", "Limits", "Pace", "Stopped", "Ticket", "Tries", "Used", "prompt_tokens"]
