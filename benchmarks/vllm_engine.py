"""How fast is vLLM's asynchronous engine, as the `vllm` adapter asks it, beside its batch class `vllm.LLM`?

    OMP_NUM_THREADS=1 VLLM_CPU_KVCACHE_SPACE=1 python benchmarks/vllm_engine.py [--items 256] [--at-once 32] [--longest 256]
        [--model FOLDER] [--hidden 256] [--layers 4] [--output TABLE.md]

To be run by an interpreter that has vLLM and this package. The same small model (random weights, made on the spot, unless --model names
a folder), the same prompts, greedy, float32, each with its own budget from 8 to --longest tokens, evenly spread over its logarithm:
answers of uneven length. The batch class is given --at-once requests a call, as a harness does that wraps it, and the next when all have
ended; and once everything in one call, where no answer can be kept before the last one has come. The asynchronous engine always has
--at-once in work. Each way has a process of its own and a short warm-up; starting is not counted. Prints a Markdown table; exit status 1
when a text differs.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import platform
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from harness.engine import Todo, run
from harness.limits import Limits
from harness.types import Choice, Job, Message, Record, Request, Response, Sample, Sampling
from model_adapters.vllm._offline import Offline
from tests.adapters.tiny import CORPUS, make_checkpoint

SETTINGS: Mapping[str, Any] = {"dtype": "float32", "enforce_eager": True, "max_model_len": 512}
WAYS = {
    "batches": "`vllm.LLM`, {at_once} a call",
    "one call": "`vllm.LLM`, all {items} in one call",
    "engine": "asynchronous engine, {at_once} in work",
}
WARM_UP = 8
MARK = "FOUND "


def questions(items: int, longest: int) -> list[Request]:
    """Return prompts of 20 to 120 characters, each with a budget of its own."""
    rng, found = random.Random(0), []
    for number in range(items):
        text = f"{number} " + "".join(rng.choices("".join(CORPUS), k=rng.randint(20, 120)))
        budget = round(8 * (longest / 8) ** rng.random())
        found.append(Request((Message("user", text),), Sampling(max_tokens=budget)))
    return found


def through_llm(model: str, asked: Sequence[Request], at_once: int, per_call: int) -> dict[str, Any]:
    """Return the wall seconds, texts and tokens of the batch class, and after how many seconds each answer could be kept."""
    import vllm

    own = {"enable_prefix_caching": True, "seed": 0, "generation_config": "vllm", "max_num_seqs": at_once}
    llm = vllm.LLM(model=model, **own, **SETTINGS)
    tokenizer = llm.get_tokenizer()

    def said(requests: Sequence[Request]) -> list[Any]:
        prompts, params = [], []
        for request in requests:
            messages = [{"role": m.role, "content": m.content} for m in request.messages]
            text = tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True)
            prompts.append({"prompt_token_ids": tokenizer(text, add_special_tokens=False)["input_ids"]})
            params.append(vllm.SamplingParams(temperature=0.0, max_tokens=request.sampling.max_tokens))
        return [one.outputs[0] for one in llm.generate(prompts, sampling_params=params, use_tqdm=False)]

    said(asked[-WARM_UP:])
    texts, tokens, kept = [], 0, []
    started = time.perf_counter()
    for first in range(0, len(asked) - WARM_UP, per_call):
        answers = said(asked[first : min(first + per_call, len(asked) - WARM_UP)])
        texts += [one.text for one in answers]
        tokens += sum(len(one.token_ids) for one in answers)
        kept += [time.perf_counter() - started] * len(answers)
    return {"wall": kept[-1], "texts": texts, "tokens": tokens, "kept": kept, "version": vllm.__version__}


def through_engine(model: str, asked: Sequence[Request], at_once: int) -> dict[str, Any]:
    """Return the same of the adapter, driven by the run loop."""
    engine = Offline(model, {**SETTINGS, "max_num_seqs": at_once})
    answers: dict[int, Response] = {}
    kept: list[float] = []

    def job(number: int, request: Request) -> Todo:
        sample = Sample(str(number), "bench", {}, Choice(frozenset("A")))
        return Todo(Job(sample, lambda done: None if done else request))

    def keep(record: Record, _job: Job) -> None:
        assert isinstance(record.outcome, Response), record.outcome
        answers[int(record.sample)] = record.outcome
        kept.append(time.perf_counter() - started)

    started = 0.0

    async def go() -> None:
        nonlocal started
        await asyncio.gather(*map(engine.generate, asked[-WARM_UP:]))
        todo = (job(number, request) for number, request in enumerate(asked[:-WARM_UP]))
        started = time.perf_counter()
        await run(engine, todo, Limits(in_flight=at_once, timeout=3600), keep, "bench")

    asyncio.run(go())
    in_order = [answers[number] for number in range(len(asked) - WARM_UP)]
    tokens = sum(one.tokens_out for one in in_order)
    return {"wall": kept[-1], "texts": [one.text for one in in_order], "tokens": tokens, "kept": kept}


def measured(way: str, model: str, given: argparse.Namespace) -> dict[str, Any]:
    """Return what a way gives in a process of its own."""
    command = [sys.executable, __file__, "--way", way, "--model", model, "--items", str(given.items)]
    command += ["--at-once", str(given.at_once), "--longest", str(given.longest)]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    [line] = [line for line in done.stdout.splitlines() if line.startswith(MARK)]
    found: dict[str, Any] = json.loads(line.removeprefix(MARK))
    return found


def table(found: Mapping[str, Mapping[str, Any]], given: argparse.Namespace) -> str:
    """Return the comparison as Markdown."""
    lines = ["| asked through | wall s | tokens/s | half of the answers kept after, s | same texts |"]
    lines.append("| --- | ---: | ---: | ---: | ---: |")
    for way, name in WAYS.items():
        one = found[way]
        same = sum(a == b for a, b in zip(one["texts"], found["batches"]["texts"], strict=True))
        cells = [name.format(at_once=given.at_once, items=given.items), f"{one['wall']:.1f}"]
        cells += [f"{one['tokens'] / one['wall']:,.0f}", f"{statistics.median(one['kept']):.1f}"]
        lines.append(f"| {' | '.join(cells)} | {same} of {given.items} |")
    return "\n".join(lines)


def parsed() -> argparse.Namespace:
    """Return what the command line says."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--items", type=int, default=256)
    parser.add_argument("--at-once", type=int, default=32)
    parser.add_argument("--longest", type=int, default=256)
    parser.add_argument("--hidden", type=int, default=256)
    parser.add_argument("--layers", type=int, default=4)
    parser.add_argument("--model")
    parser.add_argument("--output", type=Path)
    parser.add_argument("--way", choices=tuple(WAYS), help="measure this one alone, and print JSON")
    return parser.parse_args()


def main() -> int:
    """Return the exit status; print the table."""
    given = parsed()
    if given.way:
        asked = questions(given.items + WARM_UP, given.longest)
        if given.way == "engine":
            one = through_engine(given.model, asked, given.at_once)
        else:
            per_call = given.at_once if given.way == "batches" else given.items
            one = through_llm(given.model, asked, given.at_once, per_call)
        print(MARK + json.dumps(one))
        return 0
    with tempfile.TemporaryDirectory() as place:
        shape = {"hidden_size": given.hidden, "intermediate_size": 2 * given.hidden, "num_hidden_layers": given.layers}
        heads = {"num_attention_heads": given.hidden // 64, "num_key_value_heads": 2}  # vLLM takes heads of 64
        model = given.model or str(make_checkpoint(Path(place) / "model", **shape, **heads))
        found = {way: measured(way, model, given) for way in WAYS}
    what = Path(given.model).name if given.model else f"Qwen2 {given.hidden} x {given.layers}, random weights"
    tokens = f"{found['engine']['tokens']:,} tokens in answers of {min(8, given.longest)} to {given.longest}"
    where = f"{platform.machine()} CPU, one thread, Python {platform.python_version()}, {time.strftime('%Y-%m-%d')}"
    head = f"{given.items} prompts, {tokens}; {what}, float32; {where}; vllm {found['batches']['version']}, torch {version('torch')}."
    text = f"{head}\n\n{table(found, given)}\n"
    print(text)
    if given.output:
        given.output.write_text(text, "utf-8")
    return int(any(one["texts"] != found["batches"]["texts"] for one in found.values()))


if __name__ == "__main__":
    sys.exit(main())
