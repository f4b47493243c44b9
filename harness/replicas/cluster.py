"""The Ray cluster: which one, and what of it each copy gets."""

from __future__ import annotations

import logging
import os
import signal
import socket
import threading
from collections.abc import Iterable, Mapping, Sequence
from importlib.util import find_spec
from typing import Any

from harness.errors import UsageError
from harness.tables import counted

PLACING_S = 120.0
"""Seconds to wait for devices that others are using."""


class Cluster:
    """The cluster that RAY_ADDRESS names, else one of this machine alone, which listens on the loopback address only."""

    def __init__(self) -> None:
        """Connect to it; raise UsageError where there is none."""
        if find_spec("ray") is None:
            raise UsageError("--replicas: package 'ray' is not installed. Install it: pip install 'tcm-eval[ray]'")
        address = os.environ.get("RAY_ADDRESS", "local")
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # nothing is told to anybody
        if address.partition(":")[0] in ("local", "localhost", "127.0.0.1"):
            os.environ["RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"] = "0"  # on every system: loopback only
        import ray

        self._ray: Any = ray
        self._group: Any = None
        self.said = ""
        self._was_there = ray.is_initialized()  # in a notebook, by somebody else
        on_term = signal.getsignal(signal.SIGTERM)
        try:
            if not self._was_there:
                _knock(address)
                ray.init(address, include_dashboard=False, log_to_driver=False, logging_level=logging.ERROR)
        except (OSError, ValueError, RuntimeError) as error:
            raise UsageError(f"--replicas: no Ray cluster can be reached at RAY_ADDRESS={address}: {error}") from None
        finally:
            if threading.current_thread() is threading.main_thread():
                signal.signal(signal.SIGTERM, on_term)  # Ray takes it

    def places(self, copies: int, gpus: int) -> list[dict[str, Any]]:
        """Return the options of each copy's actor: where it runs, and what it gets there, `gpus` on a cluster that has any.

        Without GPUs the copies share out the CPU cores of its machines evenly. Raises UsageError where there is not so much.
        """
        nodes = [node["Resources"] for node in self._ray.nodes() if node["Alive"]]
        kind = "GPU" if gpus and any(node.get("GPU") for node in nodes) else "CPU"
        there = [int(node.get(kind, 0)) for node in nodes]
        each = gpus if kind == "GPU" else _share(there, copies)
        if (room := _room(there, each)) < copies:
            raise UsageError(
                f"--replicas {copies}: there is room for {room}, for a copy takes {counted(each, kind)} of one machine, and the cluster "
                f"has {counted(sum(there), kind)} on {counted(len(nodes), 'machine')}"
            )
        self._group = self._ray.util.placement_group([{kind: each}] * copies, strategy="SPREAD")
        try:
            self._ray.get(self._group.ready(), timeout=PLACING_S)
        except self._ray.exceptions.GetTimeoutError:
            raise UsageError(
                f"--replicas {copies}: others use the cluster's {kind}s, and {PLACING_S:g} s long too few became free"
            ) from None
        self.said = (
            f"{counted(copies, 'copy', 'copies')} on {counted(len(nodes), 'machine')}, {counted(each, kind)} each"
        )
        takes: Mapping[str, int] = {"num_gpus": each, "num_cpus": 0} if kind == "GPU" else {"num_cpus": each}
        strategy = self._ray.util.scheduling_strategies.PlacementGroupSchedulingStrategy
        return [{"scheduling_strategy": strategy(self._group, number), **takes} for number in range(copies)]

    def leave(self, actors: Iterable[Any]) -> None:
        """End the actors and give their devices back; a cluster that was started here ends."""
        for actor in actors:
            self._ray.kill(actor)
        if not self._was_there:
            self._ray.shutdown()
        elif self._group is not None:
            self._ray.util.remove_placement_group(self._group)


def _knock(address: str) -> None:
    """Raise OSError where nobody listens at HOST:PORT: Ray would try for minutes."""
    host, _, port = address.rpartition(":")
    if host and port.isdecimal():
        socket.create_connection((host, int(port)), timeout=10).close()


def _share(there: Sequence[int], copies: int) -> int:
    """Return the most that each of so many copies can have on machines with so many, at least 1."""
    return next((each for each in range(max(there, default=1), 1, -1) if _room(there, each) >= copies), 1)


def _room(there: Sequence[int], each: int) -> int:
    """Return how many copies that take `each` fit on machines with so many."""
    return sum(own // each for own in there)
