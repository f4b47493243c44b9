"""The main job on real input: real exam items where they are, a real model, a real server that is not ours."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

from harness.store import read, read_scores
from harness.types import Response

Call = Callable[..., tuple[int, str, str]]


def test_exam_items_go_through_transformers_serve_to_a_leaderboard(
    tcm_eval: Call, served_model: tuple[str, Path], suite: Path, real_data: Path | None, tmp_path: Path
) -> None:
    url, checkpoint = served_model
    tasks = ["own"]
    if real_data is not None:
        assert tcm_eval("data", "import", real_data)[0] == 0
        tasks += ["mtcmb/ed_a", "mtcmb/se_a", "tcm_best4sdt"]
    asked = (
        "--tasks",
        ",".join(tasks),
        "--task-path",
        suite,
        "--output",
        tmp_path / "r",
        "--limit",
        4,
        "--max-tokens",
        8,
    )
    model = ("--model", f"server/{checkpoint}", "--base-url", url, "--name", "random Qwen2")
    code, out, err = tcm_eval("run", *model, "--model", "guess", *asked, "--concurrency", 4, "--json")
    assert code == 0, err
    served, guessed = (json.loads(line) for line in out.strip().splitlines()[-2:])
    summary = served["summary"]
    assert summary["complete"] and summary["not_accepted"] == ["repetition_penalty", "top_k"]
    assert summary["model_versions"], "the server's own name of the model is kept"
    counts = [row["counts"] for metrics in summary["tasks"].values() for row in metrics.values()]
    assert all(sum(c.values()) <= 4 and not c["failed"] for c in counts)
    responses = [r.outcome for r in read(Path(served["run"]) / "records.jsonl")]
    assert all(isinstance(r, Response) and r.tokens_out > 0 and r.seconds > 0 for r in responses)
    assert {s.status for s in read_scores(Path(served["run"]) / "scores.jsonl")} <= {"ok", "unparsed", "truncated"}
    assert (
        guessed["summary"]["tasks"]["own/choice"]["accuracy"]["comparison_id"]
        == (summary["tasks"]["own/choice"]["accuracy"]["comparison_id"])
    )
    code, out, _ = tcm_eval("leaderboard", "--output", tmp_path / "r")
    assert code == 0 and "random Qwen2" in out and "did not accept: repetition_penalty, top_k" in out
    before = (Path(served["run"]) / "records.jsonl").read_bytes()
    assert tcm_eval("run", *model, *asked, "--quiet")[0] == 0
    assert (Path(served["run"]) / "records.jsonl").read_bytes() == before, "the same command asks nothing twice"
