"""Runs to look at: two models with every kind of answer, hostile ones among them, and one of many samples."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

from harness import summary
from harness.cli import main
from harness.store import encode_score, write_json
from harness.suites import file_sha256
from harness.types import Score
from tests.conftest import TASK, choice_rows, make_suite

HOSTILE = (
    "<script>window.planted = 1</script><img src=x onerror='window.planted = 2'>"
    "<a href='javascript:window.planted=3'>x</a></script><!--<script> {{constructor}} __proto__ "
    "\u202etxet desrever\u202c \x1b[31mred\x1b[0m \x1b]0;title\x07 zero\u200bwidth line\u2028separator \\u003c '); window.planted = 4; ('"
)
BIG = "甲乙丙丁" * 262_144
"""An answer of 1,048,576 characters."""

GIF = "R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAIBRAA7"
SVG = base64.b64encode(b"<svg xmlns='http://www.w3.org/2000/svg' onload='window.planted = 5'/>").decode()

PRESCRIPTION = """type: free_text
title: 开方
data: [rx.jsonl]
columns: { id: id, question: question, answer: answer, discipline: { constant: Herbal Formulas } }
metrics: [rouge_l, herb_f1, safety_incompatible]
"""
RX_ROWS = [
    {"id": "rx0", "question": "患者咳嗽痰多，舌苔白腻。请开方。", "answer": "半夏9g，陈皮9g，茯苓9g，甘草3g"},
    {"id": "rx1", "question": "患者气短乏力，自汗。请开方。", "answer": "人参9g，白术9g，茯苓9g，甘草6g"},
    {"id": "rx2", "question": "患者畏寒肢冷。请开方。", "answer": "干姜6g，附子9g（先煎），甘草6g"},
]
RX_SAID = {
    "rx0": "方用：半夏9g，陈皮9g，茯苓9g，甘草3g。水煎服。",
    "rx1": "方用：甘草6g，甘遂3g，人参9g，藜芦3g。水煎服。",
    "rx2": "方用：附子9g（先煎），干姜6g，甘草6g。",
}


def make_task(folder: Path) -> Path:
    """Write a suite of 30 asked choice questions and 3 prescriptions."""
    make_suite(folder, 40)
    (folder / "rx.yaml").write_text(PRESCRIPTION, "utf-8")
    (folder / "rx.jsonl").write_text("".join(json.dumps(r, ensure_ascii=False) + "\n" for r in RX_ROWS), "utf-8")
    return folder


def answers(path: Path, right: int, *, hostile: bool = False) -> Path:
    """Write a file of answers: `right` of 10 choice questions are answered rightly; with `hostile`, some are attacks."""
    rows: list[dict[str, Any]] = []
    for i, row in enumerate(r for r in choice_rows(40) if r["split"] == "test"):
        wrong = "E" if row["answer"] != "E" else "A"
        letter = row["answer"] if i % 10 < right else wrong
        text = f"<think>先看药性。第{i}题。</think>\n答案：{letter}"
        rows.append({"task": "own/choice", "sample": row["id"], "text": text, "tokens_out": 20 + i, "seconds": 0.4})
    if hostile:
        rows[0]["text"], rows[1]["text"] = f"{HOSTILE}\n答案：A", BIG
        rows[2] |= {"text": "我不能回答。", "stop": "refusal"}
        rows[4] |= {"text": "<think>想了又想", "stop": "length"}
        rows[5]["text"] = "不知道"
        del rows[6]
    said = RX_SAID if hostile else {row["id"]: row["answer"] for row in RX_ROWS}
    rows += [{"task": "own/rx", "sample": key, "text": text} for key, text in said.items()]
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), "utf-8")
    return path


def two_runs(folder: Path) -> Path:
    """Return a results folder with a run of good answers and one of hostile ones, whose name is an attack too."""
    suite, output = make_task(folder / "own"), folder / "results"
    for name, right, hostile in (("良医 7B", 8, False), ("<b>Mallory</b>\u202e\x1b[31m", 5, True)):
        file = answers(folder / f"answers-{right}.jsonl", right, hostile=hostile)
        args = ["run", "--model", f"replay/{file}", "--name", name, "--tasks", "own", "--task-path", str(suite)]
        assert main([*args, "--attempts", "1", "--output", str(output), "--quiet"]) in (0, 3)
    return output


def kinds(folder: Path) -> Path:
    """Return a results folder with a run that was shown images, one whose options were scored, and one of a dialogue."""
    output, suite = (
        folder / "results",
        make_suite(folder / "own", 0, TASK.replace("split: {", "  fields: { images: images }\nsplit: {")),
    )
    rows = choice_rows(8)
    for i, row in enumerate(rows):
        row["images"] = (
            [{"media_type": "image/gif", "data": GIF}] if i % 2 else [{"media_type": "image/svg+xml", "data": SVG}]
        )
    (suite / "choice.jsonl").write_text("".join(json.dumps(r, ensure_ascii=False) + "\n" for r in rows), "utf-8")
    for name, *more in (
        ("images", "--tasks", "own", "--task-path", str(suite)),
        ("options", "--tasks", "own", "--task-path", str(suite), "--ask", "letter"),
        ("dialogue", "--tasks", "tcm_core/dialogue_own", "--limit", "2"),
    ):
        assert main(["run", "--model", "echo/first", "--name", name, *more, "--output", str(output), "--quiet"]) == 0
    return output


def many(folder: Path, count: int, models: tuple[str, ...] = ("echo/first",)) -> Path:
    """Return a results folder with a run of `count` samples for each model, written as files without asking one."""
    suite, output = folder / "many", folder / "results"
    suite.mkdir(parents=True)
    (suite / "choice.yaml").write_text(TASK, "utf-8")
    kinds = choice_rows(20)
    data = suite / "choice.jsonl"

    def row(i: int) -> str:
        changed = {"id": f"n{i}", "question": f"第{i}题：{kinds[i % 20]['question']}", "split": "test"}
        return json.dumps({**kinds[i % 20], **changed}, ensure_ascii=False) + "\n"

    data.write_text(row(0), "utf-8")
    for model in models:
        args = ["run", "--model", model, "--tasks", "many", "--task-path", str(suite)]
        assert main([*args, "--output", str(output), "--quiet"]) == 0
    data.write_text("".join(map(row, range(count))), "utf-8")
    for i, model in enumerate(models):
        [run] = (output / "runs").glob(f"{model.replace('/', '-')}-*")
        _fill(run, data, count, [row["answer"] for row in kinds], 3 + i)
    return output


def _fill(run: Path, data: Path, count: int, right: list[str], letters: int) -> None:
    """Write a run's files as if its model had answered the first `letters` options in turn."""
    manifest = json.loads((run / "manifest.json").read_text("utf-8"))
    manifest["tasks"]["many/choice"]["data"]["choice.jsonl"] = file_sha256(data)
    (run / "manifest.json").write_text(json.dumps(manifest), "utf-8")
    line = '{"schema":1,"key":"%032x","task":"many/choice","sample":"n%d","repeat":0,"variant":0,"turn":0,"role":"candidate","response":{"text":"答案：%s。因为甘草调和诸药，第%d题"}}\n'
    said = ["ABCDE"[i % letters] for i in range(count)]
    with (run / "records.jsonl").open("w", encoding="utf-8") as file:
        file.writelines(line % (i, i, letter, i) for i, letter in enumerate(said))
    scores = [
        Score("many/choice", f"n{i}", "accuracy", float(letter == right[i % 20]), "ok", letter)
        for i, letter in enumerate(said)
    ]
    (run / "scores.jsonl").write_bytes(b"".join(map(encode_score, scores)))
    write_json(run / "summary.json", summary.of(manifest, scores, {}))
