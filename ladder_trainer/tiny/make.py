"""From the knowledge base to the tiny model: tokenizer, letters, facts and questions, validation on the way."""

from __future__ import annotations

from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any

from harness.store import write_json
from harness.suites import Catalogue
from ladder_trainer.recipe import Shape
from ladder_trainer.start import shape_config
from ladder_trainer.tiny.drill import TASKS, Drill
from ladder_trainer.tiny.judge import judge
from ladder_trainer.tiny.learn import Learner, Stage
from ladder_trainer.tiny.publish import data_hash, half
from ladder_trainer.tiny.rows import facts_of, read
from ladder_trainer.tiny.vocabulary import (
    POSITIONS,
    common_phrases,
    english_words,
    make_tokenizer,
    prompt_phrases,
    terms,
)

SHAPE = Shape(hidden=128, layers=4, heads=4, kv_heads=2, mlp=384, positions=POSITIONS)
LETTERS = {"lookup": 30}
"""First the letters: which option has which. A fact recalled rightly is of no use without."""
FACTS = {
    "statement": 16,
    "single_choice": 14,
    "multiple_choice": 2,
    "fill_blank": 2,
    "single_choice_en": 1,
    "case": 1,
    "lookup": 8,
}
EMBEDDING = 0.1
"""Standard deviation of new embeddings. At the usual 0.02 the first attention layer's output drowns which token it was."""
GOOD = 0.85
"""Share of letters right at which the lookups get more different terms."""
WIDER = 1.3
ENOUGH = 0.9
JUDGED_EVERY = 200
"""Updates."""
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
    model.model.embed_tokens.weight.data.normal_(std=EMBEDDING)
    for settings in (model.config, model.generation_config):
        settings.eos_token_id, settings.pad_token_id = tokenizer.eos_token_id, tokenizer.pad_token_id
    return model


def train(
    output: Path, updates: tuple[int, int], *, seed: int, withheld: Collection[str], start: Path | None, say: Say
) -> Path:
    """Train and return the folder of the checkpoint.

    `updates`: at most for the letters, and for the facts; `start` skips the first. The same seed and data give the same
    weights bit for bit on the same machine and packages, with one thread.
    """
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
    about: dict[str, Any] = {
        "schema": 1,
        "seed": seed,
        "shape": SHAPE.model_dump(mode="json"),
        "parameters": sum(p.numel() for p in model.parameters()),
        "tokens": len(tokenizer),
        "statements": len(drill.book),
        "left_out": drill.left_out,
        "questions": sum(map(len, drill.problems.values())),
        "data": data_hash(catalogue),
    }
    say(", ".join(f"{name} {about[name]}" for name in ("parameters", "tokens", "statements", "left_out", "questions")))
    history: list[dict[str, float]] = []
    if start is None:
        learner.run(Stage(updates[0], 1e-3, LETTERS), falls=False, hear=_widener(learner, drill, history, say))
        half(learner.model, tokenizer, output / "letters")
    first, minutes = learner.step, learner.minutes
    drill.widen(1e9)
    judged = _listener(learner, catalogue, output, history, say)
    learner.run(Stage(updates[1], 1.5e-3, FACTS), falls=True, hear=judged)
    half(learner.average, tokenizer, output / "supervised")
    asked = sorted({fact for task in TASKS for row in read(catalogue, task, "train") for fact in facts_of(row)})
    write_json(output / "asked.json", asked)
    about |= {"letters_updates": first, "facts_updates": updates[1], "updates": learner.step}
    about |= {"letters_minutes": round(minutes, 1), "facts_minutes": round(learner.minutes - minutes, 1)}
    write_json(output / "about.json", {**about, "read": learner.tokens, "history": history})
    return output / "supervised"


def _widener(learner: Learner, drill: Drill, history: list[dict[str, float]], say: Say) -> Callable[[int], bool]:
    """Return what gives the lookups more terms whenever the letters are right, and ends when they are with all terms."""
    whole = [False]

    def hear(updates: int) -> bool:
        if updates % 50 == 0:
            history.append({**learner.state(), "terms in the lookups": drill.looked_up})
            told = (
                f"{learner.letters:.2f} of letters, {learner.others:.2f} of terms right among {drill.looked_up} terms"
            )
            say(f"letters, update {updates}, {learner.minutes:.1f} min: {told}")
        if whole[0]:
            return min(learner.letters, learner.others) > ENOUGH
        if learner.letters > GOOD:
            whole[0] = drill.widen(WIDER)
            learner.letters = 0.5
        return False

    return hear


def _listener(
    learner: Learner, catalogue: Catalogue, output: Path, history: list[dict[str, float]], say: Say
) -> Callable[[int], bool]:
    """Return what hears of every update: it judges the average model on validation questions now and then."""

    def hear(updates: int) -> bool:
        if updates % 100 == 0:
            history.append(learner.state())
            told = f"loss {learner.loss:.3f}, letters right {learner.letters:.2f}, other tokens {learner.others:.2f}"
            say(f"facts, update {updates}, {learner.minutes:.1f} min: {told}, {learner.tokens} tokens read")
        if updates % JUDGED_EVERY == 0:
            right, whole = judge(learner.average, learner.tokenizer, catalogue, "single_choice", limit=150)
            history.append({**learner.state(), "eval_accuracy": right, "eval_format": whole})
            say(f"facts, update {updates}: validation accuracy {right:.3f}, format {whole:.3f}")
            half(learner.average, learner.tokenizer, output / "average")
        return False

    return hear
