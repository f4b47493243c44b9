"""A Ray cluster that a run starts for itself: it listens on this machine alone, and ends with the run."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.support.copied import command

MARK = "TCM_EVAL_TEST_MARK"


AGENTS = {"ray::DashboardA", "ray::RuntimeEnv"}
"""They hold no device, and after a kill look only once a minute whether anybody is left."""


def marked(mark: Path) -> dict[int, str]:
    """Return the processes that carry a mark in their environment, with their names: Ray's have sessions of their own."""
    found = {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if f"{MARK}={mark}".encode() in (folder / "environ").read_bytes().split(b"\0"):
                found[int(folder.name)] = (folder / "comm").read_text().strip()
        except OSError:  # it has just ended, or is somebody else's
            continue
    return found


def listening(own: set[int]) -> set[str]:
    """Return the addresses on which these processes listen, as the kernel writes them."""
    sockets = set()
    for process in own:
        for link in Path(f"/proc/{process}/fd").glob("*"):
            try:
                sockets.add(str(link.readlink()).removeprefix("socket:[").rstrip("]"))
            except OSError:
                continue
    found = set()
    for table in ("tcp", "tcp6"):
        for line in Path(f"/proc/net/{table}").read_text().splitlines()[1:]:
            fields = line.split()
            if fields[3] == "0A" and fields[9] in sockets:
                found.add(fields[1].partition(":")[0])
    return found


LOOPBACK = {"0100007F", "0000000000000000FFFF00000100007F", "00000000000000000000000001000000"}


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGKILL])
def test_an_own_cluster_listens_on_loopback_only_and_ends_with_the_run(
    checkpoint: Path, suite: Path, tmp_path: Path, how: signal.Signals
) -> None:
    """It is stopped while it answers."""
    env = {**{name: value for name, value in os.environ.items() if name != "RAY_ADDRESS"}, MARK: str(tmp_path)}
    arguments = command(checkpoint, suite, tmp_path, "--replicas", 2, "--repeats", 500)
    log = (tmp_path / "log").open("w")
    going = subprocess.Popen(
        [sys.executable, "-m", "harness.cli", *arguments], env=env, stdout=log, stderr=log, start_new_session=True
    )
    try:
        records = tmp_path / "runs"
        while not any(path.stat().st_size for path in records.glob("*/records.jsonl")):
            assert going.poll() is None, (tmp_path / "log").read_text()
            time.sleep(0.1)
        own = marked(tmp_path)
        assert "raylet" in own.values()
        assert listening(set(own)), "Ray listens somewhere"
        assert listening(set(own)) <= LOOPBACK
        os.killpg(going.pid, how) if how == signal.SIGINT else os.kill(going.pid, how)
        going.wait()
        assert going.returncode == (130 if how == signal.SIGINT else -9), (tmp_path / "log").read_text()
        until = time.monotonic() + 60
        while (left := set(marked(tmp_path).values()) - AGENTS) and time.monotonic() < until:
            time.sleep(0.1)
        assert not left
    finally:
        for process in marked(tmp_path):
            os.kill(process, signal.SIGKILL)
        going.wait()
        log.close()
    assert "Traceback" not in (tmp_path / "log").read_text()
