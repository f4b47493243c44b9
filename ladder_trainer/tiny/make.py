"""From the knowledge base to the tiny model: tokenizer, letters, facts and questions, validation on the way."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any

from harness.store import write_json
from harness.suites import Catalogue
from ladder_trainer.recipe import Shape
from ladder_trainer.start import shape_config
from ladder_trainer.tiny.drill import Drill
from ladder_trainer.tiny.judge import judge
from ladder_trainer.tiny.learn import Learner, Stage
from ladder_trainer.tiny.publish import data_hash
from ladder_trainer.tiny.vocabulary import (
    POSITIONS,
    common_phrases,
    english_words,
    make_tokenizer,
    prompt_phrases,
    terms,
)

SHAPE = Shape(hidden=128, layers=4, heads=4, kv_heads=2, mlp=384, positions=POSITIONS)
LETTERS = {"lookup": 24, "statement": 2, "single_choice": 6}
"""First the letters: which option has which. A fact recalled rightly is of no use without."""
FACTS = {
    "statement": 12,
    "single_choice": 20,
    "multiple_choice": 3,
    "fill_blank": 3,
    "single_choice_en": 1,
    "case": 1,
    "lookup": 6,
}
Say = Callable[[str], None]


def tokenizer_of(drill: Drill) -> Any:
    """Return the tokenizer: the terms of the whole knowledge base, withheld or not, and the wording of the train questions."""
    from ladder_trainer.tiny.statements import book

    everything = book()
    problems = [p for found in drill.problems.values() for p in found]
    chinese = [p.stem for p in problems if not p.task.endswith("_en")]
    english = [text for p in problems if p.task.endswith("_en") for text in (p.stem, *p.options)]
    words = terms(everything.values()) | prompt_phrases()
    words |= common_phrases(chinese, words) | english_words(english)
    texts = [s.said() for s in everything.values()] + chinese + [o for p in problems for o in p.options]
    texts += [f"√×略选证候诊断治法方剂药物组成患者症见请给出处辨论{drill.case().whole}" for _ in range(500)]
    return make_tokenizer(words, texts)


def new_model(tokenizer: Any, seed: int) -> Any:
    """Return the model with random weights."""
    from transformers import Qwen2ForCausalLM, set_seed

    set_seed(seed)
    model = Qwen2ForCausalLM(shape_config(SHAPE, len(tokenizer)))
    for settings in (model.config, model.generation_config):
        settings.eos_token_id, settings.pad_token_id = tokenizer.eos_token_id, tokenizer.pad_token_id
    return model


def train(
    output: Path, minutes: tuple[float, float], *, seed: int, withheld: Collection[str], start: Path | None, say: Say
) -> Path:
    """Train and return the folder of the checkpoint. `minutes`: for the letters, for the facts; `start` skips the first."""
    from transformers import AutoTokenizer, Qwen2ForCausalLM

    catalogue = Catalogue()
    drill = Drill(catalogue, seed, withheld)
    if start is None:
        tokenizer = tokenizer_of(drill)
        model = new_model(tokenizer, seed)
    else:
        tokenizer = AutoTokenizer.from_pretrained(start)
        model = Qwen2ForCausalLM.from_pretrained(start, dtype="float32")
    learner = Learner(model, tokenizer, drill)
    count = sum(p.numel() for p in model.parameters())
    say(
        f"{count} parameters, {len(tokenizer)} tokens, {len(drill.book)} statements, {drill.left_out} left out by the fence"
    )
    curve: list[dict[str, float]] = []
    if start is None:
        learner.run(
            Stage(minutes[0], 3e-3, LETTERS), falls=False, hear=_listener(learner, "letters", curve, catalogue, say)
        )
        save(learner.model, tokenizer, output / "letters")
    learner.run(Stage(minutes[1], 2e-3, FACTS), falls=True, hear=_listener(learner, "facts", curve, catalogue, say))
    final = output / "final"
    save(learner.average, tokenizer, final)
    about = {
        "schema": 1,
        "seed": seed,
        "parameters": count,
        "tokens": len(tokenizer),
        "statements": len(drill.book),
        "left_out": drill.left_out,
        "questions": sum(map(len, drill.problems.values())),
        "data": data_hash(catalogue),
        "letters_minutes": minutes[0],
        "facts_minutes": minutes[1],
        "updates": learner.step,
        "read": learner.tokens,
        "curve": curve,
    }
    write_json(output / "curve.json", about)
    return final


def _listener(
    learner: Learner, name: str, curve: list[dict[str, float]], catalogue: Catalogue, say: Say, every: float = 4.0
) -> Callable[[float], None]:
    """Return what hears the minutes spent: it judges the average model on validation questions now and then."""
    due = [every]

    def hear(minutes: float) -> None:
        if learner.step % 100 == 0:
            told = f"loss {learner.loss:.3f}, lookups right {learner.lookups(32):.2f}, {learner.tokens} tokens"
            say(f"{name} {minutes:.1f} min, update {learner.step}: {told}")
        if minutes >= due[0]:
            due[0] += every
            right, whole = judge(learner.average, learner.tokenizer, catalogue, "single_choice", limit=150)
            curve.append({"minutes": round(minutes, 1), "update": learner.step, "accuracy": right, "format": whole})
            say(f"{name} {minutes:.1f} min: validation accuracy {right:.3f}, format {whole:.3f}")

    return hear


def save(model: Any, tokenizer: Any, folder: Path) -> None:
    """Write the model in bfloat16 with its tokenizer; the training goes on in float32."""
    import copy

    import torch

    if folder.exists():
        shutil.rmtree(folder)
    copy.deepcopy(model).to(torch.bfloat16).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
