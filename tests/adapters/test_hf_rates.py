"""The benchmark of tokens/s by batch size: what it counts, on the CPU here and on a GPU where one is (`pytest -m gpu`)."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.hf_rates import SHAPES, Place, make_shape, ours, plain
from benchmarks.hf_throughput import make_prompts

REPOSITORY = Path(__file__).parents[2]
BENCHMARK = [sys.executable, str(REPOSITORY / "benchmarks" / "hf_throughput.py")]


def measured(folder: Path, place: Place) -> None:
    """Measure both sides on the small shape; every answer must be as long as allowed, and counted."""
    work = [(batch, make_prompts(8)) for batch in (1, 3, 8)]
    model = make_shape(folder, "tiny", place.device, place.dtype)
    mine, theirs = ours(model, place, work), plain(model, place, work)
    for a, b in zip(mine, theirs, strict=True):
        assert a.tokens == b.tokens == 8 * place.tokens and min(a.seconds, b.seconds) > 0
        assert len(set(a.texts)) > 1 and all(a.texts) and all(b.texts)
        if place.dtype == "float32":
            assert a.texts == b.texts == mine[0].texts, "whatever the batch size"


def test_both_sides_write_as_many_tokens_as_are_counted_and_the_same_texts(tmp_path: Path) -> None:
    measured(tmp_path, Place("cpu", "float32", 6))


def test_the_seven_billion_shape_is_that_of_qwen(tmp_path: Path) -> None:
    import torch
    from transformers import Qwen2Config, Qwen2ForCausalLM

    with torch.device("meta"):
        model = Qwen2ForCausalLM(Qwen2Config(**SHAPES["7b"], tie_word_embeddings=False))
    assert sum(one.numel() for one in model.parameters()) == 7_615_616_512, "as its model card says: 7.61B"


def test_the_command_prints_a_row_for_each_batch_size() -> None:
    said = subprocess.run(
        [*BENCHMARK, "--shape", "tiny", "--batch", "1,2", "--tokens", "3", "--dtype", "float16"],
        capture_output=True,
        text=True,
    )
    assert said.returncode == 0, said.stderr
    assert "| 1 | 8 |" in said.stdout and "| 2 | 8 |" in said.stdout and "float16" in said.stdout
    wrong = subprocess.run([*BENCHMARK, "--batch", "1,2"], capture_output=True, text=True)
    assert wrong.returncode == 2 and "need --shape" in wrong.stderr


@pytest.mark.gpu
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_both_sides_write_as_many_tokens_as_are_counted_on_a_gpu(tmp_path: Path, dtype: str) -> None:
    torch = pytest.importorskip("torch")
    if not torch.cuda.is_available():
        pytest.skip("no CUDA device")
    measured(tmp_path, Place("cuda", dtype, 6))
