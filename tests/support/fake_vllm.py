"""Stands in for `python -m vllm.entrypoints.openai.api_server` where no vLLM is installed: the same arguments, addresses and life."""

from __future__ import annotations

import json
import sys
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_: object) -> None:
        """Say nothing."""

    def do_GET(self) -> None:
        self._send({"version": "0.0-stand-in"})

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["content-length"])))
        said = {"content": f"{asked['model']}:{asked['messages'][-1]['content']}"}
        self._send({"model": "model", "choices": [{"message": said, "finish_reason": "stop"}]})

    def _send(self, body: object) -> None:
        data = json.dumps(body).encode()
        self.send_response(200)
        self.send_header("content-length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)


if __name__ == "__main__":
    arguments = sys.argv
    if "--model" in arguments and arguments[arguments.index("--model") + 1] == "broken":
        sys.exit("ValueError: no such architecture")
    if arguments[arguments.index("--model") + 1] == "slow":
        time.sleep(60)
    ThreadingHTTPServer(("127.0.0.1", int(arguments[arguments.index("--port") + 1])), Handler).serve_forever()
