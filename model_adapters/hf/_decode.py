"""Which token comes next and when an answer ends, row by row: neighbours in a batch share nothing but the device."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Callable, Sequence
from typing import Any

from harness.errors import Fatal
from harness.types import Sampling


def numbers(sampling: Sampling, prompt: Sequence[int]) -> random.Random:
    """Return the random numbers of one answer: a function of its seed and its prompt; anew each time where the seed is None."""
    if sampling.seed is None:
        return random.Random()  # noqa: S311 - sampling, not secrecy
    told = f"{sampling.seed}|{','.join(map(str, prompt))}".encode()
    return random.Random(hashlib.blake2b(told, digest_size=16).digest())  # noqa: S311 - sampling, not secrecy


class Choose:
    """Turns the scores of the next token, `(rows, vocabulary)`, into ones whose highest is the token to take.

    `generate` then always takes the highest. So each row has its own temperature, top-p, top-k, penalty and seed, and an answer does
    not depend on its batch. **Source:** repetition penalty: Keskar et al. 2019 (CTRL), section 4.1; top-p: Holtzman et al. 2020.
    """

    def __init__(self, samplings: Sequence[Sampling], prompts: Sequence[Sequence[int]], device: Any) -> None:
        import torch

        def column(values: Sequence[float]) -> Any:
            return torch.tensor(values, dtype=torch.float32, device=device)[:, None]

        self._prompts = prompts
        self._seen: Any = None
        penalties = [s.repetition_penalty for s in samplings]
        self._penalties = column(penalties) if any(p != 1.0 for p in penalties) else None
        self._rows = [row for row, s in enumerate(samplings) if s.temperature > 0]
        drawn = [samplings[row] for row in self._rows]
        self._numbers = [numbers(samplings[row], prompts[row]) for row in self._rows]
        self._temperature = column([s.temperature for s in drawn])
        self._top_p = column([s.top_p for s in drawn])
        self._top_k = column([float(s.top_k) for s in drawn])

    def __call__(self, ids: Any, scores: Any) -> Any:
        import torch

        if not bool(torch.isfinite(scores.amax(dim=-1)).all()):
            raise not_finite()
        if self._penalties is not None:
            scores = self._penalised(ids, scores)
        return self._drawn(scores) if self._rows else scores

    def _penalised(self, ids: Any, scores: Any) -> Any:
        import torch

        if self._seen is None:  # the prompts without their padding, which may be the end token
            self._seen = torch.zeros_like(scores, dtype=torch.bool)
            for row, prompt in enumerate(self._prompts):
                self._seen[row, torch.tensor(prompt, device=scores.device)] = True
        else:
            self._seen.scatter_(1, ids[:, -1:], value=True)
        lowered = torch.where(scores < 0, scores * self._penalties, scores / self._penalties)
        return torch.where(self._seen, lowered, scores)

    def _drawn(self, scores: Any) -> Any:
        """Return scores in which the drawn rows know one token only: the inverse of the cumulated chance at a random number."""
        import torch

        ordered, tokens = (scores[self._rows] / self._temperature).sort(dim=-1, descending=True, stable=True)
        rank = torch.arange(ordered.shape[-1], device=ordered.device)[None, :]
        chance = ordered.masked_fill((self._top_k > 0) & (rank >= self._top_k), float("-inf")).softmax(dim=-1)
        out = (chance.cumsum(dim=-1) - chance >= self._top_p) & (rank > 0)
        chance = chance.masked_fill(out, 0.0)
        upto = chance.cumsum(dim=-1)
        drawn = torch.tensor([one.random() for one in self._numbers], dtype=upto.dtype, device=upto.device)[:, None]
        place = (upto <= drawn * upto[:, -1:]).sum(dim=-1, keepdim=True)
        last = (chance > 0).sum(dim=-1, keepdim=True) - 1  # rounding must not reach a token that was cut off
        only = torch.full_like(ordered, float("-inf")).scatter_(1, tokens.gather(1, place.minimum(last)), 0.0)
        scores = scores.clone()
        scores[self._rows] = only
        return scores


class End:
    """Tells which rows are done: their own token budget is used up, or one of their stop texts was said.

    `said_at` holds, for each row, after how many new tokens a stop text was complete; None where none was.
    """

    def __init__(self, samplings: Sequence[Sampling], width: int, decode: Callable[[list[int]], str]) -> None:
        self._width = width
        self._budgets = [s.max_tokens for s in samplings]
        self._stops = {row: s.stop for row, s in enumerate(samplings) if s.stop}
        self._decode = decode
        self.said_at: list[int | None] = [None] * len(samplings)

    def __call__(self, ids: Any, scores: Any) -> Any:  # noqa: ARG002 - the call's form is generate's
        import torch

        made = ids.shape[1] - self._width
        for row, stops in self._stops.items():
            if self.said_at[row] is None:
                reach = max(len(stop.encode("utf-8", "replace")) for stop in stops) + 8  # a token says a byte at least
                tail = self._decode(ids[row, max(self._width, ids.shape[1] - reach) :].tolist())
                if any(stop in tail for stop in stops):
                    self.said_at[row] = made
        done = [made >= budget or said is not None for budget, said in zip(self._budgets, self.said_at, strict=True)]
        return torch.tensor(done, dtype=torch.bool, device=ids.device)


def not_finite() -> Fatal:
    """Return the error of a model that computes no numbers."""
    return Fatal(
        "the model's scores are not finite (NaN or infinite): its weights are broken, or its dtype is too narrow for it. "
        "Nothing of this batch is kept. With dtype=float16 try dtype=bfloat16 or dtype=float32; else check the checkpoint."
    )


def left_padded(prompts: Sequence[Sequence[int]], pad: int, device: Any) -> tuple[Any, Any]:
    """Return ids and attention mask, both `(rows, longest)`: padding stands before the prompt, so that all end together."""
    import torch

    longest = max(map(len, prompts))
    ids = [[pad] * (longest - len(p)) + list(p) for p in prompts]
    mask = [[0] * (longest - len(p)) + [1] * len(p) for p in prompts]
    return torch.tensor(ids, device=device), torch.tensor(mask, device=device)
