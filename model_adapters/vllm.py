"""Models that run here through vLLM: its offline engine, or with `serve=true` its OpenAI server, started and stopped with the run.

The offline engine answers whole batches and scores options by the prompt's own log-probabilities, with prefix caching on. The served
one spreads over devices with data parallelism and goes through the lean client. Both send every sampling field; the model's own
generation defaults are off.
"""

from __future__ import annotations

import atexit
import hashlib
import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from harness.errors import Fatal, UsageError
from harness.types import Failure, OptionLogprob, Request, Response

MISSING = (
    "vllm/{model}: package 'vllm' is not installed. Install it: pip install 'tcm-eval[vllm]' "
    "(or name the interpreter that has it: --model-arg serve=true --model-arg python=PATH)"
)
SAMPLE = 1 << 20
"""Bytes read at each of three places of a weights file for its fingerprint."""

_OPENED = re.compile(r"(<(?:think|thinking|reasoning)>)\s*$", re.I)


def weights(model: str) -> dict[str, str]:
    """Return the fingerprint of a checkpoint's folder (names, sizes, small files, and three places of each weights file), or nothing."""
    folder = Path(model).expanduser()
    if not folder.is_dir():
        return {}
    digest = hashlib.blake2b(digest_size=8)
    for path in sorted(p for p in folder.rglob("*") if p.is_file() and p.suffix in (".json", ".safetensors", ".jinja")):
        size = path.stat().st_size
        digest.update(f"{path.relative_to(folder)}:{size}:".encode())
        with path.open("rb") as file:
            for place in (0, size // 2, size - SAMPLE):
                file.seek(max(0, place))
                digest.update(file.read(SAMPLE))
    return {"weights": digest.hexdigest()}


class Offline:
    """vLLM's engine in this process. `max_batch` requests go to it at once; it schedules them itself."""

    max_batch = 256

    def __init__(self, model: str, settings: Mapping[str, Any]) -> None:
        import vllm

        try:
            self._llm = vllm.LLM(model=model, enable_prefix_caching=True, seed=0, **settings)
        except (ValueError, OSError) as error:
            raise UsageError(f"vllm/{model}: {error}") from None
        except RuntimeError as error:
            raise Fatal(f"vllm/{model}: the engine did not start: {error}") from None
        self._tokenizer: Any = self._llm.get_tokenizer()
        if not getattr(self._tokenizer, "chat_template", None):
            raise UsageError(f"vllm/{model}: the checkpoint has no chat template")
        self._context = int(self._llm.llm_engine.model_config.max_model_len)
        dtype = str(self._llm.llm_engine.model_config.dtype).removeprefix("torch.")
        template = hashlib.sha256(str(self._tokenizer.chat_template).encode()).hexdigest()[:12]
        self.name = f"vllm/{Path(model).name if Path(model).is_dir() else model}"
        self.identity: Mapping[str, str] = {
            "provider": "vllm",
            "model": model if not Path(model).is_dir() else Path(model).resolve().name,
            **weights(model),
            "engine": f"vllm {vllm.__version__}",
            "dtype": dtype,
            "template": template,
            **({"tensor_parallel": str(n)} if (n := settings.get("tensor_parallel_size", 1)) != 1 else {}),
        }

    def generate_batch(self, requests: Sequence[Request]) -> list[Response | Failure]:
        """Return one outcome per request; a request that does not fit fails alone."""
        outcomes: list[Response | Failure | None] = [None] * len(requests)
        prompts: list[dict[str, Any]] = []
        params: list[Any] = []
        places: list[tuple[int, int, int]] = []  # request, where the options part, prompt length
        opened: dict[int, str] = {}
        for n, request in enumerate(requests):
            made = self._made_ready(request)
            if isinstance(made, Failure):
                outcomes[n] = made
                continue
            opened[n], rows, shared = made
            for ids in rows:
                prompts.append({"prompt_token_ids": ids})
                params.append(_params(request))
                places.append((n, shared, len(ids)))
        started = time.perf_counter()
        results = self._llm.generate(prompts, sampling_params=params, use_tqdm=False) if prompts else []
        seconds = round(time.perf_counter() - started, 4)
        scored: dict[int, list[OptionLogprob]] = {}
        for (n, shared, _), result in zip(places, results, strict=True):
            if requests[n].options:
                scored.setdefault(n, []).append(_tail(result, shared))
                outcomes[n] = Response("", seconds=seconds, logprobs=tuple(scored[n]))
            else:
                outcomes[n] = _response(result, opened[n], seconds)
        return [outcome for outcome in outcomes if outcome is not None]

    def _made_ready(self, request: Request) -> tuple[str, list[list[int]], int] | Failure:
        """Return the reasoning tag that the template opened, the token ids of each prompt, and how many ids all prompts share."""
        if not all(isinstance(m.content, str) for m in request.messages):
            return Failure("bad_request", "vllm's offline engine is asked with text only: use serve=true for images", 1)
        messages = [{"role": m.role, "content": m.content} for m in request.messages]
        try:
            prompt: str = self._tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True)
            alone = self._ids(prompt)
            rows = [self._ids(prompt + option) for option in request.options] or [alone]
        except (UnicodeEncodeError, TypeError):
            return Failure("bad_request", "the prompt holds characters that are no valid Unicode (lone surrogates)", 1)
        except Exception as error:  # noqa: BLE001 - a template may raise anything; only this request is at fault
            return Failure("bad_request", f"the chat template refuses these messages: {error}", 1)
        shared = _shared([alone, *rows])
        budget = 1 if request.options else request.sampling.max_tokens
        longest = max(map(len, rows))
        if longest + budget > self._context:
            said = f"{longest} prompt tokens and {budget} to answer, but the context window is {self._context} tokens"
            return Failure("too_long", said, 1)
        found = _OPENED.search(prompt)
        return (found[1] if found else ""), rows, shared

    def _ids(self, text: str) -> list[int]:
        ids: list[int] = self._tokenizer(text, add_special_tokens=False)["input_ids"]
        return ids

    def close(self) -> None:
        """Give the devices' memory back."""
        del self._llm


def _shared(rows: Sequence[Sequence[int]]) -> int:
    """Return how many ids all rows begin with alike: every option is scored from the same place."""
    shortest = min(map(len, rows))
    return next((n for n in range(shortest) if len({row[n] for row in rows}) > 1), shortest)


def _params(request: Request) -> Any:
    from vllm import SamplingParams

    s = request.sampling
    if request.options:
        return SamplingParams(temperature=0.0, max_tokens=1, prompt_logprobs=0)
    return SamplingParams(
        temperature=s.temperature,
        top_p=s.top_p,
        top_k=s.top_k or -1,
        repetition_penalty=s.repetition_penalty,
        max_tokens=s.max_tokens,
        stop=list(s.stop) or None,
        seed=s.seed if s.temperature else None,
    )


def _tail(result: Any, shared: int) -> OptionLogprob:
    """Return the summed log-probability of a prompt's tokens from place `shared` on."""
    ids, known = result.prompt_token_ids, result.prompt_logprobs
    own = [known[place][ids[place]].logprob for place in range(max(1, shared), len(ids))]
    return OptionLogprob(float(sum(own)), len(own))


def _response(result: Any, opened: str, seconds: float) -> Response:
    said = result.outputs[0]
    return Response(
        opened + said.text,
        stop="length" if said.finish_reason == "length" else "stop",
        tokens_in=len(result.prompt_token_ids),
        tokens_out=len(said.token_ids),
        tokens_cached=int(result.num_cached_tokens or 0),
        seconds=seconds,
    )


class Served:
    """vLLM's own server for one checkpoint, on this machine only, for as long as the run lasts."""

    def __init__(
        self, model: str, python: str, arguments: Sequence[str], ready_s: float, identity: Mapping[str, str]
    ) -> None:
        from model_adapters._http import Chat, Place

        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        self._root = f"http://127.0.0.1:{port}"
        self._log = Path(tempfile.mkdtemp(prefix="tcm-eval-vllm-")) / "server.log"
        command = [python, "-m", "vllm.entrypoints.openai.api_server", "--host", "127.0.0.1", "--port", str(port)]
        command += ["--model", model, "--served-model-name", "model", "--generation-config", "vllm", *arguments]
        with self._log.open("wb") as log:  # a session of its own: Ctrl-C reaches us first, and we stop it
            self._process = subprocess.Popen(command, stdout=log, stderr=log, start_new_session=True)  # noqa: S603 - our own command line
        atexit.register(self.stop)
        try:
            version = self._wait(model, ready_s)
        except BaseException:  # also Ctrl-C: no server is left behind
            self.stop()
            raise
        self.name = f"vllm/{Path(model).name if Path(model).is_dir() else model}"
        self.identity = {**identity, "engine": f"vllm {version} served"}
        self._chat = Chat(Place(f"{self._root}/v1", "model"))

    def _wait(self, model: str, ready_s: float) -> str:
        """Return the server's version once it is ready; raise Fatal with the end of its log when it ends or takes too long."""
        until = time.monotonic() + ready_s
        while self._process.poll() is None and time.monotonic() < until:
            try:
                with urllib.request.urlopen(f"{self._root}/health", timeout=5):  # noqa: S310 - our own server
                    pass
                with urllib.request.urlopen(f"{self._root}/version", timeout=5) as reply:  # noqa: S310 - as above
                    found = re.search(rb'"version"\s*:\s*"([^"]+)"', reply.read())
                    return found[1].decode() if found else "unknown"
            except (urllib.error.URLError, ConnectionError, TimeoutError):
                time.sleep(0.25)
        how = "ended" if self._process.poll() is not None else f"was not ready within {ready_s:g} s"
        tail = "\n".join(self._log.read_text("utf-8", "replace").splitlines()[-8:])
        raise Fatal(f"vllm/{model}: its server {how} (log: {self._log}):\n{tail}")

    async def generate(self, request: Request) -> Response:
        """Return the answer; raise one of the adapter errors."""
        if self._process.poll() is not None:
            raise Fatal(f"{self.name}: its server has ended (log: {self._log})")
        return await self._chat.ask(request)

    async def aclose(self) -> None:
        """Close the connections and stop the server."""
        await self._chat.aclose()
        self.stop()

    def stop(self) -> None:
        """End the server and all its workers; wait until they are gone."""
        if self._process.poll() is None:
            os.killpg(self._process.pid, signal.SIGTERM)
            try:
                self._process.wait(timeout=20)
            except subprocess.TimeoutExpired:
                os.killpg(self._process.pid, signal.SIGKILL)
                self._process.wait()
        atexit.unregister(self.stop)


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

    `serve` starts vLLM's server with the interpreter `python` (default: this one) and waits `ready_timeout` seconds for it; data
    parallelism needs it. The other settings are vLLM's own. Raises UsageError for what the user can mend, Fatal when the engine does
    not start.
    """
    if not (serve and python) and find_spec("vllm") is None:
        raise UsageError(MISSING.format(model=model))
    if data_parallel_size > 1 and not serve:
        raise UsageError(f"vllm/{model}: data_parallel_size needs vLLM's server: add --model-arg serve=true")
    settings: dict[str, Any] = {"dtype": dtype, "tensor_parallel_size": tensor_parallel_size}
    settings |= {} if max_model_len is None else {"max_model_len": max_model_len}
    settings |= {} if gpu_memory_utilization is None else {"gpu_memory_utilization": gpu_memory_utilization}
    settings |= {"enforce_eager": True} if enforce_eager else {}
    if not serve:
        return Offline(model, {**settings, "generation_config": "vllm"})
    arguments = ["--data-parallel-size", str(data_parallel_size)]
    for name, value in settings.items():
        arguments += [f"--{name.replace('_', '-')}", *([] if value is True else [str(value)])]
    identity = {
        "provider": "vllm",
        "model": Path(model).resolve().name if Path(model).is_dir() else model,
        **weights(model),
        "dtype": dtype,
        **({"tensor_parallel": str(tensor_parallel_size)} if tensor_parallel_size != 1 else {}),
    }
    return Served(model, python or sys.executable, arguments, ready_timeout, identity)
