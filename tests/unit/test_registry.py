"""Providers of other packages: one that works, and broken ones, which cost nothing but themselves."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
EXAMPLE = ROOT / "tests" / "support" / "example_provider"


def called(packages: Path, *args: object) -> subprocess.CompletedProcess[str]:
    """Run tcm-eval in a process that has these packages beside its own."""
    command = [sys.executable, "-m", "harness.cli", *map(str, args)]
    env = {**os.environ, "PYTHONPATH": os.pathsep.join((str(packages), str(ROOT)))}
    done = subprocess.run(command, capture_output=True, text=True, env=env, cwd=packages)
    assert "Traceback" not in done.stderr, done.stderr
    return done


def fake(folder: Path, name: str, points: str, code: str = "") -> Path:
    """Lay down an installed package by hand: what a wheel leaves of its entry points, and its module."""
    info = folder / f"{name.replace('-', '_')}-0.3.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 0.3\n", "utf-8")
    (info / "entry_points.txt").write_text(f"[tcm_eval.adapters]\n{points}\n", "utf-8")
    (folder / f"{name.replace('-', '_')}.py").write_text(code, "utf-8")
    return folder


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The example project, installed with pip from its source."""
    pytest.importorskip("hatchling")
    source = shutil.copytree(EXAMPLE, tmp_path_factory.mktemp("source") / "project")
    target = tmp_path_factory.mktemp("packages")
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-build-isolation", "--no-index"]
    done = subprocess.run([*pip, "--target", str(target), str(source)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return target


def test_a_provider_of_another_package_answers(installed: Path, suite: Path, tmp_path: Path) -> None:
    command = ("run", "--model", "herbalist/A", "--tasks", "own", "--task-path", suite, "--output", tmp_path / "r")
    done = called(installed, *command, "--model-arg", "politely=true", "--quiet", "--json")
    assert done.returncode == 0, done.stderr
    summary = json.loads(done.stdout.splitlines()[-1])["summary"]
    assert summary["subject"]["identity"]["greeting"] == "您好。"
    assert summary["tasks"]["own/choice"]["accuracy"]["mean"] == 6 / 30 and summary["usage"]["tokens_out"] == 120


def test_its_settings_its_errors_and_its_name_are_treated_like_ours(installed: Path, suite: Path) -> None:
    run = ("run", "--tasks", "own", "--task-path", suite)
    wrong = called(installed, *run, "--model", "herbalist/A", "--model-arg", "politly=1")
    assert wrong.returncode == 2 and "Did you mean: politely?" in wrong.stderr
    wrong = called(installed, *run, "--model", "herbalist/Z")
    assert wrong.returncode == 2 and "a letter from A to E" in wrong.stderr
    wrong = called(installed, *run, "--model", "herbalst/A")
    assert wrong.returncode == 2 and "Did you mean: herbalist?" in wrong.stderr
    assert "herbalist" in called(installed, "models", "list").stdout
    assert "provider herbalist (package tcm-eval-herbalist 1.2) installed" in called(installed, "doctor").stdout


@pytest.mark.parametrize(
    ("points", "code", "message"),
    [
        ("acme = acme_pack:build", "import no_such_module", "ModuleNotFoundError: No module named 'no_such_module'"),
        ("acme = acme_pack:build", "raise SystemExit('bye')", "SystemExit: bye"),
        ("acme = acme_pack:Missing", "", "has no attribute 'Missing'"),
        ("acme = acme_pack", "x = 1", "it has no function build"),
        ("acme = other_module:build", "", "No module named 'other_module'"),
    ],
)
def test_a_broken_package_is_named_when_it_is_used_and_costs_nothing_else(
    tmp_path: Path, suite: Path, points: str, code: str, message: str
) -> None:
    packages = fake(tmp_path / "packages", "acme-pack", points, code)
    run = ("run", "--tasks", "own", "--task-path", suite, "--output", tmp_path / "r", "--limit", "2", "--quiet")
    done = called(packages, *run, "--model", "acme/x")
    assert done.returncode == 2 and done.stderr.count("\n") == 1
    assert "'acme' of package acme-pack 0.3" in done.stderr and message in done.stderr
    assert called(packages, *run, "--model", "guess").returncode == 0
    assert called(packages, "models", "list").returncode == 0
    found = called(packages, "doctor")
    assert found.returncode == 0 and message in found.stdout


def test_what_a_package_builds_must_be_a_model(tmp_path: Path, suite: Path) -> None:
    packages = fake(tmp_path / "p", "acme-pack", "acme = acme_pack:build", "def build(model): return 3")
    done = called(packages, "run", "--tasks", "own", "--task-path", suite, "--model", "acme/x")
    assert done.returncode == 2 and "provider acme built a int, which is no model" in done.stderr


def test_no_package_takes_a_name_of_ours(tmp_path: Path, suite: Path) -> None:
    packages = fake(tmp_path / "p", "acme-pack", "echo = acme_pack:build", "raise SystemExit('taken over')")
    run = ("run", "--tasks", "own", "--task-path", suite, "--output", tmp_path / "r", "--limit", "2", "--quiet")
    done = called(packages, *run, "--model", "echo/first")
    assert done.returncode == 0 and "taken over" not in done.stderr
    assert "package acme-pack 0.3 offers a provider 'echo', a name that tcm-eval itself has" in done.stderr
    assert "a name that tcm-eval itself has" in called(packages, "doctor").stdout


def test_two_packages_of_one_name_are_both_named(tmp_path: Path, suite: Path) -> None:
    packages = fake(tmp_path / "p", "acme-pack", "acme = acme_pack:build")
    fake(packages, "zeta-pack", "acme = zeta_pack:build")
    done = called(packages, "run", "--tasks", "own", "--task-path", suite, "--model", "acme/x")
    assert done.returncode == 2 and "package acme-pack 0.3 and package zeta-pack 0.3 both offer" in done.stderr
