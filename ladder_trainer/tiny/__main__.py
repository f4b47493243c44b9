"""`python -m ladder_trainer.tiny`: make the tiny model. A stage whose result is in the output folder already is not done again."""

from __future__ import annotations

import argparse
from pathlib import Path

from harness.suites import Catalogue
from ladder_trainer import train as tune
from ladder_trainer.checkpoint import whole_model
from ladder_trainer.tiny.drill import TASKS
from ladder_trainer.tiny.make import train
from ladder_trainer.tiny.publish import Folders, publish
from ladder_trainer.tiny.rows import facts_of, read

STAGES = ("supervised", "grpo", "publish")


def main() -> None:
    """Train by the arguments of the command line."""
    parser = argparse.ArgumentParser(prog="python -m ladder_trainer.tiny", description=__doc__)
    parser.add_argument("--output", type=Path, required=True, help="folder for checkpoints, runs and curves")
    parser.add_argument("--letters", type=int, default=2000, help="most updates for the letters")
    parser.add_argument("--facts", type=int, default=1400, help="updates for facts and questions")
    parser.add_argument("--start", type=Path, help="a checkpoint of the letters' stage: that stage is left out")
    parser.add_argument("--withhold", choices=("nothing", "test"), default="nothing", help="whose facts are not read")
    parser.add_argument(
        "--until", choices=STAGES, default="grpo", help="the last stage; publish puts it in the package"
    )
    parser.add_argument("--withheld", type=Path, help="publish: a checkpoint made with --withhold test")
    parser.add_argument("--seed", type=int, default=7)
    given = parser.parse_args()
    supervised, tuned = given.output / "supervised", given.output / "tuned"
    if not whole_model(supervised):
        withheld = _facts("test") if given.withhold == "test" else set[str]()
        train(
            given.output,
            (given.letters, given.facts),
            seed=given.seed,
            withheld=withheld,
            start=given.start,
            say=tune.say_line,
        )
    final = supervised
    if given.until != "supervised":
        changes = [f"start.base={supervised}"]
        final = tuned / "grpo" / "final"
        if not whole_model(final):
            tune.run("ladder-tiny", output=tuned, changes=changes, resume=tuned.is_dir(), say=tune.say_line)
    if given.until == "publish":
        publish(Folders(supervised, final, given.withheld), given.output, tune.say_line)
    tune.say_line(f"finished: {final}")


def _facts(split: str) -> set[str]:
    catalogue = Catalogue()
    return {fact for task in TASKS for row in read(catalogue, task, split) for fact in facts_of(row)}


if __name__ == "__main__":
    main()
