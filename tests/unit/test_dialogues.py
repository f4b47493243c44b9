"""Dialogues from question to summary: the given or the model's own turns, and which of them are scored."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from harness.pipeline import run
from tests.support.small_runs import answers, spec

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
