"""compare, gate and baseline from the command line, and the ready workflows."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.conftest import make_suite
from tests.support.sides import Call, replayed

ROOT = Path(__file__).resolve().parents[2]
LOST: dict[int, str | None] = dict.fromkeys(range(0, 40, 2), "答案：不知道")


@pytest.fixture
def big_suite(tmp_path: Path) -> Path:
    """300 test questions: enough for a margin of 0.05."""
    return make_suite(tmp_path / "own", 400)


def asking(suite: Path, tmp_path: Path) -> tuple[object, ...]:
    return ("--task-path", suite, "--output", tmp_path / "results")


# ------------------------------------------------------------------ compare


def test_compare_takes_names_folders_and_baseline_files(tcm_eval: Call, suite: Path, tmp_path: Path) -> None:
    old, new = replayed(tcm_eval, tmp_path, suite, "old", {}), replayed(tcm_eval, tmp_path, suite, "new", LOST)
    file = tmp_path / "b.json"
    assert tcm_eval("baseline", "set", old, file)[0] == 0
    said = []
    for first in (old, old.name, file):
        code, out, _ = tcm_eval("compare", first, new.name, "--output", tmp_path / "results")
        assert code == 0
        said.append(out)
    assert said[0] == said[1] == said[2]
    assert "new is worse than old on own/choice (accuracy)" in said[0]


@pytest.mark.parametrize("form", ["table", "markdown", "csv", "json", "latex"])
def test_compare_has_every_form_for_any_number_of_candidates(
    tcm_eval: Call, suite: Path, tmp_path: Path, form: str
) -> None:
    runs = [
        replayed(tcm_eval, tmp_path, suite, name, wrong)
        for name, wrong in (("a", {}), ("b", LOST), ("c", {2: "答案：E"}))
    ]
    code, out, _ = tcm_eval("compare", *runs, "--format", form)
    assert code == 0
    if form == "json":
        assert [one["candidate"]["name"] for one in json.loads(out)["comparisons"]] == ["b", "c"]
    else:
        assert "b (" in out.replace("\\", "")
        assert "c (" in out.replace("\\", "")


def test_compare_refuses_runs_that_were_asked_otherwise_unless_forced(
    tcm_eval: Call, suite: Path, tmp_path: Path
) -> None:
    for extra in ((), ("--temperature", 0.5), ("--limit", 20)):
        assert tcm_eval("run", "--model", "echo/guess", "--tasks", "own", *asking(suite, tmp_path), *extra)[0] == 0
    runs = sorted((tmp_path / "results" / "runs").iterdir(), key=lambda p: (p / "manifest.json").stat().st_mtime)
    code, out, err = tcm_eval("compare", runs[0], runs[1])
    assert (code, out) == (2, "")
    assert "temperature 0 -> 0.5" in err
    code, out, _ = tcm_eval("compare", runs[0], runs[1], "--force")
    assert code == 0
    assert "FORCED" in out
    code, out, _ = tcm_eval("compare", runs[0], runs[2], "--force", "--format", "json")
    (effect,) = json.loads(out)["comparisons"][0]["effects"]
    assert effect["differs"] == ["limit not stated -> 20@0"]
    assert len(effect["unpaired"]["asked of the baseline only"]) == 10


def test_compare_says_what_is_wrong_with_its_input(tcm_eval: Call, suite: Path, tmp_path: Path) -> None:
    run = replayed(tcm_eval, tmp_path, suite, "old", {})
    cases = [
        (("compare", run), 2, "required: B"),
        (("compare", run, tmp_path / "none"), 2, "unknown run"),
        (("compare", run, tmp_path / "none.json"), 2, "does not exist"),
        (("compare", run, suite), 2, "is no run folder"),
    ]
    for command, expected, said in cases:
        code, out, err = tcm_eval(*command)
        assert (code, out) == (expected, ""), command
        assert said in err
    (run / "summary.json").unlink()
    assert tcm_eval("compare", run, run)[0] == 3


# ------------------------------------------------------------------ gate


def test_the_five_exit_codes(tcm_eval: Call, big_suite: Path, tmp_path: Path) -> None:
    old = replayed(tcm_eval, tmp_path, big_suite, "old", {}, 400)
    worse = replayed(tcm_eval, tmp_path, big_suite, "worse", dict.fromkeys(range(0, 160, 2), "不知道"), 400)
    unsure = replayed(tcm_eval, tmp_path, big_suite, "unsure", dict.fromkeys(range(0, 20, 2), "不知道"), 400)
    gaps = replayed(tcm_eval, tmp_path, big_suite, "gaps", {0: None}, 400)
    gate = ("gate", "--baseline", old, "--candidate")
    assert tcm_eval(*gate, old)[0] == 0
    assert tcm_eval(*gate, worse)[0] == 1
    assert tcm_eval(*gate, tmp_path / "none")[0] == 2
    assert tcm_eval(*gate, gaps)[0] == 3
    assert tcm_eval(*gate, unsure)[0] == 4
    assert tcm_eval(*gate, unsure, "--inconclusive", "pass")[0] == 0
    assert tcm_eval(*gate, unsure, "--inconclusive", "fail")[0] == 1
    code, out, _ = tcm_eval(*gate, gaps, "--inconclusive", "pass")
    assert code == 3
    assert "(exit code 3)" in out


def test_the_gate_asks_a_model_what_the_baseline_was_asked(tcm_eval: Call, big_suite: Path, tmp_path: Path) -> None:
    assert tcm_eval("run", "--model", "echo/guess", "--tasks", "own", *asking(big_suite, tmp_path))[0] == 0
    (run,) = (tmp_path / "results" / "runs").iterdir()
    file = tmp_path / "b.json"
    assert tcm_eval("baseline", "set", run, file)[0] == 0
    code, out, _ = tcm_eval("gate", "--baseline", file, "--model", "echo/guess", *asking(big_suite, tmp_path))
    assert code == 0
    assert "pass: own/choice (accuracy)" in out
    reports = {form: tmp_path / f"gate.{form}" for form in ("junit", "markdown", "json")}
    options = [text for form, path in reports.items() for text in (f"--{form}", path)]
    code, _, _ = tcm_eval(
        "gate", "--baseline", file, "--model", "echo/last-line", *asking(big_suite, tmp_path), *options
    )
    assert code == 1
    assert ET.parse(reports["junit"]).getroot().get("failures") == "2"
    assert "Answers that lost most" in reports["markdown"].read_text("utf-8")
    assert json.loads(reports["json"].read_text("utf-8"))["exit_code"] == 1


def test_a_run_that_could_not_be_gated_is_refused_before_its_first_question(
    tcm_eval: Call, suite: Path, tmp_path: Path
) -> None:
    run = replayed(tcm_eval, tmp_path, suite, "old", {})
    code, _, err = tcm_eval(
        "gate", "--baseline", run, "--model", "echo/guess", "--max-tokens", 7, *asking(suite, tmp_path)
    )
    assert code == 2
    assert "max tokens 1024 -> 7" in err
    (asked,) = (tmp_path / "results" / "runs").glob("echo-guess-*")
    assert (asked / "records.jsonl").read_bytes() == b""


def test_an_unfinished_candidate_still_gets_its_reports(tcm_eval: Call, suite: Path, tmp_path: Path) -> None:
    old, new = replayed(tcm_eval, tmp_path, suite, "old", {}), replayed(tcm_eval, tmp_path, suite, "new", LOST)
    (new / "summary.json").unlink()
    code, out, _ = tcm_eval("gate", "--baseline", old, "--candidate", new, "--junit", tmp_path / "g.xml")
    assert code == 3
    assert "unfinished" in out
    assert ET.parse(tmp_path / "g.xml").getroot().get("errors") == "2"


def test_the_gate_says_what_is_wrong_with_its_input(tcm_eval: Call, suite: Path, tmp_path: Path) -> None:
    run = replayed(tcm_eval, tmp_path, suite, "old", {})
    bad = tmp_path / "bad.yaml"
    bad.write_text("marigns: {default: 0.1}\n", "utf-8")
    newer = tmp_path / "newer.json"
    tcm_eval("baseline", "set", run, newer)
    newer.write_text(newer.read_text("utf-8").replace('"schema":1', '"schema":9'), "utf-8")
    torn = tmp_path / "torn.json"
    torn.write_text('{"schema":1,"kind":"tcm-eval base', "utf-8")
    cases: list[tuple[tuple[object, ...], str]] = [
        (("--baseline", tmp_path / "none.json", "--candidate", run), "tcm-eval baseline set RUN"),
        (("--baseline", newer, "--candidate", run), "schema 9"),
        (("--baseline", torn, "--candidate", run), "cannot be read"),
        (("--baseline", run, "--candidate", run, "--config", bad), "Did you mean 'margins'?"),
        (("--baseline", run, "--candidate", run, "--model", "echo/guess"), "not allowed with"),
        (("--baseline", run), "is required"),
        (("--baseline", run, "--candidate", run, "--inconclusive", "maybe"), "Choose one of: pass, fail"),
    ]
    for options, said in cases:
        code, out, err = tcm_eval("gate", *options)
        assert (code, out) == (2, ""), options
        assert said in err, options


def test_baseline_show_says_what_a_file_holds(tcm_eval: Call, suite: Path, tmp_path: Path) -> None:
    run = replayed(tcm_eval, tmp_path, suite, "old\x1b[31m", {2: "不知道"})
    file = tmp_path / "b.json"
    assert tcm_eval("baseline", "set", run, file)[0] == 0
    code, out, _ = tcm_eval("baseline", "show", file)
    assert code == 0
    assert "own/choice accuracy  0.967  30" in out
    assert "29 ok, 1 unparsed" in out
    assert "\x1b" not in out
    assert tcm_eval("baseline", "set", run, file)[0] == 2
    code, out, _ = tcm_eval("baseline", "update", run, file)
    assert code == 0
    assert "Wrote" in out


# ------------------------------------------------------------------ the ready workflows


def steps_of(name: str) -> dict[str, list[str]]:
    """The commands of each job of a ready workflow that call tcm-eval or follow it."""
    loaded = yaml.safe_load((ROOT / "docs" / "ci" / name).read_text("utf-8"))
    if name == "gitlab-ci.yml":
        # GitLab runs a job's lines as one script, each of which must succeed.
        return {job: ["\n".join(loaded[job]["script"])] for job in ("baseline", "gate")}
    return {
        job: [step["run"] for step in loaded["jobs"][job]["steps"] if "run" in step and "pip" not in step["run"]]
        for job in ("baseline", "gate")
    }


def variables_of(name: str) -> dict[str, str]:
    loaded: dict[str, Any] = yaml.safe_load((ROOT / "docs" / "ci" / name).read_text("utf-8"))
    found: dict[str, str] = loaded.get("env") or loaded["variables"]
    return found


def test_the_ready_workflows_parse_and_use_the_exit_codes() -> None:
    github = yaml.safe_load((ROOT / "docs" / "ci" / "github-actions.yml").read_text("utf-8"))
    always = [step for step in github["jobs"]["gate"]["steps"] if step.get("if") == "always()"]
    assert len(always) == 3, "answers, summary and reports are kept when the gate fails"
    gitlab = yaml.safe_load((ROOT / "docs" / "ci" / "gitlab-ci.yml").read_text("utf-8"))
    assert gitlab["gate"]["allow_failure"] == {"exit_codes": [4]}
    assert gitlab["gate"]["artifacts"]["reports"]["junit"] == "gate.xml"
    assert gitlab["gate"]["artifacts"]["when"] == "always"


@pytest.mark.parametrize("name", ["github-actions.yml", "gitlab-ci.yml"])
def test_the_ready_workflows_run(tmp_path: Path, name: str) -> None:
    """Their own commands, in a folder as a repository has it, with a model that needs no server."""
    (tmp_path / "ci").mkdir()
    (tmp_path / "ci" / "gate.yaml").write_text((ROOT / "docs" / "ci" / "gate.yaml").read_text("utf-8"), "utf-8")
    summary = tmp_path / "summary.md"
    settings = {**variables_of(name), "MODEL": "echo/guess", "TASKS": "tcm_core/single_choice"}
    settings |= {"GITHUB_STEP_SUMMARY": str(summary), "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}

    def play(job: str, model: str) -> list[int]:
        environment = {**os.environ, **settings, "MODEL": model, "PYTHONPATH": str(ROOT)}
        codes = []
        for step in steps_of(name)[job]:
            done = subprocess.run(
                ["bash", "-e", "-o", "pipefail", "-c", step],
                cwd=tmp_path,
                env=environment,
                capture_output=True,
                text=True,
            )
            assert "Traceback" not in done.stderr, done.stderr
            codes.append(done.returncode)
        return codes

    assert set(play("baseline", "echo/guess")) == {0}
    assert (tmp_path / "ci" / "baseline.json").is_file()
    assert set(play("gate", "echo/guess")) == {0}
    assert ET.parse(tmp_path / "gate.xml").getroot().get("failures") == "0"
    assert play("gate", "echo/last-line")[0] == 1
    said = summary if name == "github-actions.yml" else tmp_path / "gate.md"
    assert "regression" in said.read_text("utf-8")
    assert set(play("baseline", "echo/guess")) == {0}, "a second time the file is updated"
