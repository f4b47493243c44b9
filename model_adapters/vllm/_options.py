"""Log-probabilities of options in vLLM's server: the same prompts, tokens and sums as in its offline engine."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

from harness.errors import Fatal, Rejected
from harness.types import OptionLogprob, Request

Post = Callable[[str, Mapping[str, Any]], Awaitable[Any]]
"""Sends a body to a path of the server and gives the JSON of its answer; raises one of the adapter errors."""


def shared(rows: Sequence[Sequence[int]]) -> int:
    """Return how many ids all rows begin with alike: every option is scored from the same place."""
    shortest = min(map(len, rows))
    return next((n for n in range(shortest) if len({row[n] for row in rows}) > 1), shortest)


async def score(post: Post, request: Request) -> tuple[OptionLogprob, ...]:
    """Return each option's log-probability after the chat template's prompt; raise Fatal where the tokenizer does not allow it.

    A chat completion knows the first token's most probable candidates only, and an echoed completion no chat template. So the server
    is asked for the prompt's tokens, for those of the prompt with each option, and for what it makes of them.
    """
    if not all(isinstance(m.content, str) for m in request.messages):
        raise Rejected("options of a question with images cannot be scored")
    messages = [{"role": m.role, "content": m.content} for m in request.messages]
    alone = (await post("/tokenize", {"messages": messages, "add_generation_prompt": True}))["tokens"]
    prompt = (await post("/detokenize", {"tokens": alone}))["prompt"]

    async def ids(text: str) -> list[int]:
        found: list[int] = (await post("/tokenize", {"prompt": text, "add_special_tokens": False}))["tokens"]
        return found

    again, *rows = await asyncio.gather(*(ids(prompt + option) for option in ("", *request.options)))
    if again != alone:
        raise Fatal(
            "this tokenizer does not give its tokens' text back unchanged, so vLLM's server cannot score options: leave serve=true out"
        )
    start = max(1, shared([alone, *rows]))
    body = {"prompt": rows, "max_tokens": 1, "temperature": 0, "prompt_logprobs": 0}
    choices = sorted((await post("/v1/completions", body))["choices"], key=lambda choice: int(choice["index"]))
    return tuple(_sum(row, choice["prompt_logprobs"], start) for row, choice in zip(rows, choices, strict=True))


def _sum(row: Sequence[int], known: Sequence[Mapping[str, Mapping[str, float]]], start: int) -> OptionLogprob:
    """Return the summed log-probability of a row's tokens from place `start` on."""
    own = [known[place][str(row[place])]["logprob"] for place in range(start, len(row))]
    return OptionLogprob(float(sum(own)), len(own))
