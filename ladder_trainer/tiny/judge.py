"""How a model under training does on validation questions: the harness's extraction, greedy, in this process."""

from __future__ import annotations

import hashlib
from typing import Any

from harness.datasets import stream
from harness.suites import Catalogue
from ladder_trainer.data import Question
from ladder_trainer.rewards import correctness, whole_format
from ladder_trainer.tiny.rows import task_of
from ladder_trainer.tiny.wording import Wording

BATCH = 64
LONGEST = 160


def judge(model: Any, tokenizer: Any, catalogue: Catalogue, name: str, limit: int) -> tuple[float, float]:
    """Return the share of right answers and of whole formats on `limit` validation questions drawn by their ids."""
    import torch

    task = task_of(catalogue, name)
    word = Wording(task)
    samples = sorted(stream(catalogue, task, "validation"), key=lambda s: hashlib.blake2b(s.id.encode()).digest())[
        :limit
    ]
    right = whole = 0.0
    model.eval()
    for start in range(0, len(samples), BATCH):
        batch = samples[start : start + BATCH]
        chats = [[{"role": "user", "content": word(s.question, s.options)}] for s in batch]
        coded = tokenizer.apply_chat_template(
            chats, add_generation_prompt=True, padding=True, return_tensors="pt", return_dict=True
        )
        with torch.inference_mode():
            said = model.generate(**coded, max_new_tokens=LONGEST, do_sample=False)
        texts = tokenizer.batch_decode(said[:, coded["input_ids"].shape[1] :], skip_special_tokens=True)
        for sample, text in zip(batch, texts, strict=True):
            question = Question(sample, task, [])
            right += correctness(text, question)
            whole += whole_format(text, question)
    model.train()
    return right / len(samples), whole / len(samples)
