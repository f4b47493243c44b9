"""vLLM's asynchronous engine, started by this process."""

from __future__ import annotations

import asyncio
import hashlib
import itertools
import re
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from harness.errors import Fatal, Rejected, TooLong, Transient, UsageError
from harness.types import OptionLogprob, Request, Response
from model_adapters.vllm._checkpoint import short, weights
from model_adapters.vllm._options import shared
from model_adapters.vllm._special import hidden, opened
from model_adapters.vllm._watch import Watch

CLOSING_S = 20.0
"""Seconds that the engine's processes have to end by themselves."""


class Offline:
    """vLLM's engine for one checkpoint. It takes requests as they come, `at_once` of them, and schedules them itself.

    All are asked in one event loop. A request that is cancelled here ends in the engine too.
    """

    def __init__(self, model: str, settings: Mapping[str, Any]) -> None:
        import vllm

        self.name = f"vllm/{Path(model).name if Path(model).is_dir() else model}"
        self._watch = Watch()
        with self._watch.over_children():
            self._engine = _started(model, settings)
            self._tokenizer: Any = self._engine.get_tokenizer()
            if not getattr(self._tokenizer, "chat_template", None):
                raise UsageError(f"vllm/{model}: the checkpoint has no chat template")
        config = self._engine.vllm_config
        self.at_once = int(config.scheduler_config.max_num_seqs) * int(settings.get("data_parallel_size", 1))
        self._context = int(config.model_config.max_model_len)
        self._hidden = _hidden(self._tokenizer)
        self._numbers = itertools.count()
        template = hashlib.sha256(str(self._tokenizer.chat_template).encode()).hexdigest()[:12]
        self.identity: Mapping[str, str] = {
            "provider": "vllm",
            "model": short(model),
            **weights(model),
            "engine": f"vllm {vllm.__version__}",
            "dtype": str(config.model_config.dtype).removeprefix("torch."),
            "template": template,
            **({"tensor_parallel": str(n)} if (n := settings.get("tensor_parallel_size", 1)) != 1 else {}),
        }

    async def generate(self, request: Request) -> Response:
        """Return the answer; raise one of the adapter errors. `seconds` runs from here to the answer's end."""
        tag, rows, begin = self._made_ready(request)
        started = time.perf_counter()
        results = await asyncio.gather(*(self._said(ids, request) for ids in rows))
        seconds = round(time.perf_counter() - started, 4)
        if request.options:
            return Response("", seconds=seconds, logprobs=tuple(_tail(result, begin) for result in results))
        return self._response(results[0], tag, seconds)

    async def _said(self, ids: list[int], request: Request) -> Any:
        """Return what the engine makes of a prompt."""
        from vllm.inputs import tokens_input
        from vllm.v1.engine.exceptions import EngineDeadError, EngineGenerateError

        try:
            going = self._engine.generate(tokens_input(ids), _params(request, self._hidden), str(next(self._numbers)))
            [result] = [result async for result in going]
        except EngineDeadError:
            raise Fatal(f"{self.name}: the engine has ended; what it said of it stands above") from None
        except EngineGenerateError as error:
            raise Transient(f"{self.name}: {error.__cause__ or error}") from None
        except Exception as error:  # noqa: BLE001 - what vLLM does not take has another class in each version; only this request is at fault
            raise Rejected(f"{self.name}: {error}") from None
        return result

    def _made_ready(self, request: Request) -> tuple[str, list[list[int]], int]:
        """Return the reasoning tag that the template opened, the token ids of each prompt, and how many ids all prompts share."""
        if not all(isinstance(m.content, str) for m in request.messages):
            raise Rejected("vllm's offline engine is asked with text only: use serve=true for images")
        messages = [{"role": m.role, "content": m.content} for m in request.messages]
        try:
            prompt: str = self._tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True)
            alone = self._ids(prompt)
            rows = [self._ids(prompt + option) for option in request.options] or [alone]
        except (UnicodeEncodeError, TypeError):
            raise Rejected("the prompt holds characters that are no valid Unicode (lone surrogates)") from None
        except Exception as error:  # noqa: BLE001 - a template may raise anything; only this request is at fault
            raise Rejected(f"the chat template refuses these messages: {error}") from None
        begin = shared([alone, *rows])
        budget = 1 if request.options else request.sampling.max_tokens
        longest = max(map(len, rows))
        if longest + budget > self._context:
            raise TooLong(
                f"{longest} prompt tokens and {budget} to answer, but the context window is {self._context} tokens"
            )
        return opened(prompt), rows, begin

    def _ids(self, text: str) -> list[int]:
        ids: list[int] = self._tokenizer(text, add_special_tokens=False)["input_ids"]
        return ids

    def _response(self, result: Any, tag: str, seconds: float) -> Response:
        said = result.outputs[0]
        if said.finish_reason not in ("stop", "length"):
            raise Transient(f"{self.name}: the engine broke the answer off: {said.finish_reason}")
        text = self._hidden.sub("", said.text) if self._hidden else said.text
        return Response(
            tag + text,
            stop="length" if said.finish_reason == "length" else "stop",
            tokens_in=len(result.prompt_token_ids),
            tokens_out=len(said.token_ids),
            tokens_cached=int(result.num_cached_tokens or 0),
            seconds=seconds,
        )

    async def aclose(self) -> None:
        """End the engine's processes and give the devices' memory back."""
        engine, self._engine = self._engine, None
        if engine is not None:
            engine.shutdown(
                timeout=CLOSING_S
            )  # from its own event loop: from a thread vLLM takes it for a crash, and says so
        self._watch.stop()


def _started(model: str, settings: Mapping[str, Any]) -> Any:
    """Return the engine, ready to answer; raise UsageError for what the user can mend, Fatal when it does not start."""
    from vllm import AsyncEngineArgs
    from vllm.usage.usage_lib import UsageContext
    from vllm.v1.engine.async_llm import AsyncLLM

    own = {"enable_prefix_caching": True, "seed": 0, "generation_config": "vllm", "disable_log_stats": True}
    try:
        arguments = AsyncEngineArgs(model=model, **own, **settings)
        return AsyncLLM.from_engine_args(
            arguments, usage_context=UsageContext.LLM_CLASS
        )  # its limits are for throughput
    except (ValueError, OSError) as error:
        raise UsageError(f"vllm/{model}: {error}") from None
    except RuntimeError as error:
        raise Fatal(f"vllm/{model}: the engine did not start: {error}") from None


def _hidden(tokenizer: Any) -> re.Pattern[str] | None:
    special = {str(token) for token in tokenizer.all_special_tokens}
    return hidden(special | {str(token) for token in tokenizer.added_tokens_decoder.values() if token.special})


def _params(request: Request, hides: re.Pattern[str] | None) -> Any:
    from vllm import SamplingParams
    from vllm.sampling_params import RequestOutputKind

    s, whole = request.sampling, RequestOutputKind.FINAL_ONLY
    if request.options:
        return SamplingParams(temperature=0.0, max_tokens=1, prompt_logprobs=0, output_kind=whole)
    return SamplingParams(
        temperature=s.temperature,
        top_p=s.top_p,
        top_k=s.top_k or -1,
        repetition_penalty=s.repetition_penalty,
        max_tokens=s.max_tokens,
        stop=list(s.stop) or None,
        skip_special_tokens=hides is None,
        seed=s.seed if s.temperature else None,
        output_kind=whole,
    )


def _tail(result: Any, begin: int) -> OptionLogprob:
    """Return the summed log-probability of a prompt's tokens from place `begin` on."""
    ids, known = result.prompt_token_ids, result.prompt_logprobs
    own = [known[place][ids[place]].logprob for place in range(max(1, begin), len(ids))]
    return OptionLogprob(float(sum(own)), len(own))
