"""What ends an engine's processes: at Ctrl-C while they start, at an error, and when we are killed. No vLLM is needed to see it."""

from __future__ import annotations

import os
import signal
import sys
import time
from pathlib import Path

import pytest

from tests.support.vllm_runs import left_of, none_left_of, program, until_said

PROGRAM = """
import multiprocessing, signal, subprocess, sys, time
from model_adapters.vllm import _watch

def engine():
    signal.signal(signal.SIGTERM, lambda *_: None)  # as vLLM's does while it loads a model
    worker = subprocess.Popen(['sleep', '120'])
    print('ENGINE', flush=True)
    while True:
        time.sleep(1)

if __name__ == '__main__':
    _watch.PATIENCE_S = 1
    watch = _watch.Watch()
    with watch.over_children():
        multiprocessing.get_context('spawn').Process(target=engine).start()
        try:
            if sys.argv[1] == 'fails':
                time.sleep(1)
                raise RuntimeError('no such model')
            time.sleep(120)
        except KeyboardInterrupt:  # as vLLM's start does, which then waits for its engine
            time.sleep(120)
"""


@pytest.fixture
def script(tmp_path: Path) -> Path:
    """Starts an engine that minds no signal, and keeps a KeyboardInterrupt to itself."""
    path = tmp_path / "program.py"
    path.write_text(PROGRAM, "utf-8")
    return path


def test_ctrl_c_while_an_engine_starts_gets_out_and_ends_it_with_its_workers_and_without_a_word_of_theirs(
    script: Path,
) -> None:
    with program([sys.executable, script, "waits"]) as process:
        until_said(process, "ENGINE")
        assert len(left_of(process.pid)) >= 3, "we, the engine and its worker"
        started = time.monotonic()
        os.killpg(process.pid, signal.SIGINT)  # as a terminal does: to all
        said, _ = process.communicate(timeout=60)
        assert time.monotonic() - started < 10
        assert process.returncode == -signal.SIGINT
        assert said.count("Traceback") == 1 and said.endswith("KeyboardInterrupt\n"), said
        assert none_left_of(process.pid, within_s=5)


def test_an_engine_that_does_not_start_leaves_no_process_behind(script: Path) -> None:
    with program([sys.executable, script, "fails"]) as process:
        said, _ = process.communicate(timeout=60)
        assert process.returncode == 1 and said.endswith("RuntimeError: no such model\n"), said
        assert none_left_of(process.pid, within_s=5)


def test_an_engine_and_its_workers_end_when_we_are_killed(script: Path) -> None:
    with program([sys.executable, script, "waits"]) as process:
        until_said(process, "ENGINE")
        process.kill()
        assert none_left_of(process.pid, within_s=60)
