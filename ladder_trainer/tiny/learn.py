"""The training loop of the tiny model: Muon and AdamW, weighted letters, an average of the weights, stages of so many updates."""

from __future__ import annotations

import copy
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ladder_trainer.tiny.drill import Drill, Text
from ladder_trainer.tiny.muon import Muon
from ladder_trainer.tiny.problems import LETTERS

IGNORED = -100
LETTER_WEIGHT = 4.0
"""A letter is one token of forty, and the one that decides: its loss counts so many times."""
AVERAGE = 0.99
WARM_UP = 100
"""Updates at the start of a stage in which the rate rises."""
FALL = 0.35
"""Share of a stage's updates at its end in which the rate falls."""


@dataclass(frozen=True, slots=True)
class Stage:
    """At most so many updates, each from so many texts of each sort. `rate` is AdamW's; Muon's is five times it."""

    updates: int
    rate: float
    texts: Mapping[str, int]


class Learner:
    """A model under training, with the average of its weights that is kept in the end."""

    def __init__(self, model: Any, tokenizer: Any, drill: Drill) -> None:
        import torch

        self.model, self.tokenizer, self._drill = model, tokenizer, drill
        self.average = copy.deepcopy(model).requires_grad_(requires_grad=False)
        self._matrices = [p for name, p in model.named_parameters() if p.ndim == 2 and "embed" not in name]
        inside = {id(p) for p in self._matrices}
        self._muon = Muon(self._matrices)
        rest = [p for p in model.parameters() if id(p) not in inside]
        self._adam = torch.optim.AdamW(rest, lr=1e-3, betas=(0.9, 0.98), weight_decay=0.0)
        self._letters = torch.tensor([tokenizer.convert_tokens_to_ids(one) for one in LETTERS])
        self.step = 0
        self.tokens = 0
        self.minutes = 0.0
        self.loss = 0.0
        self.letters = self.others = 0.0
        self._codes: dict[str, list[int]] = {}
        self._end = tokenizer.eos_token_id

    def run(self, stage: Stage, *, falls: bool, hear: Callable[[int], bool]) -> None:
        """Train until `hear`, told after every update how many the stage has had, says that it is enough, or all are made.

        `falls`: end with a falling rate. Nothing depends on how fast the machine is; `minutes` only tells it.
        """
        for done in range(stage.updates):
            started = time.process_time()
            slope = min(1.0, (done + 1) / WARM_UP)
            if falls:
                slope *= min(1.0, (1 - done / stage.updates) / FALL + 0.01)
            self.update(self._texts(stage), stage.rate * slope)
            self.minutes += (time.process_time() - started) / 60
            if hear(done + 1):
                break

    def state(self) -> dict[str, float]:
        """Return the figures of the last updates: shares are of the tokens learned, before the update."""
        return {
            "step": self.step,
            "minutes": round(self.minutes, 2),
            "loss": round(self.loss, 4),
            "letters right": round(self.letters, 4),
            "other tokens right": round(self.others, 4),
        }

    def _texts(self, stage: Stage) -> list[Text]:
        drill = self._drill
        drawn: list[Text] = []
        for sort, count in stage.texts.items():
            for _ in range(count):
                if sort == "statement":
                    drawn.append(drill.statement())
                elif sort == "lookup":
                    drawn.append(drill.lookup())
                elif sort == "case":
                    drawn.append(drill.case())
                else:
                    drawn.append(drill.question(sort))
        return drawn

    def coded(self, text: Text) -> tuple[list[int], list[int]]:
        """Return the token ids of a text and its labels, IGNORED where nothing is learned."""
        ids: list[int] = [self.tokenizer.pad_token_id]
        if text.given is not None:
            ids = self.tokenizer.apply_chat_template(
                [{"role": "user", "content": text.given}], add_generation_prompt=True, tokenize=True, return_dict=False
            )
        labels = [IGNORED] * len(ids)
        for piece, learned in text.pieces:
            coded = self._codes.get(piece)
            if coded is None:
                coded = self._codes[piece] = self.tokenizer(piece)["input_ids"]
            ids = [*ids, *coded]
            labels += coded if learned else [IGNORED] * len(coded)
        if text.given is not None:
            ids, labels = [*ids, self._end], [*labels, self._end]
        return ids, labels

    def update(self, texts: Sequence[Text], rate: float) -> None:
        """Make one update from these texts; `rate` is AdamW's."""
        import torch

        rows = sorted((self.coded(text) for text in texts), key=lambda row: len(row[0]))
        third = -(-len(rows) // 3)
        parts = [rows[start : start + third] for start in range(0, len(rows), third)]
        prepared = [self.padded(part) for part in parts]
        whole = sum(float(weights.sum()) for _, _, _, weights in prepared)
        total, seen = 0.0, [0, 0, 0, 0]
        for ids, kept, wanted, weights in prepared:
            hidden = self.model.model(input_ids=ids).last_hidden_state[:, :-1]
            scores = self.model.lm_head(hidden[kept])
            loss = (torch.nn.functional.cross_entropy(scores, wanted, reduction="none") * weights).sum() / whole
            loss.backward()
            total += float(loss.detach())
            self.tokens += ids.numel()
            hit, letter = scores.detach().argmax(-1) == wanted, weights > 1
            now = (hit & letter, letter, hit & ~letter, ~letter)
            seen = [count + int(found.sum()) for count, found in zip(seen, now, strict=True)]
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        for group in self._adam.param_groups:
            group["lr"] = rate
        self._adam.step()
        self._adam.zero_grad(set_to_none=False)
        self._muon.step(5 * rate)
        self._averaged()
        self.step += 1
        self.loss = total if self.step == 1 else 0.95 * self.loss + 0.05 * total
        self.letters = 0.9 * self.letters + 0.1 * seen[0] / max(seen[1], 1)
        self.others = 0.9 * self.others + 0.1 * seen[2] / max(seen[3], 1)

    def _averaged(self) -> None:
        import torch

        share = min(AVERAGE, (1 + self.step) / (10 + self.step))
        with torch.no_grad():
            for mean, now in zip(self.average.parameters(), self.model.parameters(), strict=True):
                mean.lerp_(now, 1 - share)

    def padded(self, part: Sequence[tuple[list[int], list[int]]]) -> tuple[Any, Any, Any, Any]:
        """Return ids `(texts, tokens)`, which next tokens count, these tokens, and their weights."""
        import torch

        longest = max(len(ids) for ids, _ in part)
        ids = torch.zeros(len(part), longest, dtype=torch.long)
        labels = torch.full((len(part), longest), IGNORED)
        for row, (tokens, wanted) in enumerate(part):
            ids[row, : len(tokens)] = torch.tensor(tokens)
            labels[row, : len(wanted)] = torch.tensor(wanted)
        following = labels[:, 1:]
        kept = following != IGNORED
        wanted_tokens = following[kept]
        weights = 1.0 + (LETTER_WEIGHT - 1) * torch.isin(wanted_tokens, self._letters).float()
        return ids, kept, wanted_tokens, weights
