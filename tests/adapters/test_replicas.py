"""Copies of a model on a real Ray cluster: one model to ask, and no answer is lost with a copy."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest

from harness.engine import run
from harness.errors import Fatal, HarnessError, TooLong, UsageError
from harness.limits import Limits
from harness.replicas import RESTARTS, Replicas, gpus_of
from harness.types import Job, Message, Record, Request, Response, Sampling
from tests.support.copied import broken, command, deadly, telling, visible
from tests.support.todos import jobs

Call = Callable[..., tuple[int, str, str]]

MACHINES = """
import json, sys
from ray.cluster_utils import Cluster
cluster = Cluster()
for machine in json.loads(sys.argv[1]):
    cluster.add_node(**machine)
print(cluster.address, flush=True)
sys.stdin.read()
cluster.shutdown()
"""


@pytest.fixture(scope="module")
def machines() -> Iterator[str]:
    """The address of a cluster of two machines; one of them says that it has two GPUs."""
    stated = json.dumps([{"num_cpus": 4}, {"num_cpus": 2, "num_gpus": 2}])
    env = {**os.environ, "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0", "RAY_USAGE_STATS_ENABLED": "0"}
    env.pop("OMP_NUM_THREADS", None)
    with subprocess.Popen(
        [sys.executable, "-c", MACHINES, stated], env=env, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as going:
        assert going.stdout is not None
        yield going.stdout.readline().strip()
        going.communicate()


@pytest.fixture
def cluster(machines: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAY_ADDRESS", machines)


def said(text: str) -> Request:
    return Request((Message("user", text),), Sampling())


def answered(model: Replicas, count: int, seen: Callable[[Record], None] = lambda record: None) -> list[Record]:
    """Ask so many questions through the engine, which closes the model."""
    found: list[Record] = []

    def put(record: Record, job: Job) -> None:
        found.append(record)
        seen(record)

    asyncio.run(run(model, jobs(count), Limits(in_flight=16), put, "identity"))
    return found


def processes(folder: Path) -> set[int]:
    """Return the processes in which copies were built."""
    return {int(path.name) for path in folder.iterdir() if path.name.isdecimal()}


def texts(records: list[Record]) -> list[str]:
    assert all(isinstance(record.outcome, Response) for record in records), records
    return [record.outcome.text for record in records if isinstance(record.outcome, Response)]


@pytest.mark.usefixtures("cluster")
def test_the_copies_share_the_questions_and_each_is_answered_once(tmp_path: Path) -> None:
    model = Replicas(partial(telling, tmp_path), 3, 0)
    assert (model.name, model.identity) == ("telling", {"model": "telling"})
    found = [text.split() for text in texts(answered(model, 90))]
    assert sorted(text for _, text in found) == sorted(f"q{n}" for n in range(90))
    own = [process for process, _ in found]
    assert {int(process) for process in own} == processes(tmp_path)
    assert min(own.count(process) for process in own) > 5


@pytest.mark.usefixtures("cluster")
def test_each_copy_has_gpus_of_its_own_where_the_cluster_has_any_else_a_share_of_the_cores(tmp_path: Path) -> None:
    for copies, gpus in ((2, 1), (1, 2), (2, 0)):
        folder = tmp_path / f"{copies}-{gpus}"
        folder.mkdir()
        answered(Replicas(partial(visible, folder), copies, gpus), 1)
    seen = {folder.name: sorted(p.read_text() for p in (folder / "seen").iterdir()) for folder in tmp_path.iterdir()}
    assert [own.split()[0] for own in seen["2-1"]] == ["0", "1"]
    assert [own.split()[0] for own in seen["1-2"]] == ["0,1"]
    assert [own.split()[-1] for own in seen["2-0"]] == ["2", "2"], "of 4 and 2 cores, each of two copies can have 2"


@pytest.mark.usefixtures("cluster")
def test_a_copy_that_is_killed_costs_no_answer_and_comes_back(tmp_path: Path) -> None:
    model = Replicas(partial(telling, tmp_path, seconds=0.05), 2, 0)
    first = processes(tmp_path)
    done = 0

    def kill_one(record: Record) -> None:
        nonlocal done
        done += 1
        if done == 20:
            os.kill(min(first), signal.SIGKILL)

    found = [text.split() for text in texts(answered(model, 400, kill_one))]
    assert sorted(text for _, text in found) == sorted(f"q{n}" for n in range(400))
    new = processes(tmp_path) - first
    assert len(new) == 1
    assert new < {int(process) for process, _ in found}, "the copy that was made anew answers too"


@pytest.mark.usefixtures("cluster")
def test_a_request_that_kills_its_copy_fails_alone_and_when_no_copy_is_left_that_is_said(tmp_path: Path) -> None:
    model = Replicas(partial(telling, tmp_path), 1, 0)

    async def deadly_requests() -> list[str]:
        found = []
        for _ in range(RESTARTS + 1):
            with pytest.raises(HarnessError) as fault:
                await model.generate(said("die"))
            found.append(type(fault.value).__name__)
        with pytest.raises(Fatal, match="telling: no copy of it is left"):
            await model.generate(said("q"))
        await model.aclose()
        return found

    assert asyncio.run(deadly_requests()) == ["Transient"] * (RESTARTS + 1)
    assert len(processes(tmp_path)) == RESTARTS + 1


@pytest.mark.usefixtures("cluster")
def test_an_error_of_the_model_comes_out_as_it_is(tmp_path: Path) -> None:
    model = Replicas(partial(telling, tmp_path), 1, 0)

    async def too_long() -> None:
        with pytest.raises(TooLong, match="9 tokens, but the context window is 8"):
            await model.generate(said("long"))
        await model.aclose()

    asyncio.run(too_long())


@pytest.mark.usefixtures("cluster")
def test_what_cannot_be_built_or_placed_is_said_at_once(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no checkpoint"):
        Replicas(partial(broken, tmp_path), 2, 0)
    with pytest.raises(Fatal, match="--replicas 2: a copy ended while it was built"):
        Replicas(partial(deadly, tmp_path), 2, 0)
    with pytest.raises(Fatal, match=r"telling: copies 1 and 2 are not the same model \(process: "):
        Replicas(partial(telling, tmp_path, own=True), 2, 0)
    for copies, gpus, message in (
        (3, 1, "there is room for 2, for a copy takes 1 GPU of one machine, and the cluster has 2 GPUs on 2 machines"),
        (1, 4, "there is room for 0, for a copy takes 4 GPUs of one machine, and the cluster has 2 GPUs on 2 machines"),
        (7, 0, "there is room for 6, for a copy takes 1 CPU of one machine, and the cluster has 6 CPUs on 2 machines"),
    ):
        with pytest.raises(UsageError, match=message):
            Replicas(partial(telling, tmp_path), copies, gpus)


def test_how_many_gpus_a_copy_takes_is_read_from_the_models_settings() -> None:
    assert gpus_of({}) == gpus_of({"device": "cuda", "dtype": "auto"}) == 1
    assert gpus_of({"tensor_parallel_size": 4}) == 4
    assert gpus_of({"tensor_parallel_size": 4, "data_parallel_size": 2}) == 8
    assert gpus_of({"device": "cpu"}) == 0


# ------------------------------------------------------------------ through the command line


@pytest.mark.usefixtures("cluster")
def test_copies_give_the_answers_of_one_and_go_on_with_its_run(
    checkpoint: Path, suite: Path, tmp_path: Path, tcm_eval: Call
) -> None:
    def answers(output: Path) -> dict[str, str]:
        [file] = output.glob("runs/*/records.jsonl")
        rows = [json.loads(line) for line in file.read_text("utf-8").splitlines()]
        return {row["key"]: row["response"]["text"] for row in rows}

    alone, copied = tmp_path / "alone", tmp_path / "copied"
    assert tcm_eval(*command(checkpoint, suite, alone))[0] == 0
    assert tcm_eval(*command(checkpoint, suite, copied, "--replicas", 2))[0] == 0
    assert answers(copied) == answers(alone)
    code, _, err = tcm_eval(*command(checkpoint, suite, alone, "--replicas", 2))
    assert (code, "30 already answered" in err) == (0, True)


@pytest.mark.usefixtures("cluster")
def test_what_has_no_copies_is_refused(checkpoint: Path, suite: Path, tmp_path: Path, tcm_eval: Call) -> None:
    own = ["--tasks", "own", "--task-path", suite, "--output", tmp_path / "out", "--replicas", 2]
    code, _, err = tcm_eval("run", "--model", "echo/first", *own)
    assert (code, "--replicas: echo/first is not computed by this process" in err) == (2, True)
    code, _, err = tcm_eval("run", "--model", f"hf/{checkpoint}", *own, "--batch")
    assert (code, "--replicas does not go with --batch" in err) == (2, True)
    code, _, err = tcm_eval("run", "--model", f"hf/{tmp_path / 'none'}", *own)
    assert code == 2
    assert "none" in err
    assert not (tmp_path / "out" / "runs").exists()


def test_a_cluster_that_nobody_answers_for_is_said_at_once(
    checkpoint: Path, suite: Path, tmp_path: Path, tcm_eval: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RAY_ADDRESS", "127.0.0.1:9")
    code, _, err = tcm_eval(*command(checkpoint, suite, tmp_path, "--replicas", 2))
    assert (code, "no Ray cluster can be reached at RAY_ADDRESS=127.0.0.1:9" in err) == (2, True)


def test_without_the_package_it_is_named(
    checkpoint: Path, suite: Path, tmp_path: Path, tcm_eval: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    code, _, err = tcm_eval(*command(checkpoint, suite, tmp_path, "--replicas", 2))
    assert (code, "pip install 'tcm-eval[ray]'" in err) == (2, True)
