"""Sees to it that no process of an engine is left behind, whatever ends us."""

from __future__ import annotations

import contextlib
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from multiprocessing import resource_tracker
from multiprocessing.process import BaseProcess
from pathlib import Path

from model_adapters.vllm import _ending

PATIENCE_S = 10
"""Seconds between asking a process to end and ending it."""


class _Interrupted(BaseException):
    """Ctrl-C by a name that vLLM does not know: its start passes over a KeyboardInterrupt, and waits on for its processes."""


class Watch:
    """A small process that outlives us to end others; stop it when they have ended."""

    def __init__(self, *temporary: Path) -> None:
        """`temporary` are folders that it removes when it has ended the others."""
        command = [sys.executable, "-I", _ending.__file__, str(PATIENCE_S), *map(str, temporary)]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, start_new_session=True)  # noqa: S603 - our own command line

    def over(self, process: int) -> None:
        """Watch over a process; a negative number means the group of processes of that number."""
        if self._process.stdin is not None:
            self._process.stdin.write(b"%d\n" % process)
            self._process.stdin.flush()

    @contextlib.contextmanager
    def over_children(self) -> Iterator[None]:
        """Watch over every process that `multiprocessing` starts meanwhile; end them at Ctrl-C, which gets out, or any other error."""
        ours: list[BaseProcess] = []
        try:
            with _noted(ours, self.over), _ctrl_c_gets_out(ours):
                yield
        except BaseException:  # also Ctrl-C: no engine is left behind
            _end(ours)
            self.stop()
            raise

    def stop(self) -> None:
        """End it, and nobody else."""
        if self._process.stdin is not None and not self._process.stdin.closed:
            self._process.kill()
            self._process.wait()
            self._process.stdin.close()


@contextlib.contextmanager
def _noted(ours: list[BaseProcess], over: Callable[[int], None]) -> Iterator[None]:
    """Put every process that `multiprocessing` starts meanwhile into `ours`, and give its number to `over`.

    Ctrl-C does not reach it, nor what it starts: a terminal sends it to all, and it is ours to end them.
    """
    start = BaseProcess.start

    def start_noted(process: BaseProcess) -> None:
        resource_tracker.ensure_running()  # its start would undo the next line
        before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})  # a process begins with its parent's
        try:
            start(process)
            ours.append(process)
            if process.pid is not None:
                over(process.pid)
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)

    BaseProcess.start = start_noted  # type: ignore[method-assign,assignment]
    try:
        yield
    finally:
        BaseProcess.start = start  # type: ignore[method-assign]


@contextlib.contextmanager
def _ctrl_c_gets_out(ours: list[BaseProcess]) -> Iterator[None]:
    """At Ctrl-C end `ours` and raise KeyboardInterrupt, even out of code that would keep one to itself.

    Where Ctrl-C means something else already, or does not come to this thread, nothing is changed.
    """

    def get_out(*_: object) -> None:
        _end(ours)
        raise _Interrupted

    usual = signal.getsignal(signal.SIGINT) is signal.default_int_handler
    if not usual or threading.current_thread() is not threading.main_thread():
        yield
        return
    signal.signal(signal.SIGINT, get_out)
    try:
        yield
    except _Interrupted:
        raise KeyboardInterrupt from None
    finally:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def _end(processes: list[BaseProcess]) -> None:
    """Kill processes with all that they have started: an engine that is still loading its model takes no other signal."""
    _ending.told(_ending.with_descendants(one.pid for one in processes if one.pid is not None), signal.SIGKILL)
    for process in processes:
        process.join()
