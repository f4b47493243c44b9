"""Models that run here: a checkpoint's folder or a hub name, through transformers.

An answer is a function of its request: the model's own generation settings are dropped but for the ids that end an answer, and every
row of a batch has its own budget, stop texts and random numbers. In float32 texts do not depend on the batch; in narrower types
a near tie between two tokens may fall either way, as with every engine.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from harness.errors import Fatal, UsageError
from harness.types import Failure, Request, Response, Sampling, Stop
from model_adapters.hf._decode import Choose, End, left_padded
from model_adapters.hf._load import REASONING, Checkpoint, load
from model_adapters.hf._options import Stem, divide, score
from model_adapters.hf._place import Settings

BATCH: Mapping[str, int] = {"cuda": 64, "mps": 8, "cpu": 8}
"""Requests in one batch where the user states none. Too large a batch costs one failed attempt: it is halved until it fits."""

_OPENED = re.compile(rf"({REASONING.pattern})\s*$", re.I)


@dataclass(frozen=True, slots=True)
class _Asked:
    """One request made ready: prompt ids, the reasoning tag that the template opened, and the options' tails if it has any."""

    place: int
    sampling: Sampling
    ids: Sequence[int]
    opened: str
    stem: Stem | None

    @property
    def tokens(self) -> int:
        """The most tokens that this request can come to hold on the device."""
        if self.stem is None:
            return len(self.ids) + self.sampling.max_tokens
        return (len(self.stem.ids) + max(map(len, self.stem.tails))) * len(self.stem.tails)


class Hf:
    """A transformers model on this machine. `max_batch` is the most requests in one call that go to the device together."""

    def __init__(self, checkpoint: Checkpoint, batch: int) -> None:
        self.name = checkpoint.name
        self.identity: Mapping[str, str] = checkpoint.identity
        self.max_batch = batch
        self._checkpoint = checkpoint
        self._most_tokens: int | None = None

    def generate_batch(self, requests: Sequence[Request]) -> list[Response | Failure]:
        """Return one outcome per request; raise Fatal when the model itself is broken."""
        import torch

        outcomes: list[Response | Failure | None] = [None] * len(requests)
        ready: list[_Asked] = []
        for place, request in enumerate(requests):
            asked = self._make_ready(place, request)
            if isinstance(asked, Failure):
                outcomes[place] = asked
            else:
                ready.append(asked)
        with torch.inference_mode():
            for work, pieces in ((self._write, False), (self._score, True)):
                for asked, outcome in self._fitted([a for a in ready if (a.stem is not None) is pieces], work):
                    outcomes[asked.place] = outcome
        return [outcome for outcome in outcomes if outcome is not None]

    def close(self) -> None:
        """Give the device's memory back."""
        import gc

        import torch

        del self._checkpoint
        gc.collect()
        if torch.cuda.is_available():
            torch.cuda.empty_cache()

    # -------------------------------------------------------------- making ready

    def _make_ready(self, place: int, request: Request) -> _Asked | Failure:
        from jinja2 import TemplateError

        wrong = _wrong(request)
        if wrong:
            return Failure("bad_request", wrong, 1)
        checkpoint = self._checkpoint
        try:
            prompt = checkpoint.render([{"role": m.role, "content": str(m.content)} for m in request.messages])
            ids = checkpoint.encode(prompt)
            stem = divide(ids, [checkpoint.encode(prompt + o) for o in request.options]) if request.options else None
        except TemplateError as error:
            return Failure("bad_request", f"the chat template refuses these messages: {error}", 1)
        except (UnicodeEncodeError, TypeError):
            return Failure("bad_request", "the prompt holds characters that are no valid Unicode (lone surrogates)", 1)
        if not ids or (stem and not (stem.ids and all(stem.tails))):
            return Failure("bad_request", "the prompt or one of its options comes to no token", 1)
        highest = max(ids if stem is None else [*ids, *(one for tail in stem.tails for one in tail)])
        if highest >= checkpoint.rows:
            said = f"the tokenizer gave id {highest}, but the model knows only {checkpoint.rows} tokens: they do not belong together"
            return Failure("bad_request", said, 1)
        budget = request.sampling.max_tokens if stem is None else max(map(len, stem.tails))
        if checkpoint.context is not None and len(ids) + budget > checkpoint.context:
            said = f"{len(ids)} prompt tokens and {budget} to answer, but the context window is {checkpoint.context} tokens"
            return Failure("too_long", said, 1)
        opened = _OPENED.search(prompt)
        tag = opened[1] if opened and "/" not in opened[1] else ""
        return _Asked(place, request.sampling, ids, tag, stem)

    # -------------------------------------------------------------- on the device

    def _fitted(
        self, asked: list[_Asked], work: Callable[[list[_Asked]], list[Response]]
    ) -> list[tuple[_Asked, Response | Failure]]:
        """Return the outcomes of `work`, done in pieces that fit into memory: a piece that does not is halved, down to one."""
        done: list[tuple[_Asked, Response | Failure]] = []
        waiting = [asked] if asked else []
        while waiting:
            piece = waiting.pop()
            whole = len(piece) * max(one.tokens for one in piece)
            outcomes = None
            if len(piece) == 1 or self._most_tokens is None or whole <= self._most_tokens:
                outcomes = self._tried(piece, work)
                if outcomes is None:
                    self._most_tokens = min(whole // 2, self._most_tokens or whole)
            if outcomes is not None:
                done += zip(piece, outcomes, strict=True)
            elif len(piece) == 1:
                said = f"{piece[0].tokens} tokens do not fit into the memory of {self._checkpoint.device}, even alone"
                done.append((piece[0], Failure("too_long", said, 1)))
            else:
                waiting += [piece[len(piece) // 2 :], piece[: len(piece) // 2]]
        return done

    def _tried(self, piece: list[_Asked], work: Callable[[list[_Asked]], list[Response]]) -> list[Response] | None:
        """Return what `work` gives, None when memory ran out; the memory is free again by then."""
        import torch

        try:
            return work(piece)
        except (torch.OutOfMemoryError, MemoryError):
            pass
        except RuntimeError as error:
            said = str(error)
            if not re.search("out of memory|not enough memory|can't allocate memory", said):
                if "CUDA error" in said:
                    raise Fatal(f"{self.name}: the device failed: {said.splitlines()[0]}") from error
                raise
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
        return None

    def _write(self, piece: list[_Asked]) -> list[Response]:
        from transformers import GenerationConfig, LogitsProcessorList, StoppingCriteriaList

        started = time.perf_counter()
        checkpoint, samplings = self._checkpoint, [one.sampling for one in piece]
        prompts = [one.ids for one in piece]
        ids, mask = left_padded(prompts, checkpoint.pad_id, checkpoint.model.device)
        width = ids.shape[1]
        end = End(samplings, width, checkpoint.decode)
        said = checkpoint.model.generate(
            input_ids=ids,
            attention_mask=mask,
            generation_config=GenerationConfig(  # `Choose` does the choosing, so that each row has its own settings
                do_sample=False,
                num_beams=1,
                max_new_tokens=max(s.max_tokens for s in samplings),
                eos_token_id=list(checkpoint.stop_ids) or None,
                pad_token_id=checkpoint.pad_id,
                use_cache=True,
            ),
            logits_processor=LogitsProcessorList([Choose(samplings, prompts, checkpoint.model.device)]),
            stopping_criteria=StoppingCriteriaList([end]),
        )
        rows = [
            self._cut(row, s, at) for row, s, at in zip(said[:, width:].tolist(), samplings, end.said_at, strict=True)
        ]
        share = (time.perf_counter() - started) / len(piece)
        return [self._response(one, new, stop, share) for one, (new, stop) in zip(piece, rows, strict=True)]

    def _cut(self, new: list[int], sampling: Sampling, said_at: int | None) -> tuple[list[int], Stop]:
        """Return a row's own tokens, the end token with them, and why they end; what follows is padding."""
        ends = [place + 1 for place, one in enumerate(new) if one in self._checkpoint.stop_ids]
        stopped = min([*ends[:1], *([said_at] if said_at is not None else [])], default=None)
        if stopped is not None and stopped <= sampling.max_tokens:
            return new[:stopped], "stop"
        return new[: sampling.max_tokens], "length"

    def _response(self, one: _Asked, new: list[int], stop: Stop, seconds: float) -> Response:
        text = self._checkpoint.decode(new)
        found = [place for place in map(text.find, one.sampling.stop) if place >= 0]
        text = text[: min(found)] if found else text
        return Response(
            one.opened + text, stop=stop, tokens_in=len(one.ids), tokens_out=len(new), seconds=round(seconds, 4)
        )

    def _score(self, piece: list[_Asked]) -> list[Response]:
        started = time.perf_counter()
        stems = [one.stem for one in piece if one.stem is not None]
        scores = score(self._checkpoint, stems)
        share = round((time.perf_counter() - started) / len(piece), 4)
        return [
            Response("", tokens_in=len(stem.ids), tokens_out=sum(o.tokens for o in each), seconds=share, logprobs=each)
            for stem, each in zip(stems, scores, strict=True)
        ]


def _wrong(request: Request) -> str:
    """Return what is wrong with a request, empty when nothing is."""
    s = request.sampling
    if not all(isinstance(message.content, str) for message in request.messages):
        return "this adapter reads text only, and the prompt holds a picture"
    if s.max_tokens < 1 or s.temperature < 0 or not 0 < s.top_p <= 1 or s.top_k < 0 or s.repetition_penalty <= 0:
        return (
            "sampling out of range: max_tokens from 1, temperature from 0, top_p above 0 up to 1, top_k from 0 (off), "
            f"repetition_penalty above 0; got {s}"
        )
    return ""


# ------------------------------------------------------------------ building


def build(
    model: str,
    *,
    device: str = "auto",
    dtype: str = "auto",
    batch: int | None = None,
    chat_template: str | None = None,
    revision: str | None = None,
    max_context: int | None = None,
    trust_remote_code: bool = False,
    allow_pickle: bool = False,
) -> Hf:
    """Return the model of a folder or a hub name, loaded.

    `dtype`: auto is bfloat16 on a GPU, float32 on a CPU. `batch`: requests at a time. `chat_template`: a Jinja file instead of the
    checkpoint's own. `revision`: of a hub name. `max_context`: tokens, instead of what the configuration states.
    Raises UsageError for what the user can mend, Fatal when the device cannot hold the model.
    """
    for name, number in (("batch", batch), ("max_context", max_context)):
        if number is not None and (isinstance(number, bool) or not isinstance(number, int) or number < 1):
            raise UsageError(f"hf/{model}: {name}={number}: expected a whole number from 1")
    for name, truth in (("trust_remote_code", trust_remote_code), ("allow_pickle", allow_pickle)):
        if not isinstance(truth, bool):
            raise UsageError(f"hf/{model}: {name}={truth}: expected true or false")
    stated = None if revision is None else str(revision)
    settings = Settings(device, dtype, chat_template, stated, max_context, trust_remote_code, allow_pickle)
    checkpoint = load(model, settings)
    return Hf(checkpoint, batch or BATCH[checkpoint.device.partition(":")[0]])
