"""What options are called here that other evaluation tools have under other names."""

from __future__ import annotations

from collections.abc import Container

HINTS = {
    "--serve": "--model-arg serve=true, with --model vllm/CHECKPOINT",
    "--num-fewshot": "--shots K",
    "--model-args": "--model-arg KEY=VALUE, once for each setting",
    "--batch-size": "--concurrency N where a server answers, --model-arg batch=N with --model hf/CHECKPOINT",
    "--eval-batch-size": "--concurrency N where a server answers, --model-arg batch=N with --model hf/CHECKPOINT",
    "--gen-kwargs": "--temperature, --top-p, --max-tokens and the like",
    "--generation-config": "--temperature, --top-p, --max-tokens and the like",
    "--device": "--model-arg device=cuda, with --model hf/CHECKPOINT",
    "--dtype": "--model-arg dtype=bfloat16, with --model hf/CHECKPOINT or vllm/CHECKPOINT",
    "--tensor-parallel-size": "--model-arg tensor_parallel_size=N, with --model vllm/CHECKPOINT",
    "--datasets": "--tasks NAMES",
    "--output-path": "--output DIR",
    "--work-dir": "--output DIR",
    "--api-url": "--base-url URL",
    "--api-key": "--key-env VARIABLE: a key never stands on the command line",
}
"""By the name there, with hyphens; what is said begins with the option that does it here."""


def hint(option: str, here: Container[str]) -> str:
    """Return a sentence on what does here what an option of another tool does; empty where none of the command's options, `here`, does."""
    said = HINTS.get(option.replace("_", "-"), "")
    first = said.replace(",", " ").replace(":", " ").split(" ")[0]
    return f" Here it is {said}." if first in here else ""
