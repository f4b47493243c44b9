"""Where the key goes with `--batch`, and that nothing which a provider of batches says brings it into a file or a line."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from tests.adapters.batching import KEY, Call, both, command
from tests.adapters.batching import quick_batches as quick_batches
from tests.support.batch_server import serving_batches
from tests.support.chat_server import Reply, said
from tests.support.planted import MARK, leaks, with_key
from tests.support.protocols import said_by_anthropic

pytestmark = pytest.mark.usefixtures("quick_batches")


@both
def test_the_key_stands_in_no_file_and_every_request_carries_it(
    provider: str, suite: Path, tmp_path: Path, tcm_eval: Call
) -> None:
    with serving_batches(provider) as server:
        code, out, err = tcm_eval(*command(server, suite, tmp_path / "r", "--batch"))
        assert code == 0
        assert all(KEY in str(headers) for headers in server.headers)
    assert not leaks(tmp_path / "r", out, err)


@both
def test_an_answer_that_repeats_the_key_is_kept_without_it(
    provider: str, suite: Path, tmp_path: Path, tcm_eval: Call
) -> None:
    text = f"you sent {MARK}：答案：A"
    leaky = said(text) if provider == "openai" else said_by_anthropic(text)
    with serving_batches(provider, lambda _n, _t: leaky, rewrites=with_key) as server:
        code, out, err = tcm_eval(*command(server, suite, tmp_path / "r", "--batch"))
    written = b"".join(path.read_bytes() for path in (tmp_path / "r").rglob("*") if path.is_file())
    assert code == 0 and b"[key]" in written and not leaks(tmp_path / "r", out, err)


def telling(status: int) -> Reply:
    return Reply(status, {"type": "error", "error": {"type": "invalid_request_error", "message": f"you sent {MARK}"}})


@both
@pytest.mark.parametrize(
    ("how", "code", "said"),
    [
        ({"before_create": lambda: telling(400)}, 3, "you sent [key]"),
        ({"before_create": lambda: telling(401)}, 3, "you sent [key]"),
        ({"before_create": lambda: telling(500)}, 3, "you sent [key]"),
        ({"fate": lambda name, _t: "ok" if name == "live" else telling(400)}, 3, "29 calls failed"),
        ({"fate": lambda name, _t: "ok" if name == "live" else Reply(200, {"odd": MARK})}, 3, "29 calls failed"),
        ({"working": f"working with {MARK}"}, 0, "working with [key]"),
    ],
    ids=["a 400", "a 401", "a 500", "an error in the batch", "an odd body in the batch", "a state"],
)
def test_a_provider_that_repeats_the_key_in_whatever_it_says_of_a_batch_is_shown_without_it(
    how: dict[str, Any], code: int, said: str, provider: str, suite: Path, tmp_path: Path, tcm_eval: Call
) -> None:
    with serving_batches(provider, rewrites=with_key, **how) as server:
        found, out, err = tcm_eval(*command(server, suite, tmp_path / "r", "--batch", "--attempts", 2))
    assert found == code and said in out + err, (found, out, err)
    assert not leaks(tmp_path / "r", out, err)


def test_a_reason_for_which_a_whole_batch_failed_is_kept_without_the_key(
    suite: Path, tmp_path: Path, tcm_eval: Call
) -> None:
    with serving_batches("openai", rewrites=with_key, ends="failed", reason=f"you sent {MARK}") as server:
        code, out, err = tcm_eval(*command(server, suite, tmp_path / "r", "--batch"))
    assert code == 3 and not leaks(tmp_path / "r", out, err)


def test_results_at_another_host_are_not_fetched_with_the_key(suite: Path, tmp_path: Path, tcm_eval: Call) -> None:
    for host in ("http://127.0.0.2:1", f"http://user:{quote(KEY, safe='')}@127.0.0.2:1"):
        with serving_batches("anthropic", results_host=host, looks_until_done=0) as server:
            code, out, err = tcm_eval(*command(server, suite, tmp_path / "r", "--batch"))
        assert code == 3 and "no key goes to another host" in err
        assert not leaks(tmp_path / "r", out, err)
        (tmp_path / "r").rename(tmp_path / f"r{len(host)}")
