"""The life of vLLM's server: started, asked, stopped. A stand-in runs in the default tests, the real one in the same tests, marked `vllm`.

For those, TCM_EVAL_VLLM_PYTHON names an interpreter that has vLLM. What vLLM says is compared in
test_same_answers.py; its engine in this process is in test_vllm_engine.py.
"""

from __future__ import annotations

import asyncio
import json
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from harness.errors import Fatal, UsageError
from harness.types import Image, Message, Request, Response, Sampling
from model_adapters import hf
from model_adapters.vllm import Served, build
from model_adapters.vllm._checkpoint import weights
from tests.support.vllm_runs import (
    HALVES,
    OWN,
    PYTHON,
    ROOT,
    SMALL,
    TWO,
    left_of,
    none_left_of,
    thinking_checkpoint,
    wide_checkpoint,
)

REAL = pytest.param("real", marks=pytest.mark.vllm)


@pytest.fixture
def interpreter(server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """What starts vLLM's server: the real interpreter, or a script that starts the stand-in whatever module it is told to run."""
    if server == "real":
        for name, value in OWN.items():
            monkeypatch.setenv(name, value)
        return PYTHON
    script = tmp_path / "python"
    stand_in = Path(__file__).resolve().parents[1] / "support" / "fake_vllm.py"
    script.write_text(f'#!/bin/sh\nexec {sys.executable} {stand_in} "$@"\n')
    script.chmod(0o755)
    return str(script)


@pytest.fixture(autouse=True)
def logs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the servers' logs lie."""
    (tmp_path / "logs").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "logs"))
    return tmp_path / "logs"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A random checkpoint of a shape that vLLM takes."""
    return wide_checkpoint(tmp_path_factory.mktemp("vllm") / "tiny")


def test_without_vllm_one_line_says_what_to_install() -> None:
    if find_spec("vllm") is not None:
        return
    with pytest.raises(UsageError, match=r"pip install 'tcm-eval\[vllm\]'"):
        build("some/model")


@pytest.mark.parametrize("server", ["stand-in", REAL])
def test_the_server_is_started_asked_and_stopped(interpreter: str, server: str, folder: Path, logs: Path) -> None:
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

    assert list(logs.glob("*/server.log"))
    said = asyncio.run(ask())
    assert not left_of(session) and not list(logs.iterdir())
    if server == "real":
        (plain,) = hf.build(str(folder), dtype="float32").generate_batch([request])
        assert isinstance(plain, Response) and said == plain.text.rstrip("\ufffd")
    else:
        assert said == "model:好"
    with pytest.raises(Fatal, match="its server has ended"):
        asyncio.run(model.generate(request))


@pytest.mark.parametrize("server", ["stand-in", REAL])
def test_the_server_says_what_it_had_cached_and_needs_no_key_and_no_proxy(
    interpreter: str, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VLLM_API_KEY", "sk-of-another-server")
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    monkeypatch.delenv("no_proxy", raising=False)
    model = build(str(folder), serve=True, python=interpreter, ready_timeout=600, **SMALL)
    environment = Path(f"/proc/{model._process.pid}/environ").read_bytes() if isinstance(model, Served) else b""
    assert environment and b"sk-of-another-server" not in environment
    request = Request((Message("user", "人参与黄芪。" * 22),), Sampling(max_tokens=4))

    async def ask() -> list[Response]:
        try:
            return [await model.generate(request) for _ in range(2)]
        finally:
            await model.aclose()

    assert asyncio.run(ask())[1].tokens_cached > 0


@pytest.mark.parametrize("server", ["stand-in"])
def test_a_picture_goes_to_the_server(interpreter: str, tmp_path: Path) -> None:
    """Not tried with the real one: no small checkpoint here sees."""
    model = build(str(thinking_checkpoint(tmp_path / "sees")), serve=True, python=interpreter, **SMALL)
    picture = Image("image/png", "aGVyYg==")
    request = Request((Message("user", ("舌象", picture, "如何？")),), Sampling(max_tokens=4))

    async def ask() -> str:
        try:
            return (await model.generate(request)).text
        finally:
            await model.aclose()

    assert asyncio.run(ask()) == f"<think>model:舌象[{len('data:image/png;base64,aGVyYg==')}]如何？"


@pytest.mark.parametrize(
    ("server", "settings"),
    [("stand-in", {}), *(pytest.param("real", one, marks=pytest.mark.vllm) for one in ({}, TWO, HALVES))],
)
def test_reasoning_tags_stand_in_the_servers_answer_that_of_the_template_too_and_no_other_special_token(
    interpreter: str, server: str, settings: Mapping[str, Any], tmp_path: Path
) -> None:
    thinks = thinking_checkpoint(tmp_path / "thinks")
    model = build(str(thinks), serve=True, python=interpreter, ready_timeout=600, **SMALL, **settings)
    talks: list[tuple[Message, ...]] = [(Message("user", "好" * n),) for n in range(1, 9)]
    talks.append((*talks[0], Message("assistant", "好"), *talks[0]))
    requests = [Request(talk, Sampling(max_tokens=48)) for talk in talks]

    async def ask() -> list[str]:
        try:
            return [(await model.generate(request)).text for request in requests]
        finally:
            await model.aclose()

    said = asyncio.run(ask())
    assert all(one.startswith("<think>") for one in said)
    if server == "real":
        plain = hf.build(str(thinks), dtype="float32", device="cpu").generate_batch(requests)
        assert said == [one.text.rstrip("\ufffd") for one in plain if isinstance(one, Response)]
        assert "".join(said).count("</think>") >= 5 and "<|" not in "".join(said)
    else:
        assert said == [f"<think>model:{talk[-1].content}" for talk in talks]


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
    interpreter: str, server: str, end: signal.Signals, when: str, folder: Path, logs: Path
) -> None:
    code = (
        "import subprocess, sys, tempfile, time\n"
        f"tempfile.tempdir = {str(logs)!r}\n"
        "real = subprocess.Popen\n"
        "def noted(*a, **k):\n    p = real(*a, **k); print(p.pid, flush=True); return p\n"
        "subprocess.Popen = noted\n"
        "from model_adapters.vllm import build\n"
        f"model = build({str(folder)!r}, serve=True, python={interpreter!r}, **{dict(SMALL)!r})\n"
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
    assert none_left_of(session, within_s=30 if end is not signal.SIGINT else 0)
    until = time.monotonic() + 10
    while list(logs.iterdir()) and time.monotonic() < until:
        time.sleep(0.1)
    assert not list(logs.iterdir()), "nobody needs the log of a server that did nothing wrong"


def test_a_changed_checkpoint_has_another_fingerprint(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{}")
    (tmp_path / "model.safetensors").write_bytes(b"x" * 100)
    before = weights(str(tmp_path))
    (tmp_path / "model.safetensors").write_bytes(b"x" * 99 + b"y")
    assert before != weights(str(tmp_path)) and weights("some/hub-name") == {}
