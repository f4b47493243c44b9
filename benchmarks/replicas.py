"""What do copies of a model gain? The same questions through one copy in this process, and through N on a Ray cluster.

    python benchmarks/replicas.py [--model hf/FOLDER] [--copies 2] [--items 400] [--tokens 32] [--set KEY=VALUE ...]

Without --model a small Qwen2 with random weights is made. On a machine without GPUs each copy has its share of the cores, and the one
in this process as many threads as one copy: so the figure says what another copy adds. Loading is not counted, nor is a short warm-up.
Prints a Markdown table; exit status 1 when a text differs (not asked of a GPU, where batches of another size may round otherwise).
"""

from __future__ import annotations

import argparse
import asyncio
import os
import platform
import sys
import tempfile
import time
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks.hf_throughput import make_prompts
from harness.engine import Todo, run
from harness.limits import Limits
from harness.models import Subject, resolve
from harness.pipeline import one_by_one
from harness.replicas import Replicas, gpus_of
from harness.types import BatchModel, Choice, Job, Message, Model, Record, Request, Response, Sample, Sampling
from tests.adapters.tiny import make_checkpoint


def answered(model: Model | BatchModel, prompts: Sequence[str], tokens: int) -> tuple[dict[str, str], float]:
    """Return the text of each prompt, and the seconds that all took after a warm-up of eight; the model is closed."""

    async def asked() -> tuple[dict[str, str], float]:
        texts: dict[str, str] = {}
        one, limits = one_by_one(model, Limits(in_flight=8))

        def put(record: Record, _: Job) -> None:
            assert isinstance(record.outcome, Response), record.outcome
            texts[record.sample] = record.outcome.text

        await asyncio.gather(*(one.generate(_asked(prompt, tokens)) for prompt in prompts[:8]))
        started = time.perf_counter()
        await run(one, (_todo(prompt, tokens) for prompt in prompts), limits, put, "identity")
        return texts, time.perf_counter() - started

    return asyncio.run(asked())


def _asked(prompt: str, tokens: int) -> Request:
    return Request((Message("user", prompt),), Sampling(max_tokens=tokens))


def _todo(prompt: str, tokens: int) -> Todo:
    def following(done: Sequence[Response]) -> Request | None:
        return None if done else _asked(prompt, tokens)

    return Todo(Job(Sample(prompt, "s/t", {}, Choice(frozenset("A"))), following))


def subject_of(args: argparse.Namespace) -> Subject:
    pairs = dict(pair.split("=", 1) for pair in args.set)
    settings: dict[str, Any] = {name: int(value) if value.isdecimal() else value for name, value in pairs.items()}
    if args.model:
        return resolve(args.model, settings)[0]
    folder = Path(tempfile.mkdtemp()) / "model"
    make_checkpoint(folder, hidden_size=256, num_hidden_layers=4)
    return resolve(f"hf/{folder}", settings)[0]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model")
    parser.add_argument("--copies", type=int, default=2)
    parser.add_argument("--items", type=int, default=400)
    parser.add_argument("--tokens", type=int, default=32)
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE")
    args = parser.parse_args()
    import torch

    subject, prompts = subject_of(args), make_prompts(args.items)
    gpu = torch.cuda.is_available()
    if not gpu:
        torch.set_num_threads(max(1, (os.cpu_count() or 1) // args.copies))
    copied = Replicas(subject.build, args.copies, gpus_of(subject.settings))
    where = copied.said
    many, many_s = answered(copied, prompts, args.tokens)
    one, one_s = answered(subject.build(), prompts, args.tokens)
    device = torch.cuda.get_device_name() if gpu else f"{os.cpu_count()} cores, {platform.system()}"
    print(
        f"{device}, Python {platform.python_version()}, ray {version('ray')}; {args.items} prompts, {args.tokens} tokens each\n"
    )
    print("| | s | answers/s | times |\n| --- | ---: | ---: | ---: |")
    for name, seconds in (("one, in this process", one_s), (where, many_s)):
        print(f"| {name} | {seconds:.1f} | {args.items / seconds:.1f} | {one_s / seconds:.2f} |")
    same = sum(one[prompt] == many[prompt] for prompt in prompts)
    print(f"\nThe same texts: {same} of {len(prompts)}.")
    return 0 if gpu or same == len(prompts) else 1


if __name__ == "__main__":
    sys.exit(main())
