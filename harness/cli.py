"""Arguments in, calls out. Exit codes: 0 done, 1 negative verdict, 2 usage or input error, 3 incomplete, 4 inconclusive, 130 interrupted."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from itertools import zip_longest
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

if TYPE_CHECKING:
    from harness.baseline import Side
    from harness.gate import GateSpec
    from harness.pipeline import Done, RunSpec
    from harness.plan import Encoder
    from harness.report.figures import Wanted

Command = Callable[[argparse.Namespace], int]

DONE, NEGATIVE, USAGE, INCOMPLETE, INCONCLUSIVE, INTERRUPTED = 0, 1, 2, 3, 4, 130


class Parser(argparse.ArgumentParser):
    """An argument parser that refuses abbreviations: they would break when an option is added."""

    def __init__(self, *args: Any, **settings: Any) -> None:
        settings.setdefault("allow_abbrev", False)
        settings.setdefault("formatter_class", argparse.RawDescriptionHelpFormatter)
        super().__init__(*args, **settings)


def parser() -> argparse.ArgumentParser:
    """Return the whole command line."""
    top = Parser(prog="tcm-eval", description="Evaluate language models of Traditional Chinese Medicine.")
    top.add_argument("--version", action="store_true", help="print the version and exit")
    commands = top.add_subparsers(dest="command", metavar="COMMAND")
    _add_run(commands)
    _add_score(commands)
    _add_leaderboard(commands)
    _add_figures(commands)
    _add_export(commands)
    _add_compare(commands)
    _add_gate(commands)
    _add_baseline(commands)
    _add_train(commands)
    _add_tasks(commands)
    _add_data(commands)
    _add_models(commands)
    _add_knowledge(commands)
    doctor = commands.add_parser("doctor", help="say what is installed, what is present and what is missing")
    doctor.add_argument("--data-root", type=Path)
    doctor.set_defaults(call=_doctor)
    return top


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
    work = _asking(run)
    work.add_argument("--figures", action="store_true", help="draw figures into OUTPUT/figures when done")
    work.add_argument("--quiet", action="store_true", help="print errors only")
    work.add_argument("--json", action="store_true", help='print {"run": folder, "summary": {...}} as the last line')
    run.set_defaults(call=_run)


def _asking(run: argparse.ArgumentParser) -> Any:
    """Add all that says how a model is asked; return the group of the last ones."""
    who = run.add_argument_group("model")
    who.add_argument("--base-url", metavar="URL", help="address of an OpenAI-compatible server, with /v1")
    who.add_argument("--key-env", metavar="VARIABLE", help="environment variable that holds the server's key")
    who.add_argument("--model-arg", action="append", default=[], metavar="KEY=VALUE", help="a setting of the provider")
    who.add_argument(
        "--name", action="append", default=[], help="name shown in tables; the n-th goes to the n-th --model"
    )
    what = run.add_argument_group("questions")
    what.add_argument("--limit", type=_positive, metavar="N", help="at most N questions a task, drawn by --seed")
    what.add_argument("--split", default="test", help="split to ask (default: test)")
    what.add_argument(
        "--shots", type=_whole, default=0, metavar="K", help="examples before each question, from validation or train"
    )
    what.add_argument("--repeats", type=_positive, default=1, metavar="R", help="ask everything R times")
    what.add_argument(
        "--rotate-options", type=_positive, default=1, metavar="K", help="ask choices in K rotations of their options"
    )
    what.add_argument(
        "--ask",
        choices=("generate", "letter", "text"),
        default="generate",
        help="generate, or score options by log-probability",
    )
    what.add_argument("--language", choices=("zh", "en"), help="language of the prompts (default: the task's)")
    what.add_argument(
        "--system", metavar="NAME|TEXT", help="system prompt for all models: plain-zh, ladder-paper, or a text"
    )
    what.add_argument(
        "--task-path",
        action="append",
        default=[],
        type=Path,
        metavar="PATH",
        help="a task of your own: YAML file or folder",
    )
    what.add_argument(
        "--data-path", type=Path, metavar="DIR", help="where the data of --task-path lies (default: beside the YAML)"
    )
    _encoder(run.add_argument_group("scoring"))
    how = run.add_argument_group("sampling (sent to every model; default: as the task says, greedy)")
    how.add_argument("--temperature", type=float)
    how.add_argument("--top-p", type=float)
    how.add_argument("--top-k", type=int)
    how.add_argument("--repetition-penalty", type=float)
    how.add_argument("--max-tokens", type=_positive)
    how.add_argument("--seed", type=int, default=0)
    work = run.add_argument_group("running")
    work.add_argument("--concurrency", type=_positive, default=64, metavar="N", help="requests in flight (default: 64)")
    work.add_argument("--timeout", type=float, default=300.0, metavar="SECONDS", help="of one attempt (default: 300)")
    work.add_argument("--attempts", type=_positive, default=6, metavar="N", help="of one request (default: 6)")
    _limits(work)
    work.add_argument(
        "--fresh", action="store_true", help="answer everything anew; earlier answers are set aside, not deleted"
    )
    work.add_argument("--strict", action="store_true", help="missing data is an error")
    work.add_argument("--data-root", type=Path, metavar="DIR", help="folder of pulled and imported data")
    _output(work)
    return work


def _add_score(commands: Any) -> None:
    score = commands.add_parser("score", help="score a run again after a metric changed; no model is called")
    score.add_argument("run", type=Path, help="a run's folder")
    score.add_argument("--json", action="store_true", help="print the summary as JSON")
    _encoder(score)
    score.set_defaults(call=_score)


def _add_leaderboard(commands: Any) -> None:
    board = commands.add_parser(
        "leaderboard", help="show all runs of a results folder, and published numbers beside them"
    )
    board.add_argument("--format", choices=("table", "markdown", "csv", "json", "latex"), default="table")
    board.add_argument(
        "--metric", metavar="NAME", help="show this metric where a task has it (default: each task's headline)"
    )
    board.add_argument("--no-published", action="store_true", help="leave published numbers out")
    board.add_argument("--site", type=Path, metavar="DIR", help="write a static site to this folder instead")
    _output(board)
    board.set_defaults(call=_leaderboard)
    view = commands.add_parser("view", help="build the site of a results folder and show it on this machine")
    view.add_argument("--port", type=_whole, default=8765, metavar="N", help="0 for any free one (default: 8765)")
    view.add_argument("--no-published", action="store_true", help="leave published numbers out")
    _output(view)
    view.set_defaults(call=_view)


def _add_figures(commands: Any) -> None:
    figures = commands.add_parser(
        "figures", help="draw runs as figures for a paper, each with its numbers as CSV (needs tcm-eval[figures])"
    )
    figures.add_argument("runs", nargs="+", type=Path, metavar="RUN", help="run folders, or results folders")
    figures.add_argument("--output", type=Path, default=Path("results/figures"), metavar="DIR", help="where figures go")
    figures.add_argument("--format", default="png", metavar="NAMES", help="png, svg, pdf, separated by commas")
    figures.add_argument("--width", choices=("column", "page"), default="page", help="3.4 or 7 inches (default: page)")
    figures.add_argument("--font-size", type=float, default=8.0, metavar="POINTS", help="5 to 24 (default: 8)")
    figures.add_argument("--language", choices=("zh", "en"), default="en", help="of the labels (default: en)")
    figures.add_argument(
        "--published", default="all", metavar="MODELS", help="whose published numbers to show: all, none, or names"
    )
    figures.set_defaults(call=_figures)


def _add_export(commands: Any) -> None:
    export = commands.add_parser("export", help="write runs in other tools' formats")
    export.add_argument("runs", nargs="+", type=Path, metavar="RUN", help="run folders, or results folders")
    export.add_argument("--to", required=True, choices=("csv", "parquet", "lm-eval", "model-index"))
    export.add_argument("--output", type=Path, default=Path("results/export"), metavar="DIR", help="where files go")
    export.set_defaults(call=_export)


def _add_compare(commands: Any) -> None:
    compare = commands.add_parser(
        "compare",
        help="say whether runs differ, answer by answer",
        description="Compare runs with the first one, paired by question: effects, intervals, tests, and a sentence each.",
    )
    compare.add_argument("baseline", metavar="A", help="a run's folder or name, or a baseline file")
    compare.add_argument("candidates", metavar="B", nargs="+", help="runs to compare with A")
    compare.add_argument("--force", action="store_true", help="compare runs that were not asked alike, and say so")
    compare.add_argument("--format", choices=("table", "markdown", "csv", "json", "latex"), default="table")
    _output(compare)
    compare.set_defaults(call=_compare)


def _add_gate(commands: Any) -> None:
    gate = commands.add_parser(
        "gate",
        help="say whether a candidate is worse than a baseline, as an exit code",
        description="Exit codes: 0 pass, 1 regression, 2 usage, 3 run invalid or incomplete, 4 inconclusive.",
        epilog="example:\n  tcm-eval gate --baseline baseline.json --model server/my-checkpoint --config gate.yaml --junit gate.xml",
    )
    gate.add_argument(
        "--baseline", required=True, metavar="RUN|FILE", help="a run's folder or name, or a baseline file"
    )
    what = gate.add_mutually_exclusive_group(required=True)
    what.add_argument("--candidate", metavar="RUN", help="a finished run's folder or name")
    what.add_argument("--model", metavar="MODEL", help="ask this model first: alias, or provider/name")
    gate.add_argument("--tasks", metavar="NAMES", help="what to ask --model (default: the baseline's tasks)")
    gate.add_argument("--config", type=Path, metavar="FILE", help="gate.yaml (default: every task, margin 0.05)")
    gate.add_argument(
        "--inconclusive", choices=("pass", "fail"), help="exit with 0 or 1 instead of 4 when inconclusive"
    )
    for form in ("junit", "markdown", "json"):
        gate.add_argument(f"--{form}", type=Path, metavar="FILE", help=f"write the outcome as {form} to this file")
    _asking(gate)
    gate.set_defaults(call=_gate)


def _add_baseline(commands: Any) -> None:
    what = commands.add_parser("baseline", help="keep a run's scores as one small file").add_subparsers(
        dest="what", required=True, metavar="WHAT"
    )
    make = what.add_parser("set", help="write a new baseline file from a finished run")
    show = what.add_parser("show", help="say what a baseline file holds")
    update = what.add_parser("update", help="replace a baseline file by another run, and say what changes")
    for one, call in ((make, _baseline_set), (update, _baseline_update)):
        one.add_argument("run", metavar="RUN", help="a run's folder or name")
        _output(one)
        one.set_defaults(call=call)
    make.add_argument("file", type=Path, nargs="?", default=Path("baseline.json"), metavar="FILE")
    for one in (show, update):
        one.add_argument("file", type=Path, metavar="FILE")
    show.set_defaults(call=_baseline_show)


def _add_train(commands: Any) -> None:
    train = commands.add_parser(
        "train",
        help="make a checkpoint by a recipe, with SFT and GRPO",
        description="Train by a recipe. Afterwards --model hf/FOLDER, or the recipe's alias, is the new checkpoint.",
        epilog="example:\n  tcm-eval train ladder-base-paper-lora --set grpo.batch=6",
    )
    train.add_argument("recipe", help="name of a recipe, or a YAML file of your own")
    train.add_argument(
        "--output", type=Path, metavar="DIR", help="folder of this training run (default: in the data folder)"
    )
    train.add_argument(
        "--resume", action="store_true", help="go on from the last whole checkpoint of the output folder"
    )
    train.add_argument(
        "--set", action="append", default=[], metavar="KEY=VALUE", help="change a setting, as grpo.learning_rate=1e-6"
    )
    train.add_argument("--task-path", action="append", default=[], type=Path, metavar="PATH")
    train.add_argument("--data-path", type=Path, metavar="DIR")
    train.add_argument("--data-root", type=Path, metavar="DIR")
    train.set_defaults(call=_train)


def _add_tasks(commands: Any) -> None:
    tasks = commands.add_parser("tasks", help="list, show or check tasks").add_subparsers(
        dest="what", required=True, metavar="WHAT"
    )
    for name, text in (
        ("list", "all tasks and whether their data is here"),
        ("show", "one task, with a prompt as sent"),
        ("check", "look for faults in tasks' data"),
    ):
        one = tasks.add_parser(name, help=text)
        if name != "list":
            one.add_argument("names", metavar="NAMES", help="suites or suite/task, separated by commas, or all")
        one.add_argument("--task-path", action="append", default=[], type=Path, metavar="PATH")
        one.add_argument("--data-path", type=Path, metavar="DIR")
        one.add_argument("--data-root", type=Path, metavar="DIR")
        if name == "show":
            one.add_argument("--language", choices=("zh", "en"))
        one.set_defaults(call={"list": _tasks_list, "show": _tasks_show, "check": _tasks_check}[name])


def _add_data(commands: Any) -> None:
    data = commands.add_parser("data", help="see and bring the data of suites").add_subparsers(
        dest="what", required=True, metavar="WHAT"
    )
    status = data.add_parser("status", help="which files are here")
    pull = data.add_parser("pull", help="download a suite from its public home")
    pull.add_argument("suite")
    bring = data.add_parser("import", help="take files from a folder, known by their sha256")
    bring.add_argument("folder", type=Path)
    for one, call in ((status, _data_status), (pull, _data_pull), (bring, _data_import)):
        one.add_argument("--data-root", type=Path, metavar="DIR")
        one.set_defaults(call=call)


def _add_knowledge(commands: Any) -> None:
    what = commands.add_parser("knowledge", help="look into the knowledge base of herbs, formulas and patterns")
    verbs = what.add_subparsers(dest="what", required=True, metavar="WHAT")
    show = verbs.add_parser("show", help="print an entry by any of its names")
    show.add_argument("name")
    show.set_defaults(call=_knowledge_show)
    verbs.add_parser("check", help="look for faults in the knowledge base").set_defaults(call=_knowledge_check)


def _add_models(commands: Any) -> None:
    models = commands.add_parser("models", help="aliases and providers").add_subparsers(
        dest="what", required=True, metavar="WHAT"
    )
    models.add_parser("list", help="all aliases and providers").set_defaults(call=_models_list)


def _encoder(group: Any) -> None:
    group.add_argument(
        "--encoder",
        metavar="MODEL",
        help="folder or hub id of an encoder: adds BERTScore and Ladder-Score to text tasks",
    )
    group.add_argument(
        "--encoder-layer", type=_positive, metavar="N", help="the encoder's layer to read (a folder needs it)"
    )


def _output(group: Any) -> None:
    group.add_argument(
        "--output", type=Path, default=Path("results"), metavar="DIR", help="results folder (default: results)"
    )


def _limits(work: Any) -> None:
    work.add_argument("--rpm", type=_amount, default=0.0, metavar="N", help="at most N requests a minute")
    work.add_argument("--tpm", type=_amount, default=0.0, metavar="N", help="at most N tokens a minute")
    work.add_argument(
        "--adaptive",
        action=argparse.BooleanOptionalAction,
        help="find the number in flight, up to --concurrency, and slow down when told (default: where a key is used)",
    )
    work.add_argument(
        "--patience",
        type=_amount,
        default=120.0,
        metavar="SECONDS",
        help="go on trying this long while nobody gets an answer (default: 120)",
    )
    work.add_argument("--max-failures", type=_amount, metavar="N", help="stop after N failures, or below 1 a share")
    work.add_argument("--max-total-tokens", type=_positive, metavar="N", help="stop before this call uses more tokens")
    work.add_argument("--max-cost", type=_amount, metavar="AMOUNT", help="stop before this call costs more")
    work.add_argument("--price", type=_price, metavar="INPUT,OUTPUT", help="price of a million tokens in and out")
    work.add_argument("--dry-run", action="store_true", help="say how much would be asked and what it costs at most")


def _amount(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value < float("inf"):
        raise argparse.ArgumentTypeError(f"'{text}' is no number from 0")
    return value


def _price(text: str) -> tuple[float, float]:
    parts = text.split(",")
    if len(parts) != 2:
        raise argparse.ArgumentTypeError(f"'{text}': expected INPUT,OUTPUT, for example 2.5,10")
    return _amount(parts[0]), _amount(parts[1])


def _positive(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"'{text}' is no whole number from 1")
    return int(text)


def _whole(text: str) -> int:
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"'{text}' is no whole number from 0")
    return int(text)


# ------------------------------------------------------------------ commands


def _run(args: argparse.Namespace) -> int:
    from harness.console import Console
    from harness.pipeline import Silent, estimate, run

    if args.dry_run:
        for model, name in zip_longest(args.model, args.name[: len(args.model)]):
            print(estimate(_spec(args, model, name)))  # noqa: T201 - the command's product
        return DONE
    finished: list[Done] = []
    for model, name in zip_longest(args.model, args.name[: len(args.model)]):
        finished += run(_spec(args, model, name), Silent() if args.quiet else Console())
    if not args.quiet:
        _print_finished(finished, args.output)
    if args.figures:
        _draw(
            [done.folder for done in finished], args.output / "figures", "all", sys.stderr if args.json else sys.stdout
        )
    if args.json:
        for done in finished:
            print(_json({"run": str(done.folder), "summary": done.summary}))  # noqa: T201 - the command's product
    return DONE if all(done.complete for done in finished) else INCOMPLETE


def _spec(args: argparse.Namespace, model: str, name: str | None) -> RunSpec:
    from harness.errors import UsageError
    from harness.limits import Limits
    from harness.pipeline import RunSpec
    from harness.plan import Selection
    from harness.prompts import Style

    settings: dict[str, Any] = {}
    for pair in args.model_arg:
        key, equals, value = pair.partition("=")
        if not equals:
            raise UsageError(f"--model-arg {pair}: expected KEY=VALUE")
        settings[key] = _value(value)
    settings.update({name: value for name in ("base_url", "key_env") if (value := getattr(args, name)) is not None})
    fields = ("temperature", "top_p", "top_k", "repetition_penalty", "max_tokens")
    return RunSpec(
        model=model,
        tasks=tuple(name.strip() for name in args.tasks.split(",") if name.strip()),
        settings=settings,
        name=name,
        selection=Selection(args.split, args.limit, args.repeats, args.rotate_options, args.seed),
        style=Style(args.language, args.system, None, args.shots, args.seed, args.ask),
        sampling={name: value for name in fields if (value := getattr(args, name)) is not None},
        limits=Limits(
            in_flight=args.concurrency,
            attempts=args.attempts,
            timeout=args.timeout,
            patience=args.patience if args.attempts > 1 else 0.0,
            rpm=args.rpm,
            tpm=args.tpm,
            adaptive=args.adaptive,
            max_total_tokens=args.max_total_tokens,
            max_cost=args.max_cost,
        ),
        max_failures=args.max_failures,
        price=args.price,
        output=args.output,
        task_paths=tuple(args.task_path),
        data_root=args.data_root,
        data_path=args.data_path,
        encoder=_encoder_of(args),
        fresh=args.fresh,
        strict=args.strict,
    )


def _encoder_of(args: argparse.Namespace) -> Encoder | None:
    from harness.plan import Encoder

    return Encoder(args.encoder, args.encoder_layer) if args.encoder else None


def _value(text: str) -> Any:
    lowered = text.lower()
    if lowered in ("true", "false"):
        return lowered == "true"
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text


def _json(value: Any) -> str:
    import orjson

    return orjson.dumps(value).decode()


def _print_finished(finished: Sequence[Done], output: Path) -> None:
    from harness.report.finished import finished_text

    print(finished_text(finished, output))  # noqa: T201 - the command's product


def _score(args: argparse.Namespace) -> int:
    from harness.pipeline import score

    done = score(args.run, encoder=_encoder_of(args))
    if args.json:
        print(_json({"run": str(done.folder), "summary": done.summary}))  # noqa: T201 - the command's product
    else:
        _print_finished([done], done.folder.parent.parent)
    return DONE if done.complete else INCOMPLETE


def _leaderboard(args: argparse.Namespace) -> int:
    from harness.pipeline import leaderboard

    if args.site is not None:
        return _site(args, args.site)
    text, notes = leaderboard(args.output, args.format, published=not args.no_published, metric=args.metric)
    print(text)  # noqa: T201 - the command's product
    for note in notes:
        print(note, file=sys.stderr)  # noqa: T201 - beside the product, so that a redirected table stays clean
    return DONE


def _figures(args: argparse.Namespace) -> int:
    from harness.report.figures import Wanted, formats

    wanted = Wanted(formats(args.format), args.width, args.font_size, args.language)
    _draw(args.runs, args.output, args.published, sys.stdout, wanted)
    return DONE


def _draw(folders: Sequence[Path], output: Path, others: str, out: TextIO, wanted: Wanted | None = None) -> None:
    """Draw runs and say which files were written, and on stderr what was left out."""
    from harness.models import published_root
    from harness.report.chosen import chosen
    from harness.report.figures import Wanted, draw, only
    from harness.report.results import published

    runs, left = chosen(folders)
    drawn = draw(runs, only(published(published_root()), others), output, wanted or Wanted())
    print("\n".join(str(path) for path in drawn.files), file=out)
    for note in (*left, *drawn.notes):
        print(note, file=sys.stderr)  # noqa: T201 - beside the product


def _site(args: argparse.Namespace, folder: Path) -> int:
    from harness.pipeline import site

    built = site(args.output, folder, published=not args.no_published)
    for note in built.notes:
        print(note, file=sys.stderr)  # noqa: T201 - beside the product
    page = built.folder / "index.html"
    print(f"{built.runs} runs, {built.samples} answers: {page}")  # noqa: T201 - the command's product
    return DONE


def _view(args: argparse.Namespace) -> int:
    from harness.report.site import open_server, serve

    folder = args.output / "site"
    server = open_server(folder, args.port)  # before the long work: a taken port is said at once
    with server:
        _site(args, folder)
        print(f"http://127.0.0.1:{server.server_port}/  (Ctrl-C ends it)", flush=True)  # noqa: T201 - where to look
        serve(server)
    return DONE


def _export(args: argparse.Namespace) -> int:
    from harness.report.chosen import chosen
    from harness.report.export import export

    runs, left = chosen(args.runs)
    print("\n".join(str(path) for path in export(runs, args.to, args.output)))  # noqa: T201 - the command's product
    for note in left:
        print(note, file=sys.stderr)  # noqa: T201 - beside the product
    return DONE


def _compare(args: argparse.Namespace) -> int:
    import shutil

    from harness.baseline import find, load
    from harness.compare import compare_runs, render_comparison

    first, *others = (load(find(text, args.output)) for text in (args.baseline, *args.candidates))
    width = shutil.get_terminal_size((120, 40)).columns
    print(render_comparison(compare_runs(first, others, force=args.force), args.format, width=width))  # noqa: T201 - the command's product
    return DONE


def _gate(args: argparse.Namespace) -> int:
    from harness.baseline import find, load
    from harness.gate import as_text, judge, read_spec, write_reports

    spec = read_spec(args.config)
    baseline = load(find(args.baseline, args.output))
    candidate = find(args.candidate, args.output) if args.candidate else _asked(args, baseline, spec)
    outcome, changed = judge(baseline, candidate, spec, args.inconclusive)
    write_reports(outcome, changed, junit=args.junit, markdown=args.markdown, json=args.json)
    print(as_text(outcome))  # noqa: T201 - the command's product
    return outcome.verdict.exit_code


def _asked(args: argparse.Namespace, baseline: Side, spec: GateSpec) -> Path:
    """Ask the model what the baseline was asked; return the run's folder."""
    from harness.console import Guarded
    from harness.gate import counterpart, refuse_early
    from harness.pipeline import run

    args.tasks = args.tasks or ",".join(baseline.tasks)
    watch = Guarded(
        lambda plan: refuse_early(baseline, spec, {t: i["metrics"] for t, i in plan.manifest["tasks"].items()})
    )
    return counterpart(
        baseline,
        [(done.folder, done.summary) for done in run(_spec(args, args.model, next(iter(args.name), None)), watch)],
    )


def _baseline_set(args: argparse.Namespace) -> int:
    from harness.baseline import find, set_baseline

    print(set_baseline(find(args.run, args.output), args.file))  # noqa: T201 - the command's product
    return DONE


def _baseline_show(args: argparse.Namespace) -> int:
    from harness.baseline import from_file, side_text

    print(side_text(from_file(args.file)))  # noqa: T201 - the command's product
    return DONE


def _baseline_update(args: argparse.Namespace) -> int:
    from harness.baseline import find, update_baseline

    print(update_baseline(find(args.run, args.output), args.file))  # noqa: T201 - the command's product
    return DONE


def _catalogue(args: argparse.Namespace) -> Any:
    from harness.suites import Catalogue

    paths = getattr(args, "task_path", [])
    return Catalogue(paths, data_root=args.data_root, data_path=getattr(args, "data_path", None))


def _tasks_list(args: argparse.Namespace) -> int:
    from harness.report.listing import tasks_text

    print(tasks_text(_catalogue(args)))  # noqa: T201 - the command's product
    return DONE


def _tasks_show(args: argparse.Namespace) -> int:
    from harness.report.listing import task_text

    catalogue = _catalogue(args)
    here, absent = catalogue.select(args.names.split(","))
    print("\n\n".join(task_text(catalogue, task, args.language) for task in [*here, *absent]))  # noqa: T201 - the command's product
    return DONE


def _tasks_check(args: argparse.Namespace) -> int:
    from harness.report.listing import checked

    catalogue = _catalogue(args)
    here, absent = catalogue.select(args.names.split(","))
    text, good = checked(catalogue, here, absent)
    print(text)  # noqa: T201 - the command's product
    return DONE if good else NEGATIVE


def _data_status(args: argparse.Namespace) -> int:
    from harness.report.listing import data_text

    print(data_text(_catalogue(args)))  # noqa: T201 - the command's product
    return DONE


def _data_pull(args: argparse.Namespace) -> int:
    from harness.acquire import pull

    return _brought(pull(_catalogue(args), args.suite), "everything was here already")


def _data_import(args: argparse.Namespace) -> int:
    from harness.acquire import import_folder

    return _brought(import_folder(_catalogue(args), args.folder), "no new file of a known suite was found there")


def _brought(paths: Sequence[Path], nothing: str) -> int:
    print("\n".join(str(path) for path in paths) or nothing)  # noqa: T201 - the command's product
    return DONE


def _models_list(_args: argparse.Namespace) -> int:
    from harness.report.listing import models_text

    print(models_text())  # noqa: T201 - the command's product
    return DONE


def _train(args: argparse.Namespace) -> int:
    from importlib import import_module

    trainer = import_module("ladder_trainer")  # by name: the harness does not depend on it
    places = trainer.Sources(tuple(args.task_path), args.data_root, args.data_path)
    trainer.run(
        args.recipe, output=args.output, resume=args.resume, changes=args.set, sources=places, say=trainer.say_line
    )
    return DONE


def _knowledge_show(args: argparse.Namespace) -> int:
    from harness.knowledge.show import text

    print(text(args.name))  # noqa: T201 - the command's product
    return DONE


def _knowledge_check(_args: argparse.Namespace) -> int:
    from harness.report.listing import knowledge_text

    text, good = knowledge_text()
    print(text)  # noqa: T201 - the command's product
    return DONE if good else NEGATIVE


def _doctor(args: argparse.Namespace) -> int:
    from harness.report.listing import doctor_text

    text, good = doctor_text(_catalogue(args))
    print(text)  # noqa: T201 - the command's product
    return DONE if good else NEGATIVE


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; return its exit code. Errors of use and of infrastructure are one message, never a traceback."""
    top = parser()
    args = top.parse_args(argv)
    if args.version:
        from importlib.metadata import version

        print(f"tcm-eval {version('tcm-eval')}")  # noqa: T201 - the command's product
        return DONE
    if args.command is None:
        top.print_help()
        return USAGE
    from harness.errors import HarnessError

    call: Command = args.call
    try:
        return call(args)
    except HarnessError as error:
        print(f"tcm-eval: {error}", file=sys.stderr)  # noqa: T201 - the one message
        return error.exit_code
    except KeyboardInterrupt:
        print("tcm-eval: interrupted. All answers so far are kept; the same command goes on.", file=sys.stderr)  # noqa: T201 - the one message
        return INTERRUPTED
    except BrokenPipeError:
        sys.stderr.close()
        return DONE


if __name__ == "__main__":
    sys.exit(main())
