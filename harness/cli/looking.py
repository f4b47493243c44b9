"""`tasks`, `data`, `knowledge` and `doctor`: what there is."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from harness.cli.parts import DONE, NEGATIVE, add_data_root, add_language, add_own_tasks, catalogue_of

CHECK = "Read every row, answer every question with its own key, and look for duplicates and leaks. 1 where an error was found."


def add(commands: Any) -> None:
    """Add these commands to the command line."""
    _add_tasks(commands)
    _add_data(commands)
    _add_knowledge(commands)
    _add_doctor(commands)


def _add_tasks(commands: Any) -> None:
    tasks = commands.add_parser("tasks", help="list, show or check tasks").add_subparsers(
        dest="what", required=True, metavar="WHAT"
    )
    for name, text in (
        ("list", "all tasks and whether their data is here"),
        ("show", "one task, with a prompt as sent"),
        ("check", "look for faults in tasks' data"),
    ):
        one = tasks.add_parser(name, help=text, description=f"Print {text}." if name != "check" else CHECK)
        if name != "list":
            one.add_argument("names", metavar="NAMES", help="suites or suite/task, separated by commas, or all")
        add_own_tasks(one)
        if name == "show":
            add_language(one)
        one.set_defaults(call={"list": _tasks_list, "show": _tasks_show, "check": _tasks_check}[name])


def _add_data(commands: Any) -> None:
    data = commands.add_parser("data", help="see and bring the data of suites").add_subparsers(
        dest="what", required=True, metavar="WHAT"
    )
    status = data.add_parser("status", help="which files are here")
    pull = data.add_parser("pull", help="download a suite from its public home")
    pull.add_argument("suite", metavar="SUITE", help="name of a suite: see `tcm-eval data status`")
    bring = data.add_parser("import", help="take files from a folder, known by their sha256")
    bring.add_argument("folder", type=Path, metavar="FOLDER", help="looked through with all folders in it")
    for one, call in ((status, _data_status), (pull, _data_pull), (bring, _data_import)):
        add_data_root(one)
        one.set_defaults(call=call)


def _add_knowledge(commands: Any) -> None:
    what = commands.add_parser("knowledge", help="look into the knowledge base of herbs, formulas and patterns")
    verbs = what.add_subparsers(dest="what", required=True, metavar="WHAT")
    show = verbs.add_parser("show", help="print an entry by any of its names")
    show.add_argument("name", metavar="NAME", help="a herb, formula, pattern, disease or term, by any of its names")
    show.set_defaults(call=_knowledge_show)
    verbs.add_parser("check", help="look for faults in the knowledge base").set_defaults(call=_knowledge_check)


def _add_doctor(commands: Any) -> None:
    doctor = commands.add_parser("doctor", help="say what is installed, what is present and what is missing")
    add_data_root(doctor)
    doctor.set_defaults(call=_doctor)


def _tasks_list(args: argparse.Namespace) -> int:
    from harness.report.listing import tasks_text

    print(tasks_text(catalogue_of(args)))
    return DONE


def _tasks_show(args: argparse.Namespace) -> int:
    from harness.report.listing import task_text

    catalogue = catalogue_of(args)
    here, absent = catalogue.select(args.names.split(","))
    print("\n\n".join(task_text(catalogue, task, args.language) for task in [*here, *absent]))
    return DONE


def _tasks_check(args: argparse.Namespace) -> int:
    from harness.report.listing import checked

    catalogue = catalogue_of(args)
    here, absent = catalogue.select(args.names.split(","))
    text, good = checked(catalogue, here, absent)
    print(text)
    return DONE if good else NEGATIVE


def _data_status(args: argparse.Namespace) -> int:
    from harness.report.listing import data_text

    print(data_text(catalogue_of(args)))
    return DONE


def _data_pull(args: argparse.Namespace) -> int:
    from harness.acquire import pull

    return _brought(pull(catalogue_of(args), args.suite), "everything was here already")


def _data_import(args: argparse.Namespace) -> int:
    from harness.acquire import import_folder

    return _brought(import_folder(catalogue_of(args), args.folder), "everything was here already")


def _brought(paths: Sequence[Path], nothing: str) -> int:
    print("\n".join(str(path) for path in paths) or nothing)
    return DONE


def _knowledge_show(args: argparse.Namespace) -> int:
    from harness.knowledge.show import text

    print(text(args.name))
    return DONE


def _knowledge_check(_args: argparse.Namespace) -> int:
    from harness.report.listing import knowledge_text

    text, good = knowledge_text()
    print(text)
    return DONE if good else NEGATIVE


def _doctor(args: argparse.Namespace) -> int:
    from harness.report.listing import doctor_text

    text, good = doctor_text(catalogue_of(args))
    print(text)
    return DONE if good else NEGATIVE
