"""A site served on this machine only."""

from __future__ import annotations

import contextlib
import functools
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from harness.errors import UsageError

HOST = "127.0.0.1"
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'none'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)


class _Pages(SimpleHTTPRequestHandler):
    """Answers GET and HEAD below one folder, and only when it is called by a name of this machine."""

    def send_head(self) -> Any:
        """Refuse names that a foreign page could point at 127.0.0.1, and folders without an index."""
        host = (self.headers.get("Host") or "").partition(":")[0]
        if host not in (HOST, "localhost"):
            self.send_error(403, "this server answers to 127.0.0.1 and localhost only")
            return None
        return super().send_head()

    def list_directory(self, path: Any) -> None:  # noqa: ARG002 - the base class gives it
        """Refuse to list a folder."""
        self.send_error(404, "no such page")

    def end_headers(self) -> None:
        self.send_header("Content-Security-Policy", POLICY)
        self.send_header("X-Content-Type-Options", "nosniff")
        self.send_header("Referrer-Policy", "no-referrer")
        self.send_header("Cache-Control", "no-cache")
        super().end_headers()

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing: the page is what the user looks at."""


def open_server(folder: Path, port: int) -> ThreadingHTTPServer:
    """Return a server of a folder on 127.0.0.1, already listening; port 0 takes any free one. Raises UsageError."""
    try:
        return ThreadingHTTPServer((HOST, port), functools.partial(_Pages, directory=str(folder)))
    except (OSError, OverflowError) as error:
        raise UsageError(
            f"cannot listen on {HOST}:{port}: {error}. Choose another with --port, or 0 for any."
        ) from None


def serve(server: ThreadingHTTPServer) -> None:
    """Serve until Ctrl-C, which is the way to end it and no error."""
    with contextlib.suppress(KeyboardInterrupt):
        server.serve_forever()
