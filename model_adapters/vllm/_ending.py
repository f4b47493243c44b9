"""Ends an engine's processes when we were killed and cannot: left behind they would hold the device.

Run as a script (SECONDS [FOLDER ...]) it is a small process that outlives us. It reads numbers of processes, one a line, until there is
an end of them, which comes with ours. Then it asks those to end, ends them with all that they have started after so many seconds, and
removes the folders. A negative number is a group of processes.
"""

from __future__ import annotations

import os
import shutil
import signal
import sys
import time
from collections.abc import Collection, Iterable
from pathlib import Path


def with_descendants(processes: Iterable[int]) -> set[int]:
    """Return processes with all that they have started and that still run; they alone where there is no /proc."""
    children: dict[int, list[int]] = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            parent = int(stat.read_bytes().rpartition(b")")[2].split()[1])
        except OSError:  # it ended while we looked
            continue
        children.setdefault(parent, []).append(int(stat.parent.name))
    found, todo = set[int](), list(processes)
    while todo:
        one = todo.pop()
        found.add(one)
        todo += [child for child in children.get(one, []) if child not in found]
    return found


def told(processes: Collection[int], how: int) -> set[int]:
    """Send a signal to processes; return those that were there for it."""
    there = set()
    for one in processes:
        try:
            os.kill(one, how)
        except ProcessLookupError:
            continue
        there.add(one)
    return there


def main() -> None:
    """Wait until we have ended, and then end what is left."""
    engines = [int(line) for line in sys.stdin]
    left = with_descendants(engines)
    told(engines, signal.SIGTERM)
    until = time.monotonic() + float(sys.argv[1])
    while (left := with_descendants(told(left, 0))) and time.monotonic() < until:
        time.sleep(0.1)
    told(left, signal.SIGKILL)
    for folder in sys.argv[2:]:
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
