"""A planted key: real runs with every HTTP provider, and then no file and no line printed may hold it, in whatever writing."""

from __future__ import annotations

import base64
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import quote

import pytest

from harness.pipeline import site
from tests.conftest import make_suite
from tests.support.chat_server import ChatServer, Reply, Seen, said, serving
from tests.support.protocols import CHAT, GEMINI, MESSAGES, PROTOCOLS, SERVER, Protocol

Call = Callable[..., tuple[int, str, str]]
KEY = "sk-planted/7Q+x9=R-4fT8w"
"""With characters that change when an address or a header is encoded."""
ROOT = Path(__file__).resolve().parents[2]
ALL = pytest.mark.parametrize("protocol", PROTOCOLS, ids=lambda p: p.name)


def writings(key: str) -> list[bytes]:
    """Return the key as it is, its halves, URL-encoded, and in base64 at each of the three places it may begin at."""
    raw = key.encode()
    found = [raw, raw[:12], raw[-12:], quote(key, safe="").encode(), quote(key).encode(), raw.hex().encode()]
    for encode in (base64.b64encode, base64.urlsafe_b64encode):
        for before in range(3):
            whole = encode(b"\0" * before + raw + b"\0" * 3)
            found.append(whole[(before * 8 + 5) // 6 : (len(raw) + before) * 8 // 6])
    return found


def leaks(folder: Path, *texts: str) -> list[str]:
    """Return where the key stands: files below the folder (names too), and texts."""
    places = {str(path): path.name.encode() + path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    places |= {f"text {n}": text.encode() for n, text in enumerate(texts)}
    return [f"{place}: {form!r}" for place, data in places.items() for form in writings(KEY) if form in data]


def test_the_search_finds_a_key_in_each_writing(tmp_path: Path) -> None:
    assert not leaks(tmp_path, "nothing")
    for form in (KEY, quote(KEY, safe=""), base64.b64encode(f"Bearer {KEY}".encode()).decode(), f"x{KEY}y"):
        assert leaks(tmp_path, form), form
    (tmp_path / KEY.replace("/", "_")).write_text("x")
    (tmp_path / "log").write_bytes(b"\0" + base64.b64encode(b"ab:" + KEY.encode()))
    assert leaks(tmp_path)


@pytest.fixture(autouse=True)
def _planted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PLANTED_KEY", KEY)
    for name in ("OPENAI_API_KEY", "ANTHROPIC_API_KEY", "GEMINI_API_KEY", "GOOGLE_API_KEY"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def suite_of_six(tmp_path: Path) -> Path:
    return make_suite(tmp_path / "own", 8)


def echoing(protocol: Protocol) -> Callable[[Seen, int], Reply]:
    """Return a provider that repeats every header it got, in each kind of answer in turn."""

    def answer(seen: Seen, n: int) -> Reply:
        heard = f"you sent {dict(seen.headers)} with {KEY} and 答案：A"
        replies = [
            protocol.answer(heard),
            protocol.error(500, heard, "server_error"),
            protocol.error(400, heard, "invalid_request_error"),
            Reply(200, f'{{"broken": "{KEY}'.encode()),
            Reply(200, {"surprise": heard}),
            Reply(502, f"<html>{heard}</html>".encode(), {"content-type": "text/html"}),
        ]
        return replies[n % len(replies)]

    return answer


def command(protocol: Protocol, server: ChatServer, folder: Path, *more: object) -> list[str]:
    base = server.url.removesuffix("/v1") + protocol.root
    settings = [part for pair in protocol.settings.items() for part in ("--model-arg", "=".join(pair))]
    words: list[object] = [
        "run",
        "--model",
        f"{protocol.provider}/mock",
        "--base-url",
        base,
        "--key-env",
        "PLANTED_KEY",
        *settings,
    ]
    words += ["--tasks", "own", "--task-path", folder / "own", "--output", folder / "out", "--attempts", "1", *more]
    return [str(word) for word in words]


def looks(folder: Path) -> Iterator[tuple[str, ...]]:
    """Yield every command that reads a results folder and prints or writes something."""
    out = str(folder / "out")
    for form in ("table", "markdown", "csv", "json", "latex"):
        yield ("leaderboard", "--output", out, "--format", form)
    for form in ("csv", "parquet", "lm-eval", "model-index", "inspect"):
        yield ("export", out, "--to", form, "--output", str(folder / f"export-{form}"))

    yield ("models", "list")
    yield ("doctor",)


@ALL
def test_a_key_stands_in_no_file_and_no_line_after_a_run_however_it_went(
    tcm_eval: Call, suite_of_six: Path, tmp_path: Path, protocol: Protocol
) -> None:
    heard: list[str] = []
    with serving(echoing(protocol)) as server:
        for more in ([], ["--concurrency", "1"], ["--json", "--concurrency", "1"], ["--dry-run"]):
            heard += map(str, tcm_eval(*command(protocol, server, tmp_path, *more)))
        sent = re.sub(r"\\u00\w\w", "?", str([dict(seen.headers) for seen in server.posts()]))
        assert "sk-planted" in sent, "its own host did get the key"
    for words in looks(tmp_path):
        code, out, err = tcm_eval(*words)
        assert code == 0, (words, err)
        heard += [out, err]
    site(tmp_path / "out", tmp_path / "site")
    assert "[key]" in "".join(p.read_text("utf-8") for p in tmp_path.rglob("records.jsonl")), (
        "it was repeated, and hidden"
    )
    assert not leaks(tmp_path, *heard)


def test_a_key_that_an_answer_repeats_stands_in_nothing_that_compare_gate_and_figures_write(
    tcm_eval: Call, suite_of_six: Path, tmp_path: Path
) -> None:
    heard: list[str] = []
    with serving(lambda seen, _n: said(f"you sent {dict(seen.headers)} with {KEY}\n答案：A")) as server:
        for name in ("one", "two"):
            code, out, err = tcm_eval(*command(SERVER, server, tmp_path, "--name", name))
            assert code == 0, err
            heard += [out, err]
    one, two = sorted((tmp_path / "out" / "runs").iterdir())
    made = [str(tmp_path / name) for name in ("junit.xml", "gate.md", "gate.json")]
    gate = ("gate", "--baseline", one, "--candidate", two, "--junit", made[0], "--markdown", made[1], "--json", made[2])
    for words in (
        *(("compare", one, two, "--format", form) for form in ("table", "markdown", "csv", "json", "latex")),
        gate,
        ("figures", tmp_path / "out", "--output", tmp_path / "figures", "--format", "png,svg"),
    ):
        code, out, err = tcm_eval(*words)
        assert code in (0, 4) if words is gate else code == 0, (words, err)
        heard += [out, err]
    assert all(Path(file).is_file() for file in made) and any((tmp_path / "figures").iterdir())
    assert "[key]" in (one / "records.jsonl").read_text("utf-8"), "it was repeated, and hidden"
    assert not leaks(tmp_path, *heard)


@ALL
def test_a_refused_key_is_not_shown(tcm_eval: Call, suite_of_six: Path, tmp_path: Path, protocol: Protocol) -> None:
    refusal = protocol.error(401, f"Incorrect API key provided: {KEY}", "invalid_api_key")
    with serving(lambda _s, _n: refusal) as server:
        code, out, err = tcm_eval(*command(protocol, server, tmp_path))
        assert code == 3 and "the key was refused" in err and "[key]" in err and server.posts()
        tried = tcm_eval("models", "test", f"{protocol.provider}/mock", *command(protocol, server, tmp_path)[3:7])
    assert not leaks(tmp_path, out, err, *map(str, tried))


CRASH = """
import sys
sys.path.insert(0, {root!r})
import model_adapters._http.faults as faults
def broken(data):
    raise ZeroDivisionError("a bug of ours, in the middle of an answer")
import model_adapters._http.chat as chat, model_adapters.openai as o, model_adapters.anthropic as a, model_adapters.google as g
faults.parsed = o.parsed = a.parsed = g.parsed = broken
from harness.cli import main
sys.exit(main(sys.argv[1:]))
"""


@pytest.mark.parametrize("protocol", [SERVER, CHAT, MESSAGES, GEMINI], ids=lambda p: p.provider)
def test_a_crash_shows_no_key_even_with_every_log_turned_on(
    suite_of_six: Path, tmp_path: Path, protocol: Protocol
) -> None:
    """A bug inside an adapter ends with a traceback; the SDKs' own logs are at their loudest."""
    script = tmp_path / "crash.py"
    script.write_text(CRASH.format(root=str(ROOT)))
    loud = {"PYTHONASYNCIODEBUG": "1", "OPENAI_LOG": "debug", "ANTHROPIC_LOG": "debug", "PYTHONFAULTHANDLER": "1"}
    with serving(lambda _s, _n: protocol.answer("答案：A")) as server:
        words = command(protocol, server, tmp_path)
        done = subprocess.run(
            [sys.executable, str(script), *words],
            capture_output=True,
            text=True,
            cwd=tmp_path,
            env={**os.environ, **loud},
        )
        assert server.posts()
    assert done.returncode != 0 and "a bug of ours" in done.stderr + "".join(
        p.read_text("utf-8") for p in tmp_path.rglob("records.jsonl")
    )
    assert not leaks(tmp_path, done.stdout, done.stderr)


def test_a_key_file_of_mode_600_is_used_and_another_mode_refused(
    tcm_eval: Call, suite_of_six: Path, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    file = tmp_path_factory.mktemp("elsewhere") / "key"
    file.write_text(KEY + "\n")
    with serving(lambda _s, _n: said("答案：A")) as server:
        words: list[object] = ["run", "--model", "server/mock", "--base-url", server.url, "--tasks", "own"]
        words += ["--task-path", tmp_path / "own", "--output", tmp_path / "out", "--model-arg", f"key_file={file}"]
        for mode in (0o644, 0o640, 0o604):
            file.chmod(mode)
            code, out, err = tcm_eval(*words)
            assert code == 2 and f"chmod 600 {file}" in err and not server.seen
        file.chmod(0o600)
        code, out, err = tcm_eval(*words)
        assert code == 0 and "sk-planted" in str(server.posts()[0].headers)
    assert not leaks(tmp_path, out, err)


@ALL
def test_a_redirect_to_another_host_does_not_carry_the_key(
    tcm_eval: Call, suite_of_six: Path, tmp_path: Path, protocol: Protocol
) -> None:
    with serving(lambda _s, _n: said("elsewhere")) as other:
        for status in (301, 302, 307, 308):
            with serving(lambda _s, _n, status=status: Reply(status, {}, {"location": f"{other.url}/{KEY}"})) as server:  # type: ignore[misc]
                code, out, err = tcm_eval(*command(protocol, server, tmp_path))
                assert code == 3 and "Redirects are not followed" in err and server.posts()
                assert not leaks(tmp_path, out, err)
        assert not other.seen
