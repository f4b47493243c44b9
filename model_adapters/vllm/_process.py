"""The life of vLLM's own server on this machine: started, waited for, stopped with all its workers."""

from __future__ import annotations

import atexit
import os
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Sequence
from pathlib import Path

from harness.errors import Fatal
from model_adapters.vllm._watch import Watch

_DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}))  # a proxy would not find our own server
_CAUSE = re.compile(r"\b\w+(?:Error|Exception): .*")


def _told(log: str) -> str:
    """Return what a log says of the end: the first three errors, for the last is often no more than that there was one, and the last lines."""
    causes = list(dict.fromkeys(_CAUSE.findall(log)))[:3]
    return "\n".join(one[:500] for one in (*causes, *(["..."] if causes else []), *log.splitlines()[-6:]))


class Process:
    """vLLM's server for one checkpoint, ready to answer at `root` under the name `model`; `version` is vLLM's.

    Its `log` stays only where it tells why the server ended or was not ready.
    """

    def __init__(self, model: str, python: str, arguments: Sequence[str], ready_s: float) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        self.root = f"http://127.0.0.1:{port}"
        self.log = Path(tempfile.mkdtemp(prefix="tcm-eval-vllm-")) / "server.log"
        command = [python, "-m", "vllm.entrypoints.openai.api_server", "--host", "127.0.0.1", "--port", str(port)]
        command += ["--model", model, "--served-model-name", "model", "--generation-config", "vllm"]
        command += ["--enable-prefix-caching", "--enable-prompt-tokens-details", *arguments]  # and say what was cached
        env = {name: value for name, value in os.environ.items() if name != "VLLM_API_KEY"}  # nobody else can reach it
        with self.log.open("wb") as log:  # a session of its own: Ctrl-C reaches us first, and we stop it
            self._process = subprocess.Popen(command, stdout=log, stderr=log, env=env, start_new_session=True)  # noqa: S603 - our own command line
        self._watch = Watch(self.log.parent)
        self._watch.over(-self._process.pid)
        atexit.register(self.stop)
        try:
            self.version = self._wait(model, ready_s)
        except Fatal:
            self._end()
            raise
        except BaseException:  # also Ctrl-C: no server is left behind
            self.stop()
            raise

    def _wait(self, model: str, ready_s: float) -> str:
        """Return the server's version once it is ready; raise Fatal with the end of its log when it ends or takes too long."""
        until = time.monotonic() + ready_s
        while self._process.poll() is None and time.monotonic() < until:
            try:
                with _DIRECT.open(f"{self.root}/health", timeout=5):
                    pass
                with _DIRECT.open(f"{self.root}/version", timeout=5) as reply:
                    found = re.search(rb'"version"\s*:\s*"([^"]+)"', reply.read())
                    return found[1].decode() if found else "unknown"
            except (urllib.error.URLError, ConnectionError, TimeoutError):
                time.sleep(0.25)
        how = "was not ready within" if self._process.poll() is None else "ended"
        how += f" {ready_s:g} s" if how.startswith("was") else ""
        raise Fatal(
            f"vllm/{model}: its server {how} (log: {self.log}):\n{_told(self.log.read_text('utf-8', 'replace'))}"
        )

    @property
    def pid(self) -> int:
        """The server's process, and the number of the session that its workers are in."""
        return self._process.pid

    @property
    def ended(self) -> bool:
        """Whether the server is gone."""
        return self._process.poll() is not None

    def stop(self) -> None:
        """End the server and all its workers; wait until they are gone."""
        by_itself = self.ended
        self._end()
        if not by_itself:
            shutil.rmtree(self.log.parent, ignore_errors=True)

    def _end(self) -> None:
        self._watch.stop()
        if not self.ended:
            os.killpg(self._process.pid, signal.SIGTERM)
            try:
                self._process.wait(timeout=20)
            except subprocess.TimeoutExpired:
                os.killpg(self._process.pid, signal.SIGKILL)
                self._process.wait()
        atexit.unregister(self.stop)
