"""How a checkpoint is made: supervised warm start, then GRPO, with the harness as its judge."""
