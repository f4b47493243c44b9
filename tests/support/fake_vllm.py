"""Stands in for `python -m vllm.entrypoints.openai.api_server`: the same arguments, addresses and life, and no model.

It is here only because vLLM cannot be had in the environment of the default tests: it pins another transformers and, but for a
repackaging, a CUDA build of torch. The tests that use it run with the real server too: `pytest -m vllm`, see docs/providers.md.
"""

from __future__ import annotations

import json
import sys
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any


def shown(content: str | list[dict[str, Any]]) -> str:
    """Return a message's words, with a number for each picture: that of the characters of its address."""
    if isinstance(content, str):
        return content
    return "".join(part["text"] if part["type"] == "text" else f"[{len(part['image_url']['url'])}]" for part in content)


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    opens = ""
    """What the checkpoint's chat template opens."""

    def log_message(self, *_: object) -> None:
        """Say nothing."""

    def do_GET(self) -> None:
        self._send({"version": "0.0-stand-in"})

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["content-length"])))
        if self.path == "/tokenize":
            prompt = "".join(message["content"] for message in asked["messages"]) + self.opens
            said: dict[str, Any] = {"tokens": list(map(ord, prompt))}
        elif self.path == "/detokenize":
            said = {"prompt": "".join(map(chr, asked["tokens"]))}
        else:
            message = {"content": f"{asked['model']}:{shown(asked['messages'][-1]['content'])}"}
            usage: dict[str, Any] = {"prompt_tokens": 2, "completion_tokens": 1}
            if {"--enable-prefix-caching", "--enable-prompt-tokens-details"} <= set(sys.argv):
                usage["prompt_tokens_details"] = {"cached_tokens": 1}
            said = {"model": "model", "choices": [{"message": message, "finish_reason": "stop"}], "usage": usage}
        self._send(said)

    def _send(self, body: object) -> None:
        data = json.dumps(body).encode()
        self.send_response(200)
        self.send_header("content-length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)


if __name__ == "__main__":
    arguments = sys.argv
    model = Path(arguments[arguments.index("--model") + 1])
    (architecture,) = json.loads((model / "config.json").read_text("utf-8"))["architectures"]
    if architecture != "Qwen2ForCausalLM":
        print(f"ValueError: Model architectures ['{architecture}'] are not supported", file=sys.stderr)
        print("\n".join(f"a line of a traceback, {n}" for n in range(20)), file=sys.stderr)
        sys.exit("RuntimeError: Engine core initialization failed. See root cause above.")
    Handler.opens = "<think>\n" if "<think>" in (model / "chat_template.jinja").read_text("utf-8") else ""
    time.sleep(2)  # a real one takes half a minute at least
    ThreadingHTTPServer(("127.0.0.1", int(arguments[arguments.index("--port") + 1])), Handler).serve_forever()
