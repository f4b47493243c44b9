"""Answers collected elsewhere keep what they took, where their file says so."""

from __future__ import annotations

import asyncio
import csv
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from harness.errors import HarnessError, UsageError
from harness.registry import get_adapter
from harness.types import Message, Model, Request, Response
from tests.conftest import choice_rows

Call = Callable[..., tuple[int, str, str]]
TOOK = {"tokens_in": 120, "tokens_out": 45, "tokens_reasoning": 30, "tokens_cached": 100, "seconds": 2.5}


def answer_of(file: Path, sample: str = "q0") -> Response:
    request = Request((Message("user", "?"),), place=("own/choice", sample, 0))
    found: Response = asyncio.run(get_adapter("replay")(str(file)).generate(request))
    return found


def lines(file: Path, *rows: dict[str, Any]) -> Path:
    file.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    return file


def taken(response: Response) -> dict[str, float]:
    return {name: getattr(response, name) for name in TOOK}


def test_tokens_and_seconds_of_a_file_are_carried(tmp_path: Path) -> None:
    flat = lines(tmp_path / "flat.jsonl", {"sample": "q0", "answer": "A", **TOOK})
    assert taken(answer_of(flat)) == TOOK
    with (tmp_path / "table.csv").open("w", newline="", encoding="utf-8") as file:
        table = csv.DictWriter(file, ["id", "output", *TOOK])
        table.writeheader()
        table.writerow({"id": "q0", "output": "A", **TOOK})
        table.writerow({"id": "q1", "output": "B", "tokens_in": "12.0"})
    assert taken(answer_of(tmp_path / "table.csv")) == TOOK
    assert taken(answer_of(tmp_path / "table.csv", "q1")) == {**dict.fromkeys(TOOK, 0), "tokens_in": 12}


def test_what_is_not_stated_is_zero(tmp_path: Path) -> None:
    assert taken(answer_of(lines(tmp_path / "a.jsonl", {"sample": "q0", "answer": "A"}))) == dict.fromkeys(TOOK, 0)


@pytest.mark.parametrize(
    ("name", "value"),
    [("tokens_in", -1), ("tokens_out", "many"), ("tokens_in", 1.5), ("seconds", "nan"), ("seconds", True)],
)
def test_a_number_that_is_none_is_refused_with_its_line(tmp_path: Path, name: str, value: Any) -> None:
    file = lines(tmp_path / "a.jsonl", {"sample": "q1", "answer": "A"}, {"sample": "q0", "answer": "A", name: value})
    with pytest.raises(UsageError, match=rf"a.jsonl:2: {name} '{value}' is no"):
        answer_of(file)


def test_a_run_and_the_replay_of_its_records_have_the_same_usage(suite: Path, tmp_path: Path, tcm_eval: Call) -> None:
    asked = [row for row in choice_rows(40) if row["split"] == "test"]
    rows = [{"sample": row["id"], "response": f"答案：{row['answer']}", **TOOK} for row in asked]
    where = ("--tasks", "own", "--task-path", suite, "--price", "10,20", "--quiet", "--json")
    usages, file = [], lines(tmp_path / "first.jsonl", *rows)
    for name in ("first", "second"):
        code, out, err = tcm_eval(
            "run", "--model", f"replay/{file}", "--name", name, "--output", tmp_path / name, *where
        )
        assert code == 0, err
        done = json.loads(out.splitlines()[-1])
        usages.append({k: v for k, v in done["summary"]["usage"].items() if k != "wall_seconds"})
        file = Path(done["run"]) / "records.jsonl"
    assert usages[0] == usages[1]
    assert usages[0]["tokens_in"] == 30 * 120 and usages[0]["seconds"] == pytest.approx(30 * 2.5)
    assert usages[0]["cost"] == pytest.approx(30 * (120 * 10 + 45 * 20) / 1e6)


def test_echo_and_replay_give_the_same_answer_to_the_same_request(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("id,task,answer\nq1,t,答案：B\nq1,u,答案：C\n", "utf-8")
    replay, echo = get_adapter("replay")(str(tmp_path / "a.csv")), get_adapter("echo")("guess")
    request = Request((Message("user", "问\nA. 一\nB. 二"),), place=("s/t", "q1", 0))

    async def ask(model: Model) -> list[str]:
        return [(await model.generate(request)).text for _ in range(3)]

    assert asyncio.run(ask(replay)) == ["答案：B"] * 3
    assert len(set(asyncio.run(ask(echo)))) == 1


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ('{"id": 1}\n', r"a.jsonl:1: no answer; expected one of the columns response"),
        ('{"response": "x"}\n', r"a.jsonl:1: no column 'sample'"),
        ("{\n", r"a.jsonl:1: malformed row"),
        ("", r"no answers in it"),
        ('{"id": 1, "text": "a"}\n{"id": 1, "text": "b"}\n', r"a.jsonl:2: a second answer to sample '1'"),
        ('{"id": 1, "text": "a", "stop": "end"}\n', r"stop 'end' is none of stop, length"),
    ],
)
def test_a_faulty_file_of_answers_is_refused_by_line(tmp_path: Path, content: str, message: str) -> None:
    (tmp_path / "a.jsonl").write_text(content, "utf-8")
    with pytest.raises(HarnessError, match=message):
        get_adapter("replay")(str(tmp_path / "a.jsonl"))
