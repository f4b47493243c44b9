"""Ends an engine's processes when we are killed and cannot: left behind they would hold the device."""

from __future__ import annotations

import contextlib
import multiprocessing
import subprocess
import sys
import threading
from collections.abc import Iterator

PATIENCE_S = 10
"""Seconds between asking a process to end and ending it."""

LOOK_S = 0.05
"""Seconds between two looks at which processes a starting engine has."""

_WATCH = """
import os, signal, sys, time
left = [int(line) for line in sys.stdin]  # there is an end of it when we end, whatever ends us
def all_told(how):
    for one in left[:]:
        try:
            os.kill(one, how)
        except ProcessLookupError:
            left.remove(one)
all_told(signal.SIGTERM)
until = time.monotonic() + float(sys.argv[1])
while left and time.monotonic() < until:
    time.sleep(0.1)
    all_told(0)
all_told(signal.SIGKILL)
"""


class Watch:
    """A small process that outlives us to end others; stop it when they have ended."""

    def __init__(self) -> None:
        command = [sys.executable, "-c", _WATCH, str(PATIENCE_S)]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, start_new_session=True)  # noqa: S603 - our own command line

    def over(self, process: int) -> None:
        """Watch over a process; a negative number means the group of processes of that number."""
        if self._process.stdin is not None:
            self._process.stdin.write(b"%d\n" % process)
            self._process.stdin.flush()

    @contextlib.contextmanager
    def over_children(self) -> Iterator[None]:
        """Watch over every process that `multiprocessing` starts meanwhile, from its start on; end them where an error comes out."""
        before, seen, done = set(multiprocessing.active_children()), set[int](), threading.Event()

        def look() -> None:
            for child in set(multiprocessing.active_children()) - before:
                if child.pid is not None and child.pid not in seen:
                    seen.add(child.pid)
                    self.over(child.pid)

        def keep_looking() -> None:
            while not done.wait(LOOK_S):
                look()

        thread = threading.Thread(target=keep_looking, name="watch", daemon=True)
        thread.start()
        try:
            yield
        except BaseException:  # also Ctrl-C: no engine is left behind
            done.set()
            thread.join()
            for child in set(multiprocessing.active_children()) - before:
                child.kill()
            self.stop()
            raise
        done.set()
        thread.join()
        look()

    def stop(self) -> None:
        """End it, and nobody else."""
        if self._process.stdin is not None and not self._process.stdin.closed:
            self._process.kill()
            self._process.wait()
            self._process.stdin.close()
