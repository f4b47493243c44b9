"""A Qwen2 model of a few MB with random weights: it knows nothing, and lets everything around a model be tried offline.

Run it as `python -m ladder_trainer.random_model FOLDER`.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from harness.datasets import stream
from harness.specs import TaskSpec
from harness.suites import Catalogue, shared_prompts
from ladder_trainer.characters import character_tokenizer
from ladder_trainer.recipe import Shape
from ladder_trainer.start import write_random

SHAPE = Shape(hidden=128, layers=4, heads=4, kv_heads=2, mlp=384, positions=4096)
SEED = 0


def make(folder: Path) -> Path:
    """Write the model to `folder` unless it is there already, and return the folder.

    Its vocabulary is the characters of the bundled suite and of the shared prompts.
    """
    if not (folder / "model.safetensors").is_file():
        write_random(SHAPE, SEED, character_tokenizer(_texts()), folder)
    return folder


def _texts() -> set[str]:
    catalogue = Catalogue()
    texts = {str(shared_prompts())}
    for task in catalogue.tasks("tcm_core"):
        texts |= _of(catalogue, task)
    return texts


def _of(catalogue: Catalogue, task: TaskSpec) -> set[str]:
    return {str(sample.fields) + str(sample.target) for sample in stream(catalogue, task)} | {str(task.prompt)}


def main() -> None:
    """Make the model in the folder that the command line names."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("folder", type=Path)
    make(options.parse_args().folder)


if __name__ == "__main__":
    main()
