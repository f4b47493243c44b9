"""A run from question to summary: statuses, repeats, rotations, and what makes a number another one."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from harness.errors import UsageError
from harness.pipeline import leaderboard, run, score
from harness.plan import Selection
from harness.prompts import Style
from harness.store import read_scores
from tests.conftest import TASK, choice_rows, make_suite
from tests.support.small_runs import answers, spec


def test_each_status_is_told_apart_and_counts_as_it_should(suite: Path, tmp_path: Path) -> None:
    said = {
        "q0": {"response": "答案：A"},  # right
        "q1": {"response": "答案：A"},  # wrong (B is right)
        "q2": {"response": "很难说。"},  # unparsed
        "q4": {"response": "<think>先看A", "stop": "length"},  # truncated: the reasoning never ended
        "q5": {"response": "", "stop": "filter"},  # refused
        "q6": {"response": "我觉得", "stop": "length"},  # truncated before anything readable
    }
    model = answers(tmp_path, *({"id": k, **v} for k, v in said.items()))
    [done] = run(spec(suite, tmp_path / "out", model))
    row = done.summary["tasks"]["own/choice"]["accuracy"]
    assert row["counts"] == {"ok": 2, "unparsed": 1, "truncated": 2, "refused": 1, "failed": 24, "unscored": 0}
    assert row["n"] == 6 and row["mean"] == pytest.approx(1 / 6), (
        "answered but unreadable counts 0, failed does not count"
    )
    assert row["mean_parsed_only"] == pytest.approx(1 / 2)
    assert row["chance"] == pytest.approx(0.2)
    assert not done.complete
    scores = {s.sample: s for s in read_scores(done.folder / "scores.jsonl")}
    assert scores["q0"].answer == "A" and scores["q0"].value == 1.0
    assert scores["q9"].status == "failed" and scores["q9"].value is None
    assert scores["q5"].status == "refused" and scores["q5"].value == 0.0


def test_repeats_and_rotations_are_scored_in_the_letters_of_the_data(suite: Path, tmp_path: Path) -> None:
    [done] = run(spec(suite, tmp_path / "out", "echo/first", selection=Selection(repeats=2, variants=5)))
    row = done.summary["tasks"]["own/choice"]["accuracy"]
    assert row["n"] == 60 and row["n_groups"] == 30 and row["counts"]["ok"] == 300
    assert row["mean"] == pytest.approx(0.2), "the first option is right in exactly one of five rotations"
    seen = {(s.repeat, s.variant) for s in read_scores(done.folder / "scores.jsonl")}
    assert seen == {(r, v) for r in range(2) for v in range(5)}


def test_options_are_scored_by_log_probability_under_the_metrics_own_name(suite: Path, tmp_path: Path) -> None:
    [letters] = run(spec(suite, tmp_path / "out", style=Style(ask="letter")))
    assert list(letters.summary["tasks"]["own/choice"]) == ["accuracy_letter"]
    [texts] = run(spec(suite, tmp_path / "out", style=Style(ask="text")))
    assert list(texts.summary["tasks"]["own/choice"]) == ["accuracy_text", "accuracy_text_norm"]


def test_disciplines_are_pooled_micro_and_macro(suite: Path, tmp_path: Path) -> None:
    rows = choice_rows(40)
    right = {r["id"] for r in rows if r["discipline"] == "Fundamentals"}
    file = answers(
        tmp_path, *({"id": r["id"], "response": f"答案：{r['answer'] if r['id'] in right else '都不对'}"} for r in rows)
    )
    [done] = run(spec(suite, tmp_path / "out", file))
    cells = done.summary["disciplines"]
    assert cells["Fundamentals"]["accuracy"]["mean"] == 1.0 and cells["Pharmacognosy"]["accuracy"]["mean"] == 0.0
    assert list(cells) == ["Pharmacognosy", "Fundamentals"], "in the order of the seven disciplines"
    overall = done.summary["overall"]["accuracy"]
    n = {name: cells[name]["accuracy"]["n"] for name in cells}
    assert overall["macro"]["mean"] == pytest.approx(0.5)
    assert overall["micro"]["mean"] == pytest.approx(n["Fundamentals"] / 30)


def test_an_items_difficulty_stands_beside_its_score(tmp_path: Path) -> None:
    folder = make_suite(tmp_path / "own", 0, TASK.replace("split: {", "  tags: { difficulty: level }\nsplit: {"))
    rows = [{**row, "level": i % 3 + 1} for i, row in enumerate(choice_rows(12))]
    (folder / "choice.jsonl").write_text("".join(json.dumps(r, ensure_ascii=False) + "\n" for r in rows), "utf-8")
    [done] = run(spec(folder, tmp_path / "out"))
    found = {s.sample: s.tags for s in read_scores(done.folder / "scores.jsonl")}
    assert found == {r["id"]: {"difficulty": str(r["level"])} for r in rows if r["split"] == "test"}
    sorted_only = done.summary["tasks"]["own/choice"]["accuracy"]["comparison_id"]
    make_suite(tmp_path / "bare" / "own", 0)
    (tmp_path / "bare" / "own" / "choice.jsonl").write_bytes((folder / "choice.jsonl").read_bytes())
    [bare] = run(spec(tmp_path / "bare" / "own", tmp_path / "out2"))
    assert bare.summary["tasks"]["own/choice"]["accuracy"]["comparison_id"] == sorted_only
    (done.folder / "scores.jsonl").unlink()
    assert {s.sample: s.tags for s in read_scores(score(done.folder).folder / "scores.jsonl")} == found


def test_scores_of_a_task_without_tags_hold_none(suite: Path, tmp_path: Path) -> None:
    [done] = run(spec(suite, tmp_path / "out"))
    assert "tags" not in (done.folder / "scores.jsonl").read_text("utf-8")


def test_scoring_again_calls_no_model_and_changed_data_is_refused(suite: Path, tmp_path: Path) -> None:
    [done] = run(spec(suite, tmp_path / "out"))
    (done.folder / "scores.jsonl").unlink()
    (done.folder / "summary.json").unlink()
    assert score(done.folder).summary == done.summary
    data = suite / "choice.jsonl"
    data.write_text(data.read_text("utf-8").replace("第1题", "第一题"), "utf-8")
    with pytest.raises(UsageError, match="the data of own/choice has changed since the run"):
        score(done.folder)


def test_the_comparison_id_changes_with_all_that_makes_a_number_another_one(suite: Path, tmp_path: Path) -> None:
    def cid(**changes: object) -> str:
        [done] = run(spec(suite, tmp_path / "out", **changes))
        return str(done.summary["tasks"]["own/choice"]["accuracy"]["comparison_id"])

    base = cid()
    assert cid(model="echo/first") == base, "who answers is no part of it"
    others = [
        cid(style=Style(language="en")),
        cid(style=Style(shots=2)),
        cid(style=Style(system="plain-zh")),
        cid(sampling={"temperature": 0.5}),
        cid(sampling={"max_tokens": 5}),
        cid(selection=Selection(limit=5)),
        cid(selection=Selection(split="train")),
        cid(selection=Selection(seed=1)),
        cid(selection=Selection(repeats=2)),
    ]
    assert len({base, *others}) == len(others) + 1
    make_suite(suite, 36)
    assert cid() not in {base, *others}


def test_an_empty_split_is_refused_with_the_ones_there_are(suite: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"split 'dev' is empty. The task has: test, train"):
        run(spec(suite, tmp_path / "out", selection=Selection(split="dev")))


def test_runs_asked_in_other_ways_never_share_a_table(suite: Path, tmp_path: Path) -> None:
    run(spec(suite, tmp_path / "out", "guess"))
    run(spec(suite, tmp_path / "out", "echo/first"))
    run(spec(suite, tmp_path / "out", "guess", style=Style(shots=2)))
    tables = json.loads(leaderboard(tmp_path / "out", "json", published=False)[0])["tables"]
    by_task = [t for t in tables if "by task" in t["title"]]
    assert [len(t["rows"]) for t in by_task] == [2, 1]
    assert "shots:2" in by_task[1]["title"]


def test_a_metric_that_gives_no_number_leaves_the_answer_unscored(
    suite: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from harness import registry
    from harness.types import Value

    metric = registry.get_metric("accuracy")
    broken = replace(metric, score=lambda pairs, _options: [Value(float("nan")) for _ in pairs])
    monkeypatch.setitem(registry._METRICS, "accuracy", broken)
    [done] = run(spec(suite, tmp_path / "out"))
    row = done.summary["tasks"]["own/choice"]["accuracy"]
    assert row["counts"]["unscored"] == 30 and row["mean"] is None and not done.complete
