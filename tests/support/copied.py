"""Models that copies are made of: they say which process answered, and end it when told to."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from harness.errors import UsageError
from harness.types import Failure, Request, Response


class Telling:
    """A blocking model that answers with the number of its process. `folder` counts its copies: each leaves its number there."""

    name = "telling"
    max_batch = 4

    def __init__(self, folder: Path, identity: Mapping[str, str], seconds: float) -> None:
        self.identity = identity
        self._seconds = seconds
        (folder / str(os.getpid())).touch()

    def generate_batch(self, requests: Sequence[Request]) -> list[Response | Failure]:
        time.sleep(self._seconds)
        return [self._said(str(request.messages[-1].content)) for request in requests]

    def _said(self, text: str) -> Response | Failure:
        if text == "die":
            os._exit(1)
        if text == "long":
            return Failure("too_long", "9 tokens, but the context window is 8", 1)
        return Response(f"{os.getpid()} {text}", tokens_in=1, tokens_out=1)


def telling(folder: Path, *, seconds: float = 0.0, own: bool = False) -> Telling:
    """Return the model; with `own`, each of its copies says that it is another one."""
    return Telling(folder, {"model": "telling", **({"process": str(os.getpid())} if own else {})}, seconds)


def broken(folder: Path) -> Telling:
    """Raise what a checkpoint raises that cannot be loaded."""
    raise UsageError(f"{folder}: no checkpoint")


def deadly(folder: Path) -> Telling:
    """End the process that builds it, as a machine does that has no memory left."""
    os._exit(1)


def visible(folder: Path) -> Telling:
    """Return the model under an identity that names the GPUs and the threads of its process."""
    shown = {name: os.environ.get(name, "") for name in ("CUDA_VISIBLE_DEVICES", "OMP_NUM_THREADS")}
    (folder / "seen").mkdir(exist_ok=True)
    (folder / "seen" / str(os.getpid())).write_text(" ".join(shown.values()))
    return Telling(folder, {"model": "telling"}, 0.0)


def command(checkpoint: Path, suite: Path, output: Path, *more: object) -> list[str]:
    """Return the arguments of a run of a local checkpoint on the questions of a suite."""
    words = ["run", "--model", f"hf/{checkpoint}", "--tasks", "own", "--task-path", suite, "--max-tokens", 8]
    return [str(word) for word in (*words, "--output", output, *more)]
