"""The built wheel works where there is no checkout: tasks and published numbers travel with it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import sysconfig
import venv
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def test_the_wheel_runs_outside_the_repository(tmp_path: Path) -> None:
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path / "dist")]
    subprocess.run(build, cwd=ROOT, check=True, capture_output=True)
    [wheel] = (tmp_path / "dist").glob("*.whl")
    home = tmp_path / "venv"
    venv.create(home, with_pip=True)
    pip = [
        str(home / "bin" / "python"),
        "-m",
        "pip",
        "install",
        "--quiet",
        "--no-deps",
        "--disable-pip-version-check",
        str(wheel),
    ]
    subprocess.run(pip, check=True, capture_output=True)
    # the packages it depends on come from here; this checkout itself does not, for .pth files are not read from PYTHONPATH
    environment = {**os.environ, "PYTHONPATH": sysconfig.get_path("purelib")}
    command = [
        str(home / "bin" / "tcm-eval"),
        "run",
        "--model",
        "guess",
        "--tasks",
        "tcm_core/single_choice",
        "--limit",
        "5",
        "--quiet",
        "--json",
    ]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["summary"]["tasks"]["tcm_core/single_choice"]["accuracy"]["n"] == 5
    board = subprocess.run(
        [command[0], "leaderboard"], cwd=tmp_path, env=environment, capture_output=True, text=True, check=True
    )
    assert "guess" in board.stdout
    assert list(home.rglob("published/tcm_ladder.yaml")), "published numbers travel with the wheel"
    where = subprocess.run(
        [str(home / "bin" / "python"), "-c", "import harness; print(harness.__file__)"],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    assert str(home) in where.stdout, "the installed package was tried, not the checkout"
