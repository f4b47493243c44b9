"""The leaderboard's notes say only what its tables show, and no two rows have one name."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from harness.report.chosen import chosen
from harness.report.leaderboard import build
from harness.report.results import Published, published, published_root
from harness.tables import Name
from tests.conftest import make_suite

Make = Callable[[dict[str, tuple[float, int]]], list[Path]]
Call = Callable[..., tuple[int, str, str]]
TASK = "type: single_choice\ndata: [choice.jsonl]\ncolumns:\n  id: id\n  question: question\n  options: { form: dict, column: options }\n  answer: answer\n  discipline: { constant: Surgery }\n"


def test_published_numbers_stand_only_below_runs_of_their_suite(runs: Make, tmp_path: Path, tcm_eval: Call) -> None:
    everyone = published(published_root())
    ladder, _ = chosen(runs({"one": (0.5, 1)}))
    assert [table.kind for table in build(ladder, everyone)].count("published") > 0
    suite, output = make_suite(tmp_path / "own", 8, TASK), tmp_path / "other"
    assert tcm_eval("run", "--model", "guess", "--tasks", "own", "--task-path", suite, "--output", output)[0] == 0
    other, _ = chosen([output])
    assert all(table.kind != "published" for table in build(other, everyone))


def test_rows_of_one_name_are_told_apart_in_every_table(runs: Make) -> None:
    found, _ = chosen(runs({"one": (0.5, 1), "two": (0.6, 1)}))
    same = [replace(r, summary={**r.summary, "subject": {**r.summary["subject"], "name": "one"}}) for r in found]
    for table in build(same):
        assert len({name.bare if isinstance(name, Name) else name for name, _ in table.rows}) == 2, table.title


def test_the_sign_of_digitised_numbers_is_explained_only_where_it_stands(runs: Make) -> None:
    found, _ = chosen(runs({"one": (0.5, 1)}))
    stated = Published("A", "tcm_ladder", "accuracy", {"mean": 0.5}, {"mean": "published"}, "B", False, "")
    read = replace(stated, how={"mean": "digitised"})
    [table] = [one for one in build(found, [stated]) if one.kind == "published"]
    assert not any("~" in note for note in table.notes)
    [table] = [one for one in build(found, [read]) if one.kind == "published"]
    assert any("~ digitised" in note for note in table.notes)


def test_equal_means_have_equal_ranks_and_the_next_stands_below_both(runs: Make) -> None:
    found, _ = chosen(runs({"low": (0.3, 1), "high": (0.9, 1)}))
    [low], [high] = ([run for run in found if run.name == name] for name in ("low", "high"))
    twin = replace(high, summary={**high.summary, "subject": {**high.summary["subject"], "name": "twin"}})
    by_task = build([low, high, twin])[0]
    assert [str(name) for name, _ in by_task.rows] == ["1. high", "1. twin", "3. low"]


def test_a_run_whose_records_are_gone_or_damaged_is_shown_with_a_note_that_says_so(runs: Make, tcm_eval: Call) -> None:
    one, two, three, four = runs({"one": (0.5, 1), "two": (0.6, 1), "three": (0.7, 1), "whole": (0.8, 1)})
    output = one.parent.parent
    assert tcm_eval("leaderboard", "--output", output)[2] == "", "whole records need no word"
    (one / "records.jsonl").unlink()
    lines = (two / "records.jsonl").read_bytes().splitlines(keepends=True)
    (two / "records.jsonl").write_bytes(b"".join([*lines[:4], lines[4][:-20] + b"\n", *lines[5:]]))
    text = (three / "records.jsonl").read_bytes()
    (three / "records.jsonl").write_bytes(text[: len(text) // 2])
    code, shown, notes = tcm_eval("leaderboard", "--output", output)
    assert code == 0 and all(name in shown for name in ("one", "two", "three", "whole"))
    said = {name: line for name in (one, two, three) for line in notes.splitlines() if line.startswith(f"{name}: ")}
    assert "is gone" in said[one] and "is damaged (line 5)" in said[two] and " of at least " in said[three]
    assert all("cannot be scored again" in line for line in said.values()) and str(four) not in notes
    assert chosen([output])[1] == notes.splitlines(), "exports say it too"


def test_a_torn_last_line_behind_all_answers_is_no_damage(runs: Make, tcm_eval: Call) -> None:
    (one,) = runs({"one": (0.5, 1)})
    with (one / "records.jsonl").open("ab") as file:
        file.write(b'{"schema":1,"key":"0')
    assert tcm_eval("leaderboard", "--output", one.parent.parent)[2] == ""


def test_a_run_that_lost_answers_keeps_its_scores_until_they_are_asked_again(tmp_path: Path, tcm_eval: Call) -> None:
    suite, output = make_suite(tmp_path / "own", 24), tmp_path / "results"
    command = ("run", "--model", "guess", "--tasks", "own", "--task-path", suite, "--output", output, "--quiet")
    assert tcm_eval(*command)[0] == 0
    (run,) = (output / "runs").iterdir()
    scores, summary = (run / "scores.jsonl").read_bytes(), (run / "summary.json").read_bytes()
    lines = (run / "records.jsonl").read_bytes().splitlines(keepends=True)
    (run / "records.jsonl").write_bytes(b"".join(lines[:5]))
    code, out, said = tcm_eval("score", run)
    assert (code, out) == (3, "") and f"holds 5 answers, but the run was scored by {len(lines)}" in said
    assert (run / "scores.jsonl").read_bytes() == scores and (run / "summary.json").read_bytes() == summary
    assert tcm_eval(*command)[0] == 0, "the command asks what is missing"
    assert (run / "scores.jsonl").read_bytes() == scores


def test_a_leaderboard_without_a_finished_run_says_why(tmp_path: Path, tcm_eval: Call) -> None:
    suite, output = make_suite(tmp_path / "own", 8), tmp_path / "results"
    assert tcm_eval("run", "--model", "guess", "--tasks", "own", "--task-path", suite, "--output", output)[0] == 0
    (run,) = (output / "runs").iterdir()
    (run / "manifest.json").write_text('{"schema": 0}', "utf-8")
    code, out, said = tcm_eval("leaderboard", "--output", output)
    assert (code, out) == (2, "") and "nothing to show" in said and "Read it with the version that wrote it" in said
