"""Log-probabilities of given continuations; the stem that they share goes through the model once."""

from __future__ import annotations

import inspect
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from harness.types import OptionLogprob
from model_adapters.hf._decode import left_padded, not_finite
from model_adapters.hf._load import Checkpoint


@dataclass(frozen=True, slots=True)
class Stem:
    """Token ids of what all options of a question begin with, and of what each adds to it (at least one token each)."""

    ids: Sequence[int]
    tails: Sequence[Sequence[int]]


def divide(alone: Sequence[int], together: Sequence[Sequence[int]]) -> Stem:
    """Return the stem and tails, from the ids of the prompt alone and of the prompt with each option.

    A tokenizer may melt the prompt's end and the option's beginning into one token. The stem is therefore only what all the ids have
    in common: every option is scored from the same place.
    """
    shared = len(alone)
    for ids in together:
        shared = next((n for n, (a, b) in enumerate(zip(alone, ids, strict=False)) if a != b), min(shared, len(ids)))
        alone = alone[:shared]
    return Stem(alone, [ids[shared:] for ids in together])


def score(checkpoint: Checkpoint, stems: Sequence[Stem]) -> list[tuple[OptionLogprob, ...]]:
    """Return, for each stem, the log-probability (nats) of each of its tails; raise Fatal when they are not numbers."""
    import torch

    model = checkpoint.model
    ids, mask = left_padded([stem.ids for stem in stems], checkpoint.pad_id, model.device)
    out = model(**_accepted(model, input_ids=ids, attention_mask=mask, use_cache=True, logits_to_keep=1))
    first = out.logits[:, -1].float().log_softmax(dim=-1)
    rows = [(n, tail) for n, stem in enumerate(stems) for tail in stem.tails]
    totals = torch.stack([first[n, tail[0]] for n, tail in rows]).cpu().double()
    longer = [row for row, (_, tail) in enumerate(rows) if len(tail) > 1]
    if longer:
        of = torch.tensor([rows[row][0] for row in longer], device=model.device)
        cache = _for_rows(getattr(out, "past_key_values", None), of)
        tails = [rows[row][1] for row in longer]
        if cache is None:
            rest = _rest_plainly(checkpoint, [stems[rows[row][0]].ids for row in longer], tails)
        else:
            rest = _rest_after(checkpoint, cache, mask[of], tails)
        totals[longer] += rest
    if bool(torch.isnan(totals).any()):
        raise not_finite()
    each = iter(zip(totals.tolist(), rows, strict=True))
    return [tuple(_option(*next(each)) for _ in stem.tails) for stem in stems]


def _option(total: float, row: tuple[int, Sequence[int]]) -> OptionLogprob:
    return OptionLogprob(total if math.isfinite(total) else None, len(row[1]))


def _for_rows(cache: Any, of: Any) -> Any:
    """Return the cache with one row per option, None where this kind of model keeps a cache that cannot be copied by rows."""
    layers = getattr(cache, "layers", None)
    if not layers or not all(hasattr(layer, "batch_select_indices") for layer in layers):
        return None
    cache.batch_select_indices(of)
    return cache


def _rest_after(checkpoint: Checkpoint, cache: Any, stem_mask: Any, tails: Sequence[Sequence[int]]) -> Any:
    """Return the summed log-probability of each tail's tokens after the first, `(tails,)`, going on from the stem's cache."""
    import torch

    model, device = checkpoint.model, checkpoint.model.device
    longest = max(map(len, tails))
    padded = torch.tensor([[*tail, *[checkpoint.pad_id] * (longest - len(tail))] for tail in tails], device=device)
    real = torch.tensor([[1] * len(tail) + [0] * (longest - len(tail)) for tail in tails], device=device)
    mask = torch.cat([stem_mask, real[:, :-1]], dim=1)
    out = model(
        **_accepted(model, input_ids=padded[:, :-1], attention_mask=mask, past_key_values=cache, use_cache=True)
    )
    return _gathered(out.logits, padded[:, 1:], real[:, 1:])


def _rest_plainly(checkpoint: Checkpoint, stems: Sequence[Sequence[int]], tails: Sequence[Sequence[int]]) -> Any:
    """Return the same from the whole sequences, for models whose cache cannot be copied by rows."""
    import torch

    model = checkpoint.model
    whole = [[*stem, *tail] for stem, tail in zip(stems, tails, strict=True)]
    ids, mask = left_padded(whole, checkpoint.pad_id, model.device)
    out = model(**_accepted(model, input_ids=ids, attention_mask=mask, use_cache=False))
    wanted = [[0] * (ids.shape[1] - len(tail) + 1) + [1] * (len(tail) - 1) for tail in tails]
    return _gathered(out.logits[:, :-1], ids[:, 1:], torch.tensor(wanted, device=model.device)[:, 1:])


def _gathered(logits: Any, targets: Any, wanted: Any) -> Any:
    found = logits.float().log_softmax(dim=-1).gather(-1, targets[..., None])[..., 0]
    return found.masked_fill(wanted == 0, 0.0).cpu().double().sum(dim=-1)  # not every device knows doubles


def _accepted(model: Any, **inputs: Any) -> dict[str, Any]:
    """Return the inputs that this kind of model takes, with positions that do not count the padding."""
    mask, ids = inputs["attention_mask"], inputs["input_ids"]
    inputs["position_ids"] = (mask.cumsum(dim=-1) - 1).clamp(min=0)[:, -ids.shape[1] :]
    known = inspect.signature(model.forward).parameters
    return {name: value for name, value in inputs.items() if name in known}
