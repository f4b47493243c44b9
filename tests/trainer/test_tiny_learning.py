"""The tiny model's own training loop: its optimiser's steps, that looking a letter up is learned at all, and that it repeats."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from harness.suites import Catalogue
from ladder_trainer.tiny.drill import Drill, Text

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")


def test_an_update_has_singular_values_near_one_and_keeps_the_directions() -> None:
    from ladder_trainer.tiny.muon import orthogonal

    generator = torch.Generator().manual_seed(1)
    for shape in ((3, 24, 64), (2, 64, 24), (1, 32, 32)):
        given = torch.randn(shape, generator=generator)
        made = orthogonal(given)
        found = torch.linalg.svdvals(made)
        assert made.shape == given.shape and float(found.max()) < 1.3 and float(found.median()) > 0.6
        assert bool(((made * given).sum(dim=(1, 2)) > 0).all())


def test_one_batch_of_lookups_is_learned_by_heart_in_60_updates() -> None:
    from ladder_trainer.tiny.learn import Learner
    from ladder_trainer.tiny.make import new_model, tokenizer_of

    drill = Drill(Catalogue(), seed=5)
    tokenizer = tokenizer_of(drill)
    learner = Learner(new_model(tokenizer, 5), tokenizer, drill)
    texts = [drill.lookup() for _ in range(6)]
    before = None
    for _ in range(60):
        learner.update(texts, 2e-3)
        before = before or learner.loss
    assert before is not None and learner.loss < before / 4
    assert learner.letters > 0.9


def test_only_what_is_learned_has_a_label_and_letters_weigh_more() -> None:
    from ladder_trainer.tiny.learn import IGNORED, LETTER_WEIGHT, Learner
    from ladder_trainer.tiny.make import new_model, tokenizer_of

    drill = Drill(Catalogue(), seed=6)
    tokenizer = tokenizer_of(drill)
    learner = Learner(new_model(tokenizer, 6), tokenizer, drill)
    text = drill.question("single_choice")
    ids, labels = learner.coded(text)
    learned = [label for label in labels if label != IGNORED]
    assert tokenizer.decode(learned) == text.pieces[0][0] + tokenizer.eos_token
    assert tokenizer.decode(ids).endswith(tokenizer.decode(learned))
    _, _, wanted, weights = learner.padded([(ids, labels)])
    letters = {tokenizer.convert_tokens_to_ids(one) for one in "ABCDE"}
    assert {float(w) for t, w in zip(wanted.tolist(), weights, strict=True) if t in letters} == {LETTER_WEIGHT}
    assert {float(w) for t, w in zip(wanted.tolist(), weights, strict=True) if t not in letters} == {1.0}


def test_the_same_seed_gives_the_same_weights_bit_for_bit() -> None:
    from ladder_trainer.tiny.learn import Learner, Stage
    from ladder_trainer.tiny.make import FACTS, LETTERS, new_model, tokenizer_of

    def learned(seed: int) -> Learner:
        drill = Drill(Catalogue(), seed)
        tokenizer = tokenizer_of(drill)
        learner = Learner(new_model(tokenizer, seed), tokenizer, drill)
        learner.run(Stage(3, 1e-3, LETTERS), falls=False, hear=lambda _updates: False)
        learner.run(Stage(3, 1.5e-3, FACTS), falls=True, hear=lambda _updates: False)
        return learner

    first, again, other = learned(8), learned(8), learned(9)
    for one in ("model", "average"):
        kept, same = getattr(first, one).state_dict(), getattr(again, one).state_dict()
        assert all(torch.equal(kept[name], same[name]) for name in kept)
    assert first.step == again.step == 6 and first.tokens == again.tokens
    assert not torch.equal(first.model.lm_head.weight, other.model.lm_head.weight)


def test_the_command_makes_the_same_model_in_another_process_whatever_order_its_sets_have(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "ladder_trainer.tiny", "--letters", "2", "--facts", "2", "--until", "supervised"]
    for order in ("1", "2"):
        given = {**os.environ, "PYTHONHASHSEED": order, "OMP_NUM_THREADS": "1"}
        subprocess.run([*command, "--output", tmp_path / order], env=given, check=True, capture_output=True)
    for stage in ("letters", "supervised"):
        made = [(tmp_path / order / stage) for order in ("1", "2")]
        for name in ("model.safetensors", "tokenizer.json", "config.json"):
            assert made[0].joinpath(name).read_bytes() == made[1].joinpath(name).read_bytes()


def test_a_stage_ends_after_its_updates_and_the_rate_falls_by_them() -> None:
    from ladder_trainer.tiny.learn import FALL, WARM_UP, Learner, Stage

    class Watched(Learner):
        def __init__(self) -> None:
            self.rates: list[float] = []
            self.minutes = 0.0

        def _texts(self, stage: Stage) -> list[Text]:
            return []

        def update(self, texts: Sequence[Text], rate: float) -> None:
            self.rates.append(rate)

    heard: list[int] = []
    learner = Watched()
    learner.run(Stage(1000, 1.0, {}), falls=True, hear=lambda updates: bool(heard.append(updates)))
    assert heard == list(range(1, 1001)) and len(learner.rates) == 1000
    assert learner.rates[0] == 1 / WARM_UP and set(learner.rates[WARM_UP : round(1000 * (1 - FALL))]) == {1.0}
    assert learner.rates[-1] == pytest.approx(1 / 1000 / FALL + 0.01) and learner.rates[-100:] == sorted(
        learner.rates[-100:], reverse=True
    )
    learner.run(Stage(1000, 1.0, {}), falls=False, hear=lambda updates: updates == 7)
    assert len(learner.rates) == 1007
