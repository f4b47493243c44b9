"""The tiny model's own training loop: its optimiser's steps, and that looking a letter up is learned at all."""

from __future__ import annotations

import pytest

from harness.suites import Catalogue
from ladder_trainer.tiny.drill import Drill

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
