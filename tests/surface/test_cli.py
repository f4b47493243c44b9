"""The command line: what it prints, how it ends, and what it says to bad input."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from harness.cli import main, parser
from tests.conftest import TASK, make_suite
from tests.support.chat_server import Reply, said, serving

Call = Callable[..., tuple[int, str, str]]
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


def test_a_run_prints_a_table_and_its_folder_and_json_as_the_last_line(
    tcm_eval: Call, suite: Path, tmp_path: Path
) -> None:
    code, out, err = tcm_eval(
        "run",
        "--model",
        "guess",
        "--model",
        "echo/first",
        "--tasks",
        "own",
        "--task-path",
        suite,
        "--output",
        tmp_path / "r",
        "--json",
    )
    assert code == 0
    assert "own/choice  accuracy" in out and "by chance" in out and "95% interval" in out
    assert "30 questions in 1 task" in err
    *_, first, second = out.strip().splitlines()
    runs = [json.loads(line) for line in (first, second)]
    assert [r["summary"]["subject"]["name"] for r in runs] == ["guess", "echo/first"]
    for one in runs:
        assert (Path(one["run"]) / "summary.json").is_file() and one["summary"]["schema"] == 1
    code, out, err = tcm_eval("leaderboard", "--output", tmp_path / "r", "--format", "markdown")
    assert code == 0 and "| 1. " in out and "PUBLISHED BY OTHERS" in out


def test_quiet_prints_nothing(tcm_eval: Call, suite: Path, tmp_path: Path) -> None:
    assert tcm_eval(
        "run", "--model", "guess", "--tasks", "own", "--task-path", suite, "--output", tmp_path, "--quiet"
    ) == (0, "", "")


def test_scoring_again_gives_the_same_summary(tcm_eval: Call, suite: Path, tmp_path: Path) -> None:
    _, out, _ = tcm_eval(
        "run", "--model", "guess", "--tasks", "own", "--task-path", suite, "--output", tmp_path, "--json", "--quiet"
    )
    first = json.loads(out)
    code, out, _ = tcm_eval("score", first["run"], "--json")
    assert code == 0 and json.loads(out) == first


RUN = ("run", "--model", "guess", "--tasks", "own")


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
        (("score", "nowhere"), "does not exist"),
        (("tasks", "show", "tcm_corr"), "Did you mean: tcm_core"),
        (("data", "pull", "mtcm"), "Did you mean: mtcmb"),
        (("data", "import", "nowhere"), "is no folder"),
        (("nonsense",), "invalid choice"),
    ],
)
def test_bad_input_is_one_clear_message(tcm_eval: Call, args: tuple[str, ...], message: str) -> None:
    code, _, err = tcm_eval(*args)
    assert message in err
    assert code in (2, 3), "usage errors end with 2, what could not be reached with 3"


def faulty(folder: Path, change: Callable[[str], str]) -> Path:
    suite = make_suite(folder / "own", 10)
    data = suite / "choice.jsonl"
    data.write_text(change(data.read_text("utf-8")), "utf-8")
    return suite


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t: t.replace('"answer": "B"', '"answer": "G"'), "choice.jsonl:2: the answer 'G' is no option"),
        (lambda t: t.replace("{", "", 1), "choice.jsonl:1: malformed row"),
        (lambda t: "", "no items in"),
        (lambda t: t.replace('"q1"', '"q0"'), "id 'q0' stands twice"),
    ],
)
def test_bad_data_is_found_before_anything_is_asked(
    tcm_eval: Call, tmp_path: Path, change: Callable[[str], str], message: str
) -> None:
    code, _, err = tcm_eval(*RUN, "--task-path", faulty(tmp_path, change), "--output", tmp_path / "r")
    assert code == 2 and message in err and not list((tmp_path / "r").glob("runs/*/records.jsonl"))


def test_an_unknown_metric_is_named_with_the_nearest(tcm_eval: Call, tmp_path: Path) -> None:
    suite = make_suite(tmp_path / "own", 5, TASK + "metrics: [acuracy]\n")
    code, _, err = tcm_eval(*RUN, "--task-path", suite, "--output", tmp_path / "r")
    assert code == 2 and "Did you mean: accuracy" in err


@pytest.mark.parametrize(("status", "message"), [(401, "the key was refused"), (404, "no model 'mock'")])
def test_a_refused_key_and_an_unknown_model_stop_the_run(
    tcm_eval: Call, suite: Path, tmp_path: Path, status: int, message: str
) -> None:
    with serving(lambda _s, _n: Reply(status, {"error": {"message": "no"}})) as server:
        code, _, err = tcm_eval(
            "run",
            "--model",
            "server/mock",
            "--base-url",
            server.url,
            "--tasks",
            "own",
            "--task-path",
            suite,
            "--output",
            tmp_path,
        )
    assert code == 3 and message in err and len(server.posts()) <= 64


def test_some_failed_calls_make_the_run_incomplete_and_the_next_one_whole(
    tcm_eval: Call, suite: Path, tmp_path: Path
) -> None:
    broken = {"on": True}

    def answer(seen: object, _n: int) -> Reply:
        asked = str(getattr(seen, "body", {})["messages"])
        return (
            Reply(400, {"error": {"message": "never this one"}})
            if broken["on"] and "第2题" in asked
            else said("答案：A")
        )

    with serving(answer) as server:
        command = (
            "run",
            "--model",
            "server/mock",
            "--base-url",
            server.url,
            "--tasks",
            "own",
            "--task-path",
            suite,
            "--output",
            tmp_path,
        )
        code, out, _ = tcm_eval(*command)
        assert code == 3 and "INCOMPLETE: " in out and "29 ok, 1 failed" in out
        before, broken["on"] = len(server.posts()), False
        code, out, _ = tcm_eval(*command)
        assert code == 0 and len(server.posts()) == before + 1, "only the failed one is asked again"


def test_a_results_folder_that_cannot_be_written_is_one_message(tcm_eval: Call, suite: Path, tmp_path: Path) -> None:
    (tmp_path / "r").write_text("a file is in the way")
    code, _, err = tcm_eval(*RUN, "--task-path", suite, "--output", tmp_path / "r")
    assert code == 2 and "is a file. Name a folder" in err
    (tmp_path / "d").mkdir()
    (tmp_path / "d" / "runs").write_text("here too")
    code, _, err = tcm_eval(*RUN, "--task-path", suite, "--output", tmp_path / "d")
    assert code == 3 and "cannot write" in err


def test_a_run_without_its_records_is_not_scored_to_nothing(tcm_eval: Call, suite: Path, tmp_path: Path) -> None:
    tcm_eval(*RUN, "--task-path", suite, "--output", tmp_path / "r")
    [records] = (tmp_path / "r").glob("runs/*/records.jsonl")
    before = (records.parent / "summary.json").read_bytes()
    records.unlink()
    code, _, err = tcm_eval("score", records.parent)
    assert code == 3 and "records.jsonl" in err and (records.parent / "summary.json").read_bytes() == before


def test_a_second_writer_is_turned_away(tcm_eval: Call, suite: Path, tmp_path: Path) -> None:
    from harness.store import Writer

    tcm_eval(*RUN, "--task-path", suite, "--output", tmp_path / "r")
    [records] = (tmp_path / "r").glob("runs/*/records.jsonl")
    with Writer(records):
        code, _, err = tcm_eval(*RUN, "--task-path", suite, "--output", tmp_path / "r")
    assert code == 2 and "is being written by another tcm-eval" in err


def test_ctrl_c_keeps_everything_and_says_so(suite: Path, tmp_path: Path) -> None:
    with serving(lambda _s, _n: Reply(200, said("答案：A").body, delay=0.05)) as server:
        command = [
            sys.executable,
            "-m",
            "harness.cli",
            "run",
            "--model",
            "server/mock",
            "--base-url",
            server.url,
            "--tasks",
            "own",
        ]
        command += ["--task-path", str(suite), "--output", str(tmp_path / "r"), "--concurrency", "1"]
        process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, cwd=ROOT, env={**os.environ})
        deadline = time.monotonic() + 60
        while len(server.posts()) < 4 and time.monotonic() < deadline:
            time.sleep(0.01)
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=30)
    assert process.returncode == 130 and "interrupted. All answers so far are kept" in err and "Traceback" not in err
    [records] = (tmp_path / "r").glob("runs/*/records.jsonl")
    assert records.read_bytes().count(b"\n") >= 3


def test_own_data_of_a_user_is_checked_and_asked_without_code(tcm_eval: Call, suite: Path) -> None:
    code, out, _ = tcm_eval("tasks", "check", "own", "--task-path", suite)
    assert (code, out.strip()) == (0, "own/choice: 0 errors, 0 warnings")
    code, out, _ = tcm_eval("tasks", "show", "own/choice", "--task-path", suite)
    assert code == 0 and "30 test, 10 train" in out and "第0题：人参属于" in out and "--- key" in out


def test_check_finds_conflicting_keys_equal_options_and_leaks(tcm_eval: Call, tmp_path: Path) -> None:
    def spoil(text: str) -> str:
        rows = [json.loads(line) for line in text.splitlines()]
        rows[1] = {**rows[0], "id": "q1", "answer": "C"}
        rows[2]["options"]["B"] = rows[2]["options"]["A"]
        rows[4] = {**rows[0], "id": "q4", "split": "train"}
        return "".join(json.dumps(r, ensure_ascii=False) + "\n" for r in rows)

    code, out, _ = tcm_eval("tasks", "check", "own", "--task-path", faulty(tmp_path, spoil))
    assert code == 1
    assert "conflicting keys [q0, q1, q4]" in out and "equal options [q2]" in out and "leak between splits" in out


def test_real_files_are_imported_by_their_sha256_and_asked(
    tcm_eval: Call, real_data: Path | None, tmp_path: Path
) -> None:
    if real_data is None:
        source = tmp_path / "none"
        source.mkdir()
        assert tcm_eval("data", "import", source)[0] == 2
        return
    code, out, _ = tcm_eval("data", "import", real_data)
    assert code == 0 and out.count("\n") == 5
    code, out, _ = tcm_eval(
        "run",
        "--model",
        "guess",
        "--tasks",
        "mtcmb/ed_a,mtcmb/se_a,tcm_best4sdt",
        "--output",
        tmp_path / "r",
        "--quiet",
        "--json",
    )
    assert code == 0
    tasks = json.loads(out)["summary"]["tasks"]
    assert tasks["mtcmb/ed_a"]["accuracy"]["n"] == 1200 and tasks["tcm_best4sdt/basic_single"]["accuracy"]["n"] == 88
    assert tasks["mtcmb/ed_a"]["accuracy"]["low"] < 0.2 < tasks["mtcmb/ed_a"]["accuracy"]["high"], (
        "a guesser is at chance"
    )


def test_a_changed_file_is_refused_by_import(tcm_eval: Call, tmp_path: Path) -> None:
    folder = tmp_path / "mtcmb"
    folder.mkdir()
    (folder / "TCM-SE-A.jsonl").write_text("{}\n")
    code, _, err = tcm_eval("data", "import", tmp_path)
    assert code == 2 and "it was changed or is another version" in err


@pytest.mark.parametrize(
    ("models", "message"), [([], "tcm-eval data import FOLDER"), (["x"], "sha256 .* expected aaaaaaaaaaaa.*not kept")]
)
def test_a_pull_that_fails_leaves_nothing_and_says_what_to_do(tmp_path: Path, models: list[str], message: str) -> None:
    from harness.acquire import pull
    from harness.errors import HarnessError
    from harness.suites import Catalogue

    with serving(lambda _s, _n: said("x"), models=models) as server:
        suite = make_suite(tmp_path / "mine", 5)
        address = server.url.replace("/v1", "/file.jsonl")
        (suite / "suite.yaml").write_text(
            f"name: mine\ntitle: t\nlicence: CC0\nfiles:\n  choice.jsonl:\n    sha256: {'a' * 64}\n    url: {address}\n"
        )
        (suite / "choice.jsonl").unlink()
        with pytest.raises(HarnessError, match=message):
            pull(Catalogue([suite]), "mine")
        assert not (suite / "choice.jsonl").exists()


def test_a_pull_brings_the_stated_file(tmp_path: Path) -> None:
    import hashlib

    from harness.acquire import pull
    from harness.suites import Catalogue

    with serving(lambda _s, _n: said("x")) as server:
        body = json.dumps({"data": [{"id": "mock", "owned_by": "test"}]}).encode()
        suite = make_suite(tmp_path / "mine", 5)
        address = server.url.replace("/v1", "/file.jsonl")
        digest = hashlib.sha256(body).hexdigest()
        (suite / "suite.yaml").write_text(
            f"name: mine\ntitle: t\nlicence: CC0\nfiles:\n  choice.jsonl:\n    sha256: {digest}\n    url: {address}\n"
        )
        (suite / "choice.jsonl").unlink()
        [path] = pull(Catalogue([suite]), "mine")
        assert path.read_bytes() == body and pull(Catalogue([suite]), "mine") == []


def test_models_doctor_and_lists_say_what_is_there(tcm_eval: Call) -> None:
    code, out, _ = tcm_eval("models", "list")
    assert code == 0 and "ladder-base" in out and "server" in out
    assert tcm_eval("doctor")[0] == 0
    code, out, _ = tcm_eval("tasks", "list")
    assert code == 0 and "mtcmb/ed_a" in out and "absent" in out
    assert main(["--version"]) == 0


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (("sample,text\nq0," + "药" * 200_000 + "\n").encode(), "field larger than"),
        ("sample,text\nq0,选甲\n".encode("gbk"), "malformed row"),
    ],
)
def test_answers_collected_elsewhere_that_cannot_be_read_are_one_message(
    tcm_eval: Call, suite: Path, tmp_path: Path, data: bytes, said: str
) -> None:
    (tmp_path / "a.csv").write_bytes(data)
    asked = ("run", "--model", f"replay/{tmp_path / 'a.csv'}", "--tasks", "own", "--task-path", suite)
    code, _, err = tcm_eval(*asked, "--output", tmp_path / "r")
    assert code == 2 and said in err and "JSON lines in UTF-8" in err
