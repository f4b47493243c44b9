"""Standard output that nobody reads to its end, that is full, closed or of an old encoding: never a traceback."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.support.sides import Call, replayed

TCM_EVAL = f"{sys.executable} -m harness.cli"


def shell(command: str, **environment: str) -> tuple[int, str, str]:
    """Return exit code, standard output and error of a line for bash."""
    found = subprocess.run(
        ["bash", "-o", "pipefail", "-c", command], capture_output=True, text=True, env={**os.environ, **environment}
    )
    return found.returncode, found.stdout, found.stderr


def in_words(*words: object) -> str:
    return " ".join([TCM_EVAL, *(f"'{word}'" for word in words)])


@pytest.mark.parametrize("words", [("run", "--help"), ("knowledge", "show", "黄芪"), ("tasks", "list")])
def test_a_reader_that_goes_away_is_no_error(words: Sequence[str]) -> None:
    # the reader is gone before the first word is written
    code, _, said = shell(f"( sleep 0.5; {in_words(*words)} ) | true")
    assert (code, said) == (0, "")


def test_a_gate_that_nobody_reads_keeps_its_verdict(tcm_eval: Call, suite: Path, tmp_path: Path) -> None:
    old = replayed(tcm_eval, tmp_path, suite, "old", {})
    worse = replayed(tcm_eval, tmp_path, suite, "worse", dict.fromkeys(range(30), "答案：不知道"))
    code, _, said = shell(f"( sleep 0.5; {in_words('gate', '--baseline', old, '--candidate', worse)} ) 2>&1 | true")
    assert (code, said) == (1, "")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full here")
def test_an_output_that_is_full_is_one_message_and_exit_code_3() -> None:
    code, _, said = shell(f"{in_words('knowledge', 'show', '黄芪')} > /dev/full")
    assert code == 3
    assert said == "tcm-eval: cannot write to <stdout>: No space left on device\n"


def test_an_output_that_is_closed_is_no_error() -> None:
    assert shell(f"{in_words('tasks', 'list')} >&-") == (0, "", "")


def test_what_an_encoding_lacks_is_written_as_an_escape() -> None:
    code, shown, said = shell(in_words("knowledge", "show", "甘草"), PYTHONIOENCODING="ascii")
    assert (code, said) == (0, "")
    assert "\\u7518\\u8349" in shown and shown.isascii()


def test_a_machine_without_a_language_shows_chinese_all_the_same() -> None:
    code, shown, said = shell(in_words("knowledge", "show", "甘草"), LC_ALL="C")
    assert (code, said) == (0, "") and "甘草" in shown


def test_json_in_an_old_encoding_is_still_json(suite: Path, tmp_path: Path) -> None:
    asked = (
        "run",
        "--model",
        "guess",
        "--name",
        "随机",
        "--tasks",
        "own",
        "--task-path",
        suite,
        "--output",
        tmp_path,
        "--json",
    )
    code, shown, _ = shell(in_words(*asked, "--quiet"), PYTHONIOENCODING="ascii")
    assert code == 0 and json.loads(shown)["summary"]["subject"]["name"] == "随机"
