"""Whether the server is there at all, and has the model: what is said at once, what is tried again."""

from __future__ import annotations

import asyncio

import pytest

from harness.errors import AdapterError, Fatal, Transient, UsageError
from model_adapters._http import faults
from model_adapters.server import Server, build
from tests.adapters.test_server import ASK, once
from tests.support.chat_server import ChatServer, Reply, Seen, said, serving


def test_a_server_that_is_not_there_is_fatal_with_a_question_back() -> None:
    with pytest.raises(Fatal, match="cannot be reached"):
        build("mock", base_url="http://127.0.0.1:9/v1")


@pytest.mark.parametrize(
    ("url", "message"),
    [
        (None, "Give --base-url"),
        ("ftp://x", "expected http"),
        ("http://key@host/v1", "does not belong into the address"),
    ],
)
def test_a_wrong_address_is_refused(url: str | None, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        build("mock", base_url=url)


def test_the_servers_own_version_is_part_of_the_identity() -> None:
    with serving(lambda _s, _n: said("x"), models=["mock", "other"]) as server:
        assert build("mock", base_url=server.url).identity["served_as"] == "owned_by=test"
        assert isinstance(build("mock", base_url=server.url, check=False), Server)


def test_a_late_first_byte_and_a_silence_within_the_answer_are_worth_another_try(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    body = said("好").body
    with serving(lambda _s, _n: Reply(body=body, delay=1.5)) as server, pytest.raises(Transient, match="no first byte"):
        once(server, first_byte_timeout=0.2)
    monkeypatch.setattr(faults, "SILENCE_S", 0.3)
    with serving(lambda _s, _n: Reply(body=body, delay=1.0)) as server:
        assert once(server).text == "好", "the wait for the first byte is no silence within an answer"
    with serving(lambda _s, _n: Reply(body=body, stall=2.0)) as server, pytest.raises(Transient, match="silence for"):
        once(server)


def outcomes(server: ChatServer, count: int) -> list[str]:
    """Ask one model so many times in a row; give the name of each error with its message, `Response` for an answer."""
    model = build("mock", base_url=server.url)

    async def go() -> list[str]:
        found = []
        for _ in range(count):
            try:
                found.append(type(await model.generate(ASK)).__name__)
            except AdapterError as error:
                found.append(f"{type(error).__name__}: {error}")
        await model.aclose()
        return found

    return asyncio.run(go())


@pytest.mark.parametrize(("listed", "of_them"), [([], "It gives no list"), (["a", "b"], "It lists a, b.")])
def test_a_local_server_that_only_fails_for_a_model_it_does_not_list_is_taken_to_have_none(
    listed: list[str], of_them: str
) -> None:
    with serving(lambda _s, _n: Reply(500, b"Internal Server Error"), listed) as server:
        *first, last = outcomes(server, 3)
    assert [one.partition(":")[0] for one in first] == ["Transient", "Transient"]
    assert last.startswith("Fatal: ") and "Does it have that model?" in last and of_them in last


@pytest.mark.parametrize(("listed", "statuses"), [(["mock"], [500]), ([], [503]), ([], [500, 200, 500])])
def test_a_listed_model_a_server_still_loading_and_one_that_has_answered_are_tried_again(
    listed: list[str], statuses: list[int]
) -> None:
    def reply(_seen: Seen, number: int) -> Reply:
        status = statuses[min(number, len(statuses) - 1)]
        return said("x") if status == 200 else Reply(status, b"Internal Server Error")

    with serving(reply, listed) as server:
        found = {one.partition(":")[0] for one in outcomes(server, 6)}
    assert "Transient" in found and "Fatal" not in found
