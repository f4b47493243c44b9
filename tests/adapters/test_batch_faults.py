"""A provider of batches that misbehaves at each step: nothing is lost, nothing is bought twice, and what is printed says what to do."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from harness.batch import collecting, parts
from harness.batch.notes import NOTES
from harness.types import Failure, Response
from model_adapters._http import faults
from tests.adapters.batching import Call, both, command, folder_of, outcomes
from tests.adapters.batching import quick_batches as quick_batches
from tests.support.batch_server import serving_batches
from tests.support.chat_server import Reply

pytestmark = pytest.mark.usefixtures("quick_batches")

PATHS = {"openai": "/v1/batches", "anthropic": "/v1/messages/batches"}


def error(status: int, text: str = "oops", kind: str = "api_error", **headers: str) -> Reply:
    return Reply(status, {"type": "error", "error": {"type": kind, "message": text}}, headers)


def first(count: int, reply: Reply, method: str, path: Callable[[str], bool]) -> Callable[[str, str], Reply | None]:
    """Return what a server sends instead: this reply to the first `count` requests of a kind."""
    left = [count]

    def instead(by: str, where: str) -> Reply | None:
        if by != method or not path(where) or not left[0]:
            return None
        left[0] -= 1
        return reply

    return instead


@both
def test_a_batch_that_is_not_taken_yet_is_submitted_later_and_once(
    provider: str, suite: Path, tmp_path: Path, tcm_eval: Call
) -> None:
    slow = error(429, "slow down", "rate_limit_error", **{"retry-after": "0.05"})
    with serving_batches(provider, instead=first(2, slow, "POST", lambda p: p == PATHS[provider])) as server:
        code, _, err = tcm_eval(*command(server, suite, tmp_path / "r", "--batch"))
        assert code == 0 and err.count("the batch is not taken yet (HTTP 429: slow down): again in") == 2
        assert len(server.batches) == 1 and len(server.live) == 1
    with serving_batches(provider, instead=first(99, slow, "POST", lambda p: p == PATHS[provider])) as server:
        code, _, err = tcm_eval(*command(server, suite, tmp_path / "s", "--batch", "--attempts", 2))
        assert code == 3 and "could not be submitted: HTTP 429: slow down. The same command tries again." in err
        server.instead = lambda _m, _p: None
        assert tcm_eval(*command(server, suite, tmp_path / "s"))[0] == 0, "nothing is out: it may be asked one by one"


@both
@pytest.mark.parametrize("body", [b"<html>a proxy</html>", b"[]", {"id": None}, {"surprise": 1}, b"x" * 3_000_000])
def test_a_batch_whose_answer_cannot_be_read_is_found_and_not_made_again(
    provider: str, body: Any, suite: Path, tmp_path: Path, tcm_eval: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(faults, "LARGEST_BODY", 1 << 20)

    def unreadable(_batch: object, handler: Any) -> bool:
        handler._send(200, body)
        return False

    with serving_batches(provider, after_create=unreadable, looks_until_done=0) as server:
        code, _, err = tcm_eval(*command(server, suite, tmp_path / "r", "--batch"))
        assert code == 0 and "looking for it" in err, err
        assert len(server.batches) == 1 and len(server.live) == 1 and len(server.paid) == 29


@both
@pytest.mark.parametrize(
    ("reply", "told"),
    [
        (error(500), "no news (HTTP 500: oops)"),
        (error(429, "slow down", "rate_limit_error", **{"retry-after": "0.05"}), "no news (HTTP 429: slow down)"),
        (Reply(200, b"<html>"), "no news ("),
        (Reply(200, {"surprise": 1}), "the answer says nothing of the batch"),
        (Reply(200, b'{"id": "ba'), "no JSON"),
        (Reply(200, {"id": "x" * 500}, drop=True), "connection broke"),
    ],
)
def test_a_look_that_fails_is_told_once_and_another_one_follows(
    reply: Reply, told: str, provider: str, suite: Path, tmp_path: Path, tcm_eval: Call
) -> None:
    looks = first(3, reply, "GET", lambda p: p.endswith("batch_0"))
    with serving_batches(provider, instead=looks) as server:
        code, _, err = tcm_eval(*command(server, suite, tmp_path / "r", "--batch"))
        assert code == 0 and err.count("no news") == 1 and told in err
        assert len(server.batches) == 1


def test_an_hour_without_news_ends_the_session_and_the_batch_is_collected_by_the_next(
    suite: Path, tmp_path: Path, tcm_eval: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(collecting, "SILENCE_S", 0.2)
    with serving_batches("openai", instead=first(10**6, error(500), "GET", lambda _: True)) as server:
        code, _, err = tcm_eval(*command(server, suite, tmp_path / "r", "--batch"))
        assert code == 3 and "no news for an hour" in err and "the same command collects it" in err
        server.instead = lambda _m, _p: None
        assert tcm_eval(*command(server, suite, tmp_path / "r", "--batch"))[0] == 0
        assert len(server.batches) == 1 and len(server.live) == 1


@both
@pytest.mark.parametrize(
    ("reply", "told", "cured"),
    [
        (error(401, "bad key", "authentication_error"), "the key was refused", False),
        (Reply(307, {}, {"location": "http://else.example/v1"}), "redirects to else.example", False),
        (error(404, "no such batch", "not_found_error"), "does not know batch batch_0 (HTTP 404: no such batch)", True),
    ],
)
def test_what_ends_the_waiting_says_that_nothing_is_lost_and_the_next_command_collects(
    reply: Reply, told: str, cured: bool, provider: str, suite: Path, tmp_path: Path, tcm_eval: Call
) -> None:
    """Only of a batch that the provider does not know may the note be thrown away: else it would be paid for again."""
    with serving_batches(provider, instead=first(1, reply, "GET", lambda p: p.endswith("batch_0"))) as server:
        code, _, err = tcm_eval(*command(server, suite, tmp_path / "r", "--batch"))
        assert code == 3 and "batch batch_0: " in err and told in err
        assert (f"delete {folder_of(tmp_path / 'r') / NOTES}" in err) == cured
        assert ("the same command collects it" in err) != cured
        assert tcm_eval(*command(server, suite, tmp_path / "r", "--batch"))[0] == 0
        assert len(server.batches) == 1 and len(server.live) == 1


# ------------------------------------------------------------------ results


def sending(change: Callable[[list[bytes]], list[bytes]], times: int = 10**6) -> Callable[[Any, bytes], bool]:
    """Return a way to send results: their lines are changed, the first so many times."""
    left = [times]

    def sends(handler: Any, data: bytes) -> bool:
        left[0] -= 1
        handler._send(200, b"".join(change(data.splitlines(keepends=True)) if left[0] >= 0 else [data]))
        return True

    return sends


@both
def test_results_that_are_fewer_than_the_provider_counted_are_read_again(
    provider: str, suite: Path, tmp_path: Path, tcm_eval: Call
) -> None:
    for change in (lambda lines: lines[:20], lambda _: [b"<html>\n", b"a proxy\n"], lambda _: []):
        output = tmp_path / f"r{id(change)}"
        with serving_batches(provider, sends_results=sending(change, 1)) as server:
            code, _, err = tcm_eval(*command(server, suite, output, "--batch"))
            assert code == 0 and "of 29 came); once more" in err and len(server.batches) == 1
        assert all(isinstance(one, Response) for one in outcomes(output).values())


@both
def test_results_of_which_none_can_be_read_stay_with_the_provider(
    provider: str, suite: Path, tmp_path: Path, tcm_eval: Call
) -> None:
    with serving_batches(provider, sends_results=sending(lambda _: [b"<html>\n"])) as server:
        code, _, err = tcm_eval(*command(server, suite, tmp_path / "r", "--batch", "--attempts", 2))
        assert code == 3 and "batch batch_0: its results cannot be read: 0 of 29 came" in err
        assert [part.closed for part in parts(folder_of(tmp_path / "r"))] == [False] and len(
            outcomes(tmp_path / "r")
        ) == 1
        server.sends_results = lambda _h, _d: False
        assert tcm_eval(*command(server, suite, tmp_path / "r", "--batch"))[0] == 0
        assert len(server.batches) == 1 and len(server.live) == 1


@both
@pytest.mark.parametrize("broken", [b'{"custom_id": "torn\n', b"[]\n", b"\xff\xfe\n", b"x" * 3_000_000 + b"\n"])
def test_a_line_that_is_no_result_costs_only_its_own_question(
    provider: str, broken: bytes, suite: Path, tmp_path: Path, tcm_eval: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(faults, "LARGEST_BODY", 1 << 20)
    with serving_batches(provider, sends_results=sending(lambda lines: [*lines[:5], broken, *lines[6:]])) as server:
        code, out, _ = tcm_eval(*command(server, suite, tmp_path / "r", "--batch", "--attempts", 2))
        assert code == 3 and "INCOMPLETE: 1 question" in out
        [failure] = [one for one in outcomes(tmp_path / "r").values() if isinstance(one, Failure)]
        assert failure.kind == "server" and "no answer" in failure.message
        assert tcm_eval(*command(server, suite, tmp_path / "r", "--batch"))[0] == 0
        assert len(server.live) == 2 and len(server.batches) == 1, "a single question is not worth a batch"


ODD: list[Any] = [
    None,
    [],
    "text",
    7,
    {},
    {"choices": [None]},
    {"choices": [{"message": {"content": {"a": 1}}}]},
    {"output": ["x"], "content": [["x"]], "usage": 3},
    {"output": [{"content": 5}], "content": 5, "usage": []},
]


@pytest.mark.parametrize(
    ("provider", "settings"), [("openai", ()), ("openai", ("--model-arg", "api=responses")), ("anthropic", ())]
)
def test_a_body_of_any_shape_inside_a_batch_ends_no_run(
    provider: str, settings: tuple[str, ...], suite: Path, tmp_path: Path, tcm_eval: Call
) -> None:
    def odd(name: str, text: str) -> Reply | str:
        number = int(text.split("第")[1].split("题")[0])
        return Reply(200, ODD[number // 4]) if name != "live" and number % 4 == 0 and number // 4 < len(ODD) else "ok"

    def odder(lines: list[bytes]) -> list[bytes]:
        rows = [json.loads(line) for line in lines]
        kinds: list[Any] = [None, 5, [], {"type": "succeeded"}, {"type": 3}, {"status_code": "abc", "body": 3}]
        for row, kind in zip(rows, kinds, strict=False):
            row["response" if provider == "openai" else "result"] = kind
        return [json.dumps(row).encode() + b"\n" for row in rows]

    with serving_batches(provider, odd, sends_results=sending(odder)) as server:
        code, out, err = tcm_eval(*command(server, suite, tmp_path / "r", "--batch", "--attempts", 2, *settings))
    assert code == 3 and "INCOMPLETE" in out, err
    assert len(outcomes(tmp_path / "r")) == 30
    assert sum(isinstance(one, Response) for one in outcomes(tmp_path / "r").values()) >= 15
