"""Real questions of the bundled suite as requests, and what an adapter says to them, so that ways to run one model can be compared.

As a script it asks through the vllm adapter, in an interpreter that has vLLM: FOLDER SETTINGS-AS-JSON. One line has the answers.
"""

from __future__ import annotations

import asyncio
import dataclasses
import json
import sys
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

from harness.engine import answer
from harness.limits import Limits
from harness.plan import Selection, prepare
from harness.prompts import Ask, Style
from harness.suites import Catalogue
from harness.types import Failure, OptionLogprob, Request, Response

STOPS = ("</answer>", "\n答案：B", "案：C", "不会有的")
"""A whole token, the beginning of a token and one before it, the middle of one, and what is never said."""

MARK = "ANSWERS "

CHOICES = ("tcm_core/single_choice", "tcm_core/single_choice_en", "tcm_core/multiple_choice")
WRITTEN = (*CHOICES, "tcm_core/fill_blank", "tcm_core/vignette", "tcm_core/dialogue")


def requests(names: Sequence[str], limit: int, ask: Ask = "generate", **sampling: Any) -> list[Request]:
    """Return the first request of `limit` questions of each task; `sampling` replaces fields of the tasks' own."""
    catalogue, selection, found = Catalogue(), Selection(limit=limit), []
    for task in catalogue.select(names)[0]:
        part = prepare(catalogue, task, Style(ask=ask), selection, sampling)
        for sample, repeat, variant in selection.asked(catalogue, task):
            request = part.prompter.job(sample, repeat, variant).next(())
            assert request is not None
            found.append(request)
    return found


@cache
def groups(max_tokens: int) -> Mapping[str, list[Request]]:
    """Return what every way is asked.

    204 questions greedily, 20 with stop strings, the options of 201 by letter and by text, and at last three long ones of the first again.
    """
    greedy = requests(WRITTEN, 34, max_tokens=max_tokens)
    return {
        "greedy": greedy,
        "stops": requests(CHOICES[:1], 20, max_tokens=48, stop=STOPS),
        "letter": requests(CHOICES, 67, "letter"),
        "text": requests(CHOICES, 67, "text"),
        "again": sorted(greedy, key=lambda one: len(str(one.messages[-1].content)))[-3:],
    }


def asked(model: Any, questions: Sequence[Request], at_once: int = 8) -> list[Response]:
    """Return the answers of a model that stays open for more; fail on the first question without one."""
    found: list[Response | Failure] = []
    if hasattr(model, "generate_batch"):
        for start in range(0, len(questions), model.max_batch):
            found += model.generate_batch(questions[start : start + model.max_batch])
    else:
        found = asyncio.run(_asked_one_by_one(model, questions, at_once))
    answered = [one for one in found if isinstance(one, Response)]
    assert len(answered) == len(questions), [one for one in found if not isinstance(one, Response)][:3]
    return answered


async def _asked_one_by_one(model: Any, questions: Sequence[Request], at_once: int) -> list[Response | Failure]:
    gate = asyncio.Semaphore(at_once)

    async def one(question: Request) -> Response | Failure:
        async with gate:
            return await answer(model, question, Limits())  # as a run does: a dropped connection is tried again

    try:
        return list(await asyncio.gather(*map(one, questions)))
    finally:
        await model.aclose()


def loaded(output: str) -> list[Response]:
    """Return the answers out of all that the script printed: engines print too."""
    [line] = [line for line in output.splitlines() if line.startswith(MARK)]
    found = []
    for one in json.loads(line.removeprefix(MARK)):
        options = one["logprobs"]
        logprobs = None if options is None else tuple(OptionLogprob(**option) for option in options)
        found.append(Response(**{**one, "not_accepted": tuple(one["not_accepted"]), "logprobs": logprobs}))
    return found


if __name__ == "__main__":
    from model_adapters.vllm import build

    model = build(sys.argv[1], **json.loads(sys.argv[2]))
    everything = [one for group in groups(max_tokens=128).values() for one in group]
    print(MARK + json.dumps([dataclasses.asdict(one) for one in asked(model, everything)]))
