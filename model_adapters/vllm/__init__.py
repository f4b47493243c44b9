"""Models that run here through vLLM: its offline engine, or with `serve=true` its OpenAI server, started and stopped with the run.

The offline engine is the asynchronous one, asked directly; the served one goes through the lean client. Both have prefix caching on
and take tensor and data parallelism. Both score options by the prompt's own log-probabilities, the same tokens in both, and both send
every sampling field; the model's own generation defaults are off.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import aiohttp
import orjson

from harness.errors import Fatal, Rejected, Transient, UsageError
from harness.types import Message, Request, Response
from model_adapters._http import Chat, Place, fault, parsed, readable
from model_adapters.vllm._checkpoint import short, weights
from model_adapters.vllm._offline import Offline
from model_adapters.vllm._options import score
from model_adapters.vllm._process import Process
from model_adapters.vllm._special import hidden, opened, special_tokens

MISSING = (
    "vllm/{model}: package 'vllm' is not installed. Install it: pip install 'tcm-eval[vllm]' "
    "(or name the interpreter that has it: --model-arg serve=true --model-arg python=PATH)"
)


TAIL = 16
"""Tokens of a prompt's end in which a reasoning tag is looked for."""


class Served:
    """vLLM's own server for one checkpoint, on this machine only, for as long as the run lasts."""

    def __init__(self, model: str, process: Process, identity: Mapping[str, str]) -> None:
        self.name = f"vllm/{Path(model).name if Path(model).is_dir() else model}"
        self.identity = {**identity, "engine": f"vllm {process.version} served"}
        self._process = process
        self._place = Place(process.root, "model")
        self._hidden = hidden(special_tokens(model))
        whole = {} if self._hidden is None else {"skip_special_tokens": False}
        self._chat = Chat(Place(f"{process.root}/v1", "model"), fields=whole)
        self._tags: dict[tuple[str, ...], str] = {}
        self._session: aiohttp.ClientSession | None = None

    async def generate(self, request: Request) -> Response:
        """Return the answer; raise one of the adapter errors."""
        if self._process.ended:
            raise Fatal(f"{self.name}: its server has ended (log: {self._process.log})")
        if not request.options:
            tag = await self._tag(request.messages)
            said = await self._chat.ask(request)
            return replace(said, text=tag + (self._hidden.sub("", said.text) if self._hidden else said.text))
        started = time.perf_counter()
        found = await score(self._post, request)
        return Response("", seconds=round(time.perf_counter() - started, 4), logprobs=found)

    async def _tag(self, messages: Sequence[Message]) -> str:
        """Return the reasoning tag that the chat template opens after messages of these roles: it is no part of the server's answer."""
        roles = tuple(message.role for message in messages)
        if roles not in self._tags:
            said = [{"role": m.role, "content": _words(m)} for m in messages]
            tokens = (await self._post("/tokenize", {"messages": said, "add_generation_prompt": True}))["tokens"]
            self._tags[roles] = opened((await self._post("/detokenize", {"tokens": tokens[-TAIL:]}))["prompt"])
        return self._tags[roles]

    async def _post(self, path: str, body: Mapping[str, Any]) -> Any:
        self._session = self._session or aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0))
        try:
            data = orjson.dumps({"model": self._place.model, **body})
        except TypeError:
            raise Rejected("the prompt holds characters that are no valid Unicode (lone surrogates)") from None
        try:
            async with self._session.post(
                self._place.url + path, data=data, headers={"content-type": "application/json"}
            ) as reply:
                said = await reply.read()
        except aiohttp.ClientError as error:
            raise Transient(f"{self._place.url}: connection broke: {type(error).__name__} {error}") from None
        if reply.status != 200:
            raise fault(reply.status, readable(said), None, self._place)
        return parsed(said)

    async def aclose(self) -> None:
        """Close the connections and stop the server."""
        await self._chat.aclose()
        if self._session is not None:
            await self._session.close()
        self._process.stop()


def _words(message: Message) -> str:
    """Return a message without its pictures."""
    content = message.content
    return content if isinstance(content, str) else "".join(part for part in content if isinstance(part, str))


def build(
    model: str,
    *,
    serve: bool = False,
    python: str | None = None,
    dtype: str = "auto",
    tensor_parallel_size: int = 1,
    data_parallel_size: int = 1,
    max_model_len: int | None = None,
    gpu_memory_utilization: float | None = None,
    enforce_eager: bool = False,
    ready_timeout: float = 900.0,
) -> Offline | Served:
    """Return the checkpoint `model` (a folder or a hub name) in vLLM.

    `serve` starts vLLM's server with the interpreter `python` (default: this one) and waits `ready_timeout` seconds for it. The other
    settings are vLLM's own. Raises UsageError for what the user can mend, Fatal when the engine does not start.
    """
    if not (serve and python) and find_spec("vllm") is None:
        raise UsageError(MISSING.format(model=model))
    settings: dict[str, Any] = {"dtype": dtype, "tensor_parallel_size": tensor_parallel_size}
    settings |= {"data_parallel_size": data_parallel_size}
    settings |= {} if max_model_len is None else {"max_model_len": max_model_len}
    settings |= {} if gpu_memory_utilization is None else {"gpu_memory_utilization": gpu_memory_utilization}
    settings |= {"enforce_eager": True} if enforce_eager else {}
    if not serve:
        return Offline(model, settings)
    arguments: list[str] = []
    for name, value in settings.items():
        arguments += [f"--{name.replace('_', '-')}", *([] if value is True else [str(value)])]
    identity = {
        "provider": "vllm",
        "model": short(model),
        **weights(model),
        "dtype": dtype,
        **({"tensor_parallel": str(tensor_parallel_size)} if tensor_parallel_size != 1 else {}),
    }
    return Served(model, Process(model, python or sys.executable, arguments, ready_timeout), identity)
