"""vLLM's engine in this process."""

from __future__ import annotations

import hashlib
import re
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from harness.errors import Fatal, UsageError
from harness.types import Failure, OptionLogprob, Request, Response
from model_adapters.vllm._checkpoint import short, weights
from model_adapters.vllm._options import shared

_TAG = re.compile(r"[<◁]/?(?:think|thinking|reasoning|analysis)[>▷]", re.I)
_OPENED = re.compile(r"(<(?:think|thinking|reasoning)>)\s*$", re.I)


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
        self._hidden = _hidden(self._tokenizer)
        self.name = f"vllm/{Path(model).name if Path(model).is_dir() else model}"
        self.identity: Mapping[str, str] = {
            "provider": "vllm",
            "model": short(model),
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
        places: list[tuple[int, int]] = []  # request, where its options part
        opened: dict[int, str] = {}
        for n, request in enumerate(requests):
            made = self._made_ready(request)
            if isinstance(made, Failure):
                outcomes[n] = made
                continue
            opened[n], rows, begin = made
            for ids in rows:
                prompts.append({"prompt_token_ids": ids})
                params.append(_params(request, self._hidden))
                places.append((n, begin))
        started = time.perf_counter()
        results = self._llm.generate(prompts, sampling_params=params, use_tqdm=False) if prompts else []
        seconds = round(time.perf_counter() - started, 4)
        scored: dict[int, list[OptionLogprob]] = {}
        for (n, begin), result in zip(places, results, strict=True):
            if requests[n].options:
                scored.setdefault(n, []).append(_tail(result, begin))
                outcomes[n] = Response("", seconds=seconds, logprobs=tuple(scored[n]))
            else:
                outcomes[n] = _response(result, opened[n], seconds, self._hidden)
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
        begin = shared([alone, *rows])
        budget = 1 if request.options else request.sampling.max_tokens
        longest = max(map(len, rows))
        if longest + budget > self._context:
            said = f"{longest} prompt tokens and {budget} to answer, but the context window is {self._context} tokens"
            return Failure("too_long", said, 1)
        found = _OPENED.search(prompt)
        return (found[1] if found else ""), rows, begin

    def _ids(self, text: str) -> list[int]:
        ids: list[int] = self._tokenizer(text, add_special_tokens=False)["input_ids"]
        return ids

    def close(self) -> None:
        """Give the devices' memory back."""
        del self._llm


def _hidden(tokenizer: Any) -> re.Pattern[str] | None:
    """Return what finds the special tokens that no answer shows, None where vLLM itself may leave out every special token.

    It would leave out reasoning tags that are special tokens too, and a thought would be read as the answer.
    """
    special = {str(token) for token in tokenizer.all_special_tokens}
    special |= {str(token) for token in tokenizer.added_tokens_decoder.values() if token.special}
    tags = {token for token in special if _TAG.fullmatch(token)}
    return re.compile("|".join(map(re.escape, sorted(special - tags)))) if tags else None


def _params(request: Request, hidden: re.Pattern[str] | None) -> Any:
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
        skip_special_tokens=hidden is None,
        seed=s.seed if s.temperature else None,
    )


def _tail(result: Any, begin: int) -> OptionLogprob:
    """Return the summed log-probability of a prompt's tokens from place `begin` on."""
    ids, known = result.prompt_token_ids, result.prompt_logprobs
    own = [known[place][ids[place]].logprob for place in range(max(1, begin), len(ids))]
    return OptionLogprob(float(sum(own)), len(own))


def _response(result: Any, opened: str, seconds: float, hidden: re.Pattern[str] | None) -> Response:
    said = result.outputs[0]
    text = hidden.sub("", said.text) if hidden else said.text
    return Response(
        opened + text,
        stop="length" if said.finish_reason == "length" else "stop",
        tokens_in=len(result.prompt_token_ids),
        tokens_out=len(said.token_ids),
        tokens_cached=int(result.num_cached_tokens or 0),
        seconds=seconds,
    )
