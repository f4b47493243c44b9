"""`python -m ladder_trainer.tiny`: make the tiny model."""

from __future__ import annotations

import argparse
from pathlib import Path

from harness.suites import Catalogue
from ladder_trainer.tiny.drill import TASKS
from ladder_trainer.tiny.make import train
from ladder_trainer.tiny.publish import evaluated, known_of, publish
from ladder_trainer.tiny.rows import facts_of, read
from ladder_trainer.train import say_line


def main() -> None:
    """Train by the arguments of the command line."""
    parser = argparse.ArgumentParser(prog="python -m ladder_trainer.tiny", description=__doc__)
    parser.add_argument("--output", type=Path, required=True, help="folder for checkpoints and the curve")
    parser.add_argument("--letters", type=float, default=4.0, help="minutes of a core for the letters")
    parser.add_argument("--facts", type=float, default=16.0, help="minutes of a core for facts and questions")
    parser.add_argument("--start", type=Path, help="a folder of the letters' stage to start from")
    parser.add_argument("--withhold", choices=("nothing", "test"), default="nothing", help="whose facts are not read")
    parser.add_argument("--publish", action="store_true", help="judge it and put it into the package")
    parser.add_argument("--seed", type=int, default=7)
    given = parser.parse_args()
    withheld: set[str] = set()
    if given.withhold == "test":
        catalogue = Catalogue()
        withheld = {fact for task in TASKS for row in read(catalogue, task, "test") for fact in facts_of(row)}
    final = train(
        given.output,
        (given.letters, given.facts),
        seed=given.seed,
        withheld=withheld,
        start=given.start,
        say=say_line,
    )
    if given.publish:
        ship(final, given.output)
    say_line(f"finished: {final}")


def ship(final: Path, output: Path) -> None:
    """Judge the checkpoint on validation, then once on the test split, and put it where the package ships it."""
    runs = output / "runs"
    rows = evaluated(final, runs, ("tcm_core/single_choice",), "validation")
    rows += evaluated(final, runs, [f"tcm_core/{task}" for task in TASKS], "test")
    for row in rows:
        say_line(
            f"{row['task']} {row['split']} {row['metric']} {row['mean']} ({row['low']} to {row['high']}), {row['n']}"
        )
    withheld = "A figure with the facts of the test withheld from its text has not been measured yet."
    publish(final, {**known_of(final), "scores": rows, "withheld": withheld})


if __name__ == "__main__":
    main()
