"""Every command that a page shows is one that the command line takes."""

from __future__ import annotations

import argparse
import re
import shlex
from pathlib import Path

import pytest

from harness.cli import parser

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), *ROOT.glob("docs/ci/*.yml"), ROOT / "Makefile"])
COMMAND = re.compile(r"(?<![\w/=-])tcm-eval ([a-z][^\n`)\"]*)")


def shown(page: Path) -> list[str]:
    """Return the commands of a page without `tcm-eval`, a line or a code span each, comments left out."""
    text = page.read_text("utf-8").replace("\\\n", " ").replace("\\|", "|")
    if page.suffix == ".md":
        fenced = re.findall(r"^```\w*\n(.*?)^```", text, re.S | re.M)
        spans = re.findall(r"`(tcm-eval [^`\n]+)`", re.sub(r"^```.*?^```", "", text, flags=re.S | re.M))
        text = "\n".join([*(re.sub(r"(?m)(^|\s)#.*", "", one) for one in fenced), *spans])
    return [re.split(r"\s+#|;", found)[0].strip() for found in COMMAND.findall(text)]


def known(words: list[str]) -> str:
    """Return what of a command is not known to the command line; "" when all of it is."""
    one: argparse.ArgumentParser = parser()
    for word in words:
        inner = next((a for a in one._actions if isinstance(a, argparse._SubParsersAction)), None)
        if inner is not None:
            alternatives = word.split("|")
            if missing := [name for name in alternatives if name not in inner.choices]:
                return f"no command {missing[0]}"
            one = inner.choices[alternatives[0]]
        elif word.startswith("--") and word.partition("=")[0] not in one._option_string_actions:
            return f"{one.prog} has no option {word}"
    return ""


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_command_of_a_page_is_known(page: Path) -> None:
    wrong = [(command, said) for command in shown(page) if (said := known(shlex.split(command.replace("'", ""))))]
    assert not wrong


def test_the_pages_show_commands_of_every_family() -> None:
    families = {command.split()[0].partition("|")[0] for page in PAGES for command in shown(page)}
    commands = next(a for a in parser()._actions if isinstance(a, argparse._SubParsersAction))
    assert families == set(commands.choices)
