"""What `--batch` refuses, and where its key goes."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from harness.batch import PROVIDERS
from harness.registry import get_adapter
from tests.adapters.batching import KEY, Call, both, command
from tests.adapters.batching import quick_batches as quick_batches
from tests.support.batch_server import serving_batches
from tests.support.chat_server import Reply, said
from tests.support.protocols import said_by_anthropic

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


@both
def test_the_key_stands_in_no_file_and_every_request_carries_it(
    provider: str, suite: Path, tmp_path: Path, tcm_eval: Call
) -> None:
    with serving_batches(provider) as server:
        code, out, err = tcm_eval(*command(server, suite, tmp_path / "r", "--batch"))
        assert code == 0
        assert all(KEY in str(headers) for headers in server.headers)
    written = b"".join(path.read_bytes() for path in (tmp_path / "r").rglob("*") if path.is_file())
    assert KEY.encode() not in written and KEY not in out + err


@both
def test_an_answer_that_repeats_the_key_is_kept_without_it(
    provider: str, suite: Path, tmp_path: Path, tcm_eval: Call
) -> None:
    leaky = said(f"{KEY}：答案：A") if provider == "openai" else said_by_anthropic(f"{KEY}：答案：A")
    with serving_batches(provider, lambda name, _t: leaky if name != "live" else "ok") as server:
        code, out, err = tcm_eval(*command(server, suite, tmp_path / "r", "--batch"))
    written = b"".join(path.read_bytes() for path in (tmp_path / "r").rglob("*") if path.is_file())
    assert code == 0 and KEY.encode() not in written and b"[key]" in written and KEY not in out + err


def test_results_at_another_host_are_not_fetched_with_the_key(suite: Path, tmp_path: Path, tcm_eval: Call) -> None:
    with serving_batches("anthropic", results_host="http://127.0.0.2:1", looks_until_done=0) as server:
        code, _, err = tcm_eval(*command(server, suite, tmp_path / "r", "--batch"))
    assert code == 3 and "no key goes to another host" in err
