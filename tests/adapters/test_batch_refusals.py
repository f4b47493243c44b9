"""What `--batch` refuses."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from harness.batch import PROVIDERS
from harness.registry import get_adapter
from tests.adapters.batching import Call, command
from tests.adapters.batching import quick_batches as quick_batches
from tests.support.batch_server import serving_batches
from tests.support.chat_server import Reply

pytestmark = pytest.mark.usefixtures("quick_batches")


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (("--model", "guess", "--tasks", "own"), "guess has no batch interface here"),
        (
            ("--model", "server/x", "--base-url", "BASE", "--model-arg", "check=false", "--tasks", "own"),
            "no batch interface",
        ),
        (("--model", "openai/x", "--base-url", "BASE", "--tasks", "own", "--ask", "letter"), "log-probabilities"),
        (("--model", "openai/x", "--base-url", "BASE", "--tasks", "tcm_core/dialogue_own"), "step by step"),
        (("--model", "openai/x", "--base-url", "BASE", "--tasks", "own", "--max-failures", "5"), "does not go with"),
        (
            ("--model", "openai/x", "--base-url", "BASE", "--tasks", "own", "--max-failures", "0", "--dry-run"),
            "does not go with",
        ),
    ],
)
def test_what_no_batch_can_do_is_refused_before_anything_is_asked(
    tcm_eval: Call, suite: Path, tmp_path: Path, more: tuple[str, ...], message: str
) -> None:
    with serving_batches("openai") as server:
        words = [server.base if word == "BASE" else word for word in more]
        code, _, err = tcm_eval("run", *words, "--task-path", suite, "--output", tmp_path, "--batch", "--limit", 3)
        assert code == 2 and message in err and not server.headers


def test_a_first_question_without_an_answer_submits_nothing(suite: Path, tmp_path: Path, tcm_eval: Call) -> None:
    down = Reply(500, {"error": {"message": "down"}})
    with serving_batches("openai", lambda name, _t: down if name == "live" else "ok") as server:
        code, _, err = tcm_eval(*command(server, suite, tmp_path / "r", "--batch", "--attempts", 1))
        assert code == 3 and "nothing was submitted" in err and not server.batches
    with serving_batches("openai", lambda _n, _t: Reply(401, {"error": {"message": "no"}})) as server:
        code, _, err = tcm_eval(*command(server, suite, tmp_path / "r2", "--batch"))
        assert code == 3 and "the key was refused" in err and not server.batches


def test_the_providers_that_are_said_to_have_batches_are_those_whose_models_have_them(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in ("openai", "anthropic", "google", "server"):
        settings = {"check": False} if name == "server" else {}
        model = get_adapter(name)("x", base_url="http://127.0.0.1:9/v1", **settings)
        assert (getattr(model, "batches", None) is not None) == (name in PROVIDERS), name
        asyncio.run(model.aclose())
