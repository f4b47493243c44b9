"""`judge`: other models read a run's answers."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.cli.asking import add_address, add_limits, limits_of, print_finished
from harness.cli.parts import DONE, INCOMPLETE, add_printing, json_text, positive, run_folder, settings_of

if TYPE_CHECKING:
    from harness.judging import Judged


def add(commands: Any) -> None:
    """Add this command to the command line."""
    judge = commands.add_parser(
        "judge",
        help="have models mark a run's dialogues and free texts, point by point",
        description="Have models mark the answers of a finished run. The same command again goes on where it stopped.",
        epilog="example:\n  tcm-eval judge results/runs/NAME --judge gpt-5 --judge gemini-2.5-pro",
    )
    judge.add_argument("run", type=Path, metavar="RUN", help="a run's folder or name")
    judge.add_argument(
        "--judge",
        action="append",
        required=True,
        metavar="MODEL",
        help="alias, or provider/name; given again: their marks are averaged",
    )
    add_address(judge.add_argument_group("model (for every --judge)"))
    what = judge.add_argument_group("judging")
    what.add_argument("--add", action="store_true", help="keep the judges that the run has already")
    what.add_argument(
        "--ladder-score", action="store_true", help="the judges' mark of meaning in Ladder-Score, in BERTScore's place"
    )
    what.add_argument("--prompt", type=Path, metavar="FILE", help="other words: YAML with system, question, reminder")
    what.add_argument("--max-tokens", type=positive, metavar="N", help="of a reply (default: the model's, or 4096)")
    what.add_argument("--force", action="store_true", help="let a model judge its own answers")
    work = judge.add_argument_group("running")
    add_limits(work)
    work.add_argument(
        "--batch",
        action="store_true",
        help="ask through the provider's batch interface: half the price, replies within a day",
    )
    work.add_argument("--again", action="store_true", help="ask again where a reply could not be read")
    work.add_argument(
        "--fresh", action="store_true", help="ask everything anew; earlier replies are set aside, not deleted"
    )
    add_printing(work)
    judge.set_defaults(call=_judge)


def _judge(args: argparse.Namespace) -> int:
    from harness.console import Console, Quiet
    from harness.judging import JudgeSpec, estimate, judge

    spec = JudgeSpec(
        run=run_folder(args.run),
        judges=tuple(args.judge),
        settings=settings_of(args),
        max_tokens=args.max_tokens,
        wording=args.prompt,
        limits=limits_of(args),
        max_failures=args.max_failures,
        price=args.price,
        add=args.add,
        ladder=args.ladder_score,
        force=args.force,
        fresh=args.fresh,
        again=args.again,
        batch=args.batch,
    )
    if args.dry_run:
        print(estimate(spec))
        return DONE
    judged = judge(spec, Quiet() if args.quiet else Console())
    if not args.quiet:
        print_finished([judged.done], judged.done.folder.parent.parent)
    for note in judged.notes if not args.quiet else _wrong(judged):
        print(f"note: {note}", file=sys.stderr)
    if args.json:
        print(json_text({"run": str(judged.done.folder), "summary": judged.done.summary}))
    return DONE if judged.complete else INCOMPLETE


def _wrong(judged: Judged) -> Sequence[str]:
    """Return what a quiet command says: nothing where all is done, else all that explains why not."""
    from harness.report.finished import trouble

    return () if judged.complete else (*judged.notes, *judged.missing, *trouble(judged.done.summary))
