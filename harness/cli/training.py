"""`train`: a checkpoint by a recipe."""

from __future__ import annotations

import argparse
from typing import Any

from harness.cli.parts import DONE, add_own_tasks, folder


def add(commands: Any) -> None:
    """Add this command to the command line."""
    train = commands.add_parser(
        "train",
        help="make a checkpoint by a recipe, with SFT and GRPO",
        description="Train by a recipe. Afterwards --model hf/FOLDER, or the recipe's alias, is the new checkpoint.",
        epilog="recipes: ladder-base-paper, ladder-base-authors, ladder-tiny (on a CPU), each also with -lora at the end\n"
        "example:\n  tcm-eval train ladder-base-paper-lora --set grpo.batch=6",
    )
    train.add_argument("recipe", metavar="RECIPE", help="name of a recipe, or a YAML file of your own")
    train.add_argument(
        "--output", type=folder, metavar="DIR", help="folder of this training run (default: in the data folder)"
    )
    train.add_argument(
        "--resume", action="store_true", help="go on from the last whole checkpoint of the output folder"
    )
    train.add_argument(
        "--set", action="append", default=[], metavar="KEY=VALUE", help="change a setting, as grpo.learning_rate=1e-6"
    )
    add_own_tasks(train)
    train.set_defaults(call=_train)


def _train(args: argparse.Namespace) -> int:
    from importlib import import_module

    trainer = import_module("ladder_trainer")  # by name: the harness does not depend on it
    places = trainer.Sources(tuple(args.task_path), args.data_root, args.data_path)
    trainer.run(
        args.recipe, output=args.output, resume=args.resume, changes=args.set, sources=places, say=trainer.say_line
    )
    return DONE
