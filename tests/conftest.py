"""Fixtures that several tests share: a small suite on disk, and a way to run the command line in this process."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from harness.cli import main

# A shell starts jobs in the background with Ctrl-C ignored, and so would every process that a test starts and interrupts.
if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# What a test may lack even in CI; whatever else is skipped there is a hole in the installation.
MAY_LACK = ("TCM-SE-A.jsonl is not here", "CUDA device")


def pytest_sessionfinish(session: pytest.Session) -> None:
    """In CI a test that is skipped for want of something that `make setup-dev` installs is a failure."""
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if "CI" not in os.environ or reporter is None:
        return
    reasons = {str(report.longrepr) for report in reporter.stats.get("skipped", []) if not hasattr(report, "wasxfail")}
    holes = sorted(reason for reason in reasons if not any(allowed in reason for allowed in MAY_LACK))
    if holes:
        reporter.write_line("\nskipped, though CI must run all: " + "; ".join(holes), red=True)
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


QUESTIONS = [
    ("人参", "补气药"),
    ("当归", "补血药"),
    ("麦冬", "补阴药"),
    ("鹿茸", "补阳药"),
    ("石膏", "清热泻火药"),
    ("麻黄", "发散风寒药"),
]
CLASSES = ["补气药", "补血药", "补阴药", "补阳药", "清热泻火药", "发散风寒药"]
DISCIPLINES = ["Pharmacognosy", "Fundamentals"]


def choice_rows(count: int) -> list[dict[str, object]]:
    """Return choice questions whose right letter goes round; every one has another stem."""
    rows: list[dict[str, object]] = []
    for i in range(count):
        herb, right = QUESTIONS[i % len(QUESTIONS)]
        wrong = [c for c in CLASSES if c != right]
        letters = "ABCDE"
        place = i % 5
        texts = [*wrong[:place], right, *wrong[place:4]]
        split = "train" if i % 4 == 3 else "test"
        rows.append(
            {
                "id": f"q{i}",
                "question": f"第{i}题：{herb}属于",
                "options": dict(zip(letters, texts, strict=True)),
                "answer": letters[place],
                "discipline": DISCIPLINES[i % 2],
                "split": split,
            }
        )
    return rows


TASK = """type: single_choice
data: [choice.jsonl]
columns:
  id: id
  question: question
  options: { form: dict, column: options }
  discipline: { column: discipline }
split: { column: split }
"""


@pytest.fixture
def suite(tmp_path: Path) -> Path:
    """A folder with one task of 40 choice questions, 30 of them in the test split."""
    return make_suite(tmp_path / "own", 40)


def make_suite(folder: Path, count: int, task: str = TASK) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "choice.yaml").write_text(task, "utf-8")
    (folder / "choice.jsonl").write_text(
        "".join(json.dumps(r, ensure_ascii=False) + "\n" for r in choice_rows(count)), "utf-8"
    )
    return folder


@pytest.fixture(autouse=True)
def _own_data_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No test reads or writes the user's own data folder."""
    monkeypatch.setenv("TCM_EVAL_DATA", str(tmp_path / "data"))
    monkeypatch.delenv("TCM_EVAL_BASE_URL", raising=False)


@pytest.fixture
def real_data() -> Path | None:
    """The folder of real third-party items where there is one, else None."""
    stated = os.environ.get("TCM_EVAL_REAL_DATA")
    folder = Path(stated) if stated else Path(__file__).resolve().parents[2] / "shared" / "data"
    return folder if folder.is_dir() else None


@pytest.fixture
def tcm_eval(capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str, str]]:
    """Run a command in this process; give (exit code, what it printed, what it said on stderr)."""

    def call(*args: object) -> tuple[int, str, str]:
        capsys.readouterr()
        try:
            code = main([str(a) for a in args])
        except SystemExit as stop:  # argparse's own way out
            code = int(stop.code or 0)
        said = capsys.readouterr()
        assert "Traceback" not in said.err + said.out
        return code, said.out, said.err

    return call
