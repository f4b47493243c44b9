"""Watches a run's figures: one line a log, warnings that say what to do, and an early stop."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

Log = Mapping[str, Any]

NO_SIGNAL = 0.9
PATIENCE = 5
"""A warning is given when the last five logs agree."""
COLLAPSED = 0.1
"""Entropy below this share of the run's first five logs, and below 0.05 nat, is a collapse."""


@dataclass(slots=True)
class Warnings:
    """What was warned of, each kind once: name -> (update, text)."""

    given: dict[str, tuple[int, str]] = field(default_factory=dict)

    def look(self, history: Sequence[Log]) -> list[str]:
        """Return the texts of new warnings about the newest logs."""
        found = []
        for name, check in _CHECKS.items():
            text = None if name in self.given else check(history)
            if text:
                self.given[name] = (int(history[-1].get("step", 0)), text)
                found.append(text)
        return found


def _last(history: Sequence[Log], key: str) -> list[float]:
    values = [float(log[key]) for log in history if log.get(key) is not None]
    return values[-PATIENCE:] if len(values) >= PATIENCE else []


def no_signal(history: Sequence[Log]) -> str | None:
    """Return a warning when more than 90 % of the groups had equal rewards: they teach nothing."""
    shares = _last(history, "frac_reward_zero_std")
    if not shares or min(shares) <= NO_SIGNAL:
        return None
    rewards = _last(history, "reward")
    level = f" (mean reward {sum(rewards) / len(rewards):.2f})" if rewards else ""
    return (
        f"{min(shares):.0%} or more of the groups had equal rewards in the last {PATIENCE} logs{level}: they teach nothing. "
        "If the reward is near 0, warm up first (stages: [sft, grpo]) or ask easier questions; if it is near its maximum, training "
        "is finished or the questions are too easy. A larger grpo.group or a higher grpo.temperature gives more variety."
    )


def entropy_collapse(history: Sequence[Log]) -> str | None:
    """Return a warning when the model has stopped varying its answers."""
    values = [float(log["entropy"]) for log in history if log.get("entropy") is not None]
    if len(values) < 2 * PATIENCE:
        return None
    first, last = sum(values[:PATIENCE]) / PATIENCE, max(values[-PATIENCE:])
    if last >= min(0.05, COLLAPSED * first):
        return None
    return (
        f"entropy collapsed: {first:.3f} nat at the start, at most {last:.4f} in the last {PATIENCE} logs. All completions of a "
        "question become the same and nothing more is learned. Lower grpo.learning_rate, raise grpo.beta or grpo.temperature, "
        "and go on from an earlier checkpoint."
    )


def all_truncated(history: Sequence[Log]) -> str | None:
    """Return a warning when every completion ran into the token limit."""
    shares = _last(history, "completions/clipped_ratio")
    if not shares or min(shares) < 1.0:
        return None
    return (
        f"every completion of the last {PATIENCE} logs was cut at the token limit, so no answer was finished. Raise "
        "grpo.max_completion_tokens, or check that the model ends its turn: the tokenizer's end-of-text token must be the one its "
        "chat template writes."
    )


_CHECKS: dict[str, Callable[[Sequence[Log]], str | None]] = {
    "no_signal": no_signal,
    "entropy_collapse": entropy_collapse,
    "all_truncated": all_truncated,
}


def out_of_patience(history: Sequence[Log], key: str, patience: int | None, *, greater: bool) -> bool:
    """Tell whether the last `patience` validations brought nothing better than the best before them."""
    values = [float(log[key]) for log in history if key in log]
    if patience is None or len(values) <= patience:
        return False
    before, since = values[:-patience], values[-patience:]
    return max(since) <= max(before) if greater else min(since) >= min(before)


SHOWN = {
    "loss": "loss",
    "reward": "reward",
    "rewards/correctness/mean": "correct",
    "rewards/format/mean": "format",
    "frac_reward_zero_std": "no signal",
    "kl": "kl",
    "entropy": "entropy",
    "completions/mean_length": "tokens",
    "completions/clipped_ratio": "cut",
    "grad_norm": "gradient",
    "tokens_per_s": "tokens/s",
    "memory_gb": "GB",
    "eval_loss": "validation loss",
    "eval_reward": "validation reward",
    "eval_rewards/correctness/mean": "validation correct",
}


def line(log: Log, total: int) -> str:
    """Return one log as one line, its figures in a fixed order."""
    parts = [f"{name} {log[key]:.4g}" for key, name in SHOWN.items() if isinstance(log.get(key), int | float)]
    return f"{log.get('step', 0)}/{total}  " + "  ".join(parts)


def callback(
    say: Callable[[str], None], warnings: Warnings, best: str, patience: int | None, on_save: Callable[[int], None]
) -> Any:
    """Return the callback for the trainer. `best` is the validation figure that early stopping looks at."""
    from transformers import TrainerCallback

    class Monitor(TrainerCallback):  # type: ignore[misc]
        def on_log(self, _args: Any, state: Any, _control: Any, **_context: Any) -> None:
            if state.is_world_process_zero and state.log_history and "train_runtime" not in state.log_history[-1]:
                say(line(state.log_history[-1], state.max_steps))
                for text in warnings.look(state.log_history):
                    say(f"warning: {text}")

        def on_evaluate(self, _args: Any, state: Any, control: Any, **_context: Any) -> None:
            if out_of_patience(state.log_history, best, patience, greater=not best.endswith("loss")):
                if state.is_world_process_zero:
                    say(
                        f"stopped early after {state.global_step} updates: {patience} validations without a better {best}"
                    )
                control.should_training_stop = True
                control.should_save = True

        def on_save(self, _args: Any, state: Any, _control: Any, **_context: Any) -> None:
            if state.is_world_process_zero:
                on_save(state.global_step)

    return Monitor()
