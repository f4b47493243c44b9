"""What all commands share: exit codes, the parser, kinds of numbers, common options."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from difflib import get_close_matches
from itertools import takewhile
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from harness.tables import FORMS

if TYPE_CHECKING:
    from harness.plan import Encoder

Command = Callable[[argparse.Namespace], int]

DONE, NEGATIVE, USAGE, INCOMPLETE, INCONCLUSIVE, INTERRUPTED = 0, 1, 2, 3, 4, 130


class Parser(argparse.ArgumentParser):
    """An argument parser that refuses abbreviations: they would break when an option is added."""

    def __init__(self, *args: Any, **settings: Any) -> None:
        settings.setdefault("allow_abbrev", False)
        settings.setdefault("formatter_class", argparse.RawDescriptionHelpFormatter)
        super().__init__(*args, **settings)

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        """Parse as usual, but name an unknown option before anything else is said: what it was meant for is missing otherwise."""
        if self._subparsers is None:
            for word in takewhile(lambda one: one != "--", args or ()):
                option = word.partition("=")[0]
                if option.startswith("--") and " " not in option and option not in self._option_string_actions:
                    close = get_close_matches(option, self._option_string_actions, n=1, cutoff=0.5)
                    self.error(f"unknown option {option}." + (f" Did you mean {close[0]}?" if close else ""))
        return super().parse_known_args(args, namespace)

    def error(self, message: str) -> NoReturn:
        """Say what is wrong and where options are explained; end with the exit code of a usage error."""
        self.exit(USAGE, f"{self.prog}: error: {message}\nSee `{self.prog} --help`.\n")


def positive(text: str) -> int:
    """Return a whole number from 1."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"'{text}' is no whole number from 1")
    return int(text)


def whole(text: str) -> int:
    """Return a whole number from 0."""
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"'{text}' is no whole number from 0")
    return int(text)


def amount(text: str) -> float:
    """Return a finite number from 0."""
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value < float("inf"):
        raise argparse.ArgumentTypeError(f"'{text}' is no number from 0")
    return value


def above_zero(text: str) -> float:
    """Return a finite number above 0."""
    value = amount(text)
    if value == 0:
        raise argparse.ArgumentTypeError(f"'{text}' is no number above 0")
    return value


def share(text: str) -> float:
    """Return a number above 0 and up to 1."""
    value = above_zero(text)
    if value > 1:
        raise argparse.ArgumentTypeError(f"'{text}' is no number above 0 and up to 1")
    return value


def price(text: str) -> tuple[float, float]:
    """Return the prices of a million tokens in and out."""
    parts = text.split(",")
    if len(parts) != 2:
        raise argparse.ArgumentTypeError(f"'{text}': expected INPUT,OUTPUT, for example 2.5,10")
    return amount(parts[0]), amount(parts[1])


def add_output(group: Any) -> None:
    """Add the results folder."""
    group.add_argument(
        "--output", type=Path, default=Path("results"), metavar="DIR", help="results folder (default: results)"
    )


def add_format(group: Any) -> None:
    """Add the form of a table."""
    group.add_argument("--format", choices=FORMS, default="table", help="default: table")


def add_printing(group: Any) -> None:
    """Add how much is printed of a run that was asked."""
    group.add_argument("--quiet", action="store_true", help="print errors only")
    group.add_argument("--json", action="store_true", help='print {"run": folder, "summary": {...}} as the last line')


def add_language(group: Any) -> None:
    """Add the language that a model is asked in."""
    group.add_argument("--language", choices=("zh", "en"), help="language of the prompts (default: the task's)")


def add_data_root(group: Any) -> None:
    """Add where the data of suites lies."""
    group.add_argument(
        "--data-root", type=Path, metavar="DIR", help="folder of pulled and imported data (default: the user's)"
    )


def add_task_paths(group: Any) -> None:
    """Add tasks of the user's own."""
    group.add_argument(
        "--task-path",
        action="append",
        default=[],
        type=Path,
        metavar="PATH",
        help="a task of your own: YAML file or folder",
    )
    group.add_argument(
        "--data-path", type=Path, metavar="DIR", help="where the data of --task-path lies (default: beside the YAML)"
    )


def add_own_tasks(group: Any) -> None:
    """Add tasks of the user's own, and where all data lies."""
    add_task_paths(group)
    add_data_root(group)


def add_encoder(group: Any) -> None:
    """Add the encoder of BERTScore and Ladder-Score."""
    group.add_argument(
        "--encoder",
        metavar="MODEL",
        help="folder or hub id of an encoder: adds BERTScore and Ladder-Score to text tasks",
    )
    group.add_argument(
        "--encoder-layer", type=positive, metavar="N", help="the encoder's layer to read (a folder needs it)"
    )


def encoder_of(args: argparse.Namespace) -> Encoder | None:
    """Return the encoder asked for, or None."""
    from harness.plan import Encoder

    return Encoder(args.encoder, args.encoder_layer) if args.encoder else None


def catalogue_of(args: argparse.Namespace) -> Any:
    """Return the tasks: the packaged ones and the user's own."""
    from harness.suites import Catalogue

    paths = getattr(args, "task_path", [])
    return Catalogue(paths, data_root=args.data_root, data_path=getattr(args, "data_path", None))


def json_text(value: Any) -> str:
    """Return the value as one line of JSON."""
    import orjson

    return orjson.dumps(value).decode()
