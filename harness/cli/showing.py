"""`leaderboard`, `view`, `figures` and `export`: what is made of finished runs."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

from harness.cli.parts import DONE, RESULTS, add_format, add_output, folder, port

if TYPE_CHECKING:
    from harness.report.figures import Wanted


def add(commands: Any) -> None:
    """Add these commands to the command line."""
    _add_leaderboard(commands)
    _add_figures(commands)
    _add_export(commands)


def _add_leaderboard(commands: Any) -> None:
    board = commands.add_parser(
        "leaderboard", help="show all runs of a results folder, and published numbers beside them"
    )
    add_format(board)
    board.add_argument(
        "--metric", metavar="NAME", help="show this metric where a task has it (default: each task's headline)"
    )
    _add_no_published(board)
    board.add_argument("--site", type=Path, metavar="DIR", help="write a static site to this folder instead")
    add_output(board)
    board.set_defaults(call=_leaderboard)
    view = commands.add_parser("view", help="build the site of a results folder and show it on this machine")
    view.add_argument("--port", type=port, default=8765, metavar="N", help="0 for any free one (default: 8765)")
    _add_no_published(view)
    add_output(view)
    view.set_defaults(call=_view)


def _add_figures(commands: Any) -> None:
    figures = commands.add_parser(
        "figures", help="draw runs as figures for a paper, each with its numbers as CSV (needs tcm-eval[figures])"
    )
    _add_runs(figures)
    _add_destination(figures, "figures")
    figures.add_argument(
        "--format", default="png", metavar="NAMES", help="png, svg, pdf, separated by commas (default: png)"
    )
    figures.add_argument("--width", choices=("column", "page"), default="page", help="3.4 or 7 inches (default: page)")
    figures.add_argument(
        "--font-size",
        type=float,
        default=8.0,
        metavar="POINTS",
        help="5 to 10 in a column, 5 to 14 on a page (default: 8)",
    )
    figures.add_argument("--language", choices=("zh", "en"), default="en", help="of the labels (default: en)")
    figures.add_argument(
        "--published",
        default="all",
        metavar="MODELS",
        help="whose published numbers to show: all, none, or names separated by commas (default: all)",
    )
    figures.set_defaults(call=_figures)


def _add_export(commands: Any) -> None:
    export = commands.add_parser("export", help="write runs in other tools' formats")
    _add_runs(export)
    export.add_argument(
        "--to", required=True, choices=("csv", "parquet", "lm-eval", "model-index", "inspect", "wandb", "mlflow")
    )
    _add_destination(export, "export")
    export.set_defaults(call=_export)


def _add_no_published(one: argparse.ArgumentParser) -> None:
    one.add_argument("--no-published", action="store_true", help="leave published numbers out")


def _add_runs(one: argparse.ArgumentParser) -> None:
    one.add_argument("runs", nargs="+", type=Path, metavar="RUN", help="runs' folders or names, or results folders")


def _add_destination(one: argparse.ArgumentParser, name: str) -> None:
    where = RESULTS / name
    one.add_argument(
        "--output", type=folder, default=where, metavar="DIR", help=f"folder to write to (default: {where.as_posix()})"
    )


def _leaderboard(args: argparse.Namespace) -> int:
    from harness.errors import UsageError
    from harness.pipeline import leaderboard

    if args.site is not None:
        _refuse_with_site(args)
        return _site(args, args.site)
    text, notes = leaderboard(args.output, args.format, published=not args.no_published, metric=args.metric)
    if not text:
        raise UsageError("\n  ".join(["no finished run there, so there is nothing to show", *notes]))
    print(text)
    for note in notes:
        print(note, file=sys.stderr)
    return DONE


def _refuse_with_site(args: argparse.Namespace) -> None:
    from harness.errors import UsageError

    for option, given in (("--format", args.format != "table"), ("--metric", args.metric is not None)):
        if given:
            raise UsageError(
                f"{option} does not go with --site: its pages have every metric and form. Leave one of the two out."
            )


def _site(args: argparse.Namespace, target: Path) -> int:
    from harness.pipeline import site
    from harness.tables import counted

    built = site(args.output, target, published=not args.no_published)
    for note in built.notes:
        print(note, file=sys.stderr)
    page = built.folder / "index.html"
    print(f"{counted(built.runs, 'run')}, {counted(built.samples, 'answer')}: {page}")
    return DONE


def _view(args: argparse.Namespace) -> int:
    from harness.report.site import open_server, serve

    pages = args.output / "site"
    server = open_server(pages, args.port)  # before the long work: a taken port is said at once
    with server:
        _site(args, pages)
        print(f"http://127.0.0.1:{server.server_port}/  (Ctrl-C ends it)", flush=True)
        serve(server)
    return DONE


def _figures(args: argparse.Namespace) -> int:
    from harness.report.figures import Wanted, formats

    wanted = Wanted(formats(args.format), args.width, args.font_size, args.language)
    draw_runs(_named(args.runs), args.output, args.published, sys.stdout, wanted)
    return DONE


def draw_runs(folders: Sequence[Path], output: Path, others: str, out: TextIO, wanted: Wanted | None = None) -> None:
    """Draw runs and say which files were written, and on stderr what was left out."""
    from harness.report.chosen import chosen
    from harness.report.figures import Wanted, draw, only
    from harness.report.results import published, published_root

    runs, left = chosen(folders)
    drawn = draw(runs, only(published(published_root()), others), output, wanted or Wanted())
    print("\n".join(str(path) for path in drawn.files), file=out)
    for note in (*left, *drawn.notes):
        print(note, file=sys.stderr)


def _named(runs: Sequence[Path]) -> list[Path]:
    from harness.baseline import find

    return [find(str(run), RESULTS) for run in runs]


def _export(args: argparse.Namespace) -> int:
    from harness.pipeline import export

    written = export(_named(args.runs), args.to, args.output)
    print("\n".join(str(path) for path in written.files))
    for note in written.notes:
        print(note, file=sys.stderr)
    return DONE
