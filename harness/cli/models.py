"""`models`: what can be asked, what is known of one, and one question to it."""

from __future__ import annotations

import argparse
from typing import Any

from harness.cli.parts import DONE, INCOMPLETE


def add(commands: Any) -> None:
    """Add these commands to the command line."""
    from harness.cli.asking import add_address

    models = commands.add_parser("models", help="aliases and providers").add_subparsers(
        dest="what", required=True, metavar="WHAT"
    )
    models.add_parser("list", help="all aliases and providers").set_defaults(call=_list)
    show = models.add_parser("show", help="all that is known of one model, and what is missing to use it")
    show.add_argument("name", metavar="NAME", help="alias, or provider/name")
    show.set_defaults(call=_show)
    test = models.add_parser("test", help="send one question and show everything that comes back")
    test.add_argument("name", metavar="NAME", help="alias, or provider/name")
    add_address(test)
    test.add_argument("--timeout", type=float, default=300.0, metavar="SECONDS", help="wait so long (default: 300)")
    test.set_defaults(call=_test)


def _list(_args: argparse.Namespace) -> int:
    from harness.report.listing import models_text

    print(models_text())
    return DONE


def _show(args: argparse.Namespace) -> int:
    from harness.report.about_model import about

    print(about(args.name))
    return DONE


def _test(args: argparse.Namespace) -> int:
    from harness.cli.asking import settings_of
    from harness.report.about_model import tried

    text, answered = tried(args.name, settings_of(args), args.timeout)
    print(text)
    return DONE if answered else INCOMPLETE
