"""A local server that plays the batch interfaces of OpenAI (files and batches) and of Anthropic (Message Batches), and their live ones.

It counts what would be paid for, and misbehaves on command.
"""

from __future__ import annotations

import json
import re
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler
from typing import Any

from tests.support.chat_server import Reply, listening, said
from tests.support.protocols import said_by_anthropic, said_by_responses

Fate = Callable[[str, str], Reply | str]
"""(name, question's text) -> the answer's own reply, or `expired`, `canceled`, or `missing` for no result at all."""


@dataclass
class Batch:
    """One batch: its requests, how often it was looked at, and how it ends."""

    id: str
    requests: list[dict[str, Any]]
    created: float
    metadata: dict[str, str]
    looks: int = 0


def unchanged(reply: Reply) -> Reply:
    return reply


@dataclass
class BatchServer:
    """`fate` decides each request; a batch ends at its `looks_until_done`-th look, as `ends` says and for `reason` where that is a failure. `paid` holds every question that was paid for.

    `rewrites` changes whatever is sent, as bytes; `working` is what is said of a batch that is under way;
    `sends_results` may send a file of results by itself, and tells whether it did; `instead` of (method, path) is sent for anything at all.
    """

    provider: str
    fate: Fate
    looks_until_done: int = 2
    ends: str = "completed"
    reason: str = "Enqueued token limit reached"
    after_create: Callable[[Batch, BaseHTTPRequestHandler], bool] = lambda _b, _h: True
    instead: Callable[[str, str], Reply | None] = lambda _m, _p: None
    before_upload: Callable[[], None] = lambda: None
    before_create: Callable[[], Reply | None] = lambda: None
    sends_results: Callable[[BaseHTTPRequestHandler, bytes], bool] = lambda _h, _d: False
    break_results: int = 0
    rewrites: Callable[[Reply], Reply] = unchanged
    working: str = "in_progress"
    results_host: str = ""
    url: str = ""
    files: dict[str, bytes] = field(default_factory=dict)
    batches: dict[str, Batch] = field(default_factory=dict)
    live: list[str] = field(default_factory=list)
    paid: list[str] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    bodies: list[dict[str, Any]] = field(default_factory=list)

    @property
    def base(self) -> str:
        return f"{self.url}/v1" if self.provider == "openai" else self.url


def question(body: dict[str, Any]) -> str:
    """Return the last message's text of a request's body."""
    asked: Any = body.get("messages") or body.get("input")
    return str(asked[-1]["content"])


def fine(_name: str, _text: str) -> Reply | str:
    return "ok"


def answered(server: BatchServer, body: dict[str, Any], fate: Reply | str) -> Reply:
    """Return the reply to one request: the fate's own, or a plain answer of the provider's protocol."""
    if isinstance(fate, Reply):
        return fate
    if server.provider == "anthropic":
        return said_by_anthropic("答案：A")
    return said_by_responses("答案：A") if "input" in body else said("答案：A")


def _openai_rows(server: BatchServer, batch: Batch) -> tuple[list[Any], list[Any]]:
    good: list[Any] = []
    bad: list[Any] = []
    for request in reversed(batch.requests):
        name = request["custom_id"]
        fate = server.fate(name, question(request["body"]))
        if fate == "missing":
            continue
        if fate in ("expired", "canceled"):
            error = {"code": f"batch_{fate}", "message": "This request could not be executed in time."}
            bad.append({"custom_id": name, "response": None, "error": error})
            continue
        reply = answered(server, request["body"], fate)
        row = {"custom_id": name, "response": {"status_code": reply.status, "body": reply.body}, "error": None}
        (good if reply.status == 200 else bad).append(row)
    return good, bad


def _anthropic_rows(server: BatchServer, batch: Batch) -> list[Any]:
    rows = []
    for request in reversed(batch.requests):
        name = request["custom_id"]
        fate = server.fate(name, question(request["params"]))
        if fate in ("expired", "canceled"):
            rows.append({"custom_id": name, "result": {"type": fate}})
            continue
        if fate == "missing":
            continue
        reply = answered(server, request["params"], fate)
        kind = (
            {"type": "succeeded", "message": reply.body}
            if reply.status == 200
            else {"type": "errored", "error": reply.body}
        )
        rows.append({"custom_id": name, "result": kind})
    return rows


def _jsonl(rows: list[Any]) -> bytes:
    return b"".join(json.dumps(row, ensure_ascii=False).encode() + b"\n" for row in rows)


class Handler(BaseHTTPRequestHandler):
    """Speaks both protocols; `state` is set by `serving_batches`."""

    protocol_version = "HTTP/1.1"
    state: BatchServer
    lock: threading.Lock

    def log_message(self, *_: object) -> None:
        """Keep the test's output clean."""

    def do_POST(self) -> None:
        raw = self.rfile.read(int(self.headers.get("content-length", 0)))
        with self.lock:
            self.state.headers.append({name.lower(): value for name, value in self.headers.items()})
        if self._misbehaved("POST"):
            return None
        if self.path == "/v1/files":
            return self._upload(raw)
        body = json.loads(raw)
        if self.path == "/v1/batches":
            file = self.state.files[body["input_file_id"]]
            return self._create([json.loads(line) for line in file.splitlines()], body.get("metadata") or {})
        if self.path.startswith("/v1/messages/batches"):
            return self._create(body["requests"], {})
        with self.lock:
            self.state.live.append(question(body))
            self.state.bodies.append(body)
        reply = answered(self.state, body, self.state.fate("live", question(body)))
        return self._send(reply.status, reply.body)

    def do_GET(self) -> None:
        path = self.path.partition("?")[0]
        if self._misbehaved("GET"):
            return None
        if match := re.fullmatch(r"/v1/files/(.+)/content", path):
            return self._results(self.state.files[match[1]])
        if match := re.fullmatch(r"/v1/messages/batches/(.+)/results", path):
            return self._results(_jsonl(_anthropic_rows(self.state, self.state.batches[match[1]])))
        if path in ("/v1/batches", "/v1/messages/batches"):
            listed = [self._shown(batch) for batch in reversed(self.state.batches.values())]
            return self._send(200, {"object": "list", "data": listed, "has_more": False})
        batch = self.state.batches.get(path.rpartition("/")[2])
        if batch is None:
            return self._send(404, {"error": {"message": "no such batch", "type": "not_found_error"}})
        with self.lock:
            batch.looks += 1
        return self._send(200, self._shown(batch))

    def _misbehaved(self, method: str) -> bool:
        with self.lock:
            reply = self.state.instead(method, self.path.partition("?")[0])
        if reply is None:
            return False
        data = reply.body if isinstance(reply.body, bytes) else json.dumps(reply.body).encode()
        self.send_response(reply.status)
        for name, value in {"content-type": "application/json", **reply.headers}.items():
            self.send_header(name, value)
        self.send_header("content-length", str(len(data)))
        self.end_headers()
        self.wfile.write(data[: len(data) // 2] if reply.drop else data)
        self.close_connection = True
        return True

    def _results(self, data: bytes) -> None:
        if not self.state.sends_results(self, data):
            self._send(200, data)

    def _upload(self, raw: bytes) -> None:
        self.state.before_upload()
        boundary = str(self.headers["content-type"]).partition("boundary=")[2].encode()
        part = next(p for p in raw.split(b"--" + boundary) if b'name="file"' in p)
        name = f"file-{len(self.state.files)}"
        self.state.files[name] = part.partition(b"\r\n\r\n")[2].removesuffix(b"\r\n")
        self._send(
            200, {"id": name, "object": "file", "bytes": len(raw), "created_at": 1, "filename": "x", "purpose": "batch"}
        )

    def _create(self, requests: list[dict[str, Any]], metadata: dict[str, str]) -> None:
        refused = self.state.before_create()
        if refused is not None:
            return self._send(refused.status, refused.body)
        with self.lock:
            batch = Batch(f"batch_{len(self.state.batches)}", requests, time.time(), metadata)
            self.state.batches[batch.id] = batch
            for request in requests:
                body = request.get("body") or request["params"]
                self.state.paid.append(question(body))
                self.state.bodies.append(body)
        if self.state.after_create(batch, self):
            return self._send(200, self._shown(batch))
        self.close_connection = True
        self.connection.close()
        return None

    def _shown(self, batch: Batch) -> dict[str, Any]:
        over = batch.looks >= self.state.looks_until_done
        total = len(batch.requests)
        done = total if over and self.state.ends != "failed" else 0
        if self.state.provider == "openai":
            shown: dict[str, Any] = {
                "id": batch.id,
                "object": "batch",
                "endpoint": "/v1/chat/completions",
                "completion_window": "24h",
                "input_file_id": "x",
                "created_at": int(batch.created),
                "metadata": batch.metadata,
                "status": self.state.ends if over else self.state.working,
                "request_counts": {"total": total, "completed": done, "failed": 0},
            }
            if over and self.state.ends == "failed":
                why = {"code": "token_limit_exceeded", "message": self.state.reason}
                shown["errors"] = {"object": "list", "data": [why]}
            elif over:
                good, bad = _openai_rows(self.state, batch)
                for field_name, rows in (("output_file_id", good), ("error_file_id", bad)):
                    if rows:
                        shown[field_name] = f"{batch.id}-{field_name}"
                        self.state.files[shown[field_name]] = _jsonl(rows)
            return shown
        zero = {"canceled": 0, "errored": 0, "expired": 0}
        created = datetime.fromtimestamp(batch.created, UTC).isoformat()
        host = self.state.results_host or self.state.url
        return {
            "id": batch.id,
            "type": "message_batch",
            "processing_status": "ended" if over else self.state.working,
            "request_counts": {**zero, "processing": 0 if over else total, "succeeded": total if over else 0},
            "created_at": created,
            "expires_at": created,
            "ended_at": created if over else None,
            "archived_at": None,
            "cancel_initiated_at": None,
            "results_url": f"{host}/v1/messages/batches/{batch.id}/results" if over else None,
        }

    def _send(self, status: int, body: Any) -> None:
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        data = self.state.rewrites(Reply(status, data)).body
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(data)))
        self.end_headers()
        if isinstance(body, bytes) and self.state.break_results > 0 and len(data) > 2000:
            self.state.break_results -= 1
            self.wfile.write(data[: len(data) // 2])
            self.wfile.flush()
            self.close_connection = True
            self.connection.close()
            return
        self.wfile.write(data)


@contextmanager
def serving_batches(provider: str, fate: Fate = fine, **settings: Any) -> Iterator[BatchServer]:
    """Run a server of one provider's protocol on a free port of 127.0.0.1 for the length of the block."""
    state = BatchServer(provider, fate, **settings)
    with listening(type("Bound", (Handler,), {"state": state, "lock": threading.Lock()})) as state.url:
        yield state
