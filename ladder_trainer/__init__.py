"""How a checkpoint is made: supervised warm start, then GRPO, with the harness as its judge."""

from __future__ import annotations

from ladder_trainer.train import Sources, run, say_line

__all__ = ["Sources", "run", "say_line"]
