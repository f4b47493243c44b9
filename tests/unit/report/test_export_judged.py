"""A judged run: what its judges said of an answer goes to the site and into other tools' formats, whole and as text."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import pytest

from harness.judging import judge
from harness.pipeline import export
from harness.report.export.trackers import check_lines, copy_files
from harness.report.results import Run, load_run
from tests.support.chat_server import serving
from tests.support.judged import RUBRIC, answered, judges
from tests.support.judges import by_words, judging


@pytest.fixture
def run(tmp_path: Path) -> Iterator[Run]:
    done = answered(tmp_path)
    with serving(judging(by_words), ["j1", "j2"]) as server:
        judge(judges(done, server.url, "j1", "j2"))
    yield load_run(done.folder)


def scores(folder: Path) -> dict[str, Any]:
    """The scores of the first answer in the only log of a folder."""
    [log] = folder.glob("*.eval")
    with ZipFile(log) as archive:
        sample: dict[str, Any] = json.loads(archive.read("samples/d0_epoch_1.json"))
    return dict(sample["scores"])


def test_the_files_that_trackers_get_hold_the_judges_replies(run: Run, tmp_path: Path) -> None:
    names = ["manifest.json", "summary.json", "scores.jsonl", "records.jsonl", "judge.jsonl"]
    copies = copy_files(run, tmp_path / "copy")
    assert [path.name for path in copies] == names
    assert copies[-1].read_bytes() == (run.folder / "judge.jsonl").read_bytes()
    (run.folder / "judge.jsonl").unlink()
    assert [path.name for path in copy_files(run, tmp_path / "other")] == names[:-1]


def test_a_damaged_reply_of_a_judge_stops_the_export(run: Run) -> None:
    path = run.folder / "judge.jsonl"
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join([lines[0], b'{"torn\n', *lines[1:]]))
    with pytest.raises(Exception, match=r"judge\.jsonl:2"):
        check_lines([run])


def test_a_log_says_what_each_judge_said_of_each_point(run: Run, tmp_path: Path) -> None:
    export([run.folder], "inspect", tmp_path / "logs")
    told = scores(tmp_path / "logs")["judge_rubric"]
    first, second = told["metadata"]["judges"]
    assert [one["criterion"] for one in first["criteria"]] == list(RUBRIC)
    assert all(one["mark"] == 2 and one["reason"] == "理由" for one in first["criteria"])
    assert (first["judge"], second["judge"], first["meaning"], first["reason"]) == (
        "server/j1",
        "server/j2",
        10,
        "总评",
    )
    assert "server/j1: 2 of 2: 感冒: 理由" in told["explanation"]
    assert "judges" not in scores(tmp_path / "logs")["rouge_l"]["metadata"]
