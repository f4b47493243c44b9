"""Checkpoints on disk: whole or not there, the last N and the best kept, the newest one found under its name."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from harness.errors import UsageError
from harness.models import trained_on
from harness.store import StorageError, read_json, write_json
from harness.suites import default_data_root
from ladder_trainer.config import differences, fingerprint
from ladder_trainer.recipe import Recipe

MARK = "complete.json"
FACTS = "training.json"
_FULL = {errno.ENOSPC: "the disk is full", errno.EDQUOT: "the quota is used up", errno.EFBIG: "the file is too large"}


def checkpoints_root() -> Path:
    """Return the folder of all local checkpoints: `<data folder>/checkpoints`."""
    return default_data_root() / "checkpoints"


def default_output(recipe: Recipe) -> Path:
    """Return the folder of a recipe's run, named by all that determines its weights."""
    return checkpoints_root() / recipe.name / fingerprint(recipe)


def claim(output: Path, recipe: Recipe, *, resume: bool) -> None:
    """Make the output folder this recipe's own, or raise UsageError when it holds another recipe's or an unfinished run."""
    path = output / "recipe.json"
    if path.exists():
        there = read_json(path)
        changed = differences(there["recipe"], dict(recipe.determining()))
        if changed:
            shown = "".join(f"\n  {line}" for line in changed[:8])
            raise UsageError(
                f"{output} holds a checkpoint of another recipe ({there['name']}):{shown}\n"
                "Choose another --output, or give that recipe and its settings again."
            )
        if not resume and any(output.glob(f"*/checkpoint-*/{MARK}")):
            raise UsageError(
                f"{output} holds an earlier run of this recipe. Go on with --resume, or choose another --output."
            )
        return
    if resume:
        raise UsageError(f"{output} holds no run to resume. Leave --resume out, or give the run's --output.")
    if output.is_dir() and any(output.iterdir()):
        raise UsageError(f"{output} is not empty and holds no run of ours. Choose another --output.")
    write_json(path, {"schema": 1, "name": recipe.name, "recipe": recipe.determining()})


@contextlib.contextmanager
def saving(folder: Path, *, main: bool) -> Iterator[None]:
    """Write a checkpoint inside this block: afterwards it is whole and marked so, or removed, and the earlier ones stay.

    Raises StorageError when the disk is full. `main` is true in the one process that writes.
    """
    try:
        yield
        if main:
            _flush(folder)
            write_json(folder / MARK, {"schema": 1, "files": sorted(p.name for p in folder.iterdir())})
    except Exception as error:  # torch and safetensors wrap a full disk in errors of their own
        reason = _why_not_written(error)
        if reason is None:
            raise
        if main:
            shutil.rmtree(folder, ignore_errors=True)
        last = last_whole(folder.parent)
        kept = f"{last.name} is whole" if last else "no earlier checkpoint was there"
        raise StorageError(
            f"{folder} could not be saved: {reason}. The torn checkpoint was removed; {kept}. Make room "
            "(fewer checkpoints: --set grpo.keep=1) and go on with --resume."
        ) from error


def _why_not_written(error: BaseException) -> str | None:
    """Return why a write failed, also when a library wraps the system's error; None when it was something else."""
    seen: BaseException | None = error
    while seen is not None:
        if isinstance(seen, OSError) and seen.errno in _FULL:
            return _FULL[seen.errno]
        said = str(seen).lower()
        for code, words in _FULL.items():
            if os.strerror(code).lower() in said:
                return words
        if "pytorchstreamwriter" in said or "unexpected pos" in said:  # what torch.save says of a short write
            return "not all of it could be written (is the disk full?)"
        seen = seen.__cause__ or seen.__context__
    return None


def _flush(folder: Path) -> None:
    for path in folder.rglob("*"):
        if path.is_file():
            with path.open("rb+") as file:
                os.fsync(file.fileno())


def step_of(folder: Path) -> int:
    """Return the number of updates after which a checkpoint was saved."""
    return int(folder.name.rpartition("-")[2])


def all_whole(stage: Path) -> list[Path]:
    """Return the whole checkpoints of a stage, oldest first."""
    return sorted((p.parent for p in stage.glob(f"checkpoint-*/{MARK}")), key=step_of)


def last_whole(stage: Path) -> Path | None:
    """Return the newest whole checkpoint of a stage, None when there is none."""
    found = all_whole(stage)
    return found[-1] if found else None


def remove_torn(stage: Path) -> None:
    """Remove what a killed process left half written."""
    for folder in stage.glob("checkpoint-*"):
        if not (folder / MARK).exists():
            shutil.rmtree(folder)


def rotate(stage: Path, keep: int, best: str | None) -> None:
    """Remove all checkpoints but the newest `keep` and the best."""
    for folder in all_whole(stage)[:-keep]:
        if best is None or folder.resolve() != Path(best).resolve():
            shutil.rmtree(folder)


def whole_model(folder: Path) -> bool:
    """Tell whether a folder holds a saved model and its tokenizer."""
    weights = (*folder.glob("*.safetensors"),)
    return bool(weights) and any((folder / name).exists() for name in ("config.json", "adapter_config.json"))


def adapters_only(folder: Path) -> bool:
    """Tell whether a folder holds adapters without the weights that they belong to."""
    return (folder / "adapter_config.json").exists()


def finish_stage(source: Path, recipe: Recipe, start: str, target: Path, *, merge: bool) -> None:
    """Write the model of a checkpoint to `target`, in the recipe's number format, ready for `hf/<folder>`.

    With adapters, `merge` adds them to the weights of `start`; without, the folder holds the adapters only.
    """
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    dtype = getattr(torch, recipe.start.dtype)
    temporary = target.with_name(f".{target.name}.part")
    shutil.rmtree(temporary, ignore_errors=True)
    with saving(temporary, main=True):
        tokenizer = AutoTokenizer.from_pretrained(source)
        if adapters_only(source):
            from peft import PeftModel

            model = PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(start, dtype=dtype), source)
            if merge:
                model = model.merge_and_unload()
        else:
            model = AutoModelForCausalLM.from_pretrained(source, dtype=dtype)
        model.save_pretrained(temporary)
        tokenizer.save_pretrained(temporary)
        say_trained_on(temporary, recipe, start)
    (temporary / MARK).unlink()
    shutil.rmtree(target, ignore_errors=True)
    temporary.rename(target)


def say_trained_on(folder: Path, recipe: Recipe, start: str) -> None:
    """Note in a checkpoint which suites it has learned from, its start's own among them, so that no run ranks it on these."""
    suites = list(dict.fromkeys((*recipe.trained_on, *trained_on(start))))
    write_json(folder / FACTS, {"schema": 1, "name": recipe.name, "trained_on": suites})


def register(recipe: Recipe, final: Path) -> list[Path]:
    """Make `final` the newest checkpoint of the recipe and of its alias; return the links."""
    links = []
    for name in dict.fromkeys(filter(None, (recipe.name, recipe.alias))):
        link = checkpoints_root() / name / "latest"
        link.parent.mkdir(parents=True, exist_ok=True)
        fresh = link.with_name(f".latest.{os.getpid()}")
        fresh.unlink(missing_ok=True)
        fresh.symlink_to(final.resolve(), target_is_directory=True)
        fresh.replace(link)
        links.append(link)
    return links


def stage_state(checkpoint: Path) -> Mapping[str, Any]:
    """Return the trainer's own state of a checkpoint: step, logs, best checkpoint."""
    state: Mapping[str, Any] = json.loads((checkpoint / "trainer_state.json").read_text("utf-8"))
    return state
