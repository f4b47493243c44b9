"""How many tokens a second does the `hf` adapter write at each batch size, beside plain `generate` with the same batches?

Used by `hf_throughput.py --shape`. The model has random weights in a known shape, made on the device itself: nothing is fetched. Of its
output layer only the rows of tokens that the small tokenizer knows are kept, less those that end an answer: so every answer is as long as allowed,
and texts can be compared. Each batch size gets as many prompts as it holds (at least eight), the longest job being one prompt at a time.
"""

from __future__ import annotations

import asyncio
import gc
import platform
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from harness.engine import WINDOW, Batched, Todo, run
from harness.limits import Limits
from harness.types import Choice, Job, Message, Record, Request, Response, Sample, Sampling
from model_adapters import hf
from tests.adapters.tiny import make_tokenizer

SHAPES: dict[str, dict[str, int]] = {
    "tiny": {
        "vocab_size": 2048,
        "hidden_size": 64,
        "intermediate_size": 128,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
    },
    "7b": {
        "vocab_size": 152_064,
        "hidden_size": 3584,
        "intermediate_size": 18_944,
        "num_hidden_layers": 28,
        "num_attention_heads": 28,
        "num_key_value_heads": 4,
    },
}
"""`7b` is the shape of Qwen2.5-7B: 7.6 billion parameters."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a model runs, in which type, and how many new tokens each prompt gets."""

    device: str
    dtype: str
    tokens: int


@dataclass(frozen=True, slots=True)
class Rate:
    """What one side wrote at one batch size, and in how many wall seconds."""

    texts: list[str]
    tokens: int
    seconds: float

    @property
    def per_second(self) -> float:
        return self.tokens / self.seconds


def make_shape(folder: Path, shape: str, device: str, dtype: str) -> Path:
    """Write a Qwen2 of that shape with random weights and a small tokenizer into `folder`; return the folder."""
    import torch
    from transformers import Qwen2Config, Qwen2ForCausalLM

    tokenizer = make_tokenizer()
    ends = [tokenizer.convert_tokens_to_ids(token) for token in ("<|im_end|>", "<|endoftext|>")]
    config = Qwen2Config(
        **SHAPES[shape],
        max_position_embeddings=4096,
        tie_word_embeddings=False,
        eos_token_id=ends[0],
        pad_token_id=ends[1],
    )
    before = torch.get_default_dtype()
    torch.set_default_dtype(getattr(torch, dtype))
    try:
        torch.manual_seed(0)
        with torch.device(device):
            model = Qwen2ForCausalLM(config)
        with torch.no_grad():
            model.lm_head.weight[len(tokenizer) :] = 0
            model.lm_head.weight[ends] = 0
        model.generation_config.eos_token_id = ends
        model.save_pretrained(folder)
    finally:
        torch.set_default_dtype(before)
    tokenizer.save_pretrained(folder)
    del model
    _freed()
    return folder


def through_engine(model: Any, prompts: Sequence[str], options: tuple[str, ...], budget: int) -> list[Response]:
    """Return a model's answers as a run gets them from the engine; requests arrive unsorted. The model is closed in the end."""
    found: dict[str, Response] = {}

    def keep(record: Record, _job: Job) -> None:
        assert isinstance(record.outcome, Response), record.outcome
        found[record.sample] = record.outcome

    def job(number: int, prompt: str) -> Job:
        request = Request((Message("user", prompt),), Sampling(max_tokens=budget), options)
        return Job(Sample(str(number), "bench", {}, Choice(frozenset("A"))), lambda done: None if done else request)

    todo = (Todo(job(number, prompt)) for number, prompt in enumerate(prompts))
    limits = Limits(in_flight=WINDOW * model.max_batch, timeout=3600)
    asyncio.run(run(Batched(model), todo, limits, keep, "bench"))
    return [found[str(number)] for number in range(len(prompts))]


class _Kept:
    """A loaded model at one batch size, which stays loaded for the next one."""

    def __init__(self, model: hf.Hf, batch: int) -> None:
        self.name, self.identity, self.max_batch = model.name, model.identity, batch
        self.generate_batch = model.generate_batch


def ours(folder: Path, place: Place, work: Sequence[tuple[int, Sequence[str]]]) -> list[Rate]:
    """The adapter, driven by the engine as in a run, with each (batch size, prompts) of `work`."""
    _freed()  # of the model before it
    model = hf.build(str(folder), device=place.device, dtype=place.dtype, batch=max(batch for batch, _ in work))

    def rate(batch: int, prompts: Sequence[str]) -> Rate:
        through_engine(_Kept(model, batch), prompts[:batch], (), 2)
        answers, seconds = _timed(lambda: through_engine(_Kept(model, batch), prompts, (), place.tokens))
        return Rate([one.text for one in answers], sum(one.tokens_out for one in answers), seconds)

    rates = [rate(batch, prompts) for batch, prompts in work]
    model.close()
    return rates


def plain(folder: Path, place: Place, work: Sequence[tuple[int, Sequence[str]]]) -> list[Rate]:
    """`generate` with the prompts of each batch padded to the longest, as they come."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(folder, padding_side="left")
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=getattr(torch, place.dtype)).to(place.device)

    def write(prompts: Sequence[str], budget: int) -> list[list[int]]:
        talks = [[{"role": "user", "content": prompt}] for prompt in prompts]
        inputs = tokenizer.apply_chat_template(
            talks, add_generation_prompt=True, return_tensors="pt", return_dict=True, padding=True
        ).to(place.device)
        made = model.generate(**inputs, do_sample=False, max_new_tokens=budget)
        return [list(row) for row in made[:, inputs["input_ids"].shape[1] :].tolist()]

    def rate(batch: int, prompts: Sequence[str]) -> Rate:
        pieces = [prompts[start : start + batch] for start in range(0, len(prompts), batch)]
        write(pieces[0], 2)
        rows, seconds = _timed(lambda: [row for piece in pieces for row in write(piece, place.tokens)])
        return Rate([tokenizer.decode(row, skip_special_tokens=True) for row in rows], sum(map(len, rows)), seconds)

    return [rate(batch, prompts) for batch, prompts in work]


def table(batches: Sequence[int], mine: Sequence[Rate], theirs: Sequence[Rate]) -> str:
    """Return the comparison as Markdown."""
    lines = [
        "| batch | prompts | tcm-eval hf, tokens/s | plain `generate`, tokens/s | ours : plain | same texts |",
        "| ---: | ---: | ---: | ---: | ---: | ---: |",
    ]
    for batch, a, b in zip(batches, mine, theirs, strict=True):
        same = sum(x == y for x, y in zip(a.texts, b.texts, strict=True))
        rates = f"{a.per_second:,.0f} | {b.per_second:,.0f} | {a.per_second / b.per_second:.2f}"
        lines.append(f"| {batch} | {len(a.texts)} | {rates} | {same}/{len(a.texts)} |")
    return "\n".join(lines)


def where(device: str) -> str:
    """Return the device, the machine and the versions, in words."""
    import torch

    on = torch.cuda.get_device_name(device) if device.startswith("cuda") else f"CPU, {torch.get_num_threads()} threads"
    return (
        f"{platform.machine()} {on}, Python {platform.python_version()}; "
        f"torch {version('torch')}, transformers {version('transformers')}"
    )


def _timed(work: Callable[[], Any]) -> tuple[Any, float]:
    """Return what `work` gives, and its wall seconds; answers are on the host by then, so that the device has done its part."""
    began = time.perf_counter()
    found = work()
    return found, time.perf_counter() - began


def _freed() -> None:
    """Give the device's memory back."""
    import torch

    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
