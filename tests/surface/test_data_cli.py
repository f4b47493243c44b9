"""Data on the command line: checked before anything is asked, imported and pulled by sha256."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.conftest import TASK, make_suite
from tests.support.chat_server import said, serving
from tests.support.sides import Call
from tests.support.small_runs import RUN


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
    asked = ("run", "--model", "guess", "--tasks", "mtcmb/ed_a,mtcmb/se_a,tcm_best4sdt")
    code, out, _ = tcm_eval(*asked, "--output", tmp_path / "r", "--quiet", "--json")
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
