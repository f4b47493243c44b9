"""What all commands share: exit codes, the parser, kinds of numbers, common options."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from difflib import get_close_matches
from itertools import takewhile
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from harness.cli.hints import hint
from harness.tables import FORMS

if TYPE_CHECKING:
    from harness.plan import Encoder

Command = Callable[[argparse.Namespace], int]

RESULTS = Path("results")
"""Where runs lie when nothing else is said."""

DONE, NEGATIVE, USAGE, INCOMPLETE, INCONCLUSIVE, INTERRUPTED = 0, 1, 2, 3, 4, 130


class Parser(argparse.ArgumentParser):
    """An argument parser that refuses abbreviations: they would break when an option is added."""

    def __init__(self, *args: Any, **settings: Any) -> None:
        settings.setdefault("allow_abbrev", False)
        settings.setdefault("formatter_class", argparse.RawDescriptionHelpFormatter)
        super().__init__(*args, **settings)

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        """Parse as usual, but name an unknown option before anything else is said: what it was meant for is missing otherwise."""
        words = sys.argv[1:] if args is None else list(args)
        if self._subparsers is not None:  # what stands behind the name of a command is its own affair
            words = list(takewhile(lambda one: one.startswith("-"), words))
        for word in takewhile(lambda one: one != "--", words):
            option = word.partition("=")[0]
            if option.startswith("--") and " " not in option and option not in self._option_string_actions:
                close = get_close_matches(option, self._option_string_actions, n=1, cutoff=0.5)
                meant = f" Did you mean {close[0]}?" if close else ""
                self.error(f"unknown option {option}.{hint(option, self._option_string_actions) or meant}")
        return super().parse_known_args(args, namespace)

    def _check_value(self, action: argparse.Action, value: Any) -> None:
        """Refuse a word that is none of the allowed ones, and name the nearest."""
        if action.choices is not None and value not in action.choices:
            allowed = [str(one) for one in action.choices]
            close = get_close_matches(str(value), allowed, n=1, cutoff=0.6)
            meant = f" Did you mean {close[0]}?" if close else ""
            raise argparse.ArgumentError(action, f"unknown value '{value}'.{meant} Choose one of: {', '.join(allowed)}")

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


def any_whole(text: str) -> int:
    """Return a whole number, a negative one too."""
    if not text.removeprefix("-").isdecimal():
        raise argparse.ArgumentTypeError(f"'{text}' is no whole number")
    return int(text)


def port(text: str) -> int:
    """Return the number of a port, 0 for any free one."""
    if not text.isdecimal() or int(text) > 65535:
        raise argparse.ArgumentTypeError(f"'{text}' is no port: a whole number from 0 (any free one) to 65535")
    return int(text)


def folder(text: str) -> Path:
    """Return the path of a folder, which need not be there yet."""
    if Path(text).exists() and not Path(text).is_dir():
        raise argparse.ArgumentTypeError(f"{text} is a file. Name a folder, or one that does not exist yet.")
    return Path(text)


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
        "--output", type=folder, default=RESULTS, metavar="DIR", help="results folder (default: results)"
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
        "--data-root", type=folder, metavar="DIR", help="folder of pulled and imported data (default: the user's)"
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
    """Return the encoder asked for, or None; raise UsageError for a layer of none."""
    from harness.errors import UsageError
    from harness.plan import Encoder

    if args.encoder_layer is not None and not args.encoder:
        raise UsageError(f"--encoder-layer {args.encoder_layer} without --encoder: name the encoder, too")
    return Encoder(args.encoder, args.encoder_layer) if args.encoder else None


def data_path_of(args: argparse.Namespace) -> Path | None:
    """Return where the data of the user's own tasks lies, None for beside them; raise UsageError where there are no such tasks."""
    from harness.errors import UsageError

    path: Path | None = args.data_path
    if path is not None and not args.task_path:
        raise UsageError(f"--data-path {path} is where the data of --task-path lies: name these tasks, too")
    return path


def catalogue_of(args: argparse.Namespace) -> Any:
    """Return the tasks: the packaged ones and the user's own."""
    from harness.suites import Catalogue

    own = {"data_path": data_path_of(args)} if hasattr(args, "task_path") else {}
    return Catalogue(getattr(args, "task_path", []), data_root=args.data_root, **own)


def run_folder(run: Path) -> Path:
    """Return the folder of a finished or unfinished run: the path itself, or the run of that name, or of that model, in `results`.

    Raises UsageError for what is no run.
    """
    from harness.baseline import find
    from harness.errors import UsageError

    found = find(str(run), RESULTS)
    if (found / "manifest.json").is_file():
        return found
    inside = sorted(path.parent.name for path in (found / "runs").glob("*/manifest.json"))
    which = f" Name one of its runs: {', '.join(inside[:3])}{' ...' if len(inside) > 3 else ''}" if inside else ""
    raise UsageError(f"{run} is no run folder: it has no manifest.json.{which}")


def settings_of(args: argparse.Namespace) -> dict[str, Any]:
    """Return the provider's settings that the arguments state."""
    from harness.errors import UsageError

    settings: dict[str, Any] = {}
    for pair in args.model_arg:
        key, equals, value = pair.partition("=")
        if not equals or not key.isidentifier():
            raise UsageError("--model-arg: expected KEY=VALUE")  # not shown: it may be a provider's key
        settings[key] = _value(value)
    settings.update({name: value for name in ("base_url", "key_env") if (value := getattr(args, name)) is not None})
    return settings


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


def json_text(value: Any) -> str:
    """Return the value as one line of JSON."""
    import orjson

    return orjson.dumps(value).decode()
