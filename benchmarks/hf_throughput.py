"""How fast does the `hf` adapter answer, beside plain `generate` in a loop and lm-evaluation-harness's hf model?

    OMP_NUM_THREADS=1 python benchmarks/hf_throughput.py [--items 64] [--tokens 32] [--batch 16] [--model FOLDER]
        [--hidden 256] [--layers 4] [--lm-eval PYTHON] [--output TABLE.md]
    python benchmarks/hf_throughput.py --device cuda --dtype bfloat16 --shape 7b --batch 1,32,256

The same small model (random weights, made on the spot, unless --model names a folder), the same prompts of 20 to 200 characters, greedy,
float32. Two jobs: writing answers, and scoring four options of each prompt by log-probability. The plain loop asks one prompt at a
time, and scores each option with a forward pass of its own. `--lm-eval` is the Python of an environment that has lm_eval with torch
and transformers; it gets the rendered prompts, the same batch size, and no task machinery. Loading is not counted, nor is one
short warm-up of each side. Prints a Markdown table of wall and CPU seconds; exit status 1 when a text or a score differs from the
plain loop's (1e-4 for scores).

With `--shape` (tiny, or 7b for Qwen2.5-7B's) the model is made in that shape on the device, and tokens/s are measured at each batch size, beside plain `generate`
with the same batches (see hf_rates.py). 7b in bfloat16 has 15 GB of weights, on the disk under TMPDIR too. There the exit status is 1 only
where texts differ in float32 on a CPU: in narrower types and on GPUs a near tie may fall either way.
"""

from __future__ import annotations

import argparse
import json
import platform
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks import hf_rates
from benchmarks.hf_rates import through_engine
from harness.types import Message, Request, Sampling
from model_adapters import hf
from tests.adapters.tiny import CORPUS, make_checkpoint

OPTIONS = ("黄芪", "当归补血活血", "麦冬", "鹿茸，大补元气")
LM_EVAL = """
import json, sys, time
from lm_eval.api.instance import Instance
from lm_eval.models.huggingface import HFLM
job = json.load(open(sys.argv[1]))
model = HFLM(pretrained=job["model"], dtype="float32", device="cpu", batch_size=job["batch"])
def made(kind, all_of):
    return [Instance(request_type=kind, doc={}, arguments=one, idx=n) for n, one in enumerate(all_of)]
settings = {"until": [], "max_gen_toks": job["tokens"], "do_sample": False}
writing = [(prompt, dict(settings)) for prompt in job["prompts"]]
scoring = [(prompt, option) for prompt in job["prompts"] for option in job["options"]]
model.generate_until(made("generate_until", [(job["prompts"][0], {**settings, "max_gen_toks": 2})]), disable_tqdm=True)
marks = [(time.perf_counter(), time.process_time())]
texts = model.generate_until(made("generate_until", writing), disable_tqdm=True)
marks.append((time.perf_counter(), time.process_time()))
scores = [score for score, _ in model.loglikelihood(made("loglikelihood", scoring), disable_tqdm=True)]
marks.append((time.perf_counter(), time.process_time()))
import lm_eval
json.dump({"texts": texts, "scores": scores, "marks": marks, "version": lm_eval.__version__}, open(sys.argv[2], "w"))
"""


@dataclass(frozen=True, slots=True)
class Side:
    """What one side gave: texts, scores (four a prompt), and (wall, CPU) seconds of each of the two jobs."""

    name: str
    texts: list[str]
    scores: list[float]
    writing: tuple[float, float]
    scoring: tuple[float, float]


def make_prompts(count: int, seed: int = 0) -> list[str]:
    """Return questions of 20 to 200 characters."""
    chance, text = random.Random(seed), "".join(CORPUS)
    return ["".join(chance.choices(text, k=chance.randint(20, 200))) for _ in range(count)]


def timed(work: Callable[[], Any]) -> tuple[Any, tuple[float, float]]:
    """Return what `work` gives, and its wall and CPU seconds."""
    wall, cpu = time.perf_counter(), time.process_time()
    found = work()
    return found, (time.perf_counter() - wall, time.process_time() - cpu)


def ours(folder: Path, prompts: Sequence[str], tokens: int, batch: int) -> Side:
    """The adapter, driven by the engine as in a run; requests arrive unsorted."""

    models = [hf.build(str(folder), device="cpu", batch=batch) for _ in range(2)]
    for model in models:
        model.generate_batch([Request((Message("user", prompts[0]),), Sampling(max_tokens=2))])
    # the engine closes the model, so that each job has its own copy
    written, writing = timed(lambda: through_engine(models.pop(), prompts, (), tokens))
    scored, scoring = timed(lambda: through_engine(models.pop(), prompts, OPTIONS, 1))
    scores = [float(o.total or 0.0) for one in scored for o in one.logprobs or ()]
    return Side(f"tcm-eval hf, batch {batch}", [one.text for one in written], scores, writing, scoring)


def plain_loop(folder: Path, prompts: Sequence[str], tokens: int) -> Side:
    """One prompt after the other, as in the model cards; one forward pass an option."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(folder)
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)

    def write(prompt: str, budget: int) -> str:
        inputs = tokenizer.apply_chat_template(
            [{"role": "user", "content": prompt}], add_generation_prompt=True, return_tensors="pt", return_dict=True
        )
        new = model.generate(**inputs, do_sample=False, max_new_tokens=budget)[0, inputs["input_ids"].shape[1] :]
        return str(tokenizer.decode(new, skip_special_tokens=True))

    def score(rendered: str, option: str) -> float:
        stem = tokenizer.encode(rendered, add_special_tokens=False)
        whole = tokenizer.encode(rendered + option, add_special_tokens=False)
        with torch.no_grad():
            chances = model(torch.tensor([whole])).logits[0].log_softmax(-1)
        return sum(float(chances[n - 1, whole[n]]) for n in range(len(stem), len(whole)))

    write(prompts[0], 2)
    rendered = [render(tokenizer, prompt) for prompt in prompts]
    texts, writing = timed(lambda: [write(prompt, tokens) for prompt in prompts])
    scores, scoring = timed(lambda: [score(prompt, option) for prompt in rendered for option in OPTIONS])
    return Side("plain loop, one by one", texts, scores, writing, scoring)


def render(tokenizer: Any, prompt: str) -> str:
    """Return the prompt as the chat template writes it."""
    messages = [{"role": "user", "content": prompt}]
    return str(tokenizer.apply_chat_template(messages, add_generation_prompt=True, tokenize=False))


def lm_eval(python: str, folder: Path, prompts: Sequence[str], tokens: int, batch: int) -> Side:
    """lm-evaluation-harness's HFLM in its own environment, given the rendered prompts."""
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(folder)
    with tempfile.TemporaryDirectory() as place:
        job, result = Path(place) / "job.json", Path(place) / "result.json"
        rendered = [render(tokenizer, prompt) for prompt in prompts]
        given = {"model": str(folder), "prompts": rendered, "options": OPTIONS, "tokens": tokens, "batch": batch}
        job.write_text(json.dumps(given), "utf-8")
        subprocess.run([python, "-c", LM_EVAL, str(job), str(result)], check=True, stdout=subprocess.DEVNULL)
        found = json.loads(result.read_text("utf-8"))
    (a, b), (c, d), (e, f) = found["marks"]
    name = f"lm-evaluation-harness {found['version']} HFLM, batch {batch}"
    return Side(name, found["texts"], found["scores"], (c - a, d - b), (e - c, f - d))


def table(sides: Sequence[Side], reference: Side, items: int) -> str:
    """Return the comparison as Markdown."""
    lines = [
        "| | writing: wall s | CPU s | items/s | same texts | scoring: wall s | CPU s | items/s | largest difference |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for side in sides:
        same = sum(a == b for a, b in zip(side.texts, reference.texts, strict=True))
        cells = [
            f"{side.writing[0]:.2f}",
            f"{side.writing[1]:.2f}",
            f"{items / side.writing[0]:.1f}",
            f"{same}/{items}",
        ]
        cells += [f"{side.scoring[0]:.2f}", f"{side.scoring[1]:.2f}", f"{items / side.scoring[0]:.1f}"]
        lines.append(f"| {side.name} | {' | '.join(cells)} | {distance(side, reference):.1e} |")
    return "\n".join(lines)


def distance(side: Side, reference: Side) -> float:
    """Return the largest difference of a score."""
    return max(abs(a - b) for a, b in zip(side.scores, reference.scores, strict=True))


def gap_distance(side: Side, reference: Side) -> float:
    """Return the largest difference of how far an option stands from its prompt's first one."""

    def gaps(scores: Sequence[float]) -> list[float]:
        return [score - scores[n - n % len(OPTIONS)] for n, score in enumerate(scores)]

    return max(abs(a - b) for a, b in zip(gaps(side.scores), gaps(reference.scores), strict=True))


def _sizes(text: str) -> tuple[int, ...]:
    sizes = tuple(int(one) for one in text.split(","))
    if min(sizes) < 1:
        raise argparse.ArgumentTypeError(f"'{text}': batch sizes begin with 1")
    return sizes


def rates(args: argparse.Namespace) -> int:
    """Measure and print tokens/s of a shape at each batch size; return the exit status."""
    place = hf_rates.Place(args.device, args.dtype, args.tokens)
    work = [(batch, make_prompts(max(8, batch))) for batch in args.batch]
    with tempfile.TemporaryDirectory() as folder:
        made = hf_rates.make_shape(Path(folder), args.shape, args.device, args.dtype)
        theirs = hf_rates.plain(made, place, work)
        mine = hf_rates.ours(made, place, work)
    head = f"Qwen2 of shape {args.shape}, random weights, {args.dtype}; {args.tokens} new tokens a prompt; {hf_rates.where(args.device)}."
    text = f"{head}\n\n{hf_rates.table(args.batch, mine, theirs)}\n"
    print(text)
    if args.output:
        args.output.write_text(text, "utf-8")
    exact = args.dtype == "float32" and args.device == "cpu"
    return int(exact and [one.texts for one in mine] != [one.texts for one in theirs])


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--items", type=int, default=64)
    parser.add_argument("--tokens", type=int, default=32)
    parser.add_argument("--batch", type=_sizes, default=(16,), metavar="N[,N...]", help="several only with --shape")
    parser.add_argument("--shape", choices=hf_rates.SHAPES, help="tokens/s of a model of this shape")
    parser.add_argument("--device", default="cpu", help="only with --shape")
    parser.add_argument("--dtype", default="float32", choices=("float32", "bfloat16", "float16"), help="as --device")
    parser.add_argument("--model", type=Path)
    parser.add_argument("--hidden", type=int, default=256)
    parser.add_argument("--layers", type=int, default=4)
    parser.add_argument("--lm-eval", metavar="PYTHON")
    parser.add_argument("--output", type=Path)
    args = parser.parse_args()
    if args.shape:
        return rates(args)
    if len(args.batch) > 1 or (args.device, args.dtype) != ("cpu", "float32"):
        parser.error("several --batch, --device and --dtype need --shape")
    import torch

    [batch] = args.batch
    prompts = make_prompts(args.items)
    with tempfile.TemporaryDirectory() as place:
        shape = {"hidden_size": args.hidden, "intermediate_size": 2 * args.hidden, "num_hidden_layers": args.layers}
        folder = args.model or make_checkpoint(Path(place) / "model", initializer_range=0.1, **shape)
        plain = plain_loop(folder, prompts, args.tokens)
        mine = ours(folder, prompts, args.tokens, batch)
        sides = [mine, plain]
        sides += [lm_eval(args.lm_eval, folder, prompts, args.tokens, batch)] if args.lm_eval else []
    what = args.model.name if args.model else f"Qwen2 {args.hidden} x {args.layers}, random weights"
    where = f"{platform.machine()} CPU, {torch.get_num_threads()} threads, Python {platform.python_version()}"
    versions = f"torch {version('torch')}, transformers {version('transformers')}"
    head = f"{args.items} prompts, {args.tokens} new tokens each at most, {len(OPTIONS)} options; {what}, float32; {where}; {versions}."
    text = f"{head}\n\n{table(sides, plain, args.items)}\n"
    if args.lm_eval:
        gap = gap_distance(sides[-1], plain)
        text += (
            "\nlm-evaluation-harness counts the line break that ends the prompt as a part of every option, hence its scores; "
            f"how far an option stands from its prompt's first one differs by {gap:.1e} at most.\n"
        )
    print(text)
    if args.output:
        args.output.write_text(text, "utf-8")
    return int(mine.texts != plain.texts or distance(mine, plain) > 1e-4)


if __name__ == "__main__":
    sys.exit(main())
