"""Many copies of one model on a Ray cluster, asked as one: more GPUs, or more machines, and no other way to run.

Each copy is an actor with devices of its own, and builds the model as it would be built alone. Engine, limits and records stay in this
process, the only one that writes.
"""

from __future__ import annotations

import asyncio
import contextlib
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from harness.errors import AdapterError, Fatal, HarnessError, Transient
from harness.replicas.actor import MOST_AT_ONCE, About, Actor, Build
from harness.replicas.cluster import Cluster
from harness.types import Request, Response

RESTARTS = 3
"""How often a copy that died is made anew."""
CLOSING_S = 30.0
"""Seconds that a copy has to give its devices back before it is ended."""
LOOK_S = 0.5
"""Seconds between two looks at whether a copy is back."""


@dataclass(slots=True, eq=False)
class _Copy:
    """A copy as seen from here: its number, and how many requests it has."""

    number: int
    actor: Any
    asked: int = 0


class Replicas:
    """So many copies of a model; each request goes to the one that has the fewest.

    A request whose copy dies fails as `Transient`, so the engine asks it again, and another copy answers. A dead copy is made anew
    `RESTARTS` times; when none is left, `Fatal` is raised. `said` tells where they are.
    """

    def __init__(self, build: Build, copies: int, gpus: int) -> None:
        """Start the copies, each with `gpus` devices where the cluster has any, and wait until all are built.

        Raises UsageError for what the user can mend, and whatever a copy raises.
        """
        self._cluster, self._all = Cluster(), list[_Copy]()
        import ray

        try:
            for options in self._cluster.places(copies, gpus):
                actor = ray.remote(Actor).options(max_restarts=RESTARTS, max_concurrency=MOST_AT_ONCE, **options)
                self._all.append(_Copy(len(self._all) + 1, actor.remote(build)))
            about = _alike(ray.get([copy.actor.about.remote() for copy in self._all]))
        except ray.exceptions.RayActorError as error:
            self._leave()
            raise Fatal(f"--replicas {copies}: a copy ended while it was built: {_first_line(error)}") from None
        except BaseException:  # also Ctrl-C: no device stays taken
            self._leave()
            raise
        self.name, self.identity = about.name, about.identity
        self.at_once, self.said = about.at_once * copies, self._cluster.said
        self._ready, self._away = list(self._all), set[asyncio.Task[None]]()
        self._changed, self._last = asyncio.Event(), ""

    async def generate(self, request: Request) -> Response:
        """Return the answer of the least busy copy; raise one of the adapter errors."""
        import ray
        from ray.exceptions import RayActorError

        copy = await self._least_busy()
        copy.asked += 1
        going = copy.actor.generate.remote(request)
        try:
            outcome: Response | AdapterError = await going
        except asyncio.CancelledError:
            ray.cancel(going)
            raise
        except RayActorError as error:
            self._lost(copy, error)
            raise Transient(self._last) from None
        finally:
            copy.asked -= 1
        if isinstance(outcome, AdapterError):
            raise outcome
        return outcome

    async def _least_busy(self) -> _Copy:
        while not self._ready:
            if not self._away:
                raise Fatal(f"{self.name}: no copy of it is left. {self._last}")
            self._changed.clear()
            await self._changed.wait()
        return min(self._ready, key=lambda copy: copy.asked)

    def _lost(self, copy: _Copy, error: Exception) -> None:
        """Ask a copy nothing until it is back."""
        if copy in self._ready:
            self._last = f"{self.name}: copy {copy.number} of {len(self._all)} ended: {_first_line(error)}"
            self._ready.remove(copy)
            task = asyncio.create_task(self._back(copy))
            self._away.add(task)
            task.add_done_callback(self._away.discard)

    async def _back(self, copy: _Copy) -> None:
        """Wait until a copy is made anew, and ask it again; leave it out for good when it cannot be."""
        from ray.exceptions import ActorUnavailableError, RayActorError

        while True:
            try:
                about = await copy.actor.about.remote()
            except ActorUnavailableError:
                await asyncio.sleep(LOOK_S)
                continue
            except RayActorError as error:
                self._last = f"copy {copy.number} of {len(self._all)} ended for good: {_first_line(error)}"
            else:
                if isinstance(about, About):
                    self._ready.append(copy)
                else:
                    self._last = f"copy {copy.number} of {len(self._all)} could not be built anew: {about}"
            break
        self._away.discard(asyncio.current_task())  # before those who wait look whether anybody is still away
        self._changed.set()

    async def aclose(self) -> None:
        """Close every copy, and leave the cluster."""
        for task in self._away:
            task.cancel()
        closing = asyncio.gather(*(_closed(copy.actor) for copy in self._all))
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(closing, CLOSING_S)
        await asyncio.to_thread(self._leave)

    def _leave(self) -> None:
        self._cluster.leave(copy.actor for copy in self._all)


async def _closed(actor: Any) -> None:
    from ray.exceptions import RayError

    with contextlib.suppress(RayError):  # it has died: there is nothing to close
        await actor.aclose.remote()


def gpus_of(settings: Mapping[str, Any]) -> int:
    """Return how many GPUs one copy takes: those over which its settings spread it, else one, and none where it is told to run on the CPU."""
    if str(settings.get("device", "")).startswith("cpu"):
        return 0
    return math.prod(int(value) for name, value in settings.items() if name.endswith("_parallel_size"))


def _alike(told: Sequence[About | HarnessError]) -> About:
    """Return what all copies say of themselves; raise what one of them raised, or Fatal where they are not the same model."""
    abouts = []
    for one in told:
        if not isinstance(one, About):
            raise one
        abouts.append(one)
    first = abouts[0]
    for number, other in enumerate(abouts[1:], 2):
        fields = sorted(
            name for name in {*first.identity, *other.identity} if first.identity.get(name) != other.identity.get(name)
        )
        if fields:
            said = "; ".join(f"{name}: {first.identity.get(name)} and {other.identity.get(name)}" for name in fields)
            raise Fatal(f"{first.name}: copies 1 and {number} are not the same model ({said})")
    return replace(first, at_once=min(one.at_once for one in abouts))


def _first_line(error: Exception) -> str:
    return str(error).partition("\n")[0]
