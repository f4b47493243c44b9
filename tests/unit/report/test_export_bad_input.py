"""Exports of damaged, unfinished and hostile runs, and onto a full disk: one message, and what was there stays."""

from __future__ import annotations

import csv
import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from harness.tables import printable
from tests.browser.runs import two_runs

ROOT = Path(__file__).resolve().parents[3]
Call = Callable[..., tuple[int, str, str]]
PLAIN = ("csv", "parquet", "lm-eval", "model-index", "inspect")
OF_LINES = ("csv", "parquet", "inspect", "wandb", "mlflow")
"""The forms that hold a run's answers, so that a damaged line matters to them."""


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return two_runs(tmp_path_factory.mktemp("two"))


@pytest.fixture
def results(made: Path, tmp_path: Path) -> Path:
    """A copy of two finished runs that a test may damage."""
    return Path(shutil.copytree(made, tmp_path / "results"))


def run_of(results: Path, name: str) -> Path:
    return next((results / "runs").glob(f"*{name}*"))


def files(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def damage_a_record(run: Path) -> None:
    path = run / "records.jsonl"
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join([*lines[:4], b'{"torn\n', *lines[5:]]))


def damage_a_score(run: Path) -> None:
    path = run / "scores.jsonl"
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join([*lines[:4], b"[1, 2]\n", *lines[5:]]))


def other_line_schema(run: Path) -> None:
    path = run / "scores.jsonl"
    path.write_text(path.read_text("utf-8").replace('"schema":1', '"schema":7', 1), "utf-8")


@pytest.mark.parametrize("to", OF_LINES)
@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (damage_a_record, "records.jsonl:5: this line is damaged"),
        (damage_a_score, "Score the run again: tcm-eval score "),
        (other_line_schema, "scores.jsonl:1: schema 7, but this version of tcm-eval reads schema 1"),
    ],
)
def test_a_damaged_line_is_named_and_the_older_export_stays(
    tcm_eval: Call, results: Path, tmp_path: Path, to: str, damage: Callable[[Path], None], message: str
) -> None:
    out = tmp_path / "out"
    if to in PLAIN:
        assert tcm_eval("export", results, "--to", to, "--output", out)[0] == 0
    before = files(out)
    damage(run_of(results, "Mallory"))
    code, said, err = tcm_eval("export", results, "--to", to, "--output", out)
    assert code == 2 and message in err and said == "" and err.count("\n") == 1
    assert files(out) == before and out.exists() == (to in PLAIN)


@pytest.mark.parametrize("to", PLAIN)
def test_runs_without_an_end_and_of_another_schema_are_left_out_and_named(
    tcm_eval: Call, results: Path, tmp_path: Path, to: str
) -> None:
    (run_of(results, "Mallory") / "summary.json").unlink()
    code, said, err = tcm_eval("export", results, "--to", to, "--output", tmp_path / "out")
    assert code == 0 and "Mallory" not in said and "Mallory" in err and "unfinished: run its command again" in err
    code, _, err = tcm_eval("export", run_of(results, "Mallory"), "--to", to, "--output", tmp_path / "other")
    assert code == 3 and "the run is unfinished" in err
    manifest = run_of(results, "7B") / "manifest.json"
    manifest.write_text(json.dumps({**json.loads(manifest.read_text("utf-8")), "schema": 9}), "utf-8")
    before = files(tmp_path / "out")
    code, _, err = tcm_eval("export", results, "--to", to, "--output", tmp_path / "out")
    assert code == 2 and "no finished run" in err and "schema 9" in err
    assert files(tmp_path / "out") == before and not (tmp_path / "other").exists()


@pytest.mark.parametrize("to", PLAIN)
def test_two_subjects_of_one_name_stay_apart(tcm_eval: Call, results: Path, tmp_path: Path, to: str) -> None:
    for run in (results / "runs").iterdir():
        summary = json.loads((run / "summary.json").read_text("utf-8"))
        summary["subject"]["name"] = "twin"
        (run / "summary.json").write_text(json.dumps(summary), "utf-8")
    code, said, _ = tcm_eval("export", results, "--to", to, "--output", tmp_path / "out")
    assert code == 0
    if to == "csv":
        with (tmp_path / "out" / "scores.csv").open(newline="", encoding="utf-8") as file:
            rows = [(row["run"], row["model"]) for row in csv.DictReader(file)]
        assert {model for _, model in rows} == {"twin"} and len({run for run, _ in rows}) == 2
    elif to != "parquet":
        assert len(said.split()) == len(set(said.split())) == {"inspect": 4}.get(to, 2)


@pytest.mark.parametrize("to", ("csv", "lm-eval", "wandb"))
def test_two_runs_of_one_folder_name_are_refused(tcm_eval: Call, results: Path, tmp_path: Path, to: str) -> None:
    other = shutil.copytree(results, tmp_path / "other")
    code, _, err = tcm_eval("export", results, other, "--to", to, "--output", tmp_path / "out")
    assert code == 2 and "two runs have the same folder name" in err and str(other) in err
    assert not (tmp_path / "out").exists()


FULL = """
import resource, signal, sys
from harness.cli import main
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (700, 700))
results, out = sys.argv[1:3]
for to in sys.argv[3:]:
    for folder in (f"{out}/{to}", f"{out}/{to}-new"):
        code = main(["export", results, "--to", to, "--output", folder])
        sys.stderr.write(f"{to} {code}\\n")
"""
"""No file may become larger than 700 bytes: to a writer the disk is full then."""


def test_a_full_disk_is_one_message_and_the_older_export_stays(tcm_eval: Call, results: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    for to in PLAIN:
        assert tcm_eval("export", run_of(results, "7B"), "--to", to, "--output", out / to)[0] == 0
    before = files(out)
    done = subprocess.run(
        [sys.executable, "-c", FULL, str(results), str(out), *PLAIN], capture_output=True, text=True, cwd=ROOT
    )
    said = done.stderr.splitlines()
    assert said[1::2] == [f"{to} 3" for to in PLAIN for _ in range(2)], done.stderr
    assert all("cannot write the export" in line and "File too large" in line for line in said[::2])
    assert files(out) == before and sorted(path.name for path in out.iterdir()) == sorted(PLAIN)


def test_a_place_that_cannot_be_written_is_one_message(tcm_eval: Call, results: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    code, _, err = tcm_eval("export", results, "--to", "csv", "--output", tmp_path / "file")
    assert code == 2 and f"{tmp_path / 'file'} is a file. Name a folder" in err
    for to in PLAIN:
        code, _, err = tcm_eval("export", results, "--to", to, "--output", tmp_path / "file" / "below")
        assert code == 3 and "cannot write the export" in err
    (tmp_path / "out" / "scores.csv").mkdir(parents=True)
    code, _, err = tcm_eval("export", results, "--to", "csv", "--output", tmp_path / "out")
    assert code == 3 and "Is a directory" in err


def test_a_missing_library_is_named_with_what_brings_it(
    tcm_eval: Call, results: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for to, package, extra in (
        ("parquet", "pandas", "data"),
        ("wandb", "wandb", "wandb"),
        ("mlflow", "mlflow", "mlflow"),
    ):
        monkeypatch.setitem(sys.modules, package, None)
        code, _, err = tcm_eval("export", results, "--to", to, "--output", tmp_path / "out")
        assert code == 2 and f"pip install 'tcm-eval[{extra}]'" in err and not (tmp_path / "out").exists()


def test_hostile_answers_and_names_are_harmless_in_every_text_form(
    tcm_eval: Call, results: Path, tmp_path: Path
) -> None:
    """Formulas, escapes and direction overrides; the name of one run and some of its answers are attacks."""
    run = run_of(results, "Mallory")
    lines = (run / "records.jsonl").read_text("utf-8").splitlines(keepends=True)
    planted = ["=cmd|' /C calc'!A0", "＝1+1", "\t@SUM(A1)", "+1+1", "-2+3", "\x1b]8;;http://x\x07=A1"]
    for i, text in enumerate(planted, 10):
        row = json.loads(lines[i])
        row["response"]["text"] = text
        lines[i] = json.dumps(row, ensure_ascii=False) + "\n"
    (run / "records.jsonl").write_text("".join(lines), "utf-8")
    for to in ("csv", "lm-eval", "model-index"):
        code, said, err = tcm_eval("export", results, "--to", to, "--output", tmp_path / to)
        assert code == 0 and printable(said.replace("\n", "")) + err == said.replace("\n", "")
        for file in (tmp_path / to).iterdir():
            assert not set("\x1b\x07\u202e\u200b\u2028\x00").intersection(file.read_text("utf-8")), file
    before = csv.field_size_limit(10_000_000)  # of the whole process
    with (tmp_path / "csv" / "answers.csv").open(newline="", encoding="utf-8") as file:
        texts = {row["text"] for row in csv.DictReader(file)}
    assert texts.issuperset({"'=cmd|' /C calc'!A0", "'＝1+1", "' @SUM(A1)", "'+1+1", "'-2+3", "'=A1"})
    for name in ("estimates", "disciplines", "scores", "answers"):
        with (tmp_path / "csv" / f"{name}.csv").open(newline="", encoding="utf-8") as file:
            for row in csv.reader(file):
                assert not any(cell.lstrip()[:1] in tuple("=@＝＋－＠") for cell in row if cell)
    csv.field_size_limit(before)
    card = yaml.safe_load(next((tmp_path / "model-index").glob("*Mallory*")).read_text("utf-8"))
    assert card["model-index"][0]["name"] == "<b>Mallory</b>"
