"""The whole story of a training run: recipe, data, memory, stages, checkpoint, evaluation, card."""

from __future__ import annotations

import gc
import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from harness.errors import HarnessError, UsageError
from harness.store import read_json, write_json
from harness.suites import Catalogue
from ladder_trainer import card, checkpoint, curves, grpo, memory, sft
from ladder_trainer.arguments import on_cpu
from ladder_trainer.config import load_recipe
from ladder_trainer.data import Document, Material, chosen_tasks, gather, worded_answer
from ladder_trainer.evaluate import evaluate, evaluate_saved, with_saved
from ladder_trainer.monitor import Warnings, callback
from ladder_trainer.quiet import quiet
from ladder_trainer.recipe import Recipe, StageName
from ladder_trainer.start import CHARACTERS, load_tokenizer, prepare_start

Say = Callable[[str], None]
_log = logging.getLogger("ladder_trainer")


def say_line(text: str) -> None:
    """Print one line at once: what a run says on a terminal."""
    print(text, flush=True)  # noqa: T201 - the command's product


class OutOfMemory(HarnessError):
    """The accelerator's memory was used up while training; the checkpoints so far stay."""

    exit_code = 3


@dataclass(frozen=True, slots=True)
class Sources:
    """Where tasks and data are looked for, as for `tcm-eval run`."""

    task_paths: tuple[Path, ...] = ()
    data_root: Path | None = None
    data_path: Path | None = None

    def catalogue(self) -> Catalogue:
        return Catalogue(self.task_paths, data_root=self.data_root, data_path=self.data_path)


@dataclass(slots=True)
class Run:
    """One run under way: what it was asked, where it writes, and what it has seen."""

    recipe: Recipe
    output: Path
    sources: Sources
    say: Say
    resume: bool
    main: bool = True
    warnings: Warnings = field(default_factory=Warnings)
    history: dict[str, list[Mapping[str, Any]]] = field(default_factory=dict)
    starts: dict[str, str] = field(default_factory=dict)
    used: dict[str, str] = field(default_factory=dict)


def run(
    recipe: str | Recipe,
    *,
    output: Path | None = None,
    resume: bool = False,
    changes: Iterable[str] = (),
    sources: Sources | None = None,
    say: Say = _log.info,
) -> Path:
    """Train by a recipe and return the folder of the finished checkpoint, which `tcm-eval run --model hf/<folder>` loads.

    `recipe` is a shipped name, a YAML file or a Recipe; `changes` are `key=value`. Raises UsageError for wrong input, StorageError
    when a checkpoint cannot be saved, RewardError when a reward cannot be computed; earlier checkpoints stay and `resume` goes on.
    """
    _need_packages()
    chosen = recipe if isinstance(recipe, Recipe) else load_recipe(recipe, changes)
    folder = (output or checkpoint.default_output(chosen)).absolute()
    quiet()
    from accelerate import PartialState

    state = PartialState(cpu=on_cpu(chosen))
    heard = say if state.is_main_process else _log.debug
    one = Run(chosen, folder, sources or Sources(), heard, resume, main=state.is_main_process)
    with state.main_process_first():
        tokenizer, material = _prepare(one)
        start = prepare_start(chosen, tokenizer, folder / "start")
    one.say(memory.check(chosen, None if chosen.start.shape else start, len(tokenizer)))
    for stage in chosen.stages:
        start = _stage(one, stage, start, tokenizer, material, state)
    if one.main:
        _finish(one, Path(start))
    state.wait_for_everyone()
    return Path(start)


def _need_packages() -> None:
    from importlib.util import find_spec

    missing = [
        name for name in ("torch", "transformers", "trl", "peft", "accelerate", "datasets") if not find_spec(name)
    ]
    if missing:
        raise UsageError(f"training needs {', '.join(missing)}: pip install 'tcm-eval[train]'")


def _prepare(one: Run) -> tuple[Any, Material]:
    """Return the tokenizer and the checked training data; claim the output folder."""
    recipe, catalogue = one.recipe, one.sources.catalogue()
    chosen_tasks(recipe.data, catalogue)
    if recipe.start.tokenizer == CHARACTERS:
        seen = gather(recipe, catalogue, lambda _chat: 0)
        tokenizer = load_tokenizer(recipe, _texts(seen))
    else:
        tokenizer = load_tokenizer(recipe)

    def length(chat: list[dict[str, str]]) -> int:
        return len(tokenizer.apply_chat_template(chat, add_generation_prompt=True, tokenize=True, return_dict=False))

    material = gather(recipe, catalogue, length)
    if one.main:
        checkpoint.claim(one.output, recipe, resume=one.resume)
        _same_data(one.output / "data.json", material)
        left = ", ".join(f"{count} left out ({why})" for why, count in material.left_out.items() if count)
        one.say(
            f"data: {len(material.train)} questions, {len(material.validation)} for validation, {len(material.documents)} "
            f"supervised texts; {left or 'none left out'}; checked against {material.fenced} test questions"
        )
    return tokenizer, material


def _texts(material: Material) -> Iterable[str]:
    for question in (*material.train, *material.validation):
        yield from (turn["content"] for turn in question.messages)
    for document in material.documents:
        yield document.learned
        yield from (turn["content"] for turn in document.given)


def _same_data(path: Path, material: Material) -> None:
    now = {
        "schema": 1,
        "sha256": material.sha256,
        "train": len(material.train),
        "validation": len(material.validation),
        "documents": len(material.documents),
        "left_out": material.left_out,
        "test_questions_checked": material.fenced,
    }
    if path.exists() and (then := read_json(path))["sha256"] != now["sha256"]:
        raise UsageError(
            f"{path.parent}: the training data has changed since this run began ({then['sha256'][:12]} -> "
            f"{material.sha256[:12]}). Bring the old data back, or train into another --output."
        )
    write_json(path, now)


def _stage(one: Run, stage: StageName, start: str, tokenizer: Any, material: Material, state: Any) -> str:
    """Train one stage, or skip it when it is finished; return the folder of its model."""
    folder = one.output / stage
    final = folder / "final"
    if checkpoint.whole_model(final):
        one.say(f"{stage}: finished before, skipped")
        last = checkpoint.last_whole(folder)
        one.history[stage] = with_saved(checkpoint.stage_state(last)["log_history"] if last else [], folder)
        one.starts[stage] = start
        return str(final)
    if one.main:
        checkpoint.remove_torn(folder)
    state.wait_for_everyone()
    last = checkpoint.last_whole(folder)
    trainer = _trainer(one, stage, start, tokenizer, material)
    one.say(f"{stage}: " + (f"going on after {last.name}" if last else f"starting from {start}"))
    _train(trainer, last)
    one.history[stage] = with_saved(trainer.state.log_history, folder)
    one.starts[stage] = start
    best = trainer.state.best_model_checkpoint
    del trainer
    gc.collect()
    _empty_cache()
    if one.main:
        newest = checkpoint.last_whole(folder)
        if newest is None:
            raise UsageError(
                f"{stage}: no update was made, so there is no checkpoint. Raise {stage}.steps or {stage}.epochs."
            )
        source = Path(best) if best else newest
        one.used[stage] = source.name
        lora = one.recipe.start.lora
        merge = lora is not None and (lora.merge or stage != one.recipe.stages[-1])
        checkpoint.finish_stage(source, one.recipe, start, final, merge=merge)
    state.wait_for_everyone()
    return str(final)


def _trainer(one: Run, stage: StageName, start: str, tokenizer: Any, material: Material) -> Any:
    recipe, folder = one.recipe, one.output / stage
    if stage == "grpo":
        trainer = grpo.build(recipe, start, tokenizer, material.train, material.validation, folder)
    else:
        checked: Sequence[Document] = [
            Document(q.messages, worded_answer(recipe.sft.answer, q.sample)) for q in material.validation
        ]
        trainer = sft.build(recipe, start, tokenizer, material.documents, checked, folder)
    from transformers.trainer_callback import PrinterCallback

    trainer.remove_callback(PrinterCallback)  # our own line a log says it in order

    def saved(step: int) -> None:
        saved_now = folder / f"checkpoint-{step}"
        checkpoint.say_trained_on(saved_now, recipe, start)
        if recipe.evaluation.every_save and recipe.evaluation.tasks:
            evaluate_saved(recipe, saved_now, start, one.output / "evaluation", one.sources, one.say)

    steps = recipe.grpo if stage == "grpo" else recipe.sft
    best = "eval_reward" if stage == "grpo" else "eval_loss"
    trainer.add_callback(callback(one.say, one.warnings, best, steps.patience, saved))
    return trainer


def _train(trainer: Any, last: Path | None) -> None:
    import torch

    try:
        trainer.train(resume_from_checkpoint=str(last) if last else None)
    except torch.OutOfMemoryError as error:
        raise OutOfMemory(
            f"the accelerator's memory was used up: {str(error).splitlines()[0]} Lower the batch (and raise accumulate), take "
            "adapters (--set start.lora.rank=16), or use more devices; then go on with --resume where the settings allow it."
        ) from error


def _empty_cache() -> None:
    import torch

    if torch.cuda.is_available():
        torch.cuda.empty_cache()


def _finish(one: Run, final: Path) -> None:
    """Evaluate the checkpoint, draw the curves, write the card, and make it the newest of its name."""
    drawn = curves.draw(one.history, final / "curves", one.recipe.title)
    start = one.starts[one.recipe.stages[-1]]
    results = evaluate(one.recipe, final, start, one.output / "evaluation", one.sources, one.say)
    suites = read_json(final / checkpoint.FACTS)["trained_on"]
    facts = card.facts(one.recipe, suites, read_json(one.output / "data.json"), one.used, one.warnings, results)
    write_json(final / checkpoint.FACTS, facts)
    card.write(final / "README.md", one.recipe, facts, [path.relative_to(final).as_posix() for path in drawn])
    one.say(f"finished: {final}")
    if checkpoint.adapters_only(final):
        one.say(
            "these are adapters without weights (start.lora.merge is false): tcm-eval run cannot load them, so no name has it"
        )
        return
    one.say(f"judge it: {card.judged_by(one.recipe, str(final))}")
    links = checkpoint.register(one.recipe, final)
    one.say("newest checkpoint of: " + ", ".join(link.parent.name for link in links))
