"""A local server that speaks the OpenAI protocol and misbehaves on command. It listens on 127.0.0.1 and stops with its test."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass
class Reply:
    """What the server sends back. `body` may be bytes that are no JSON; `drop` closes the connection in the middle, `stall` is silent
    there for so many seconds.

    `claims` is the length that the header states, None for the true one, -1 for a body in chunks without a stated length.
    """

    status: int = 200
    body: Any = None
    headers: Mapping[str, str] = field(default_factory=dict)
    delay: float = 0.0
    drop: bool = False
    stall: float = 0.0
    claims: int | None = None


def said(text: str | None, finish: str = "stop", **message: Any) -> Reply:
    """Return a chat completion that says `text`."""
    body = {
        "model": "mock-2026",
        "choices": [
            {"index": 0, "finish_reason": finish, "message": {"role": "assistant", "content": text, **message}}
        ],
        "usage": {"prompt_tokens": 7, "completion_tokens": 3},
    }
    return Reply(body=body)


@dataclass
class Seen:
    """One request that reached the server."""

    path: str
    headers: Mapping[str, str]
    body: Any


@dataclass
class ChatServer:
    """`answer(seen, n)` gives the reply to the n-th POST; `models` is what /models lists, None for no list."""

    answer: Callable[[Seen, int], Reply]
    models: list[str] | None = None
    seen: list[Seen] = field(default_factory=list)
    url: str = ""

    def posts(self) -> list[Seen]:
        return [s for s in self.seen if s.body is not None]


def _parts(data: bytes) -> list[bytes]:
    return [data[start : start + 65536] for start in range(0, len(data), 65536)]


@contextmanager
def serving(answer: Callable[[Seen, int], Reply], models: list[str] | None = None) -> Iterator[ChatServer]:
    """Run a server on a free port of 127.0.0.1 for the length of the block."""
    state = ChatServer(answer, ["mock"] if models is None else models)
    lock = threading.Lock()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_: object) -> None:
            """Keep the test's output clean."""

        def do_GET(self) -> None:
            with lock:
                state.seen.append(Seen(self.path, dict(self.headers), None))
            if state.models is None or not state.models:
                self._send(Reply(404, {"error": {"message": "no list"}}))
            else:
                self._send(Reply(body={"data": [{"id": name, "owned_by": "test"} for name in state.models]}))

        def do_POST(self) -> None:
            raw = self.rfile.read(int(self.headers.get("content-length", 0)))
            with lock:
                seen = Seen(self.path, dict(self.headers), json.loads(raw))
                state.seen.append(seen)
                number = len(state.posts()) - 1
            self._send(state.answer(seen, number))

        def _send(self, reply: Reply) -> None:
            time.sleep(reply.delay)
            data = reply.body if isinstance(reply.body, bytes) else json.dumps(reply.body).encode()
            self.send_response(reply.status)
            for name, value in reply.headers.items():
                self.send_header(name, value)
            if "content-type" not in {name.lower() for name in reply.headers}:
                self.send_header("content-type", "application/json")
            if reply.claims == -1:
                self.send_header("transfer-encoding", "chunked")
                data = b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in _parts(data)) + b"0\r\n\r\n"
            else:
                self.send_header("content-length", str(len(data) if reply.claims is None else reply.claims))
            self.end_headers()
            if reply.drop:
                self.wfile.write(data[: len(data) // 2])
                self.wfile.flush()
                self.close_connection = True
                self.connection.close()
                return
            if reply.stall:
                self.wfile.write(data[: len(data) // 2])
                self.wfile.flush()
                time.sleep(reply.stall)
                data = data[len(data) // 2 :]
            self.wfile.write(data)

    with listening(Handler) as root:
        state.url = f"{root}/v1"
        yield state


class Quiet(ThreadingHTTPServer):
    """Says nothing of clients that go away: they are part of the tests."""

    daemon_threads = True
    request_queue_size = 256

    def handle_error(self, *_: object) -> None:
        """Say nothing."""


@contextmanager
def listening(handler: type[BaseHTTPRequestHandler]) -> Iterator[str]:
    """Run a server on a free port of 127.0.0.1 for the length of the block; yield its address."""
    server = Quiet(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
