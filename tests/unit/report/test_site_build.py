"""The site's files: what is written, and that nothing is overwritten when something is wrong."""

from __future__ import annotations

import json
import re
import resource
import shutil
import signal
import subprocess
import sys
import threading
import urllib.error
import urllib.request
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from harness.report.site import charts, open_server
from harness.report.site.shards import script
from tests.browser.runs import HOSTILE, two_runs

Call = Callable[..., tuple[int, str, str]]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return two_runs(tmp_path_factory.mktemp("runs"))


@pytest.fixture
def results(made: Path, tmp_path: Path) -> Path:
    """A copy of two finished runs that a test may damage."""
    return Path(shutil.copytree(made, tmp_path / "results"))


def bad_run(results: Path) -> Path:
    return next((results / "runs").glob("*Mallory*"))


def given(text: bytes) -> Any:
    """Return the value that a data script hands over, read as a browser reads it."""
    found = re.fullmatch(rb"TCM\.put\('([^']*)', '((?:[^'\\]|\\.)*)'\);\n", text, re.DOTALL)
    assert found is not None
    return json.loads(re.sub(rb"\\(.)", rb"\1", found[2]))


def files(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def test_a_script_gives_back_what_went_in_and_holds_nothing_that_could_end_it() -> None:
    text = HOSTILE + "\\' \u2029 & ]]> \u0000"
    code = script("a/b", {"text": text, "__proto__": "x"})
    assert given(code) == {"text": text, "__proto__": "x"}
    assert not re.search(b"[<>&]|\xe2\x80[\xa8\xa9]", code) and code.count(b"\n") == 1


def test_the_same_runs_give_the_same_bytes_and_replace_the_older_site(
    tcm_eval: Call, results: Path, tmp_path: Path
) -> None:
    code, out, _ = tcm_eval("leaderboard", "--output", results, "--site", tmp_path / "site")
    assert code == 0 and "2 runs, 66 answers" in out
    first = files(tmp_path / "site")
    (tmp_path / "site" / "stale.js").write_text("old", "utf-8")
    assert tcm_eval("leaderboard", "--output", results, "--site", tmp_path / "site")[0] == 0
    assert files(tmp_path / "site") == first
    assert sorted(p.name for p in tmp_path.iterdir()) == ["results", "site"]


def test_a_site_says_nothing_of_the_folders_of_the_machine(tcm_eval: Call, results: Path, tmp_path: Path) -> None:
    assert tcm_eval("leaderboard", "--output", results, "--site", tmp_path / "site")[0] == 0
    data = b"".join(text for name, text in files(tmp_path / "site").items() if name.startswith("data"))
    assert str(results.parent.parent).encode() not in data and b"task_paths" not in data


def test_a_folder_that_is_no_site_is_left_alone(tcm_eval: Call, results: Path, tmp_path: Path) -> None:
    mine = tmp_path / "mine"
    mine.mkdir()
    (mine / "thesis.txt").write_text("mine", "utf-8")
    code, _, err = tcm_eval("leaderboard", "--output", results, "--site", mine)
    assert code == 2 and "no site of tcm-eval: nothing was overwritten" in err
    assert files(mine) == {"thesis.txt": b"mine"}


def damage_line(run: Path) -> None:
    path = run / "records.jsonl"
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join([*lines[:4], b'{"torn\n', *lines[5:]]))


def other_line_schema(run: Path) -> None:
    path = run / "scores.jsonl"
    path.write_text(path.read_text("utf-8").replace('"schema":1', '"schema":7', 1), "utf-8")


def damage_score(run: Path) -> None:
    path = run / "scores.jsonl"
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join([*lines[:9], lines[9][:20] + b"\n", *lines[10:]]))


def other_record_schema(run: Path) -> None:
    path = run / "records.jsonl"
    lines = path.read_bytes().splitlines(keepends=True)
    lines[7] = lines[7].replace(b'"schema":1', b'"schema":2')
    path.write_bytes(b"".join(lines))


def lose_a_score(run: Path) -> None:
    path = run / "scores.jsonl"
    path.write_bytes(b"".join(path.read_bytes().splitlines(keepends=True)[1:]))


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (damage_line, "records.jsonl:5: this line is damaged"),
        (damage_score, "scores.jsonl:10: this line is damaged"),
        (other_record_schema, "records.jsonl:8: schema 2, but this version of tcm-eval reads schema 1"),
        (other_line_schema, "scores.jsonl:1: schema 7, but this version of tcm-eval reads schema 1"),
        (lose_a_score, "Score it again: tcm-eval score"),
    ],
)
def test_a_damaged_run_is_one_message_and_the_older_site_stays(
    tcm_eval: Call, results: Path, tmp_path: Path, damage: Callable[[Path], None], message: str
) -> None:
    site = tmp_path / "site"
    assert tcm_eval("leaderboard", "--output", results, "--site", site)[0] == 0
    before = files(site)
    damage(bad_run(results))
    code, _, err = tcm_eval("leaderboard", "--output", results, "--site", site)
    assert code == 2 and message in err
    assert files(site) == before and [p.name for p in tmp_path.iterdir() if p.name.startswith(".")] == []


def test_unfinished_runs_and_other_schemas_are_left_out_and_named(
    tcm_eval: Call, results: Path, tmp_path: Path
) -> None:
    (bad_run(results) / "summary.json").unlink()
    code, out, err = tcm_eval("leaderboard", "--output", results, "--site", tmp_path / "site")
    assert code == 0 and "1 run," in out and "Mallory" in err and "unfinished" in err
    left = given((tmp_path / "site" / "data" / "index.js").read_bytes())["left"]
    assert [one["reason"] for one in left] == ["unfinished: run its command again"]
    other = next(p for p in (results / "runs").iterdir() if "Mallory" not in p.name)
    manifest = json.loads((other / "manifest.json").read_text("utf-8"))
    (other / "manifest.json").write_text(json.dumps({**manifest, "schema": 9}), "utf-8")
    code, _, err = tcm_eval("leaderboard", "--output", results, "--site", tmp_path / "site")
    assert code == 2 and "no finished run" in err and "schema 9" in err


@pytest.mark.parametrize("name", ["manifest.json", "summary.json"])
@pytest.mark.parametrize("content", ["", '{"schema": 1, "run": ', "[]", '{"schema": 3}'])
def test_a_run_whose_manifest_or_summary_is_damaged_is_left_out_and_named(
    tcm_eval: Call, results: Path, tmp_path: Path, name: str, content: str
) -> None:
    (bad_run(results) / name).write_text(content, "utf-8")
    code, out, err = tcm_eval("leaderboard", "--output", results, "--site", tmp_path / "site")
    assert code == 0 and out.startswith("1 run,") and "Mallory" in err and name in err
    assert "Traceback" not in err


def test_two_subjects_of_one_name_stay_apart(tcm_eval: Call, results: Path, tmp_path: Path) -> None:
    for run in (results / "runs").iterdir():
        summary = json.loads((run / "summary.json").read_text("utf-8"))
        summary["subject"]["name"] = "twin"
        (run / "summary.json").write_text(json.dumps(summary), "utf-8")
    assert tcm_eval("leaderboard", "--output", results, "--site", tmp_path / "site")[0] == 0
    runs = given((tmp_path / "site" / "data" / "index.js").read_bytes())["runs"]
    assert [run["name"] for run in runs] == ["twin", "twin"] and len({run["id"] for run in runs}) == 2


def test_a_run_whose_questions_are_gone_is_shown_without_them(tcm_eval: Call, results: Path, tmp_path: Path) -> None:
    for run in (results / "runs").iterdir():
        manifest = json.loads((run / "manifest.json").read_text("utf-8"))
        (run / "manifest.json").write_text(json.dumps({**manifest, "task_paths": []}), "utf-8")
    code, out, err = tcm_eval("leaderboard", "--output", results, "--site", tmp_path / "site")
    assert code == 0 and "66 answers" in out and "shown without questions" in err


def test_a_full_disk_leaves_the_older_site_as_it_was(results: Path, tmp_path: Path, tcm_eval: Call) -> None:
    site = tmp_path / "site"
    assert tcm_eval("leaderboard", "--output", results, "--site", site)[0] == 0
    before = files(site)

    def small_files() -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, 200_000))

    command = [sys.executable, "-m", "harness.cli", "leaderboard", "--output", str(results), "--site", str(site)]
    done = subprocess.run(command, capture_output=True, text=True, preexec_fn=small_files)
    assert done.returncode == 3 and "cannot write the site" in done.stderr and "Traceback" not in done.stderr
    assert files(site) == before and [p.name for p in tmp_path.iterdir() if p.name.startswith(".")] == []


def test_a_served_site_answers_this_machine_only_and_sends_its_policy(tmp_path: Path) -> None:
    (tmp_path / "index.html").write_text("<!doctype html>", "utf-8")
    (tmp_path / "data").mkdir()
    with open_server(tmp_path, 0) as server:
        assert server.server_address[0] == "127.0.0.1"
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            base = f"http://127.0.0.1:{server.server_port}"
            with urllib.request.urlopen(base + "/") as page:
                assert "default-src 'none'" in page.headers["Content-Security-Policy"]
                assert page.headers["X-Content-Type-Options"] == "nosniff"
            for path, host, status in (("/data/", None, 404), ("/../passwd", None, 404), ("/", "evil.example", 403)):
                asked = urllib.request.Request(base + path, headers={"Host": host} if host else {})
                with pytest.raises(urllib.error.HTTPError) as refused:
                    urllib.request.urlopen(asked)
                assert refused.value.code == status
                refused.value.close()
        finally:
            server.shutdown()
            thread.join()


def test_a_taken_port_is_said_before_anything_is_built(tcm_eval: Call, results: Path, tmp_path: Path) -> None:
    with open_server(tmp_path, 0) as server:
        code, _, err = tcm_eval("view", "--output", results, "--port", server.server_port)
    assert code == 2 and "Choose another with --port" in err and not (results / "site").exists()


def test_view_builds_serves_and_ends_with_ctrl_c(results: Path) -> None:
    command = [sys.executable, "-m", "harness.cli", "view", "--output", str(results), "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert "66 answers" in process.stdout.readline()
        address = process.stdout.readline().split()[0]
        with urllib.request.urlopen(address + "data/index.js") as data:
            assert len(given(data.read())["runs"]) == 2
        process.send_signal(signal.SIGINT)
        assert process.wait(20) == 0


def test_without_the_chart_library_the_site_is_built_and_says_so(
    tcm_eval: Call, results: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(charts, "script", lambda: None)
    code, _, err = tcm_eval("leaderboard", "--output", results, "--site", tmp_path / "site")
    assert code == 0 and "tcm-eval[site]" in err and not (tmp_path / "site" / "vega.js").exists()
    assert given((tmp_path / "site" / "data" / "index.js").read_bytes())["charts"] is False


@pytest.mark.skipif(find_spec("vl_convert") is None, reason="pip install 'tcm-eval[site]' brings Vega")
def test_the_chart_library_names_its_makers_and_no_foreign_script(
    tcm_eval: Call, results: Path, tmp_path: Path
) -> None:
    assert tcm_eval("leaderboard", "--output", results, "--site", tmp_path / "site")[0] == 0
    script = (tmp_path / "site" / "vega.js").read_bytes()
    assert b"BSD-3-Clause" in script[:600] and len(script) < 1_500_000
    licence = (tmp_path / "site" / "vega.LICENSE.txt").read_text("utf-8")
    assert "Redistributions in binary form must reproduce" in licence and "Mike Bostock" in licence
    assert not re.search(rb"\bimport\s*[({*\"']|\bexport\s+(default|\{)", script), (
        "a plain script: modules do not load from file://"
    )
    assert given((tmp_path / "site" / "data" / "index.js").read_bytes())["charts"] is True
