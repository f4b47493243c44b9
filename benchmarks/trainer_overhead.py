"""What our part of training costs: the same GRPO steps by plain TRL and by ladder_trainer, in turns, on one machine.

Both get the same arguments, model, prompts, seed and number of updates. Plain TRL has the smallest rewards that score the same
thing (one regular expression each); ours reads answers as the harness does, logs its own figures and keeps samples. Neither
saves a checkpoint. CPU seconds of the training calls are compared, each pair run one after the other, the order turned each
time; the figure is the median of the paired ratios. Peak memory is that of a process of its own for each.

    OMP_NUM_THREADS=1 python benchmarks/trainer_overhead.py [--pairs 7] [--updates 20]
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import re
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("HF_HUB_OFFLINE", "1")

from ladder_trainer import grpo
from ladder_trainer.arguments import grpo_arguments
from ladder_trainer.card import versions
from ladder_trainer.data import Question, gather
from ladder_trainer.quiet import quiet
from ladder_trainer.recipe import Recipe
from ladder_trainer.start import load_tokenizer, prepare_start
from ladder_trainer.train import Sources

ANSWER = re.compile(r"答案[:：]\s*([A-E])")
WHOLE = re.compile(r"<think>\n.*?\n</think>\n<answer>\n.*?\n</answer>", re.DOTALL)


def recipe(updates: int) -> Recipe:
    return Recipe.model_validate(
        {
            "name": "overhead",
            "title": "overhead",
            "source": "benchmark",
            "start": {
                "shape": {"hidden": 128, "layers": 4, "heads": 4, "kv_heads": 2, "mlp": 384, "positions": 512},
                "tokenizer": "characters",
                "dtype": "float32",
            },
            "data": {"tasks": ["tcm_core/single_choice"], "system": None, "limit": 96, "max_prompt_tokens": 256},
            "stages": ["grpo"],
            "grpo": {
                "batch": 24,
                "group": 6,
                "steps": updates,
                "epochs": 1000,
                "save_every": 100_000,
                "max_completion_tokens": 64,
                "temperature": 1.0,
                "top_p": 1.0,
                "checkpointing": False,
                "learning_rate": 1e-4,
            },
            "device": "cpu",
            "report_to": [],
        }
    )


def plain(made: Recipe, start: str, tokenizer: Any, questions: list[Question], folder: Path) -> Any:
    """Return TRL's own trainer, with small rewards of the kind a user would write."""
    from datasets import Dataset
    from trl import GRPOConfig, GRPOTrainer

    def right(completions: list[Any], solution: list[str], **_context: Any) -> list[float]:
        found = [ANSWER.search(c[0]["content"]) for c in completions]
        return [float(m is not None and m[1] == s) for m, s in zip(found, solution, strict=True)]

    def whole(completions: list[Any], **_context: Any) -> list[float]:
        return [float(WHOLE.fullmatch(c[0]["content"]) is not None) for c in completions]

    def tags(completions: list[Any], **_context: Any) -> list[float]:
        names = ("<think>\n", "\n</think>\n", "\n<answer>\n", "\n</answer>")
        return [sum(0.25 for tag in names if c[0]["content"].count(tag) == 1) for c in completions]

    rows = [{"prompt": q.messages, "solution": "".join(sorted(q.sample.target.letters))} for q in questions]  # type: ignore[union-attr]
    return GRPOTrainer(
        model=start,
        reward_funcs=[right, whole, tags],
        args=GRPOConfig(**grpo_arguments(made, folder)),
        train_dataset=Dataset.from_list(rows),
        processing_class=tokenizer,
    )


def prepared(updates: int, folder: Path) -> tuple[Recipe, str, Any, list[Question]]:
    quiet()
    made = recipe(updates)
    questions = gather(made, Sources().catalogue(), lambda _chat: 0).train
    tokenizer = load_tokenizer(made, [turn["content"] for q in questions for turn in q.messages])
    return made, prepare_start(made, tokenizer, folder / "start"), tokenizer, questions


def measured(which: str, ready: tuple[Recipe, str, Any, list[Question]], folder: Path) -> tuple[float, float]:
    """Return the CPU seconds of the training call, and the share of it that our rewards took (0 for plain TRL).

    Building the trainer is not counted.
    """
    from transformers.trainer_callback import PrinterCallback

    made, start, tokenizer, questions = ready
    if which == "plain":
        trainer = plain(made, start, tokenizer, questions, folder)
    else:
        trainer = grpo.build(made, start, tokenizer, questions, [], folder)
    trainer.remove_callback(PrinterCallback)
    trainer._save_checkpoint = lambda *_given: None  # the last update saves: the same for both, so for neither
    cpu = time.process_time()
    trainer.train()
    spent = time.process_time() - cpu
    logs = [log for log in trainer.state.log_history if "seconds/reward" in log]
    rewards, steps = (sum(log[name] for log in logs) for name in ("seconds/reward", "step_time"))
    return spent, rewards / steps if logs else 0.0


def peak(which: str, updates: int) -> float:
    """Return the peak memory in MB of a process that does nothing but train one of the two."""
    done = subprocess.run(
        [sys.executable, __file__, "--only", which, "--updates", str(updates)],
        capture_output=True,
        text=True,
        check=True,
    )
    return float(json.loads(done.stdout.splitlines()[-1])["mb"])


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--pairs", type=int, default=7)
    parser.add_argument("--updates", type=int, default=20)
    parser.add_argument("--only", choices=("plain", "ours"))
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        ready = prepared(asked.updates, folder)
        if asked.only:
            measured(asked.only, ready, folder / "run")
            print(json.dumps({"mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024}))
            return
        for which in ("plain", "ours"):  # the first of each pays for imports and caches
            measured(
                which,
                (ready[0].model_copy(update={"grpo": ready[0].grpo.model_copy(update={"steps": 2})}), *ready[1:]),
                folder / "warm",
            )
        ratios, shares, seconds = [], [], {"plain": [], "ours": []}  # type: ignore[var-annotated]
        for pair in range(asked.pairs):
            order = ("plain", "ours") if pair % 2 else ("ours", "plain")
            found = {which: measured(which, ready, folder / f"{which}{pair}") for which in order}
            ratios.append(found["ours"][0] / found["plain"][0])
            shares.append(found["ours"][1])
            for which in order:
                seconds[which].append(found[which][0])
    report = {
        "machine": f"{platform.machine()}, {os.cpu_count()} cores, one thread used",
        "updates": asked.updates,
        "pairs": asked.pairs,
        "steps_per_cpu_second": {w: round(asked.updates / statistics.median(s), 3) for w, s in seconds.items()},
        "cost": {
            "median": round(statistics.median(ratios) - 1, 4),
            "all": [round(r - 1, 4) for r in sorted(ratios)],
        },
        "share_of_a_step_in_our_rewards": round(statistics.median(shares), 4),
        "peak_mb": {w: round(peak(w, asked.updates)) for w in ("plain", "ours")},
        "versions": versions(),
    }
    print(json.dumps(report, indent=2))


if __name__ == "__main__":
    main()
