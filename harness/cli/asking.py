"""`run` and `score`, and the options that say how a model is asked."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from itertools import zip_longest
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.cli.parts import (
    DONE,
    INCOMPLETE,
    above_zero,
    add_data_root,
    add_encoder,
    add_language,
    add_output,
    add_printing,
    add_task_paths,
    amount,
    any_whole,
    data_path_of,
    encoder_of,
    json_text,
    positive,
    price,
    run_folder,
    settings_of,
    share,
    whole,
)
from harness.cli.showing import draw_runs

if TYPE_CHECKING:
    from harness.limits import Limits
    from harness.pipeline import Done, RunSpec


def add(commands: Any) -> None:
    """Add these commands to the command line."""
    _add_run(commands)
    _add_score(commands)


def _add_run(commands: Any) -> None:
    run = commands.add_parser(
        "run",
        help="ask one or more models, score the answers, print a table",
        description="Ask models the chosen tasks. The same command again goes on where it stopped.",
        epilog="example:\n  tcm-eval run --model server/qwen2.5-7b-instruct --base-url http://127.0.0.1:8000/v1 --tasks tcm_core",
    )
    run.add_argument(
        "--model", action="append", required=True, metavar="MODEL", help="alias, or provider/name; may be given again"
    )
    run.add_argument("--tasks", required=True, metavar="NAMES", help="suites, suite/task, or all; separated by commas")
    work = add_asking(run)
    work.add_argument("--figures", action="store_true", help="draw figures into OUTPUT/figures when done")
    add_printing(work)
    run.set_defaults(call=_run)


def _add_score(commands: Any) -> None:
    score = commands.add_parser(
        "score",
        help="score a run again after a metric changed; no model is called",
        description="Score a run's answers again, with this version's metrics. No model is called.",
        epilog="example:\n  tcm-eval score results/runs/NAME",
    )
    score.add_argument("run", type=Path, metavar="RUN", help="a run's folder or name")
    score.add_argument("--json", action="store_true", help="print the summary as JSON")
    add_encoder(score)
    score.set_defaults(call=_score)


def add_asking(run: argparse.ArgumentParser) -> Any:
    """Add all that says how a model is asked; return the group of the last ones."""
    who = run.add_argument_group("model")
    add_address(who)
    who.add_argument(
        "--name", action="append", default=[], help="name shown in tables; the n-th goes to the n-th --model"
    )
    what = run.add_argument_group("questions")
    what.add_argument("--limit", type=positive, metavar="N", help="at most N questions a task, drawn by --seed")
    what.add_argument("--split", default="test", help="split to ask (default: test)")
    what.add_argument(
        "--shots", type=whole, default=0, metavar="K", help="examples before each question, from validation or train"
    )
    what.add_argument("--repeats", type=positive, default=1, metavar="R", help="ask everything R times")
    what.add_argument(
        "--rotate-options", type=positive, default=1, metavar="K", help="ask choices in K rotations of their options"
    )
    what.add_argument(
        "--ask",
        choices=("generate", "letter", "text"),
        default="generate",
        help="generate, or score options by log-probability",
    )
    add_language(what)
    what.add_argument(
        "--system", metavar="NAME|TEXT", help="system prompt for all models: plain-zh, ladder-paper, or a text"
    )
    add_task_paths(what)
    add_encoder(run.add_argument_group("scoring"))
    how = run.add_argument_group("sampling (sent to every model; default: as the task says, greedy)")
    how.add_argument("--temperature", type=amount, metavar="T", help="0 takes the most probable token")
    how.add_argument("--top-p", type=share, metavar="P", help="draw from the most probable tokens with this share")
    how.add_argument("--top-k", type=whole, metavar="K", help="draw from the K most probable tokens; 0: from all")
    how.add_argument("--repetition-penalty", type=above_zero, metavar="R", help="1 changes nothing")
    how.add_argument("--max-tokens", type=positive, metavar="N", help="of an answer, reasoning included")
    how.add_argument(
        "--seed",
        type=any_whole,
        default=0,
        metavar="N",
        help="of sampling, --limit, --shots and rotations (default: 0)",
    )
    work = run.add_argument_group("running")
    add_limits(work)
    work.add_argument(
        "--fresh", action="store_true", help="answer everything anew; earlier answers are set aside, not deleted"
    )
    work.add_argument("--strict", action="store_true", help="missing data is an error")
    work.add_argument("--replicas", type=positive, default=1, metavar="N", help="copies of the model, on a Ray cluster")
    work.add_argument(
        "--batch",
        action="store_true",
        help="ask through the provider's batch interface: half the price, answers within a day",
    )
    add_data_root(work)
    add_output(work)
    return work


def add_address(who: Any) -> None:
    """Add where a model is reached."""
    who.add_argument("--base-url", metavar="URL", help="address of an OpenAI-compatible server, with /v1")
    who.add_argument("--key-env", metavar="VARIABLE", help="environment variable that holds the server's key")
    who.add_argument("--model-arg", action="append", default=[], metavar="KEY=VALUE", help="a setting of the provider")


def add_limits(work: Any) -> None:
    """Add how hard to push, and what it may cost."""
    work.add_argument("--concurrency", type=positive, default=64, metavar="N", help="requests in flight (default: 64)")
    work.add_argument(
        "--timeout", type=above_zero, default=300.0, metavar="SECONDS", help="for one attempt (default: 300)"
    )
    work.add_argument("--attempts", type=positive, default=6, metavar="N", help="for one request (default: 6)")
    work.add_argument("--rpm", type=amount, default=0.0, metavar="N", help="at most N requests a minute")
    work.add_argument("--tpm", type=amount, default=0.0, metavar="N", help="at most N tokens a minute")
    work.add_argument(
        "--adaptive",
        action=argparse.BooleanOptionalAction,
        help="find the number in flight, up to --concurrency, and slow down when told (default: where a key is used, elsewhere once told)",
    )
    work.add_argument(
        "--patience",
        type=amount,
        default=120.0,
        metavar="SECONDS",
        help="go on trying this long while nobody gets an answer, then stop (default: 120)",
    )
    work.add_argument(
        "--max-failures",
        type=amount,
        metavar="N",
        help="stop after more than N failures; below 1: a share of all answers",
    )
    work.add_argument(
        "--max-total-tokens",
        type=positive,
        metavar="N",
        help="stop before the run has used more, all its sessions counted",
    )
    work.add_argument(
        "--max-cost", type=amount, metavar="AMOUNT", help="stop before the run has cost more, all its sessions counted"
    )
    work.add_argument("--price", type=price, metavar="INPUT,OUTPUT", help="price of a million tokens in and out")
    work.add_argument("--dry-run", action="store_true", help="say how much would be asked and what it costs at most")


def _run(args: argparse.Namespace) -> int:
    from harness.console import Console, Quiet
    from harness.pipeline import estimate, run

    specs = _specs_of(args)
    if args.dry_run:
        for spec in specs:
            print(estimate(spec))
        return DONE
    finished = [done for spec in specs for done in run(spec, Quiet() if args.quiet else Console())]
    if args.quiet:
        _print_trouble(finished)
    else:
        print_finished(finished, args.output)
    if args.figures:
        out = sys.stderr if args.json else sys.stdout
        draw_runs([done.folder for done in finished], args.output / "figures", "all", out)
    if args.json:
        for done in finished:
            print(json_text({"run": str(done.folder), "summary": done.summary}))
    return DONE if all(done.complete for done in finished) else INCOMPLETE


def _specs_of(args: argparse.Namespace) -> list[RunSpec]:
    if len(args.name) > len(args.model):
        from harness.errors import UsageError

        raise UsageError(f"{len(args.name)} --name for {len(args.model)} --model: give at most one name a model")
    return [spec_of(args, model, name) for model, name in zip_longest(args.model, args.name)]


def _print_trouble(finished: Sequence[Done]) -> None:
    """Say of each run that is not complete what is missing."""
    from harness.report.finished import trouble

    for done in finished:
        for line in () if done.complete else trouble(done.summary):
            print(f"{done.folder}: {line}", file=sys.stderr)


def spec_of(args: argparse.Namespace, model: str, name: str | None) -> RunSpec:
    """Return what the arguments say about asking one model."""
    from harness.pipeline import RunSpec
    from harness.plan import Selection
    from harness.prompts import Style

    fields = ("temperature", "top_p", "top_k", "repetition_penalty", "max_tokens")
    return RunSpec(
        model=model,
        tasks=tuple(name.strip() for name in args.tasks.split(",") if name.strip()),
        settings=settings_of(args),
        name=name,
        selection=Selection(args.split, args.limit, args.repeats, args.rotate_options, args.seed),
        style=Style(language=args.language, system=args.system, shots=args.shots, seed=args.seed, ask=args.ask),
        sampling={name: value for name in fields if (value := getattr(args, name)) is not None},
        limits=limits_of(args),
        max_failures=args.max_failures,
        price=args.price,
        output=args.output,
        task_paths=tuple(args.task_path),
        data_root=args.data_root,
        data_path=data_path_of(args),
        encoder=encoder_of(args),
        fresh=args.fresh,
        strict=args.strict,
        batch=args.batch,
        replicas=args.replicas,
    )


def limits_of(args: argparse.Namespace) -> Limits:
    """Return how hard to push."""
    from harness.limits import Limits

    return Limits(
        in_flight=args.concurrency,
        attempts=args.attempts,
        timeout=args.timeout,
        patience=args.patience if args.attempts > 1 else 0.0,
        rpm=args.rpm,
        tpm=args.tpm,
        adaptive=args.adaptive,
        max_total_tokens=args.max_total_tokens,
        max_cost=args.max_cost,
    )


def _score(args: argparse.Namespace) -> int:
    from harness.pipeline import score

    done = score(run_folder(args.run), encoder=encoder_of(args))
    if args.json:
        print(json_text({"run": str(done.folder), "summary": done.summary}))
    else:
        print_finished([done], done.folder.parent.parent)
    return DONE if done.complete else INCOMPLETE


def print_finished(finished: Sequence[Done], output: Path) -> None:
    """Print the tables of finished runs."""
    from harness.report.finished import finished_text

    print(finished_text(finished, output))
