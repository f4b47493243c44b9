"""A run from question to summary: statuses, resume, adoption, repeats, rotations, and numbers that do not depend on how it ran."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest

from harness.engine import Limits
from harness.errors import UsageError
from harness.pipeline import RunSpec, leaderboard, run, score
from harness.plan import Selection
from harness.prompts import Style
from harness.store import read, read_scores
from harness.types import Failure
from tests.conftest import TASK, choice_rows, make_suite


def spec(suite: Path, output: Path, model: str = "guess", **changes: object) -> RunSpec:
    return replace(RunSpec(model, ("own",), output=output, task_paths=(suite,)), **changes)  # type: ignore[arg-type]


def answers(folder: Path, *rows: dict[str, object]) -> str:
    path = folder / "answers.jsonl"
    path.write_text("".join(json.dumps(r, ensure_ascii=False) + "\n" for r in rows), "utf-8")
    return f"replay/{path}"


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


def test_the_numbers_do_not_depend_on_concurrency_order_or_being_interrupted(suite: Path, tmp_path: Path) -> None:
    summaries = []
    for name, in_flight in (("a", 1), ("b", 7), ("c", 300)):
        [done] = run(spec(suite, tmp_path / name, limits=Limits(in_flight=in_flight)))
        summaries.append((done.folder / "scores.jsonl").read_bytes())
    [whole] = run(spec(suite, tmp_path / "d"))
    records = whole.folder / "records.jsonl"
    records.write_bytes(b"".join(records.read_bytes().splitlines(keepends=True)[:11]) + b'{"torn')
    [again] = run(spec(suite, tmp_path / "d"))
    assert again.folder == whole.folder
    summaries.append((again.folder / "scores.jsonl").read_bytes())
    assert len(set(summaries)) == 1
    assert len(list(read(records))) == 30


def test_a_finished_run_asks_nothing_again(suite: Path, tmp_path: Path) -> None:
    [first] = run(spec(suite, tmp_path / "out"))
    size = (first.folder / "records.jsonl").stat().st_size
    [second] = run(spec(suite, tmp_path / "out"))
    assert (second.folder / "records.jsonl").stat().st_size == size and second.summary == first.summary


def test_a_larger_run_adopts_the_answers_of_a_smaller_one_and_says_where_they_came_from(
    suite: Path, tmp_path: Path
) -> None:
    [small] = run(spec(suite, tmp_path / "out", selection=Selection(limit=10)))
    [large] = run(spec(suite, tmp_path / "out"))
    assert small.folder != large.folder
    origins = [r.origin for r in read(large.folder / "records.jsonl")]
    assert origins.count(small.folder.name) == 10 and origins.count(None) == 20
    assert large.summary["usage"]["adopted"] == 10
    [fresh] = run(spec(suite, tmp_path / "out", fresh=True))
    assert not any(r.origin for r in read(fresh.folder / "records.jsonl"))
    assert any(".old-1" in p.name for p in (tmp_path / "out" / "runs").iterdir()), "earlier answers are set aside"


def test_another_subject_never_gets_the_answers_of_the_first(suite: Path, tmp_path: Path) -> None:
    run(spec(suite, tmp_path / "out", "guess"))
    [other] = run(spec(suite, tmp_path / "out", "echo/first"))
    assert other.summary["usage"]["adopted"] == 0
    assert {s.answer for s in read_scores(other.folder / "scores.jsonl")} == {"A"}


def test_a_failed_call_is_asked_again_by_the_same_command(suite: Path, tmp_path: Path) -> None:
    rows = [{"id": r["id"], "response": f"答案：{r['answer']}"} for r in choice_rows(40)]
    file = answers(tmp_path, *rows[:20])
    [partial] = run(spec(suite, tmp_path / "out", file))
    failed = [r for r in read(partial.folder / "records.jsonl") if isinstance(r.outcome, Failure)]
    assert len(failed) == 15 and not partial.complete
    answers(tmp_path, *rows)
    [whole] = run(spec(suite, tmp_path / "out", file))
    assert whole.complete and whole.summary["tasks"]["own/choice"]["accuracy"]["mean"] == 1.0


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


KILLED = """
import sys, asyncio
from pathlib import Path
sys.path.insert(0, {root!r})
import model_adapters.echo as echo
real = echo.Echo.generate
async def slow(self, request):
    await asyncio.sleep(0.004)
    return await real(self, request)
echo.Echo.generate = slow
from harness.cli import main
sys.exit(main(sys.argv[1:]))
"""


def test_killed_again_and_again_a_run_loses_only_what_was_in_flight(tmp_path: Path) -> None:
    suite = make_suite(tmp_path / "own", 800)
    script = tmp_path / "killed.py"
    script.write_text(KILLED.format(root=str(Path(__file__).resolve().parents[2])))
    command = [
        sys.executable,
        str(script),
        "run",
        "--model",
        "guess",
        "--tasks",
        "own",
        "--task-path",
        str(suite),
        "--quiet",
    ]
    command += ["--output", str(tmp_path / "out"), "--concurrency", "4"]
    kept: list[int] = []
    for _ in range(5):
        process = subprocess.Popen(command, stderr=subprocess.PIPE, env={**os.environ, "PYTHONWARNINGS": ""})
        before, deadline = (kept or [0])[-1], time.monotonic() + 60
        while time.monotonic() < deadline and process.poll() is None:
            found = list((tmp_path / "out" / "runs").glob("*/records.jsonl")) if (tmp_path / "out").exists() else []
            if found and found[0].read_bytes().count(b"\n") >= before + 60:
                break
            time.sleep(0.005)
        process.send_signal(signal.SIGKILL)
        process.wait()
        assert process.stderr is not None
        process.stderr.close()
        kept.append(len(list(read(found[0]))))
    assert kept == sorted(kept) and kept[0] >= 60, "nothing written is ever lost"
    subprocess.run(command, check=True)
    records = list(read(found[0]))
    slots = [r.slot for r in records]
    assert len(slots) == len(set(slots)) == 600, "each question is answered exactly once"


DIALOGUE = """type: dialogue
data: [talk.jsonl]
columns: {{ id: id, question: q, turns: turns }}
history: {history}
score_turns: {score}
metrics: [rouge_l, bleu4]
"""


def talk(folder: Path, history: str, score: str) -> Path:
    folder.mkdir(exist_ok=True)
    (folder / "talk.yaml").write_text(DIALOGUE.format(history=history, score=score), "utf-8")
    turns = [
        {"role": "user", "content": "我咳嗽三天"},
        {"role": "assistant", "content": "痰是什么颜色？"},
        {"role": "user", "content": "白色，怕冷"},
    ]
    rows = [{"id": f"d{i}", "q": f"请给出第{i}例的诊断", "turns": turns, "answer": "风寒袭肺证"} for i in range(3)]
    (folder / "talk.jsonl").write_text("".join(json.dumps(r, ensure_ascii=False) + "\n" for r in rows), "utf-8")
    return folder


@pytest.mark.parametrize(
    ("history", "score", "calls", "mean"),
    [("given", "last", 3, 1.0), ("own", "last", 6, 1.0), ("own", "every", 6, 0.5), ("given", "every", 6, 0.5)],
)
def test_dialogues_keep_the_given_or_the_models_own_turns_and_score_the_last_or_every_one(
    tmp_path: Path, history: str, score: str, calls: int, mean: float
) -> None:
    model = answers(tmp_path, *({"id": f"d{i}", "response": "<think>想</think>风寒袭肺证"} for i in range(3)))
    [done] = run(spec(talk(tmp_path / "own", history, score), tmp_path / "out", model))
    rows = done.summary["tasks"]["own/talk"]
    assert done.summary["usage"]["calls"] == calls
    assert rows["rouge_l"]["mean"] == pytest.approx(mean), "the right diagnosis is wrong as the doctor's first question"
    assert rows["rouge_l"]["counts"]["ok"] == 3 and done.complete


def test_a_broken_dialogue_fails_whole(tmp_path: Path) -> None:
    model = answers(tmp_path, {"id": "d0", "response": "风寒袭肺证"})
    [done] = run(spec(talk(tmp_path / "own", "own", "every"), tmp_path / "out", model))
    assert done.summary["tasks"]["own/talk"]["bleu4"]["counts"] == {
        "ok": 1,
        "unparsed": 0,
        "truncated": 0,
        "refused": 0,
        "failed": 2,
        "unscored": 0,
    }


def test_refusing_lowers_a_corpus_metric_too(tmp_path: Path) -> None:
    folder = talk(tmp_path / "own", "given", "last")
    all_said = answers(tmp_path, *({"id": f"d{i}", "response": "风寒袭肺证"} for i in range(3)))
    [full] = run(spec(folder, tmp_path / "a", all_said))
    one_refused = answers(
        tmp_path, *({"id": f"d{i}", "response": "风寒袭肺证", "stop": "refusal" if i else "stop"} for i in range(3))
    )
    [less] = run(spec(folder, tmp_path / "b", one_refused))
    bleu = [done.summary["tasks"]["own/talk"]["bleu4"]["mean"] for done in (full, less)]
    assert bleu[0] == pytest.approx(1.0) and bleu[1] < 0.5


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
