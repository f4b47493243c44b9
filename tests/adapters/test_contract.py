"""What every adapter file promises, checked on every file there is."""

from __future__ import annotations

import asyncio
import inspect
import subprocess
import sys
from pathlib import Path

import pytest

from harness.errors import AdapterError, HarnessError
from harness.registry import adapter_names, get_adapter
from harness.types import Message, Model, Request

FILES = adapter_names()


def test_every_file_is_a_provider_of_its_name() -> None:
    there = {
        p.name.removesuffix(".py")
        for p in Path("model_adapters").iterdir()
        if p.name[0] not in "_." and p.suffix in ("", ".py")
    }
    assert there == set(FILES) and {"server", "replay", "echo", "hf"} <= there


@pytest.mark.parametrize("name", FILES)
def test_an_adapter_has_build_with_named_settings_only(name: str) -> None:
    parameters = list(inspect.signature(get_adapter(name)).parameters.values())
    assert parameters[0].name == "model"
    assert all(p.kind is p.KEYWORD_ONLY and p.default is not p.empty for p in parameters[1:]), (
        "every setting has a default"
    )
    assert inspect.getdoc(get_adapter(name)), "build says what it takes and raises"


@pytest.mark.parametrize("name", FILES)
def test_importing_an_adapter_brings_no_heavy_package(name: str) -> None:
    heavy = "torch transformers vllm openai anthropic google.genai pandas matplotlib ray"
    code = f"import sys, model_adapters.{name}; print([m for m in {heavy.split()!r} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("name", FILES)
def test_a_model_that_cannot_be_built_is_one_clear_message(name: str) -> None:
    try:
        built = get_adapter(name)("no-such-model-anywhere")
    except HarnessError as error:
        assert len(str(error)) > 10 and "Traceback" not in str(error)
    else:  # built without looking: then asking fails clearly
        assert isinstance(built, Model)

        async def ask() -> None:
            try:
                await built.generate(Request((Message("user", "x"),)))
            finally:
                await built.aclose()

        with pytest.raises(AdapterError):
            asyncio.run(ask())


def test_echo_and_replay_give_the_same_answer_to_the_same_request(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("id,task,answer\nq1,t,答案：B\nq1,u,答案：C\n", "utf-8")
    replay, echo = get_adapter("replay")(str(tmp_path / "a.csv")), get_adapter("echo")("guess")
    request = Request((Message("user", "问\nA. 一\nB. 二"),), place=("s/t", "q1", 0))

    async def ask(model: Model) -> list[str]:
        return [(await model.generate(request)).text for _ in range(3)]

    assert asyncio.run(ask(replay)) == ["答案：B"] * 3
    assert len(set(asyncio.run(ask(echo)))) == 1


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ('{"id": 1}\n', r"a.jsonl:1: no answer; expected one of the columns response"),
        ('{"response": "x"}\n', r"a.jsonl:1: no column 'sample'"),
        ("{\n", r"a.jsonl:1: malformed row"),
        ("", r"no answers in it"),
        ('{"id": 1, "text": "a"}\n{"id": 1, "text": "b"}\n', r"a.jsonl:2: a second answer to sample '1'"),
        ('{"id": 1, "text": "a", "stop": "end"}\n', r"stop 'end' is none of stop, length"),
    ],
)
def test_a_faulty_file_of_answers_is_refused_by_line(tmp_path: Path, content: str, message: str) -> None:
    (tmp_path / "a.jsonl").write_text(content, "utf-8")
    with pytest.raises(HarnessError, match=message):
        get_adapter("replay")(str(tmp_path / "a.jsonl"))
