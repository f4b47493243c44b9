"""One side of a comparison: from a run's folder, and from the small file that a repository keeps."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import orjson
import pytest

from harness.baseline import InvalidRun, Side, find, from_file, from_run, load, set_baseline, update_baseline, write
from harness.compare import compare_runs
from harness.errors import IncompleteError, UsageError
from tests.conftest import make_suite
from tests.support.sides import Call, bleu, column, one_task, replayed, side, task_scores


def changed(file: Path, **places: Any) -> Path:
    """Give a baseline file other content in its first task, or at the top (`top_...`)."""
    value = json.loads(file.read_text("utf-8"))
    for name, new in places.items():
        if name.startswith("top_"):
            value[name.removeprefix("top_")] = new
        elif name in ("values", "status"):
            value["tasks"][0]["columns"][0][name] = new
        else:
            value["tasks"][0][name] = new
    file.write_text(json.dumps(value), "utf-8")
    return file


def as_data(one: Side) -> Any:
    """A side without its folder, as plain comparable data."""
    return [
        (t.task, t.headline, list(t.places), list(t.clusters), list(t.answers),
         [(c.metric, c.comparison_id, list(c.values), list(c.status), {k: list(v) for k, v in c.parts.items()})
          for c in t.columns.values()])
        for t in one.tasks.values()
    ]  # fmt: skip


def test_a_run_and_its_baseline_file_are_one_side(tcm_eval: Call, suite: Path, tmp_path: Path) -> None:
    run = replayed(tcm_eval, tmp_path, suite, "some", {2: "答案：E", 4: "不知道"})
    file = tmp_path / "baseline.json"
    assert "Wrote" in set_baseline(run, file)
    assert as_data(from_file(file)) == as_data(from_run(run))
    assert from_file(file).tasks["own/choice"].columns["accuracy"].status[3] == "unparsed"
    assert from_file(file).folder is None
    assert load(run).folder == run


def test_pairing_works_when_the_old_run_is_gone(tcm_eval: Call, suite: Path, tmp_path: Path) -> None:
    old = replayed(tcm_eval, tmp_path, suite, "old", {})
    new = replayed(tcm_eval, tmp_path, suite, "new", dict.fromkeys(range(0, 16, 2), "答案：不知道"))
    direct = compare_runs(load(old), [load(new)])[0].effects[0].found
    set_baseline(old, tmp_path / "baseline.json")
    shutil.rmtree(old)
    assert compare_runs(load(tmp_path / "baseline.json"), [load(new)])[0].effects[0].found == direct
    assert direct.lost == 8


def test_repeats_clusters_gaps_and_sufficient_statistics_survive_the_file(tmp_path: Path) -> None:
    values = [0.1 + 0.2, None, 1.0, 0.0, 1 / 3, None]
    rich = task_scores(
        "own/choice",
        column("own/choice", "char_f1", values, status={1: "failed", 3: "refused", 5: "unscored"}),
        clusters=[0, 0, 1, 1, 2, 2],
    )
    object.__setattr__(
        rich, "places", [("甲", 0, 0), ("甲", 1, 0), ("乙", 0, 0), ("乙", 0, 3), ("丙", 0, 0), ("丁", 0, 0)]
    )
    object.__setattr__(rich, "answers", ["A", None, "补气；健脾", None, None, None])
    whole = side("rich", rich, *bleu("b", ["补气健脾", "清热"]).tasks.values())
    write(tmp_path / "b.json", whole)
    assert as_data(from_file(tmp_path / "b.json")) == as_data(whole)


def test_the_file_is_small_and_has_a_line_a_task(tmp_path: Path) -> None:
    ids = [f"sc-{row:05}" for row in range(5000)]
    scores = task_scores("own/one", column("own/one", "accuracy", [float(row % 3 == 0) for row in range(5000)]))
    object.__setattr__(scores, "places", [(name, 0, 0) for name in ids])
    write(tmp_path / "b.json", side("big", scores, task_scores("own/two", column("own/two", "accuracy", [1.0]))))
    text = (tmp_path / "b.json").read_text("utf-8")
    assert len(text) < 5000 * 14
    assert len(text.splitlines()) == 4


def test_a_damaged_file_is_named_with_its_fault_and_a_way_out(tmp_path: Path) -> None:
    good = one_task("good", [1, 0, 1])
    faults: list[tuple[dict[str, Any], str]] = [
        ({"values": [1, 0]}, "2 accuracy for 3 samples"),
        ({"samples": ["s0", "s0", "s2"]}, "a sample stands there twice"),
        ({"values": [1, 0, None]}, "sample 's2' is ok, but its accuracy is not a number"),
        ({"status": {"failed": [1]}}, "sample 's1' is failed, but its accuracy is 0"),
        ({"status": {"failed": [9]}}, "a status of a sample that is not there"),
        ({"status": {"gone": [1]}}, "status"),
        ({"headline": "bleu4"}, "no scores of its headline metric bleu4"),
        ({"extra": 1}, "Extra inputs"),
        ({"clusters": [0]}, "1 clusters for 3 samples"),
        ({"top_tasks": [{}]}, "tasks.0.task"),
    ]
    for fault, said in faults:
        write(tmp_path / "b.json", good)
        with pytest.raises(UsageError) as refused:
            from_file(changed(tmp_path / "b.json", **fault))
        assert said in str(refused.value), fault
        assert "is damaged" in str(refused.value)
        assert refused.value.exit_code == 2


def test_two_metrics_of_one_name_or_two_tasks_of_one_name_are_damage(tmp_path: Path) -> None:
    file = tmp_path / "b.json"
    write(file, one_task("good", [1, 0, 1]))
    columns = json.loads(file.read_text("utf-8"))["tasks"][0]["columns"]
    with pytest.raises(UsageError, match="a metric is named twice: accuracy, accuracy"):
        from_file(changed(file, columns=columns * 2))
    write(file, one_task("good", [1, 0, 1]))
    tasks = json.loads(file.read_text("utf-8"))["tasks"]
    with pytest.raises(UsageError, match="a task stands there twice"):
        from_file(changed(file, top_tasks=tasks * 2))


def test_nan_in_a_baseline_file_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "b.json"
    write(file, one_task("good", [1, 0, 1]))
    file.write_text(file.read_text("utf-8").replace("[1,0,1]", "[1,NaN,1]"), "utf-8")
    with pytest.raises(UsageError, match="cannot be read"):
        from_file(file)
    file.write_text(file.read_text("utf-8").replace("NaN", "1e999"), "utf-8")
    with pytest.raises(UsageError, match=r"cannot be read|finite"):
        from_file(file)


def test_a_torn_missing_foreign_or_newer_file_says_what_it_is(tmp_path: Path) -> None:
    file = tmp_path / "b.json"
    with pytest.raises(UsageError, match=r"does not exist\. Make one: tcm-eval baseline set RUN"):
        from_file(file)
    write(file, one_task("good", [1, 0, 1]))
    whole = file.read_bytes()
    file.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(UsageError, match="cannot be read"):
        from_file(file)
    file.write_bytes(whole.replace(b'"schema":1', b'"schema":2'))
    with pytest.raises(UsageError, match="schema 2, but this version of tcm-eval reads schema 1"):
        from_file(file)
    file.write_text('{"schema": 1, "tasks": {}}', "utf-8")
    with pytest.raises(UsageError, match="is no baseline file"):
        from_file(file)


def test_an_unfinished_run_is_incomplete_and_a_folder_without_a_run_is_misuse(
    tcm_eval: Call, suite: Path, tmp_path: Path
) -> None:
    run = replayed(tcm_eval, tmp_path, suite, "some", {})
    (run / "summary.json").unlink()
    with pytest.raises(IncompleteError, match="the run is unfinished"):
        load(run)
    with pytest.raises(UsageError, match="is no run folder"):
        load(tmp_path)


def test_scores_that_contradict_the_run_are_invalid(tcm_eval: Call, suite: Path, tmp_path: Path) -> None:
    run = replayed(tcm_eval, tmp_path, suite, "some", {})
    path = run / "scores.jsonl"
    lines = path.read_bytes().splitlines(keepends=True)
    without_value = orjson.dumps({**orjson.loads(lines[0]), "value": None}) + b"\n"
    faults = [
        (lines[:-1], "29 scores of accuracy, but 30 answers were asked for"),
        ([*lines, lines[0]], "two scores of accuracy"),
        ([without_value, *lines[1:]], "is ok, but its accuracy is not a number"),
        ([lines[0].replace(b'"value":1.0', b'"value":NaN'), *lines[1:]], "damaged"),
        ([b"{}\n", *lines[1:]], "damaged"),
        ([line.replace(b'"accuracy"', b'"option_f1"') for line in lines], "scored by option_f1, but the manifest says accuracy"),
    ]  # fmt: skip
    for content, said in faults:
        path.write_bytes(b"".join(content))
        with pytest.raises(InvalidRun) as refused:
            from_run(run)
        assert said in str(refused.value)
        assert f"tcm-eval score {run}" in str(refused.value)
        assert refused.value.exit_code == 3
    path.unlink()
    with pytest.raises(InvalidRun, match="does not exist"):
        from_run(run)


def test_set_never_replaces_a_file_and_update_says_what_changes(tcm_eval: Call, suite: Path, tmp_path: Path) -> None:
    old = replayed(tcm_eval, tmp_path, suite, "old", {})
    new = replayed(tcm_eval, tmp_path, suite, "new", dict.fromkeys(range(0, 40, 2), "不知道"))
    file = tmp_path / "b.json"
    with pytest.raises(UsageError, match=r"does not exist\. To make it: tcm-eval baseline set"):
        update_baseline(old, file)
    set_baseline(old, file)
    before = file.read_bytes()
    with pytest.raises(UsageError, match=r"exists already\. To replace it: tcm-eval baseline update"):
        set_baseline(new, file)
    assert file.read_bytes() == before
    said = update_baseline(new, file)
    assert "new (" in said
    assert "in place of old" in said
    assert from_file(file).name == "new"
    file.write_text("{", "utf-8")
    assert "could not be read" in update_baseline(old, file)
    assert from_file(file).name == "old"


def test_an_update_by_a_run_that_was_asked_otherwise_says_so(tcm_eval: Call, suite: Path, tmp_path: Path) -> None:
    file = tmp_path / "b.json"
    set_baseline(replayed(tcm_eval, tmp_path, suite, "old", {}), file)
    make_suite(suite, 44)
    said = update_baseline(replayed(tcm_eval, tmp_path, suite, "new", {}, count=44), file)
    assert "asked otherwise than before: own/choice accuracy: data" in said


def test_a_run_with_failed_calls_is_no_baseline(tcm_eval: Call, suite: Path, tmp_path: Path) -> None:
    run = replayed(tcm_eval, tmp_path, suite, "gaps", {0: None})
    with pytest.raises(IncompleteError, match="lacks 1 of 30 scores of accuracy"):
        set_baseline(run, tmp_path / "b.json")
    assert not (tmp_path / "b.json").exists()


def test_a_run_is_found_by_path_or_by_name_and_a_slip_is_answered_with_the_nearest(tmp_path: Path) -> None:
    run = tmp_path / "runs" / "model-0123456789"
    run.mkdir(parents=True)
    (run / "manifest.json").write_text("{}")
    assert find(str(run), Path("elsewhere")) == run
    assert find("model-0123456789", tmp_path) == run
    with pytest.raises(UsageError, match="Did you mean: model-0123456789"):
        find("model-0123456788", tmp_path)
    with pytest.raises(UsageError, match=r"baseline nothing\.json does not exist"):
        find("nothing.json", tmp_path)


def test_a_run_is_found_by_its_models_name_where_just_one_finished_run_has_it(
    tcm_eval: Call, suite: Path, tmp_path: Path
) -> None:
    output = tmp_path / "results"
    old = replayed(tcm_eval, tmp_path, suite, "some model", {})
    new = replayed(tcm_eval, tmp_path, suite, "网页助手", {2: "答案：E"})
    assert find("some model", output) == old
    assert tcm_eval("compare", "some model", "网页助手", "--output", output)[0] == 0
    again = replayed(tcm_eval, tmp_path, suite, "some model", {3: "答案：E"})
    with pytest.raises(UsageError, match=r"'some model' is the name of 2 runs") as found:
        find("some model", output)
    assert old.name in str(found.value) and again.name in str(found.value)
    assert find(f"some model ({again.name[-6:]})", output) == again, "the name that a leaderboard shows"
    (again / "summary.json").unlink()
    assert find("some model", output) == old, "the other one is not finished"
    with pytest.raises(UsageError, match=r"unknown run 'some mode'\. Did you mean: some model") as slip:
        find("some mode", output)
    assert str(output / "runs") in str(slip.value) and new.name in str(slip.value)


def test_a_dialogue_that_was_asked_turn_by_turn_is_one_score_a_case(tcm_eval: Call, tmp_path: Path) -> None:
    """Its run has more answers than scores, and is compared and kept all the same."""
    asked = ("--tasks", "tcm_core/dialogue_own", "--limit", 3, "--repeats", 2, "--rotate-options", 2)
    code, _, err = tcm_eval("run", "--model", "guess", *asked, "--output", tmp_path)
    assert code == 0, err
    [run] = (tmp_path / "runs").iterdir()
    manifest = json.loads((run / "manifest.json").read_text("utf-8"))
    assert manifest["tasks"]["tcm_core/dialogue_own"]["answers"] > 6
    assert len(from_run(run).tasks["tcm_core/dialogue_own"].places) == 6


def test_a_rate_of_faults_that_an_unread_answer_leaves_open_is_no_contradiction(tcm_eval: Call, tmp_path: Path) -> None:
    """An answer that prescribes nothing is no safe prescription: such a run is compared, kept and read back."""
    task = "tcm_core/dialogue"
    code, _, err = tcm_eval("run", "--model", "guess", "--tasks", task, "--limit", 8, "--output", tmp_path / "guess")
    assert code == 0, err
    [guessed] = (tmp_path / "guess" / "runs").iterdir()
    answers = [json.loads(line) for line in (guessed / "records.jsonl").read_text("utf-8").splitlines()]
    rows = [
        {"sample": one["sample"], "response": "" if place < 3 else "方用银翘散：金银花15g"}
        for place, one in enumerate(answers)
    ]
    (tmp_path / "some.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    replay = ("--model", f"replay/{tmp_path / 'some.jsonl'}", "--name", "some", "--tasks", task, "--limit", 8)
    code, _, err = tcm_eval("run", *replay, "--output", tmp_path)
    assert code == 0, err
    [run] = (tmp_path / "runs").glob("some-*")
    column = from_run(run).tasks[task].columns["safety_incompatible"]
    assert [(v, s) for v, s in zip(column.values, column.status, strict=True)].count((None, "unparsed")) == 3
    set_baseline(run, tmp_path / "b.json")
    assert as_data(from_file(tmp_path / "b.json")) == as_data(from_run(run))
    effects = {effect.metric: effect for effect in compare_runs(load(tmp_path / "b.json"), [load(guessed)])[0].effects}
    assert effects["safety_incompatible"].found.n == 5
    assert effects["slot_pattern"].found.n == 8
