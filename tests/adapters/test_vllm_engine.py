"""vLLM's engine in this process, the real one: what it does with requests, and that it ends with us, however we end.

TCM_EVAL_VLLM_PYTHON names an interpreter that has vLLM and this package.
"""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import time
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import pytest

from harness.types import Message, Request, Response, Sampling
from model_adapters import hf
from tests.support.vllm_runs import (
    HALVES,
    PYTHON,
    SMALL,
    TWO,
    left_of,
    none_left_of,
    program,
    thinking_checkpoint,
    until_said,
    wide_checkpoint,
)

pytestmark = pytest.mark.vllm

Start = Callable[..., AbstractContextManager["subprocess.Popen[str]"]]

PROGRAM = """
import asyncio, json, multiprocessing, time
from harness.engine import Todo, run
from harness.limits import Limits
from harness.types import Choice, Failure, Job, Message, Request, Response, Sample, Sampling
from model_adapters.vllm import build

def request(text, most, **sampling):
    return Request((Message('user', text),), Sampling(max_tokens=most, **sampling))

async def main(model):
    {then}

if __name__ == '__main__':
    asyncio.run(main(build({folder!r}, **{settings!r})))
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A random checkpoint of a shape that vLLM takes."""
    return wide_checkpoint(tmp_path_factory.mktemp("vllm") / "tiny")


@pytest.fixture
def started(folder: Path, tmp_path: Path) -> Start:
    """Starts a program that starts the engine, and goes on in an event loop with the lines that are given."""

    def start(then: str, model: Path = folder, **settings: Any) -> AbstractContextManager[subprocess.Popen[str]]:
        lines = then.strip().replace("\n", "\n    ")
        text = PROGRAM.format(then=lines, folder=str(model), settings={**SMALL, **settings})
        (tmp_path / "program.py").write_text(text, "utf-8")
        return program([PYTHON, tmp_path / "program.py"])

    return start


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


def test_requests_flow_through_the_engine_each_with_its_own_end_and_fault(started: Start) -> None:
    with started(ASK) as process:
        said = until_said(process, "SAID")[-1]
        short, long, wide, odd = re.findall(r"\('(\w+)', (\d+), ([\d.]+), ([\d.]+)\)", said)
        assert short[:2] == ("length", "4") and float(short[2]) < float(long[2]) / 2, (
            "the short answer waits for nobody"
        )
        assert abs(float(long[2]) - float(long[3])) < 0.2 and int(long[1]) > 20
        assert wide[0] == "TooLong" and odd[0] == "Rejected"
        assert said.split()[-1] == "256"
        assert until_said(process, "LEFT")[-1] == "LEFT 0\n", "a cancelled request ends in the engine too"
        assert "Rejected vllm's offline engine is asked with text only" in until_said(process, "IMAGES")[-1]
        assert until_said(process, "CHILDREN")[-1] == "CHILDREN 0\n"
        assert process.wait(30) == 0 and none_left_of(process.pid, within_s=5)


def one_question(folder: Path) -> AbstractContextManager[subprocess.Popen[str]]:
    """Return the command line at work: it starts the engine and asks one question."""
    settings = [part for name, value in SMALL.items() for part in ("--model-arg", f"{name}={value}")]
    return program([PYTHON, "-m", "harness.cli", "models", "test", f"vllm/{folder}", *settings])


def until_starting(process: subprocess.Popen[str], moment: str) -> None:
    """Wait until the engine's process is there and is importing, or until it is loading the model and has processes of its own."""
    if moment == "loads":
        until_said(process, "(EngineCore pid=")
    until = time.monotonic() + 300
    while len(left_of(process.pid)) < 3 and process.poll() is None and time.monotonic() < until:
        time.sleep(0.1)
    assert len(left_of(process.pid)) >= 3, "we, what multiprocessing counts with, and the engine"


@pytest.mark.parametrize("moment", ["imports", "loads"])
def test_ctrl_c_while_the_engine_starts_is_one_line_and_leaves_no_process_behind(folder: Path, moment: str) -> None:
    with one_question(folder) as process:
        until_starting(process, moment)
        os.killpg(process.pid, signal.SIGINT)  # as a terminal does: to all
        said, _ = process.communicate(timeout=45)  # of which a busy machine needs ten
        assert process.returncode == 130 and "Traceback" not in said
        assert said.splitlines()[-1] == "tcm-eval: interrupted. All answers so far are kept; the same command goes on."
        assert none_left_of(process.pid, within_s=5)


@pytest.mark.parametrize(("end", "moment"), [(signal.SIGTERM, "imports"), (signal.SIGKILL, "loads")])
def test_a_kill_while_the_engine_starts_leaves_no_process_behind(
    folder: Path, end: signal.Signals, moment: str
) -> None:
    with one_question(folder) as process:
        until_starting(process, moment)
        process.send_signal(end)
        assert process.wait(10) == -end
        assert none_left_of(process.pid, within_s=60)


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


@pytest.mark.parametrize("end", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_ctrl_c_and_a_kill_of_a_run_leave_no_process_of_the_engine_behind(started: Start, end: signal.Signals) -> None:
    with started(LONG_RUN) as process:
        until_said(process, "RUNNING")
        assert len(left_of(process.pid)) > 1
        if end is signal.SIGINT:
            os.killpg(process.pid, end)
        else:
            process.send_signal(end)
        said, _ = process.communicate(timeout=90)
        assert process.returncode != 0
        assert end is not signal.SIGINT or ("\nKeyboardInterrupt\n" in said and "Error:" not in said), said
        assert none_left_of(process.pid, within_s=30)


TEXTS = """
said = await asyncio.gather(*(model.generate(request('好' * n, 48)) for n in range(1, 9)))
print('TEXTS', model.at_once, json.dumps([one.text for one in said]), flush=True)
await model.aclose()
"""


@pytest.mark.parametrize(("settings", "at_once"), [({}, 256), (TWO, 512), (HALVES, 512)])
def test_one_engine_two_and_a_divided_one_say_what_hf_says_with_reasoning_tags_and_no_other_special_token(
    started: Start, tmp_path: Path, settings: Mapping[str, int], at_once: int
) -> None:
    thinks = thinking_checkpoint(tmp_path / "thinks")
    questions = [Request((Message("user", "好" * n),), Sampling(max_tokens=48)) for n in range(1, 9)]
    plain = hf.build(str(thinks), dtype="float32", device="cpu").generate_batch(questions)
    texts = [one.text.rstrip("\ufffd") for one in plain if isinstance(one, Response)]
    assert "".join(texts).count("</think>") >= 5 and "<|" not in "".join(texts)
    with started(TEXTS, thinks, **settings) as process:
        _, found, said = until_said(process, "TEXTS ")[-1].split(maxsplit=2)
        assert json.loads(said) == texts
        assert int(found) == at_once, "two engines take as many as one each; a divided one takes more, on a CPU"
        assert process.wait(60) == 0 and none_left_of(process.pid, within_s=5)
