"""A model whose registry entry states a token budget of its own is asked with it, and stands beside the others all the same."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from harness.models import entries
from harness.store import read_json
from harness.tables import Form
from tests.support.chat_server import ChatServer, said, serving

Call = Callable[..., tuple[int, str, str]]
FORMS: tuple[Form, ...] = ("table", "markdown", "latex")


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[ChatServer]:
    """A server that always says A, and a registry in which `thinker` is its model with a budget of 9,000 tokens."""
    with serving(lambda _s, _n: said("答案：A")) as running:
        mine = tmp_path / "mine.yaml"
        mine.write_text(
            "thinker:\n  title: it thinks\n  max_tokens: 9000\n  ways:\n"
            f"    - {{provider: server, model: deep, settings: {{base_url: '{running.url}', check: false}}}}\n"
        )
        monkeypatch.setenv("TCM_EVAL_REGISTRY", str(mine))
        entries.cache_clear()
        yield running
    entries.cache_clear()


@pytest.fixture
def asked(tcm_eval: Call, suite: Path, tmp_path: Path) -> Callable[..., Path]:
    """Run one model; give its folder."""

    def ask(*more: str) -> Path:
        task = ("--tasks", "own", "--task-path", suite, "--output", tmp_path / "r", "--json", "--quiet")
        code, out, _ = tcm_eval("run", *more, *task)
        assert code == 0
        return Path(json.loads(out)["run"])

    return ask


def ids(run: Path) -> set[str]:
    return {row["comparison_id"] for row in read_json(run / "summary.json")["tasks"]["own/choice"].values()}


def test_it_is_asked_with_its_own_budget_and_its_numbers_may_be_compared(
    server: ChatServer, asked: Callable[..., Path], tcm_eval: Call
) -> None:
    thinker = asked("--model", "thinker")
    assert {post.body["max_tokens"] for post in server.posts()} == {9000}
    plain = asked("--model", "echo/first")
    assert ids(thinker) == ids(plain) and all("|max:1024|" in one for one in ids(plain))
    tcm_eval("score", thinker)
    assert ids(thinker) == ids(plain), "scored again, the run is what it was"
    code, out, _ = tcm_eval("compare", plain, thinker)
    assert code == 0
    assert "an answer's token budget: echo/first what the task allows, thinker 9,000 tokens, its own budget" in out


def test_the_board_ranks_it_and_says_its_budget(
    server: ChatServer, asked: Callable[..., Path], tcm_eval: Call, tmp_path: Path
) -> None:
    asked("--model", "thinker")
    asked("--model", "echo/first")
    for form in FORMS:
        code, out, _ = tcm_eval("leaderboard", "--output", tmp_path / "r", "--format", form)
        assert code == 0 and "§ thinker was allowed 9,000 tokens an answer, its own budget." in out.replace("\\S", "§")
        assert "1. thinker" in out and "1. echo/first" in out, "equal means, equal ranks"


def test_a_budget_stated_for_the_run_holds_for_all(
    server: ChatServer, asked: Callable[..., Path], tcm_eval: Call, tmp_path: Path
) -> None:
    thinker = asked("--model", "thinker", "--max-tokens", "300")
    assert {post.body["max_tokens"] for post in server.posts()} == {300}
    assert all("|max:300|" in one for one in ids(thinker))
    assert "own budget" not in tcm_eval("leaderboard", "--output", tmp_path / "r")[1]
    assert ids(thinker) != ids(asked("--model", "echo/first"))


def test_the_same_command_finds_its_answers_again(server: ChatServer, asked: Callable[..., Path]) -> None:
    first = asked("--model", "thinker")
    before = len(server.posts())
    assert asked("--model", "thinker") == first and len(server.posts()) == before


def test_a_gate_passes_and_says_that_the_budgets_were_not_alike(
    server: ChatServer, asked: Callable[..., Path], tcm_eval: Call, tmp_path: Path
) -> None:
    plain, kept = asked("--model", "echo/first"), tmp_path / "baseline.json"
    assert tcm_eval("baseline", "set", plain, kept)[0] == 0
    thinker = asked("--model", "thinker")
    said_json = tmp_path / "gate.json"
    code, out, _ = tcm_eval("gate", "--baseline", kept, "--candidate", thinker, "--json", said_json)
    note = "an answer's token budget: echo/first what the task allows, thinker 9,000 tokens, its own budget"
    assert note in out and note in json.loads(said_json.read_text())["notes"]
    assert code == 4, "30 questions are too few to tell, but they were asked alike"
