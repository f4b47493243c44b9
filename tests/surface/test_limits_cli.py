"""Budgets, prices, estimates and allowed failures from the command line, against a local server."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.conftest import TASK, make_suite
from tests.support.chat_server import ChatServer, Reply, Seen, said, serving

Call = Callable[..., tuple[int, str, str]]
PRICE = ("--price", "1000000,2000000")  # 1 a token in, 2 a token out: an answer of 7 and 3 costs 13


def command(server: ChatServer, suite: Path, output: Path, *more: object) -> tuple[object, ...]:
    asked = ("run", "--model", "server/mock", "--base-url", server.url, "--tasks", "own", "--task-path", suite)
    return (*asked, "--output", output, "--max-tokens", "3", *more)


def right(seen: Seen, _n: int) -> Reply:
    return said("答案：A")


def answers(output: Path) -> int:
    [records] = output.glob("runs/*/records.jsonl")
    return records.read_text("utf-8").count('"response"')


def test_a_cost_holds_over_all_sessions_of_a_run_and_a_greater_one_goes_on(
    tcm_eval: Call, suite: Path, tmp_path: Path
) -> None:
    with serving(right) as server:
        first = command(server, suite, tmp_path, *PRICE, "--max-cost", "300", "--concurrency", "2")
        code, out, err = tcm_eval(*first)
        asked = len(server.posts())
        assert code == 3 and 0 < asked < 30 and asked * 13 <= 300 and "INCOMPLETE" in out
        assert f"stopped: one more answer might exceed --max-cost 300 (spent: {asked * 13})" in err
        code, _, err = tcm_eval(*first)
        assert code == 3 and len(server.posts()) == asked, "the same budget buys nothing more"
        assert f"{asked} ok, {30 - asked} not asked" in out and f"{30 - asked} were not asked. Stopped: one more" in out
        code, out, quiet = tcm_eval(*first, "--quiet")
        assert code == 3 and not out and f"{30 - asked} were not asked. Stopped: one more" in quiet
        assert (
            f"(spent: {asked * 13}, {asked * 13} of it earlier)" in err
            and "the same command with a greater budget goes on" in err
        )
        code, _, err = tcm_eval(*command(server, suite, tmp_path, *PRICE, "--max-cost", "10000"))
        assert code == 0 and len(server.posts()) == 30 and f"cost so far {30 * 13}" in err, "a greater one goes on"
    [runs] = tmp_path.glob("runs/*/sessions.json")
    assert "--max-cost 300" in json.loads(runs.read_text("utf-8"))["sessions"][0]["stopped"]


def test_total_tokens_hold_over_all_sessions_of_a_run(tcm_eval: Call, suite: Path, tmp_path: Path) -> None:
    with serving(right) as server:
        assert tcm_eval(*command(server, suite, tmp_path, "--max-total-tokens", "250"))[0] == 3
        asked = len(server.posts())
        assert 0 < asked * 10 <= 250 and answers(tmp_path) == asked
        code, _, err = tcm_eval(*command(server, suite, tmp_path, "--max-total-tokens", "251"))
        assert (
            code == 3 and len(server.posts()) == asked and f"(used: {asked * 10}, {asked * 10} of them earlier)" in err
        )
        assert tcm_eval(*command(server, suite, tmp_path))[0] == 0 and len(server.posts()) == 30


def test_a_provider_that_tells_no_tokens_is_not_asked_beyond_a_budget(
    tcm_eval: Call, suite: Path, tmp_path: Path
) -> None:
    def mute(_seen: Seen, _n: int) -> Reply:
        reply = said("答案：A")
        del reply.body["usage"]
        return reply

    with serving(mute) as server:
        for budget in (("--max-total-tokens", 1000), (*PRICE, "--max-cost", 1000)):
            server.seen.clear()
            code, _, err = tcm_eval(*command(server, suite, tmp_path / budget[0], *budget, "--concurrency", 2))
            most = [sum(8 + len(m["content"]) for m in seen.body["messages"]) + 3 for seen in server.posts()]
            assert code == 3 and "stopped: one more answer might exceed" in err
            assert 2 < len(most) < 30 and sum(most) <= 1000, "each counts at its most"


def test_answers_of_another_run_cost_this_one_nothing(tcm_eval: Call, suite: Path, tmp_path: Path) -> None:
    with serving(right) as server:
        assert tcm_eval(*command(server, suite, tmp_path, *PRICE, "--limit", "20"))[0] == 0
        code, _, err = tcm_eval(*command(server, suite, tmp_path, *PRICE, "--max-cost", "1000", "--concurrency", "1"))
        assert code == 0 and len(server.posts()) == 30 and f"cost so far {10 * 13}" in err


def test_a_cost_without_a_price_is_refused_before_anything_is_asked(
    tcm_eval: Call, suite: Path, tmp_path: Path
) -> None:
    with serving(right) as server:
        code, _, err = tcm_eval(*command(server, suite, tmp_path, "--max-cost", "1"))
        assert code == 2 and "--price INPUT,OUTPUT" in err and not server.posts()
        code, _, err = tcm_eval(*command(server, suite, tmp_path, "--max-cost", "1", "--price", "3"))
        assert code == 2 and "expected INPUT,OUTPUT" in err


@pytest.mark.parametrize(("most", "stops"), [("0.1", True), ("0.5", False), ("3", True), ("12", False)])
def test_failures_are_allowed_up_to_a_count_or_a_share_of_all_questions(
    tcm_eval: Call, suite: Path, tmp_path: Path, most: str, stops: bool
) -> None:
    """Ten of thirty questions are refused: 0.1 allows three of them, 0.5 allows fifteen."""

    def some(seen: Seen, _n: int) -> Reply:
        number = int(re.findall(r"第(\d+)题", str(seen.body["messages"]))[-1])
        return Reply(400, {"error": {"message": "never"}}) if number % 4 == 1 else said("答案：A")

    with serving(some) as server:
        code, out, err = tcm_eval(
            *command(server, suite, tmp_path, "--max-failures", most, "--concurrency", "1", "--seed", "1")
        )
    assert code == 3, "failed answers make a run incomplete, whether it was stopped or not"
    allowed = 3 if float(most) in (0.1, 3) else None
    if stops:
        assert f"stopped: 4 requests failed (--max-failures allows {allowed})" in err and len(server.posts()) < 30
    else:
        assert "stopped" not in err and len(server.posts()) == 30 and "10 failed" in out


def test_a_dry_run_says_the_most_it_can_cost_and_asks_and_writes_nothing(
    tcm_eval: Call, suite: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-none")
    with serving(right) as server:
        code, out, _ = tcm_eval(*command(server, suite, tmp_path / "r", *PRICE, "--dry-run", "--repeats", "2"))
        assert code == 0 and not server.seen and not (tmp_path / "r").exists()
        found = re.fullmatch(
            r"server/mock: 60 requests; at most ([\d,]+) tokens in and 180 out; cost at most ([\d,.]+)\n", out
        )
        assert found, out
        tokens, cost = (float(group.replace(",", "")) for group in found.groups())
        assert cost == tokens + 2 * 180
        code, out, _ = tcm_eval(*command(server, suite, tmp_path / "r", "--dry-run"))
        assert code == 0 and "cost at most unknown (no price: --price INPUT,OUTPUT)" in out
        code, out, _ = tcm_eval("run", "--model", "gpt-4o", "--tasks", "own", "--task-path", suite, "--dry-run")
        assert code == 0 and re.search(r"cost at most [\d.]+ USD \(price of 20\d\d-\d\d, https://", out)


def test_a_dry_run_is_an_upper_bound_of_what_is_then_used(tcm_eval: Call, tmp_path: Path) -> None:
    """Measured by a server that counts a token a character, more than any tokenizer makes of Chinese text."""
    suite = make_suite(tmp_path / "own", 40)

    def counts(seen: Seen, _n: int) -> Reply:
        reply = said("答案：A")
        reply.body["usage"] = {
            "prompt_tokens": sum(len(m["content"]) for m in seen.body["messages"]),
            "completion_tokens": 3,
        }
        return reply

    with serving(counts) as server:
        _, out, _ = tcm_eval(*command(server, suite, tmp_path, "--dry-run"))
        at_most = int(re.search(r"at most ([\d,]+) tokens in", out)[1].replace(",", ""))  # type: ignore[index]
        _, out, _ = tcm_eval(*command(server, suite, tmp_path, "--json", "--quiet"))
    used = json.loads(out)["summary"]["usage"]["tokens_in"]
    assert 0.7 * at_most < used <= at_most


@pytest.mark.parametrize("task", ["dialogue_own", "dialogue"])
def test_a_dry_run_is_an_upper_bound_of_dialogues_whose_answers_are_as_long_as_they_may_be(
    tcm_eval: Call, tmp_path: Path, task: str
) -> None:
    """Each turn's prompt holds the turns before it; the server counts a token a character and 8 for each message."""
    longest = 300

    def longwinded(seen: Seen, _n: int) -> Reply:
        assert seen.body["max_tokens"] == longest
        reply = said("脉" * longest, "length")
        prompt = sum(8 + len(message["content"]) for message in seen.body["messages"])
        reply.body["usage"] = {"prompt_tokens": prompt, "completion_tokens": longest}
        return reply

    with serving(longwinded) as server:
        model = ("--model", "server/mock", "--base-url", server.url, "--tasks", f"tcm_core/{task}")
        asked = ("run", *model, "--output", tmp_path, "--limit", "4", "--max-tokens", longest)
        _, out, _ = tcm_eval(*asked, *PRICE, "--dry-run")
        found = re.search(r": (\d+) requests; at most ([\d,]+) tokens in and ([\d,]+) out; cost at most ([\d,.]+)", out)
        assert found, out
        requests, most_in, most_out, cost = (float(group.replace(",", "")) for group in found.groups())
        code, out, err = tcm_eval(*asked, *PRICE, "--max-cost", cost, "--json", "--quiet")
        assert code == 0, err
        assert len(server.posts()) == requests and (task == "dialogue" or requests > 4)
    usage = json.loads(out)["summary"]["usage"]
    assert (usage["tokens_in"], usage["tokens_out"], usage["cost"]) == (most_in, most_out, cost), "exactly the most"


def test_a_dry_run_of_a_batch_is_refused_where_the_batch_would_be(
    tcm_eval: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It said half the price of models that no batch can ask."""
    for key in ("GEMINI_API_KEY", "OPENAI_API_KEY"):
        monkeypatch.delenv(key, raising=False)
    one = ("--tasks", "tcm_core/single_choice", "--limit", "1", "--batch", "--dry-run")
    for model in ("gemini-2.5-pro", "guess", "hf/nowhere"):
        code, out, err = tcm_eval("run", "--model", model, *one)
        assert (code, out) == (2, "") and f"{model} has no batch interface here" in err
    code, out, err = tcm_eval("run", "--model", "gpt-4o", *one, "--ask", "letter")
    assert (code, out) == (2, "") and "no batch interface gives option log-probabilities" in err
    code, _, err = tcm_eval("run", "--model", "gpt-4o", "--tasks", "tcm_core/dialogue_own", *one[2:])
    assert code == 2 and "step by step" in err
    code, out, _ = tcm_eval("run", "--model", "claude-haiku-5-5", *one)
    assert code == 0 and re.search(r"cost at most 0\.0\d+ USD .*at half the price but for the first", out)


def test_a_dry_run_says_what_it_takes_an_image_for(tcm_eval: Call, tmp_path: Path) -> None:
    plain = make_suite(tmp_path / "plain", 8)
    shown = make_suite(tmp_path / "shown", 8, TASK.replace("split:", "  fields: { images: images }\nsplit:"))
    file = shown / "choice.jsonl"
    rows = [json.loads(line) for line in file.read_text("utf-8").splitlines()]
    image = {"media_type": "image/png", "data": "aGk="}
    file.write_text("".join(json.dumps({**row, "images": [image, image]}) + "\n" for row in rows), "utf-8")
    said_of = {}
    for suite in (plain, shown):
        asked = ("run", "--model", "server/mock", "--base-url", "http://127.0.0.1:9/v1", "--tasks", suite.name)
        code, said_of[suite], err = tcm_eval(*asked, "--task-path", suite, "--dry-run")
        assert code == 0, err
    note = "each image counted as 1,000 tokens: providers differ\n"
    assert said_of[shown].endswith(note) and "image" not in said_of[plain]
    tokens = [int(re.search(r"most ([\d,]+) tokens in", said_of[s])[1].replace(",", "")) for s in (plain, shown)]  # type: ignore[index]
    assert tokens[1] == tokens[0] + 6 * 2 * 1000


def test_an_estimate_for_an_alias_needs_no_key(tcm_eval: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    asked = ("run", "--model", "gpt-4o", "--tasks", "tcm_core/single_choice", "--limit", "3")
    code, out, _ = tcm_eval(*asked, "--dry-run")
    assert code == 0 and out.startswith("gpt-4o: 3 requests; ") and "cost at most" in out
    code, _, err = tcm_eval(*asked)
    assert code == 2 and "OPENAI_API_KEY is not set" in err, "asking needs it"
