"""What somebody at the terminal sees, and in the end gets, of a provider that answers nobody."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path

import pytest

from harness.console import news
from tests.support.chat_server import ChatServer, Reply, Seen, said, serving

Call = Callable[..., tuple[int, str, str]]
ERROR = "HTTP 500: CUDA error: no kernel image"


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make waits a tenth as long, and the first word of trouble come with the third fault."""
    monkeypatch.setattr(random, "uniform", lambda _low, _high: 0.1)
    monkeypatch.setattr(news, "SOON", 0.0)


def command(server: ChatServer, suite: Path, output: Path, *more: object) -> tuple[object, ...]:
    asked = ("run", "--model", "server/mock", "--base-url", server.url, "--tasks", "own", "--task-path", suite)
    return (*asked, "--output", output, "--concurrency", "4", *more)


def broken(_seen: Seen, _n: int) -> Reply:
    return Reply(500, {"error": {"message": "\x1b[31mCUDA error:\nno kernel image"}})


@pytest.mark.parametrize("quiet", [False, True])
def test_a_server_that_always_fails_is_told_early_and_ends_the_run(
    tcm_eval: Call, suite: Path, tmp_path: Path, quiet: bool
) -> None:
    options = ("--patience", "0.2", "--attempts", "2", *(["--quiet"] if quiet else []))
    with serving(broken) as server:
        code, out, err = tcm_eval(*command(server, suite, tmp_path, *options))
    first = err.splitlines()[0 if quiet else 1]
    assert code == 3 and first.startswith("server/mock: nothing answered yet" if quiet else "nothing answered yet in ")
    assert first.endswith(f"attempts came to nothing, the last with: {ERROR}")
    assert "(--patience 0.2), and 10 requests in a row were given up; the last error: " + ERROR in err
    assert "\x1b" not in out + err and "were not asked. Stopped: nobody has been answered" in (err if quiet else out)


def test_a_long_wait_that_the_provider_asks_for_is_told_even_to_the_quiet(
    tcm_eval: Call, suite: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(news, "WONDER", 0.0)
    slow = Reply(429, {"error": {"message": "slow down"}}, {"retry-after": "1"})
    with serving(lambda _seen, n: slow if n == 3 else said("答案：A")) as server:
        code, _, err = tcm_eval(*command(server, suite, tmp_path, "--quiet"))
    assert code == 0 and "server/mock: the provider asks to wait 1 s: nothing is asked until then" in err


def test_who_comes_back_in_time_is_greeted_and_costs_no_question(tcm_eval: Call, suite: Path, tmp_path: Path) -> None:
    with serving(lambda seen, n: said("答案：A") if n > 12 else broken(seen, n)) as server:
        code, out, err = tcm_eval(*command(server, suite, tmp_path, "--quiet"))
    assert code == 0 and not out
    told = err.splitlines()
    assert "nothing answered yet" in told[0] and told[-1].startswith("server/mock: answered again after ")
