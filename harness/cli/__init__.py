"""Arguments in, calls out. Exit codes: 0 done, 1 negative verdict, 2 usage or input error, 3 incomplete, 4 inconclusive, 130 interrupted."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from harness.cli import asking, comparing, judging, looking, models, showing, training
from harness.cli.parts import DONE, INTERRUPTED, USAGE, Command, Parser


def parser() -> argparse.ArgumentParser:
    """Return the whole command line."""
    top = Parser(prog="tcm-eval", description="Evaluate language models of Traditional Chinese Medicine.")
    top.add_argument("--version", action="store_true", help="print the version and exit")
    commands = top.add_subparsers(dest="command", metavar="COMMAND")
    for part in (asking, judging, showing, comparing, training, models, looking):
        part.add(commands)
    return top


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; return its exit code. Errors of use and of infrastructure are one message, never a traceback."""
    from harness.cli.output import lasting
    from harness.errors import HarnessError

    with lasting():
        try:
            try:
                return _called(argv)
            finally:
                print(end="", flush=True)  # here, where it can still be said that it could not be written
        except HarnessError as error:
            print(f"tcm-eval: {error}", file=sys.stderr)
            return error.exit_code
        except KeyboardInterrupt:
            print("tcm-eval: interrupted. All answers so far are kept; the same command goes on.", file=sys.stderr)
            return INTERRUPTED


def _called(argv: Sequence[str] | None) -> int:
    top = parser()
    args = top.parse_args(argv)
    if args.version:
        from importlib.metadata import version

        print(f"tcm-eval {version('tcm-eval')}")
        return DONE
    if args.command is None:
        top.print_help()
        return USAGE
    call: Command = args.call
    return call(args)
