"""What a run with `--batch` costs, and how it keeps to its budget over several sessions."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.adapters.batching import Call, both, command, folder_of
from tests.adapters.batching import quick_batches as quick_batches
from tests.support.batch_server import serving_batches

pytestmark = pytest.mark.usefixtures("quick_batches")


@both
def test_the_cost_of_a_batch_is_half_and_is_said(provider: str, suite: Path, tmp_path: Path, tcm_eval: Call) -> None:
    with serving_batches(provider) as server:
        priced = ("--price", "10,20", "--batch")
        code, out, _ = tcm_eval(*command(server, suite, tmp_path / "r", *priced, "--dry-run"))
        assert code == 0 and "at half the price but for the first question" in out and not server.headers
        full = float(tcm_eval(*command(server, suite, tmp_path / "r", "--price", "10,20", "--dry-run"))[1].split()[-1])
        half = float(out.split("cost at most ")[1].split(",")[0])
        assert full * 0.51 < half < full * 0.53, "of thirty questions the first costs twice as much"
        one = (*priced, "--dry-run", "--limit", 1)
        assert tcm_eval(*command(server, suite, tmp_path / "r", *one))[1].split("at most ")[-1].split(",")[0] == (
            tcm_eval(*command(server, suite, tmp_path / "r", *one[:2], *one[3:]))[1].split("at most ")[-1].strip()
        ), "a single question is asked one by one"
        code, out, _ = tcm_eval(*command(server, suite, tmp_path / "r", *priced, "--json"))
    usage = json.loads(out.splitlines()[-1])["summary"]["usage"]
    one = (7 * 10 + (3 if provider == "openai" else 5) * 20) / 1e6
    assert usage["cost"] == pytest.approx(one + 29 * one / 2), "the first question was asked alone, at the full price"
    assert usage["batch_tokens_in"] == 29 * 7
    assert "at half the price: 203 tokens in" in out


def test_a_budget_is_kept_to_before_submission(suite: Path, tmp_path: Path, tcm_eval: Call) -> None:
    with serving_batches("openai") as server:
        tokens = ("--max-tokens", 100, "--max-total-tokens", 2000)
        code, _, err = tcm_eval(*command(server, suite, tmp_path / "r", "--batch", *tokens))
        assert code == 3 and "--max-total-tokens" in err
        assert 0 < len(server.paid) < 15
        code, _, err = tcm_eval(
            *command(server, suite, tmp_path / "s", "--batch", "--max-cost", "0.0001", "--price", "1,1")
        )
        assert code == 3 and "--max-cost" in err and len(server.batches) == 1


ONE = (7 * 10 + 3 * 20) / 1e6
"""What an answer of the local server costs one by one at `--price 10,20`: 7 tokens in, 3 out."""
MOST = 20
"""Tokens that an answer may have."""
PRICED = ("--price", "10,20", "--max-tokens", MOST, "--concurrency", 1)


def dearest(bodies: list[dict[str, Any]]) -> list[float]:
    """Return what each question may cost at most, one by one: a token for each character, 8 a message, and the longest answer."""
    prompts = [sum(8 + len(message["content"]) for message in body["messages"]) for body in bodies]
    return [(prompt * 10 + MOST * 20) / 1e6 for prompt in prompts]


def usage_of(output: Path) -> dict[str, Any]:
    usage: dict[str, Any] = json.loads((folder_of(output) / "summary.json").read_bytes())["usage"]
    return usage


def test_what_was_asked_one_by_one_counts_in_full_before_a_batch(suite: Path, tmp_path: Path, tcm_eval: Call) -> None:
    with serving_batches("openai", looks_until_done=0) as server:
        code, _, _ = tcm_eval(*command(server, suite, tmp_path / "r", *PRICED, "--max-total-tokens", 200))
        live = len(server.live)
        assert code == 3 and live > 5
        budget = 0.008
        code, _, err = tcm_eval(*command(server, suite, tmp_path / "r", *PRICED, "--max-cost", budget, "--batch"))
        most = [cost / 2 for cost in dearest(server.bodies)[live + 1 :]]
        spent = (live + 1) * ONE
        told = f"one more answer might exceed --max-cost 0.008 (spent: {spent:.4g}, {live * ONE:.4g} of it earlier; set aside for what is out: "
        assert code == 3 and f"{told}{sum(most):.4g})" in err and len(server.live) == live + 1
        assert len(most) > 2 and spent + sum(most) <= budget < spent + sum(most) + max(most), "not one more would fit"
        assert "cost so far" in err and "the same command with a greater budget goes on" in err
    usage = usage_of(tmp_path / "r")
    halves = len(server.paid)
    assert usage["batch_tokens_in"] == 7 * halves and usage["batch_tokens_out"] == 3 * halves
    assert usage["cost"] == pytest.approx((live + 1) * ONE + halves * ONE / 2)


def test_what_came_through_a_batch_counts_half_in_a_later_session(suite: Path, tmp_path: Path, tcm_eval: Call) -> None:
    with serving_batches("openai", looks_until_done=0) as server:
        code, _, _ = tcm_eval(*command(server, suite, tmp_path / "r", *PRICED, "--max-cost", 0.008, "--batch"))
        halves = len(server.paid)
        assert code == 3 and halves > 5 and len(server.live) == 1
        before = ONE + halves * ONE / 2
        budget = before + 0.0025
        code, _, err = tcm_eval(*command(server, suite, tmp_path / "r", *PRICED, "--max-cost", f"{budget:.6f}"))
        live = len(server.live) - 1
        assert code == 3 and f"{before:.4g} of it earlier" in err and live > 1
        most = max(dearest(server.bodies))
        assert before + (live - 1) * ONE + most <= budget + 1e-9 < before + live * ONE + most + 1e-4
        assert tcm_eval(*command(server, suite, tmp_path / "r", *PRICED))[0] == 0
    assert usage_of(tmp_path / "r")["cost"] == pytest.approx((30 - halves) * ONE + halves * ONE / 2)


def test_a_record_that_does_not_say_how_it_was_bought_counts_in_full(
    suite: Path, tmp_path: Path, tcm_eval: Call
) -> None:
    with serving_batches("openai", looks_until_done=0) as server:
        assert tcm_eval(*command(server, suite, tmp_path / "r", *PRICED, "--batch"))[0] == 0
    records = folder_of(tmp_path / "r") / "records.jsonl"
    assert records.read_text("utf-8").count('"batched":true') == 29
    records.write_text(records.read_text("utf-8").replace(',"batched":true', ""), "utf-8")
    assert tcm_eval("score", folder_of(tmp_path / "r"))[0] == 0
    usage = usage_of(tmp_path / "r")
    assert usage["cost"] == pytest.approx(30 * ONE) and "batch_tokens_in" not in usage


def test_answers_that_another_run_bought_through_a_batch_are_worth_half(
    suite: Path, tmp_path: Path, tcm_eval: Call
) -> None:
    with serving_batches("openai", looks_until_done=0) as server:
        small = (*PRICED, "--limit", 10)
        assert tcm_eval(*command(server, suite, tmp_path / "r", *small, "--batch"))[0] == 0
        code, out, _ = tcm_eval(*command(server, suite, tmp_path / "r", *PRICED, "--json"))
        assert code == 0 and len(server.paid) == 9 and len(server.live) == 1 + 20
    usage = json.loads(out.splitlines()[-1])["summary"]["usage"]
    assert usage["adopted"] == 10 and usage["cost"] == pytest.approx(21 * ONE + 9 * ONE / 2)
