"""The gate on real runs of a real, if tiny, checkpoint.

A random model answers at chance and cannot get worse, so the checkpoint first learns the items by heart. That says nothing about
knowledge; it gives a model whose answers are right until its weights are damaged, which is what a gate has to notice.
"""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from harness.datasets import stream
from harness.pipeline import RunSpec, open_catalogue
from harness.plan import Selection, prepare
from harness.prompts import Style
from harness.types import Choice, Message
from tests.adapters.tiny import make_checkpoint
from tests.conftest import make_suite
from tests.support.sides import Call

STEPS = 200


@pytest.fixture(scope="module")
def items(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """48 questions in the test split."""
    return make_suite(tmp_path_factory.mktemp("items") / "own", 64)


@pytest.fixture(scope="module")
def learned(items: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint that has learned the items by heart."""
    folder = make_checkpoint(
        tmp_path_factory.mktemp("learned") / "learned", initializer_range=0.05, max_position_embeddings=1024
    )
    _learn(folder, _asked(items))
    return folder


def _asked(items: Path) -> list[tuple[Sequence[Message], str]]:
    """The prompts exactly as the harness words them, each with its right letter."""
    spec = RunSpec("unused", ("own",), task_paths=(items,))
    catalogue = open_catalogue(spec)
    part = prepare(catalogue, catalogue.select(["own"])[0][0], Style(ask="letter"), Selection(), {})
    found = []
    for sample in stream(catalogue, part.task, "test"):
        request = part.prompter.job(sample).next([])
        assert request is not None
        assert isinstance(sample.target, Choice)
        found.append((request.messages, "".join(sample.target.letters)))
    return found


def _learn(folder: Path, asked: Sequence[tuple[Sequence[Message], str]]) -> None:
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(folder)
    model: Any = AutoModelForCausalLM.from_pretrained(folder, dtype="float32").train()
    prompts = [
        tokenizer.apply_chat_template(
            [{"role": m.role, "content": m.content} for m in messages], add_generation_prompt=True, tokenize=False
        )
        for messages, _ in asked
    ]
    rows = tokenizer(prompts, padding=True, padding_side="left", add_special_tokens=False, return_tensors="pt")
    right = torch.tensor([tokenizer.encode(letter, add_special_tokens=False)[0] for _, letter in asked])
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        for _ in range(STEPS):
            logits = model(**rows, logits_to_keep=1).logits[:, -1]
            loss = torch.nn.functional.cross_entropy(logits, right)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            if loss.item() < 0.1:  # every item is right well before
                break
    model.eval().save_pretrained(folder)


def damaged(checkpoint: Path, folder: Path, noise: float) -> Path:
    """A copy with normal noise on every weight matrix, `noise` times that matrix's own spread."""
    import torch
    from safetensors.torch import load_file, save_file

    shutil.copytree(checkpoint, folder)
    weights = load_file(folder / "model.safetensors")
    with torch.random.fork_rng():
        torch.manual_seed(1)
        for name, weight in weights.items():
            if weight.ndim == 2:
                weights[name] = weight + noise * weight.std() * torch.randn_like(weight)
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    return folder


def test_a_checkpoint_passes_against_itself_in_another_batch_size_and_fails_against_a_damaged_copy(
    tcm_eval: Call, items: Path, learned: Path, tmp_path: Path
) -> None:
    config = tmp_path / "gate.yaml"
    config.write_text("margins: {default: 0.1}\n", "utf-8")

    def asking(checkpoint: Path, batch: int) -> tuple[object, ...]:
        how = ("--model-arg", f"batch={batch}", "--model-arg", "device=cpu", "--model-arg", "dtype=float32")
        # A results folder of its own: answers of another batch size must be given anew, not adopted.
        where = ("--task-path", items, "--ask", "letter", "--output", tmp_path / f"{checkpoint.name}-{batch}")
        return ("--model", f"hf/{checkpoint}", *how, *where)

    code, _, err = tcm_eval("run", *asking(learned, 8), "--tasks", "own", "--quiet")
    assert code == 0, err
    (run,) = (tmp_path / "learned-8" / "runs").iterdir()
    file = tmp_path / "baseline.json"
    code, out, _ = tcm_eval("baseline", "set", run, file)
    assert code == 0
    assert "accuracy_letter  1.000  48" in out, "the checkpoint knows its items"

    gate = ("gate", "--baseline", file, "--config", config)
    code, out, err = tcm_eval(*gate, *asking(learned, 3))
    assert code == 0, out + err
    assert "1.000 -> 1.000" in out

    broken = damaged(learned, tmp_path / "broken", 1.0)
    code, out, err = tcm_eval(*gate, *asking(broken, 8), "--markdown", tmp_path / "gate.md")
    assert code == 1, out + err
    assert "worse, and by more than 0.1 as measured" in out
    assert "第" in (tmp_path / "gate.md").read_text("utf-8"), "the report shows questions that it now gets wrong"
