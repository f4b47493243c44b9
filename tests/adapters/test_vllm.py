"""The life of vLLM's server: started, asked, stopped. A stand-in runs in the default tests, the real one in the same tests, marked `vllm`.

For those, TCM_EVAL_VLLM_PYTHON names an interpreter that has vLLM. What vLLM says is compared in test_same_answers.py.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from harness.errors import Fatal, UsageError
from harness.types import Message, Request, Response, Sampling
from model_adapters import hf
from model_adapters.vllm import Served, build
from model_adapters.vllm._checkpoint import weights
from tests.adapters.tiny import make_checkpoint

ROOT = Path(__file__).resolve().parents[2]
VLLM_PYTHON = os.environ.get("TCM_EVAL_VLLM_PYTHON", "")


Start = Callable[..., "subprocess.Popen[str]"]

SMALL: dict[str, Any] = {"dtype": "float32", "enforce_eager": True, "max_model_len": 256}
REAL = pytest.param("real", marks=pytest.mark.vllm)


@pytest.fixture
def interpreter(server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """What starts vLLM's server: the real interpreter, or a script that starts the stand-in whatever module it is told to run."""
    if server == "real":
        monkeypatch.setenv("VLLM_CPU_KVCACHE_SPACE", "1")
        monkeypatch.setenv("HF_HUB_OFFLINE", "1")
        return VLLM_PYTHON or sys.executable
    script = tmp_path / "python"
    stand_in = Path(__file__).resolve().parents[1] / "support" / "fake_vllm.py"
    script.write_text(f'#!/bin/sh\nexec {sys.executable} {stand_in} "$@"\n')
    script.chmod(0o755)
    return str(script)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A random checkpoint of a shape that vLLM takes."""
    wide: dict[str, Any] = {"hidden_size": 128, "num_attention_heads": 2, "num_key_value_heads": 2}
    return make_checkpoint(tmp_path_factory.mktemp("vllm") / "tiny", **wide)


def left_of(session: int) -> list[str]:
    """Return the processes of a session that still run: a server's workers are as alive as the server."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            name, _, rest = stat.read_text().rpartition(")")
        except OSError:  # it ended while we looked
            continue
        state, _, _, its = rest.split()[:4]
        if int(its) == session and state not in "ZX":
            found.append(name)
    return found


def test_without_vllm_one_line_says_what_to_install() -> None:
    if find_spec("vllm") is not None:
        return
    with pytest.raises(UsageError, match=r"pip install 'tcm-eval\[vllm\]'"):
        build("some/model")


@pytest.mark.parametrize("server", ["stand-in", REAL])
def test_the_server_is_started_asked_and_stopped(interpreter: str, server: str, folder: Path) -> None:
    model = build(str(folder), serve=True, python=interpreter, ready_timeout=600, **SMALL)
    assert isinstance(model, Served) and re.fullmatch(r"vllm \S+ served", model.identity["engine"])
    assert "127.0.0.1" not in json.dumps(dict(model.identity)), "a port of the day is no part of who answered"
    session = model._process.pid
    assert left_of(session)
    request = Request((Message("user", "好"),), Sampling(max_tokens=12))

    async def ask() -> str:
        try:
            return (await model.generate(request)).text
        finally:
            await model.aclose()

    said = asyncio.run(ask())
    assert not left_of(session)
    if server == "real":
        (plain,) = hf.build(str(folder), dtype="float32").generate_batch([request])
        assert isinstance(plain, Response) and said == plain.text.rstrip("\ufffd")
    else:
        assert said == "model:好"
    with pytest.raises(Fatal, match="its server has ended"):
        asyncio.run(model.generate(request))


@pytest.mark.parametrize("server", ["stand-in", REAL])
def test_a_server_that_ends_at_once_is_one_message_with_the_cause(
    interpreter: str, folder: Path, tmp_path: Path
) -> None:
    broken = Path(shutil.copytree(folder, tmp_path / "broken"))
    config = json.loads((broken / "config.json").read_text("utf-8"))
    (broken / "config.json").write_text(json.dumps({**config, "architectures": ["NoSuchModel"]}), "utf-8")
    with pytest.raises(Fatal, match=r"(?s)its server ended.*NoSuchModel") as caught:
        build(str(broken), serve=True, python=interpreter, ready_timeout=600, **SMALL)
    assert len(str(caught.value)) < 4000


@pytest.mark.parametrize("server", ["stand-in", REAL])
def test_a_server_that_takes_too_long_is_stopped(interpreter: str, folder: Path) -> None:
    with pytest.raises(Fatal, match="was not ready within 1 s") as caught:
        build(str(folder), serve=True, python=interpreter, ready_timeout=1, **SMALL)
    found = re.search(r"log: (\S+)\)", str(caught.value))
    assert found and Path(found[1]).is_file()


@pytest.mark.parametrize("server", ["stand-in", REAL])
@pytest.mark.parametrize(
    ("end", "when"),
    [
        (signal.SIGINT, "while it starts"),
        (signal.SIGINT, "while it runs"),
        (signal.SIGTERM, "while it starts"),
        (signal.SIGKILL, "while it runs"),
    ],
)
def test_ctrl_c_and_a_kill_leave_neither_server_nor_workers_behind(
    interpreter: str, server: str, end: signal.Signals, when: str, folder: Path
) -> None:
    code = (
        "import subprocess, sys, time\n"
        "real = subprocess.Popen\n"
        "def noted(*a, **k):\n    p = real(*a, **k); print(p.pid, flush=True); return p\n"
        "subprocess.Popen = noted\n"
        "from model_adapters.vllm import build\n"
        f"model = build({str(folder)!r}, serve=True, python={interpreter!r}, **{SMALL!r})\n"
        "print('ready', flush=True)\n"
        "time.sleep(60)\n"
    )
    ours = subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=ROOT
    )
    assert ours.stdout is not None
    session = int(ours.stdout.readline())  # the server comes first
    ours.stdout.readline()  # and then who watches over it
    if when == "while it runs":
        assert ours.stdout.readline() == "ready\n"
    else:
        time.sleep(0.7 if server == "stand-in" else 15)
    assert left_of(session)
    ours.send_signal(end)
    _, err = ours.communicate(timeout=60)
    assert ours.returncode != 0 and ("KeyboardInterrupt" in err) is (end is signal.SIGINT)
    until = time.monotonic() + (30 if end is not signal.SIGINT else 0)
    while left_of(session) and time.monotonic() < until:
        time.sleep(0.1)
    assert not left_of(session)


def test_a_changed_checkpoint_has_another_fingerprint(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{}")
    (tmp_path / "model.safetensors").write_bytes(b"x" * 100)
    before = weights(str(tmp_path))
    (tmp_path / "model.safetensors").write_bytes(b"x" * 99 + b"y")
    assert before != weights(str(tmp_path)) and weights("some/hub-name") == {}


# ------------------------------------------------------------------ the engine in this process


def engine_code(folder: Path, then: str, settings: Mapping[str, Any]) -> str:
    """Return a program that starts the engine, says which processes it has, and goes on with `then` in an event loop."""
    return (
        "import asyncio, multiprocessing, threading, time\n"
        "from harness.engine import Todo, run\n"
        "from harness.limits import Limits\n"
        "from harness.types import Choice, Failure, Job, Message, Request, Response, Sample, Sampling\n"
        "from model_adapters.vllm import build\n"
        "def request(text, most, **sampling):\n"
        "    return Request((Message('user', text),), Sampling(max_tokens=most, **sampling))\n"
        "def tell():\n"
        "    told = set()\n"
        "    while True:\n"
        "        for one in multiprocessing.active_children():\n"
        "            if one.pid not in told:\n"
        "                told.add(one.pid); print('CHILD', one.pid, flush=True)\n"
        "        time.sleep(0.1)\n"
        "async def main(model):\n" + "".join(f"    {line}\n" for line in then.splitlines()) + ""
        "if __name__ == '__main__':\n"
        "    threading.Thread(target=tell, daemon=True).start()\n"
        f"    model = build({str(folder)!r}, **{dict(settings)!r})\n"
        "    print('READY', flush=True)\n"
        "    asyncio.run(main(model))\n"
    )


@pytest.fixture
def started(folder: Path, tmp_path: Path) -> Iterator[Start]:
    """Starts such a program with the real vLLM; its output goes through a pipe, what vLLM says of errors too."""
    own = {"VLLM_CPU_KVCACHE_SPACE": "1", "HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
    running = []

    def start(then: str, **settings: Any) -> subprocess.Popen[str]:
        script = tmp_path / "program.py"
        script.write_text(engine_code(folder, then, {**SMALL, **settings}), "utf-8")
        command = [VLLM_PYTHON or sys.executable, str(script)]
        pipes: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
        running.append(subprocess.Popen(command, **pipes, cwd=ROOT, env={**os.environ, **own}, start_new_session=True))
        return running[-1]

    yield start
    for one in running:
        one.kill()
        one.communicate()


def until_said(process: subprocess.Popen[str], word: str) -> list[str]:
    """Return what a program says up to a line that begins with `word`."""
    assert process.stdout is not None
    said: list[str] = []
    for line in process.stdout:
        said.append(line)
        if line.startswith(word):
            return said
    raise AssertionError("".join(said[-40:]))


ASK = """
async def timed(text, most, **sampling):
    began = time.perf_counter()
    try:
        said = await model.generate(request(text, most, **sampling))
    except Exception as error:
        return type(error).__name__, 0, 0.0, 0.0
    return said.stop, said.tokens_out, said.seconds, time.perf_counter() - began
short, long, wide, odd = await asyncio.gather(timed('好', 4), timed('好的', 200), timed('x' * 4000, 8), timed('x', 8, temperature=-1.0))
print('SAID', short, long, wide, odd, model.at_once, flush=True)
try:
    async with asyncio.timeout(0.2):
        await model.generate(request('好不好', 200))
except TimeoutError:
    await asyncio.sleep(0.5)
    print('LEFT', model._engine.get_num_unfinished_requests(), flush=True)
images = Request((Message('user', ('what?',)),), Sampling(max_tokens=4))
try:
    await model.generate(images)
except Exception as error:
    print('IMAGES', type(error).__name__, error, flush=True)
await model.aclose()
print('CHILDREN', len(multiprocessing.active_children()), flush=True)
"""


@pytest.mark.vllm
def test_requests_flow_through_the_engine_each_with_its_own_end_and_fault(
    started: Start,
) -> None:
    process = started(ASK)
    said = until_said(process, "SAID")[-1]
    short, long, wide, odd = re.findall(r"\('(\w+)', (\d+), ([\d.]+), ([\d.]+)\)", said)
    assert short[:2] == ("length", "4") and float(short[2]) < float(long[2]) / 2, "the short answer waits for nobody"
    assert abs(float(long[2]) - float(long[3])) < 0.2 and int(long[1]) > 20
    assert wide[0] == "TooLong" and odd[0] == "Rejected"
    assert said.split()[-1] == "256"
    assert until_said(process, "LEFT")[-1] == "LEFT 0\n", "a cancelled request ends in the engine too"
    assert "Rejected vllm's offline engine is asked with text only" in until_said(process, "IMAGES")[-1]
    assert until_said(process, "CHILDREN")[-1] == "CHILDREN 0\n"
    assert process.wait(30) == 0 and not left_of(process.pid)


LONG_RUN = """
def job(n):
    sample = Sample(str(n), 's/t', {'question': 'q'}, Choice(frozenset('A')))
    return Job(sample, lambda done: None if done else request(f'好 {n}', 200))
jobs = (Todo(job(n)) for n in range(100000))
count = 0
def put(record, _):
    nonlocal count
    count += 1
    if count == 3:
        print('RUNNING', flush=True)
await run(model, jobs, Limits(in_flight=8), put, 'me')
"""


@pytest.mark.vllm
@pytest.mark.parametrize("end", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
@pytest.mark.parametrize("when", ["CHILD", "RUNNING"])
def test_ctrl_c_and_a_kill_leave_no_process_of_the_engine_behind(
    started: Start, end: signal.Signals, when: str
) -> None:
    process = started(LONG_RUN)
    until_said(process, when)
    if when == "CHILD":
        time.sleep(6)  # the model is being loaded
    assert len(left_of(process.pid)) > 1
    if end is signal.SIGINT:
        os.killpg(process.pid, end)  # as a terminal does: to all
    else:
        process.send_signal(end)
    said, _ = process.communicate(timeout=90)
    assert process.returncode != 0
    if end is signal.SIGINT and when == "RUNNING":
        assert "\nKeyboardInterrupt\n" in said, said[-3000:]
    until = time.monotonic() + 30
    while left_of(process.pid) and time.monotonic() < until:
        time.sleep(0.1)
    assert not left_of(process.pid)


@pytest.mark.vllm
def test_data_parallelism_works_in_this_process(started: Start) -> None:
    asks = "print('TEXT', repr((await model.generate(request('好', 8))).text), model.at_once, flush=True)\nawait model.aclose()"
    process = started(asks, data_parallel_size=2)
    assert until_said(process, "TEXT")[-1].split()[-1] == "512", "both engines take as many as one"
    assert process.wait(60) == 0 and not left_of(process.pid)
