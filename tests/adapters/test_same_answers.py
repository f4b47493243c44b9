"""One model, one answer: in float32 what `hf` says, a real `transformers serve` says too, and vLLM, offline and served.

Real questions of the bundled suite go to ladder-tiny each way. vLLM's ways are marked `vllm`: TCM_EVAL_VLLM_PYTHON names an interpreter
that has it and this package (docs/providers.md says how it is made). Each is started once and asked everything.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest

from harness.errors import Fatal
from harness.extract.reasoning import split
from harness.types import Request, Response
from model_adapters import hf, server
from tests.adapters.conftest import LADDER_TINY
from tests.support.real_questions import STOPS, asked, groups, loaded

ROOT = Path(__file__).resolve().parents[2]
VLLM_PYTHON = os.environ.get("TCM_EVAL_VLLM_PYTHON", "")
SMALL = {"dtype": "float32", "enforce_eager": True, "max_model_len": 2048}
"""What makes vLLM small enough for a machine without a GPU; float32 makes it say the same."""

TRANSFORMERS, OFFLINE, SERVED = "transformers serve", "vllm offline", "vllm served"
VLLM = [pytest.param(way, marks=pytest.mark.vllm) for way in (OFFLINE, SERVED)]
BUDGETS = {TRANSFORMERS: 24, OFFLINE: 128, SERVED: 128}
"""Tokens of a greedy answer: few where every default run of the tests has to wait for them."""

SPECIAL = re.compile(r"<\|(?:im_end|im_start|endoftext)\|>")


@dataclass(frozen=True)
class Said:
    """What an answer comes to, whether its reasoning stands in the text or beside it."""

    reasoning: str
    answer: str
    stop: str
    tokens: tuple[int, int]


def said(request: Request, response: Response) -> Said:
    """Return an answer without what docs/providers.md says of where servers differ: three things, and nothing else."""
    parts = split(response.text, response.reasoning)
    thought = SPECIAL.sub("", parts.reasoning).strip()  # transformers serve leaves special tokens in its reasoning
    spent = (
        response.tokens_out == request.sampling.max_tokens
    )  # an end just there is a length stop to transformers serve
    stop = "spent" if spent else response.stop
    half = "\ufffd"  # vLLM leaves out a character that the budget cut in two
    return Said(thought.rstrip(half), parts.answer.rstrip(half), stop, (response.tokens_in, response.tokens_out))


@cache
def ours(group: str, max_tokens: int) -> list[Response]:
    """Return what `hf` says to a group of questions."""
    return asked(hf.build(str(LADDER_TINY), device="cpu", dtype="float32", batch=32), groups(max_tokens)[group])


def of_vllm(**settings: object) -> Mapping[str, list[Response]]:
    """Return what vLLM says to every group of questions."""
    command = [VLLM_PYTHON, "-m", "tests.support.real_questions", str(LADDER_TINY), json.dumps({**SMALL, **settings})]
    own = {"OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1", "VLLM_CPU_KVCACHE_SPACE": "1"}
    environment = {**os.environ, **own}
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, env=environment, timeout=2400, check=False)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    everything = iter(loaded(done.stdout))
    return {name: [next(everything) for _ in questions] for name, questions in groups(BUDGETS[OFFLINE]).items()}


@pytest.fixture(scope="module")
def offline() -> Mapping[str, list[Response]]:
    """What vLLM's offline engine says."""
    return of_vllm()


@pytest.fixture(scope="module")
def served() -> Mapping[str, list[Response]]:
    """What vLLM's server says, started and stopped by the adapter."""
    return of_vllm(serve=True)


@pytest.fixture
def theirs(way: str, group: str, request: pytest.FixtureRequest) -> list[Response]:
    """What another way says to a group of questions."""
    if way != TRANSFORMERS:
        answers: Mapping[str, list[Response]] = request.getfixturevalue("offline" if way == OFFLINE else "served")
        return answers[group]
    url: str = request.getfixturevalue("served_ladder_tiny")
    return asked(server.build(str(LADDER_TINY), base_url=url), groups(BUDGETS[way])[group])


@pytest.mark.parametrize("group", ["greedy", "stops"])
@pytest.mark.parametrize("way", [TRANSFORMERS, *VLLM])
def test_greedy_answers_to_real_questions_and_their_cuts_at_stop_strings_are_the_same(
    way: str, group: str, theirs: Sequence[Response]
) -> None:
    questions = groups(BUDGETS[way])[group]
    assert len(questions) == {"greedy": 204, "stops": 20}[group]
    mine = [said(q, one) for q, one in zip(questions, ours(group, BUDGETS[way]), strict=True)]
    other = [said(q, one) for q, one in zip(questions, theirs, strict=True)]
    assert [pair for pair in zip(mine, other, strict=True) if pair[0] != pair[1]] == []
    if group == "greedy":
        assert len({one.reasoning for one in mine}) > 100, "answers that are all alike would show nothing"
        return
    texts = [one.text for one in ours(group, BUDGETS[way])]
    assert not any(stop in text for text in texts for stop in STOPS)
    assert {text[-4:] for text in texts} >= {"wer>", "r>\n答"} and any(t.endswith("\n") for t in texts), "each was met"


@pytest.mark.parametrize("group", ["letter", "text"])
@pytest.mark.parametrize("way", VLLM)
def test_log_probabilities_of_201_questions_options_are_the_same(
    way: str, group: str, theirs: Sequence[Response]
) -> None:
    mine = ours(group, BUDGETS[way])
    assert len(mine) == len(theirs) == 201
    for one, other in zip(mine, theirs, strict=True):
        options, their_options = one.logprobs or (), other.logprobs or ()
        assert len(options) >= 4 and [o.tokens for o in options] == [o.tokens for o in their_options]
        assert [o.total for o in their_options] == pytest.approx([o.total for o in options], abs=1e-4)


@pytest.mark.vllm
def test_vllms_offline_engine_reads_a_prompt_that_it_has_seen_from_its_cache(
    offline: Mapping[str, list[Response]],
) -> None:
    seen = {(one.text, one.tokens_in) for one in offline["greedy"]}
    for one in offline["again"]:
        assert one.tokens_cached >= 128 and (one.text, one.tokens_in) in seen


@pytest.mark.parametrize("group", ["letter", "text"])
def test_a_server_without_log_probabilities_is_one_message_with_the_way_out(
    group: str, served_ladder_tiny: str
) -> None:
    question = groups(8)[group][:1]
    with pytest.raises(Fatal, match=r"offers no log-probabilities for this.*--ask generate"):
        asked(server.build(str(LADDER_TINY), base_url=served_ladder_tiny), question)
