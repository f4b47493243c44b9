"""`models`: what can be asked, what is known of one, and one question to it."""

from __future__ import annotations

import argparse
from typing import Any

from harness.cli.asking import add_address
from harness.cli.parts import DONE, INCOMPLETE, above_zero, settings_of


def add(commands: Any) -> None:
    """Add these commands to the command line."""
    models = commands.add_parser("models", help="aliases and providers").add_subparsers(
        dest="what", required=True, metavar="WHAT"
    )
    models.add_parser("list", help="all aliases and providers").set_defaults(call=_list)
    show = models.add_parser("show", help="all that is known of one model, and what is missing to use it")
    test = models.add_parser("test", help="send one question and show everything that comes back")
    for one, call in ((show, _show), (test, _test)):
        one.add_argument("name", metavar="NAME", help="alias, or provider/name")
        one.set_defaults(call=call)
    add_address(test)
    test.add_argument(
        "--timeout", type=above_zero, default=300.0, metavar="SECONDS", help="wait so long (default: 300)"
    )


def _list(_args: argparse.Namespace) -> int:
    from harness.report.listing import models_text

    print(models_text())
    return DONE


def _show(args: argparse.Namespace) -> int:
    from harness.report.about_model import about

    print(about(args.name))
    return DONE


def _test(args: argparse.Namespace) -> int:
    from harness.report.about_model import tried

    text, answered = tried(args.name, settings_of(args), args.timeout)
    print(text)
    return DONE if answered else INCOMPLETE
