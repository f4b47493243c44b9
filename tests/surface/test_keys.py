"""A planted key: real runs with every HTTP provider, and then no file and no line printed may hold it, in whatever writing."""

from __future__ import annotations

import base64
import json
import os
import re
import subprocess
import sys
import zipfile
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler
from itertools import product
from pathlib import Path
from urllib.parse import quote

import pyarrow
import pytest
from pyarrow import parquet

from tests.conftest import make_suite
from tests.support.chat_server import ChatServer, Reply, listening, said, serving
from tests.support.planted import KEY, MARK, echoing, leaks, repeated, with_key
from tests.support.protocols import CHAT, GEMINI, MESSAGES, PROTOCOLS, SERVER, Protocol

Call = Callable[..., tuple[int, str, str]]
ROOT = Path(__file__).resolve().parents[2]
ALL = pytest.mark.parametrize("protocol", PROTOCOLS, ids=lambda p: p.name)


def test_the_search_finds_a_key_in_each_writing(tmp_path: Path) -> None:
    assert not leaks(tmp_path, "nothing")
    for form in (*repeated(), KEY[:12], quote(KEY), base64.b64encode(f"Bearer {KEY}".encode()).decode(), f"x{KEY}y"):
        assert leaks(tmp_path, form), form
    (tmp_path / KEY.replace("/", "_")).write_text("x")
    assert leaks(tmp_path)


def test_the_search_finds_a_key_inside_of_packed_files(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "log.eval", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("journal/start.json", f'{{"said": "{KEY}"}}' * 50)
    assert any("log.eval" in place for place in leaks(tmp_path))
    rows = pyarrow.table({"said": [f"{n}: you sent {KEY}" for n in range(50)]})
    parquet.write_table(rows, tmp_path / "rows.parquet", compression="gzip", write_statistics=False)
    assert KEY.encode() not in (tmp_path / "rows.parquet").read_bytes()
    assert any("rows.parquet" in place for place in leaks(tmp_path))


@pytest.fixture(autouse=True)
def _planted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PLANTED_KEY", KEY)
    for name in ("OPENAI_API_KEY", "ANTHROPIC_API_KEY", "GEMINI_API_KEY", "GOOGLE_API_KEY"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def suite_of_six(tmp_path: Path) -> Path:
    return make_suite(tmp_path / "own", 8)


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
    assert "[key]" in "".join(p.read_text("utf-8") for p in tmp_path.rglob("records.jsonl")), (
        "it was repeated, and hidden"
    )
    assert not leaks(tmp_path, *heard)


@ALL
def test_a_refused_key_is_not_shown(tcm_eval: Call, suite_of_six: Path, tmp_path: Path, protocol: Protocol) -> None:
    refusal = with_key(protocol.error(401, f"Incorrect API key provided: {MARK}", "invalid_api_key"))
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


@pytest.mark.parametrize(
    "words",
    [
        ("--model-arg", KEY),
        ("--model-arg", f"key_file={KEY}"),
        ("--model-arg", f'body={{"api_key": "{KEY}"}}'),
        ("--model-arg", f'body={{"user": "{KEY}"}}'),
        ("--key-env", KEY),
    ],
)
def test_a_key_typed_into_the_command_line_is_refused_and_neither_kept_nor_repeated(
    tcm_eval: Call, suite_of_six: Path, tmp_path: Path, words: tuple[str, str]
) -> None:
    with serving(lambda _s, _n: said("答案：A")) as server:
        asking = ["run", "--model", "server/mock", "--base-url", server.url, "--tasks", "own"]
        asking += ["--task-path", str(tmp_path / "own"), "--output", str(tmp_path / "out")]
        code, out, err = tcm_eval(*asking, *words)
        assert code == 2 and not server.seen, err
    assert not leaks(tmp_path, out, err)


@ALL
def test_a_redirect_to_another_host_does_not_carry_the_key(
    tcm_eval: Call, suite_of_six: Path, tmp_path: Path, protocol: Protocol
) -> None:
    with serving(lambda _s, _n: said("elsewhere")) as other:
        addresses = (f"{other.url}/{KEY}", f"http://user:{quote(KEY, safe='')}@{other.url.removeprefix('http://')}")
        for status, to in product((301, 302, 307, 308), addresses):
            away = Reply(status, {}, {"location": to})
            with serving(lambda _s, _n, away=away: away) as server:  # type: ignore[misc]
                code, out, err = tcm_eval(*command(protocol, server, tmp_path))
                assert code == 3 and "Redirects are not followed" in err and server.posts()
                assert not leaks(tmp_path, out, err)
        assert not other.seen


@ALL
@pytest.mark.parametrize(
    "line", [f"HTTP/1.1 200 OK\r\nno header {KEY}", f"{KEY} 200 OK", f"HTTP/1.1 {KEY}", f"HTTP/1.1 200 {KEY}"]
)
def test_an_answer_that_is_no_http_and_repeats_the_key_is_shown_without_it(
    tcm_eval: Call, suite_of_six: Path, tmp_path: Path, protocol: Protocol, line: str
) -> None:
    class Broken(BaseHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            """Keep the test's output clean."""

        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["content-length"]))
            self.wfile.write(line.encode() + b"\r\n\r\n")

    with listening(Broken) as url:
        server = ChatServer(lambda _s, _n: said(""), url=f"{url}/v1")
        words = command(protocol, server, tmp_path, "--model-arg", "check=false")
        code, out, err = tcm_eval(*words[:-2] if protocol is not SERVER else words)
    assert code == 3
    assert not leaks(tmp_path, out, err)


def test_a_list_of_models_that_repeats_the_key_brings_it_into_no_manifest(
    tcm_eval: Call, suite_of_six: Path, tmp_path: Path
) -> None:
    """What a server says of its model stands in the run's identity."""

    class Listing(BaseHTTPRequestHandler):
        status = 200

        def log_message(self, *_: object) -> None:
            """Keep the test's output clean."""

        def do_GET(self) -> None:
            one = {"id": "mock", "owned_by": MARK, "root": MARK}
            data = with_key(Reply(body={"data": [one], "error": {"message": "x" * 290 + MARK}})).body
            self._send(self.status, data)

        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["content-length"]))
            self._send(200, json.dumps(said("答案：A").body).encode())

        def _send(self, status: int, data: bytes) -> None:
            self.send_response(status)
            self.send_header("content-length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

    for Listing.status, wanted in ((200, 0), (401, 3), (500, 0)):
        with listening(Listing) as url:
            server = ChatServer(lambda _s, _n: said(""), url=f"{url}/v1")
            code, out, err = tcm_eval(*command(SERVER, server, tmp_path, "--fresh"))
        assert code == wanted, err
        assert not leaks(tmp_path, out, err)
