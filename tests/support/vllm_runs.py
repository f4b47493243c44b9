"""vLLM in tests: where it is, the small checkpoint that it takes, programs that start it, and what is left of their processes."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.adapters.tiny import THINKING, make_checkpoint

ROOT = Path(__file__).resolve().parents[2]
PYTHON = os.environ.get("TCM_EVAL_VLLM_PYTHON") or sys.executable
"""The interpreter that has vLLM."""

SMALL: Mapping[str, Any] = {"dtype": "float32", "enforce_eager": True, "max_model_len": 256}
"""What makes vLLM small enough for a machine without a GPU; float32 makes it say what `hf` says."""

TWO, HALVES = {"data_parallel_size": 2}, {"tensor_parallel_size": 2}

OWN = {
    "VLLM_CPU_KVCACHE_SPACE": "1",
    "VLLM_CPU_OMP_THREADS_BIND": "nobind",
    "HF_HUB_OFFLINE": "1",
    "OMP_NUM_THREADS": "1",
}
"""The surroundings that vLLM needs here: little memory, and two halves of a model on one processor."""


def wide_checkpoint(folder: Path, **others: Any) -> Path:
    """Write a random checkpoint of a shape that vLLM takes into `folder`, and return the folder."""
    return make_checkpoint(folder, hidden_size=128, num_attention_heads=2, num_key_value_heads=2, **others)


def thinking_checkpoint(folder: Path) -> Path:
    """Write one whose template opens a thought, and which ends it: its reasoning tags are special tokens."""
    return wide_checkpoint(folder, template=THINKING, tags=True, seed=13)


def left_of(session: int) -> list[str]:
    """Return the processes of a session that still run: a server's workers are as alive as the server."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            name, _, rest = stat.read_text().rpartition(")")
        except OSError:  # it ended while we looked
            continue
        state, _, _, its = rest.split()[:4]
        if int(its) == session and state not in "ZX":
            found.append(name)
    return found


def none_left_of(session: int, within_s: float = 0.0) -> bool:
    """Return whether no process of a session runs, waiting so long for it."""
    until = time.monotonic() + within_s
    while left_of(session) and time.monotonic() < until:
        time.sleep(0.1)
    return not left_of(session)


@contextmanager
def program(command: Sequence[str | Path]) -> Iterator[subprocess.Popen[str]]:
    """Run a program in a session of its own for the length of the block; what it and vLLM say comes through one pipe."""
    pipes: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
    surroundings = {**os.environ, **OWN, "PYTHONPATH": str(ROOT)}
    process = subprocess.Popen(list(map(str, command)), **pipes, cwd=ROOT, env=surroundings, start_new_session=True)
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def until_said(process: subprocess.Popen[str], word: str) -> list[str]:
    """Return what a program says up to a line that holds `word`."""
    assert process.stdout is not None
    said: list[str] = []
    for line in process.stdout:
        said.append(line)
        if word in line:
            return said
    raise AssertionError("".join(said[-40:]))
