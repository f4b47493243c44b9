"""Log-probabilities of options: the same numbers as one plain forward pass over each whole sequence."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from harness.types import Failure, Message, Request, Response, Sampling
from model_adapters import hf
from model_adapters.hf._options import divide
from tests.adapters.tiny import CHATML, CORPUS, make_checkpoint, make_tokenizer

OPTIONS = ("A", "黄芪", "当归补血活血，调经止痛", "B. ")
QUESTIONS = [*CORPUS, "麻黄", "患者头痛，恶风，无汗。" * 6]


def of(text: str, options: Sequence[str] = OPTIONS) -> Request:
    return Request((Message("user", text),), options=tuple(options))


def scored(model: hf.Hf, requests: Sequence[Request]) -> list[list[tuple[float | None, int]]]:
    found = model.generate_batch(requests)
    assert all(isinstance(one, Response) for one in found), found
    return [[(o.total, o.tokens) for o in one.logprobs or ()] for one in found if isinstance(one, Response)]


def plain_scores(folder: Path, request: Request) -> list[tuple[float, int]]:
    """One forward pass over each whole sequence, no cache, no padding; scored from where the sequences part."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    model, tokenizer = (
        AutoModelForCausalLM.from_pretrained(folder, dtype="float32"),
        AutoTokenizer.from_pretrained(folder),
    )
    messages = [{"role": m.role, "content": m.content} for m in request.messages]
    prompt = tokenizer.apply_chat_template(messages, add_generation_prompt=True, tokenize=False)
    alone = tokenizer.encode(prompt, add_special_tokens=False)
    wholes = [tokenizer.encode(prompt + option, add_special_tokens=False) for option in request.options]
    start = 0
    while all(len(ids) > start and ids[start] == alone[start] for ids in wholes) and start < len(alone) - 1:
        start += 1
    start += all(ids[: len(alone)] == alone for ids in wholes)
    scores = []
    for ids in wholes:
        with torch.no_grad():
            chances = model(torch.tensor([ids])).logits[0].double().log_softmax(-1)
        scores.append((sum(float(chances[n - 1, ids[n]]) for n in range(start, len(ids))), len(ids) - start))
    return scores


def agree(ours: list[tuple[float | None, int]], plainly: list[tuple[float, int]]) -> bool:
    assert [n for _, n in ours] == [n for _, n in plainly]
    return [total for total, _ in ours] == pytest.approx([total for total, _ in plainly], abs=1e-4)


@pytest.mark.parametrize("batch", [1, 3, 8])
def test_scores_are_those_of_a_plain_forward_pass_for_any_batch_size(checkpoint: Path, batch: int) -> None:
    model = hf.build(str(checkpoint), batch=batch)
    for start in range(0, len(QUESTIONS), batch):
        requests = [of(q) for q in QUESTIONS[start : start + batch]]
        for request, ours in zip(requests, scored(model, requests), strict=True):
            assert agree(ours, plain_scores(checkpoint, request))


def test_letters_alone_need_no_second_pass_and_agree_too(checkpoint: Path) -> None:
    model, requests = hf.build(str(checkpoint)), [of(q, "ABCD") for q in QUESTIONS]
    calls: list[Any] = []
    model._checkpoint.model.register_forward_pre_hook(lambda *given: calls.append(given))
    ours = scored(model, requests)
    assert len(calls) == 1
    for request, each in zip(requests, ours, strict=True):
        assert [n for _, n in each] == [1] * 4
        assert agree(each, plain_scores(checkpoint, request))


def test_the_stem_goes_through_the_model_once_for_all_its_options(checkpoint: Path) -> None:
    model, seen = hf.build(str(checkpoint)), []
    model._checkpoint.model.register_forward_pre_hook(
        lambda _module, _args, named: seen.append(tuple(named["input_ids"].shape)), with_kwargs=True
    )
    (response,) = model.generate_batch([of(CORPUS[2])])
    assert isinstance(response, Response)
    assert seen[0] == (1, response.tokens_in)
    assert len(seen) == 2
    assert seen[1][1] < 20  # the options' own tokens


def test_options_that_melt_into_the_prompts_end_are_all_scored_from_the_same_place(tmp_path: Path) -> None:
    bare = "{{ messages[0]['content'] }}"  # nothing between the prompt and the option
    folder = make_checkpoint(tmp_path / "bare", template=bare)
    tokenizer = make_tokenizer(bare)
    prompt, options = "人参大补元", ("气", "气，复脉固脱", "阳")
    alone, melted = tokenizer.encode(prompt), tokenizer.encode(prompt + options[0])
    assert melted[: len(alone)] != alone  # else this test shows nothing
    (ours,) = scored(hf.build(str(folder)), [of(prompt, options)])
    assert agree(ours, plain_scores(folder, of(prompt, options)))


def test_the_stem_is_what_the_prompt_and_all_options_have_in_common() -> None:
    parted = divide([1, 2, 3], [[1, 2, 3, 4], [1, 2, 5], [1, 2, 3, 6, 7]])
    assert (list(parted.ids), [list(t) for t in parted.tails]) == ([1, 2], [[3, 4], [5], [3, 6, 7]])
    same_start = divide([1, 2], [[1, 2, 9, 3], [1, 2, 9, 4]])
    assert (list(same_start.ids), [list(t) for t in same_start.tails]) == ([1, 2], [[9, 3], [9, 4]])


def test_a_sliding_window_and_a_model_without_a_key_value_cache_agree_too(tmp_path: Path) -> None:
    import torch
    from transformers import MambaConfig, MambaForCausalLM

    window: dict[str, Any] = {"use_sliding_window": True, "sliding_window": 8, "max_window_layers": 1}
    sliding = make_checkpoint(tmp_path / "sliding", layer_types=["full_attention", "sliding_attention"], **window)
    recurrent = make_checkpoint(tmp_path / "mamba")
    with torch.random.fork_rng():
        torch.manual_seed(0)
        small = {"vocab_size": 512, "hidden_size": 32, "num_hidden_layers": 2, "state_size": 4}
        MambaForCausalLM(MambaConfig(**small, initializer_range=0.5)).save_pretrained(recurrent)
    for folder in (sliding, recurrent):
        requests = [of(q) for q in QUESTIONS]
        for request, ours in zip(requests, scored(hf.build(str(folder)), requests), strict=True):
            assert agree(ours, plain_scores(folder, request))


def test_questions_to_answer_and_options_to_score_share_a_batch(checkpoint: Path) -> None:
    model = hf.build(str(checkpoint))
    free = Request((Message("user", "麻黄"),), Sampling(max_tokens=5))
    mixed = [of(CORPUS[0]), free, of(CORPUS[1]), free]
    found = model.generate_batch(mixed)
    assert [bool(isinstance(one, Response) and one.logprobs) for one in found] == [True, False, True, False]
    (alone,) = model.generate_batch([free])
    assert isinstance(alone, Response)
    assert [one.text for one in found if isinstance(one, Response) and not one.logprobs] == [alone.text] * 2


def test_an_option_without_a_token_fails_alone(checkpoint: Path) -> None:
    found = hf.build(str(checkpoint)).generate_batch([of("麻黄", ("A", "")), of("麻黄")])
    assert isinstance(found[0], Failure)
    assert (found[0].kind, "no token" in found[0].message) == ("bad_request", True)
    assert isinstance(found[1], Response)


def test_scoring_does_not_depend_on_temperature(checkpoint: Path) -> None:
    model = hf.build(str(checkpoint))
    warm = Request(of("麻黄").messages, Sampling(temperature=1.0), OPTIONS)
    assert scored(model, [warm]) == scored(model, [of("麻黄")])


def test_the_chat_template_is_used_for_options_too(checkpoint: Path) -> None:
    (found,) = hf.build(str(checkpoint)).generate_batch([of("麻黄", "AB")])
    tokenizer = make_tokenizer(CHATML)
    whole = tokenizer.apply_chat_template([{"role": "user", "content": "麻黄"}], add_generation_prompt=True)[
        "input_ids"
    ]
    assert isinstance(found, Response)
    assert found.tokens_in == len(whole)
