"""Fixtures of the adapters that run models here: small checkpoints, and real local servers."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.adapters.tiny import make_checkpoint

START_S = 120.0
LADDER_TINY = Path(__file__).resolve().parents[2] / "ladder_trainer" / "checkpoints" / "ladder_tiny"


@pytest.fixture(scope="session")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small Qwen2 with random weights; nobody changes it."""
    return make_checkpoint(tmp_path_factory.mktemp("checkpoints") / "tiny")


@pytest.fixture(scope="session")
def served_model(checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Path]]:
    """`transformers serve` with the small checkpoint: (base URL, the checkpoint's folder, which is also its name there)."""
    with transformers_serve(tmp_path_factory.mktemp("serve"), checkpoint) as url:
        yield url, checkpoint


@pytest.fixture(scope="module")
def served_ladder_tiny(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """`transformers serve` with ladder-tiny: its base URL. The model's name there is its folder."""
    with transformers_serve(tmp_path_factory.mktemp("serve"), LADDER_TINY) as url:
        yield url


@contextmanager
def transformers_serve(folder: Path, *pinned: Path) -> Iterator[str]:
    """Run the server on a free port for the length of the block and give its base URL; its log and its cache lie in `folder`.

    `pinned` is the checkpoint that it serves, none where it loads what a request names.
    """
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    log = folder / "log.txt"
    command = [str(Path(sys.executable).with_name("transformers")), "serve", "--host", "127.0.0.1", "--port", str(port)]
    command += ["--device", "cpu", "--dtype", "float32", *map(str, pinned)]
    environment = {**os.environ, "HF_HUB_OFFLINE": "1", "HF_HOME": str(folder), "OMP_NUM_THREADS": "1"}
    with log.open("wb") as said:
        server = subprocess.Popen(command, stdout=said, stderr=said, env=environment)
        try:
            _wait_until_healthy(server, port, log)
            yield f"http://127.0.0.1:{port}/v1"
        finally:
            server.terminate()
            try:
                server.wait(timeout=20)
            except subprocess.TimeoutExpired:
                server.kill()
                server.wait()


def _wait_until_healthy(server: subprocess.Popen[bytes], port: int, log: Path) -> None:
    until = time.monotonic() + START_S
    while time.monotonic() < until and server.poll() is None:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=5):
                return
        except (urllib.error.URLError, ConnectionError, TimeoutError):
            time.sleep(0.2)
    raise RuntimeError(f"transformers serve did not start: {log.read_text('utf-8', 'replace')[-2000:]}")
