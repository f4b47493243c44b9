"""The command line as such: its options, its lists, and what it says to words it does not know."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from harness.cli import main, parser
from tests.support.sides import Call

ROOT = Path(__file__).resolve().parents[2]


def test_help_imports_nothing_heavy() -> None:
    heavy = [
        "numpy",
        "pydantic",
        "yaml",
        "aiohttp",
        "orjson",
        "rich",
        "torch",
        "transformers",
        "openai",
        "anthropic",
        "pandas",
        "matplotlib",
    ]
    code = f"import sys; from harness.cli import parser; parser().format_help(); print([m for m in {heavy!r} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert done.stdout.strip() == "[]"


def test_the_surface_is_frozen() -> None:
    """A command or option that comes or goes is a decision: change the list beside this test in the same commit."""
    import argparse

    def options(one: argparse.ArgumentParser, path: str) -> list[str]:
        lines = []
        for action in one._actions:
            if isinstance(action, argparse._SubParsersAction):
                for name, inner in action.choices.items():
                    lines += [f"{path} {name}", *options(inner, f"{path} {name}")]
            elif action.dest != "help":
                lines.append(f"{path} {'/'.join(action.option_strings) or action.dest}")
        return lines

    found = "\n".join(options(parser(), "tcm-eval")) + "\n"
    frozen = Path(__file__).with_name("commands.txt")
    assert found == frozen.read_text("utf-8"), "the command line changed: update tests/surface/commands.txt on purpose"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["run", "--modle", "guess", "--tasks", "tcm_core"], "unknown option --modle. Did you mean --model?"),
        (
            ["run", "--model", "guess", "--tasks", "tcm_core", "--lim", "3"],
            "unknown option --lim. Did you mean --limit?",
        ),
        (["run", "--model", "guess", "--tasks", "tcm_core", "--temperature", "-1"], "'-1' is no number from 0"),
        (["run", "--model", "guess", "--tasks", "tcm_core", "--top-p", "2"], "no number above 0 and up to 1"),
        (["run", "--model", "guess", "--tasks", "tcm_core", "--timeout", "0"], "'0' is no number above 0"),
    ],
)
def test_a_wrong_option_is_one_line_that_names_it_and_where_help_is(
    words: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(words)
    first, second = capsys.readouterr().err.splitlines()
    assert ended.value.code == 2
    assert message in first
    assert second == "See `tcm-eval run --help`."


def test_more_names_than_models_are_refused(tcm_eval: Call) -> None:
    code, _, err = tcm_eval("run", "--model", "guess", "--tasks", "tcm_core", "--name", "a", "--name", "b", "--dry-run")
    assert code == 2
    assert "2 --name for 1 --model" in err


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (("run", "--model", "gues", "--tasks", "tcm_core"), "Did you mean: guess"),
        (("run", "--model", "sever/x", "--tasks", "tcm_core"), "Did you mean: server"),
        (("run", "--model", "server/", "--tasks", "tcm_core"), "the part after '/' is empty"),
        (("run", "--model", "server", "--tasks", "tcm_core"), "add the model's name after '/'"),
        (("run", "--model", "guess", "--tasks", "tcm_cor"), "Did you mean: tcm_core"),
        (("run", "--model", "guess", "--tasks", "mtcmb"), "tcm-eval data pull mtcmb"),
        (("run", "--model", "guess", "--model-arg", "x", "--tasks", "tcm_core"), "expected KEY=VALUE"),
        (
            ("run", "--model", "guess", "--model-arg", "x=1", "--tasks", "tcm_core"),
            "unknown setting of provider echo 'x'",
        ),
        (("run", "--model", "echo/gues", "--tasks", "tcm_core"), "choose one of echo/guess"),
        (("run", "--model", "bencao", "--tasks", "tcm_core"), "only its published numbers"),
        (("run", "--model", "replay/none.jsonl", "--tasks", "tcm_core"), "cannot read the answers"),
        (("run", "--model", "guess", "--tasks", "tcm_core", "--limit", "0"), "no whole number from 1"),
        (("run", "--model", "server/x", "--tasks", "tcm_core"), "Give --base-url"),
        (
            ("run", "--model", "server/x", "--base-url", "http://127.0.0.1:9/v1", "--tasks", "tcm_core"),
            "cannot be reached",
        ),
        (("run", "--model", "guess", "--tasks", "all", "--strict"), "the data of these tasks is not here"),
        (("run", "--model", "guess", "--tasks", "own", "--task-path", "nowhere"), "no task YAML there"),
        (("leaderboard", "--output", "nowhere"), "no runs in"),
        (("score", "nowhere"), "unknown run 'nowhere'"),
        (("tasks", "show", "tcm_corr"), "Did you mean: tcm_core"),
        (("data", "pull", "mtcm"), "Did you mean: mtcmb"),
        (("data", "import", "nowhere"), "is no folder"),
        (("nonsense",), "unknown value 'nonsense'. Choose one of: run, "),
    ],
)
def test_bad_input_is_one_clear_message(tcm_eval: Call, args: tuple[str, ...], message: str) -> None:
    code, _, err = tcm_eval(*args)
    assert message in err
    assert code in (2, 3), "usage errors end with 2, what could not be reached with 3"


def test_models_doctor_and_lists_say_what_is_there(tcm_eval: Call) -> None:
    code, out, _ = tcm_eval("models", "list")
    assert code == 0 and "ladder-base" in out and "server" in out
    assert tcm_eval("doctor")[0] == 0
    code, out, _ = tcm_eval("tasks", "list")
    assert code == 0 and "mtcmb/ed_a" in out and "absent" in out
    assert main(["--version"]) == 0


def test_doctors_columns_stand_below_one_another_whatever_a_suite_is_called(tcm_eval: Call) -> None:
    lines = [line for line in tcm_eval("doctor")[1].splitlines() if line.startswith(("extra ", "suite "))]
    begins = {re.match(r"\w+ \w+ +", line) for line in lines}
    assert any("tcm_best4sdt" in line for line in lines), "a long name"
    assert len({found.end() for found in begins if found}) == 1 and None not in begins


def test_shots_seed_and_the_way_to_ask_reach_the_run_as_they_were_given(suite: Path, tmp_path: Path) -> None:
    asked = ["--tasks", "own", "--task-path", str(suite), "--shots", "2", "--seed", "7", "--ask", "letter"]
    assert main(["run", "--model", "echo/first", *asked, "--output", str(tmp_path / "out"), "--quiet"]) == 0
    [manifest] = (tmp_path / "out" / "runs").glob("*/manifest.json")
    style = json.loads(manifest.read_text("utf-8"))["style"]
    assert [style[name] for name in ("shots", "seed", "ask", "own_max_tokens")] == [2, 7, "letter", None]
