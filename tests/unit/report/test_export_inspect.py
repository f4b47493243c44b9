"""inspect_ai's log: its structure, and, where inspect_ai is installed, that its own reader finds all of a run in it."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import pytest

from harness.pipeline import export
from harness.report.results import load
from harness.store import read_scores
from tests.browser.runs import BIG, HOSTILE, two_runs
from tests.support.chat_server import Reply, said, serving

Call = Callable[..., tuple[int, str, str]]


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of good answers and one with hostile, refused, cut, unread and missing ones."""
    return two_runs(tmp_path_factory.mktemp("two"))


@pytest.fixture(scope="module")
def logs(results: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[tuple[str, str], Path]:
    """The logs by model and task."""
    files = export([results], "inspect", tmp_path_factory.mktemp("logs")).files
    found = {}
    for file in files:
        head = parts(file)["header.json"]["eval"]
        found[head["model"], head["task"]] = file
    assert len(found) == len(files) == 4
    return found


def parts(log: Path) -> dict[str, Any]:
    with ZipFile(log) as archive:
        assert archive.testzip() is None
        return {name: json.loads(archive.read(name)) for name in archive.namelist()}


BAD = "<b>Mallory</b>"


def test_a_log_has_the_parts_that_its_readers_look_for(logs: dict[tuple[str, str], Path]) -> None:
    log = parts(logs["良医 7B", "own/choice"])
    samples = [name for name in log if name.startswith("samples/")]
    assert len(samples) == 30 and set(log) - set(samples) == {"_journal/start.json", "summaries.json", "header.json"}
    start, head = log["_journal/start.json"], log["header.json"]
    assert {**head, **start} == head and (head["version"], head["status"]) == (2, "success")
    assert head["eval"]["dataset"] == {"name": "own", "samples": 30, "shuffled": False}
    assert head["eval"]["viewer"] == {"trust_content": False}
    assert [(s["id"], s["epoch"]) for s in log["summaries.json"]] == [
        (log[name]["id"], log[name]["epoch"]) for name in samples
    ]


def test_scores_and_metrics_are_the_runs_own(results: Path, logs: dict[tuple[str, str], Path]) -> None:
    for run in load(results)[0]:
        model = BAD if "Mallory" in run.name else run.name
        for task, metrics in run.summary["tasks"].items():
            log = parts(logs[model, task])
            told = {score["name"]: score for score in log["header.json"]["results"]["scores"]}
            assert next(iter(told)) == run.manifest["tasks"][task]["headline"]
            assert {n: (s["metrics"]["mean"]["value"], s["metrics"]["stderr"]["value"]) for n, s in told.items()} == {
                name: (row["mean"], row["se"]) for name, row in metrics.items()
            }
        for score in read_scores(run.folder / "scores.jsonl"):
            sample = parts(logs[model, score.task])[f"samples/{score.sample}_epoch_1.json"]
            if score.status == "failed":
                assert "error" in sample and sample["scores"] == {}
                continue
            told = sample["scores"][score.metric]
            assert told["answer"] == score.answer and told["metadata"]["status"] == score.status
            assert math.isnan(told["value"]) if score.value is None else told["value"] == score.value


def test_the_conversation_is_whole_and_reasoning_is_set_apart(logs: dict[tuple[str, str], Path]) -> None:
    sample = parts(logs["良医 7B", "own/choice"])["samples/q1_epoch_1.json"]
    assert sample["input"] == "第1题：当归属于" and sample["target"] == "B" and len(sample["choices"]) == 5
    asked, said = sample["messages"]
    assert asked["role"] == "user" and "第1题：当归属于" in asked["content"] and "答案：" in asked["content"]
    assert said["content"] == [
        {"type": "reasoning", "reasoning": "先看药性。第1题。"},
        {"type": "text", "text": "答案：B"},
    ]
    assert sample["output"]["completion"] == "答案：B" and sample["output"]["choices"][0]["stop_reason"] == "stop"


def test_each_status_says_why_it_counts_what_it_counts(logs: dict[tuple[str, str], Path]) -> None:
    log = parts(logs[BAD, "own/choice"])

    def told(sample: str) -> tuple[str, str | None]:
        score = log[f"samples/{sample}_epoch_1.json"]["scores"]["accuracy"]
        return score["explanation"].splitlines()[0], score.get("reason")

    assert told("q0") == ("read: A", None)
    assert told("q2") == ("the model refused: it counts 0", "refusal")
    assert told("q5") == ("the token limit cut the answer off: it counts 0", "truncated")
    assert told("q6") == ("no answer could be read: it counts 0", "invalid_response_format")
    assert "has no answer" in log["samples/q8_epoch_1.json"]["error"]["message"]
    found = log["header.json"]["results"]
    assert (found["total_samples"], found["completed_samples"]) == (30, 29)
    unsafe = parts(logs[BAD, "own/rx"])["samples/rx1_epoch_1.json"]
    assert "甘遂" in unsafe["scores"]["safety_incompatible"]["explanation"] and unsafe["metadata"]["unsafe"]


def test_hostile_answers_are_whole_and_nothing_unseen_stands_in_the_file(logs: dict[tuple[str, str], Path]) -> None:
    log = logs[BAD, "own/choice"]
    said = parts(log)["samples/q0_epoch_1.json"]["messages"][-1]["content"]
    assert said == f"{HOSTILE}\n答案：A"
    assert parts(log)["samples/q1_epoch_1.json"]["messages"][-1]["content"] == BIG
    with ZipFile(log) as archive:
        for name in archive.namelist():
            assert not set("\x1b\x07\u202e\u202c\u200b\u2028").intersection(archive.read(name).decode())


def test_the_same_run_gives_the_same_bytes(results: Path, logs: dict[tuple[str, str], Path], tmp_path: Path) -> None:
    again = {file.name: file.read_bytes() for file in export([results], "inspect", tmp_path / "again").files}
    assert again == {file.name: file.read_bytes() for file in logs.values()}


def test_repeats_and_rotations_are_epochs_in_the_letters_of_the_data(
    suite: Path, tmp_path: Path, tcm_eval: Call
) -> None:
    command = ("run", "--model", "echo/first", "--tasks", "own", "--task-path", suite, "--output", tmp_path / "r")
    assert tcm_eval(*command, "--repeats", "2", "--rotate-options", "3", "--limit", "4", "--quiet")[0] == 0
    (file,) = export([tmp_path / "r"], "inspect", tmp_path / "logs").files
    samples = [part for name, part in parts(file).items() if name.startswith("samples/")]
    assert sorted({sample["epoch"] for sample in samples}) == [1, 2, 3, 4, 5, 6] and len(samples) == 24
    assert len({(s["id"], s["target"], tuple(s["choices"])) for s in samples}) == 4
    shown = {s["epoch"]: s["messages"][0]["content"] for s in samples if s["id"] == samples[0]["id"]}
    assert len(set(shown.values())) == 3 and shown[1] == shown[4]


def test_usage_is_summed_and_cached_tokens_stand_apart(suite: Path, tmp_path: Path, tcm_eval: Call) -> None:
    def answer(_seen: object, _n: int) -> Reply:
        reply = said("答案：A")
        reply.body["usage"] = {
            "prompt_tokens": 9,
            "completion_tokens": 3,
            "prompt_tokens_details": {"cached_tokens": 4},
        }
        return reply

    with serving(answer) as server:
        command = ("run", "--model", "server/mock", "--base-url", server.url, "--tasks", "own", "--task-path", suite)
        assert tcm_eval(*command, "--output", tmp_path / "r", "--limit", "5", "--quiet")[0] == 0
    (file,) = export([tmp_path / "r"], "inspect", tmp_path / "logs").files
    log = parts(file)
    one = {"input_tokens": 5, "output_tokens": 3, "total_tokens": 12, "input_tokens_cache_read": 4}
    samples = [part for name, part in log.items() if name.startswith("samples/")]
    assert all(s["output"]["usage"] == one == s["model_usage"]["server/mock"] for s in samples)
    assert log["header.json"]["stats"]["model_usage"] == {"server/mock": {name: 5 * n for name, n in one.items()}}
    assert all(s["output"]["model"] == "mock-2026" and s["total_time"] > 0 for s in samples)


def test_a_dialogue_is_a_conversation(tmp_path: Path, tcm_eval: Call) -> None:
    command = ("run", "--model", "guess", "--tasks", "tcm_core/dialogue", "--limit", "2", "--output", tmp_path / "r")
    assert tcm_eval(*command, "--quiet")[0] == 0
    (file,) = export([tmp_path / "r"], "inspect", tmp_path / "logs").files
    sample = next(part for name, part in parts(file).items() if name.startswith("samples/"))
    roles = [message["role"] for message in sample["input"]]
    assert "assistant" in roles and roles[-1] == "user" and sample["messages"][:-1] == sample["input"]
    assert sample["messages"][-1]["source"] == "generate" and "证候诊断" in sample["target"][0]


def test_a_run_whose_questions_are_gone_is_written_without_them(suite: Path, tmp_path: Path, tcm_eval: Call) -> None:
    command = ("run", "--model", "guess", "--tasks", "own", "--task-path", suite, "--output", tmp_path / "r", "--quiet")
    assert tcm_eval(*command)[0] == 0
    (suite / "choice.jsonl").write_text((suite / "choice.jsonl").read_text("utf-8").replace("人参", "党参"), "utf-8")
    code, out, err = tcm_eval("export", tmp_path / "r", "--to", "inspect", "--output", tmp_path / "logs")
    assert code == 0 and "written without its questions" in err and "has changed since the run" in err
    sample = parts(Path(out.strip()))["samples/q0_epoch_1.json"]
    assert sample["input"] == [] and sample["target"] == "" and sample["scores"]["accuracy"]["answer"]
    assert [message["role"] for message in sample["messages"]] == ["assistant"]


def test_inspect_reads_all_of_it(results: Path, logs: dict[tuple[str, str], Path]) -> None:
    from inspect_ai import log as reader

    for (model, task), file in logs.items():
        log = reader.read_eval_log(str(file))
        assert (log.eval.model, log.eval.task, log.status) == (model, task, "success")
        assert log.samples and log.results
        assert len(log.samples) == log.results.total_samples == len(reader.read_eval_log_sample_summaries(str(file)))
        for sample in log.samples:
            again = reader.read_eval_log_sample(str(file), sample.id, sample.epoch)
            assert again.messages[-1].text == sample.messages[-1].text
        means = {score.name: score.metrics["mean"].value for score in log.results.scores}
        run = next(r for r in load(results)[0] if ("Mallory" in r.name) == (model == BAD))
        assert means == {name: row["mean"] for name, row in run.summary["tasks"][task].items()}
    assert len(reader.list_eval_logs(str(next(iter(logs.values())).parent))) == 4
