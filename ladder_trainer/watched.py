"""What TRL's trainers get from us: whole checkpoints, figures in the log, samples, an order that a resumed run repeats."""

from __future__ import annotations

import json
import random
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from ladder_trainer.checkpoint import rotate, saving

SAMPLES = 4
"""So many completions are kept of each logged update."""


class Order:
    """The rows of one epoch after another: groups of repeated rows, shuffled by (seed, epoch) alone.

    TRL's own sampler draws from a generator that starts anew when a run is resumed, so a run resumed in its second epoch would
    see the first epoch's order again. `chunk` rows make one generation; it is repeated `repeats` times, each row `group` times.
    """

    def __init__(
        self, rows: int, group: int, chunk: int, repeats: int, seed: int, epoch: Callable[[], float | None]
    ) -> None:
        self._rows, self._group, self._chunk, self._repeats = rows, group, chunk, repeats
        self._seed, self._epoch = seed, epoch

    def __iter__(self) -> Iterator[int]:
        order = list(range(self._rows))
        random.Random(f"{self._seed}:{int(self._epoch() or 0)}").shuffle(order)  # noqa: S311 - no secret
        for start in range(0, self._rows - self._chunk + 1, self._chunk):
            for _ in range(self._repeats):
                for row in order[start : start + self._chunk]:
                    yield from [row] * self._group

    def __len__(self) -> int:
        return self._rows // self._chunk * self._chunk * self._group * self._repeats


def watched(trainer: type, keep: int) -> Any:
    """Return a subclass of one of TRL's trainers with what this file adds; `keep` is how many checkpoints stay."""

    class Watched(trainer):  # type: ignore[misc]
        _logged_at: tuple[float, int] | None = None

        def create_model_card(self, *_args: Any, **_settings: Any) -> None:
            """Write nothing: the card of the finished checkpoint is our own."""

        def _save_checkpoint(self, model: Any, trial: Any) -> None:
            stage = Path(self.args.output_dir)
            with saving(stage / f"checkpoint-{self.state.global_step}", main=self.args.should_save):
                super()._save_checkpoint(model, trial)
            if self.args.should_save:
                rotate(stage, keep, self.state.best_model_checkpoint)

        def log(self, logs: dict[str, float], start_time: float | None = None) -> None:
            if self.model.training and "loss" in logs:  # not the summary at the end
                logs.update(self._figures())
            super().log(logs, start_time)

        def _figures(self) -> dict[str, float]:
            seen = int(self.state.num_input_tokens_seen or getattr(self, "_total_train_tokens", 0))
            figures = {"memory_gb": peak_memory_gb()}
            now = time.perf_counter()
            if self._logged_at is not None and now > self._logged_at[0]:
                figures["tokens_per_s"] = (seen - self._logged_at[1]) / (now - self._logged_at[0])
            self._logged_at = (now, seen)
            return figures

    return Watched


def watched_grpo(trainer: type, keep: int) -> Any:
    """Return TRL's GRPO trainer with what `watched` adds, the repeatable order, and where the time of a step goes."""

    class WatchedGrpo(watched(trainer, keep)):  # type: ignore[misc]
        def _get_train_sampler(self, dataset: Any = None) -> Order:
            rows = len(self.train_dataset if dataset is None else dataset)
            chunk = self.args.generation_batch_size // self.num_generations
            repeats = self.num_iterations * self.args.steps_per_generation
            return Order(rows, self.num_generations, chunk, repeats, self.args.seed, lambda: self.state.epoch)

        def _generate(self, prompts: list[Any]) -> Any:
            return self._timed("rollout", lambda: super(WatchedGrpo, self)._generate(prompts))

        def _calculate_rewards(self, *arguments: Any) -> Any:
            return self._timed("reward", lambda: super(WatchedGrpo, self)._calculate_rewards(*arguments))

        def _timed(self, name: str, work: Callable[[], Any]) -> Any:
            started = time.perf_counter()
            done = work()
            mode = "train" if self.model.training else "eval"
            self._metrics[mode][f"seconds/{name}"].append(time.perf_counter() - started)
            return done

        def log(self, logs: dict[str, float], start_time: float | None = None) -> None:
            if self.model.training and "loss" in logs:
                logs["advantage_std"] = _spread(list(self._logs["advantages"]))
                if self.accelerator.is_main_process:
                    self._keep_samples()
            super().log(logs, start_time)

        def _keep_samples(self) -> None:
            lines = []
            for place in range(min(SAMPLES, len(self._logs["prompt"]))):
                line = {
                    "step": self.state.global_step,
                    "prompt": self._logs["prompt"][place],
                    "completion": self._logs["completion"][place],
                    "rewards": {name: values[place] for name, values in self._logs["rewards"].items()},
                    "advantage": self._logs["advantages"][place],
                }
                lines.append(json.dumps(line, ensure_ascii=False) + "\n")
            with (Path(self.args.output_dir) / "completions.jsonl").open("a", encoding="utf-8") as file:
                file.writelines(lines)

    return WatchedGrpo


def _spread(values: list[float]) -> float:
    mean = sum(values) / len(values)
    return float((sum((value - mean) ** 2 for value in values) / len(values)) ** 0.5)


def peak_memory_gb() -> float:
    """Return the most memory used so far in 10^9 bytes: the accelerator's, or this process's where there is none."""
    import torch

    if torch.cuda.is_available():
        return float(torch.cuda.max_memory_allocated()) / 1e9
    import resource

    used = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return used / 1e9 if sys.platform == "darwin" else used * 1024 / 1e9
