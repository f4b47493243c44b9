"""What can be wrong with one request, or too large for the memory: it fails alone, with one clear message, and nothing else is lost."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from harness.errors import HarnessError
from harness.types import Failure, Image, Message, Request, Response, Sampling
from model_adapters import hf
from tests.adapters.tiny import CORPUS, make_checkpoint


def ask(text: str, **sampling: Any) -> Request:
    return Request((Message("user", text),), Sampling(**{"max_tokens": 8, **sampling}))


def only_one_fails(model: hf.Hf, requests: Sequence[Request], bad: int) -> Failure:
    """Return the failure of request `bad`; all others are answered as if it were not there."""
    found = model.generate_batch(requests)
    assert [isinstance(one, Failure) for one in found] == [n == bad for n in range(len(requests))]
    others = [r for n, r in enumerate(requests) if n != bad]
    alone = [one.text for one in model.generate_batch(others) if isinstance(one, Response)]
    assert [one.text for one in found if isinstance(one, Response)] == alone
    failure = found[bad]
    assert isinstance(failure, Failure)
    return failure


def test_a_prompt_beyond_the_context_window_fails_alone_and_is_never_cut(checkpoint: Path) -> None:
    requests = [ask("麻黄"), ask(CORPUS[0] * 40), ask("当归")]
    failure = only_one_fails(hf.build(str(checkpoint)), requests, 1)
    assert failure.kind == "too_long"
    assert "context window is 512 tokens" in failure.message
    exactly = hf.build(str(checkpoint), max_context=40)
    (found,) = exactly.generate_batch([ask("麻黄")])
    assert isinstance(found, Response)
    budget = 40 - found.tokens_in
    fits, beyond = exactly.generate_batch([ask("麻黄", max_tokens=budget), ask("麻黄", max_tokens=budget + 1)])
    assert isinstance(fits, Response)
    assert isinstance(beyond, Failure)


def test_a_picture_a_lone_surrogate_and_impossible_sampling_fail_alone(checkpoint: Path) -> None:
    model = hf.build(str(checkpoint))
    picture = Request((Message("user", ("舌象如何？", Image("image/png", "aGk="))),))
    for bad in (picture, ask("麻黄\ud800"), ask("麻黄", top_p=0.0), ask("麻黄", max_tokens=0)):
        assert only_one_fails(model, [ask("麻黄"), bad, ask("当归")], 1).kind == "bad_request"


def test_messages_that_the_chat_template_refuses_fail_alone_with_its_reason(tmp_path: Path) -> None:
    template = "{% if messages[0].role == 'system' %}{{ raise_exception('no system role here') }}{% endif %}{{ messages[0].content }}:"
    model = hf.build(str(make_checkpoint(tmp_path / "strict", template=template)))
    bad = Request((Message("system", "你是中医。"), Message("user", "麻黄")))
    failure = only_one_fails(model, [bad, ask("麻黄")], 0)
    assert (failure.kind, "no system role here" in failure.message) == ("bad_request", True)


def test_a_token_that_the_model_does_not_know_fails_alone(checkpoint: Path, tmp_path: Path) -> None:
    from transformers import AutoTokenizer

    copy = Path(shutil.copytree(checkpoint, tmp_path / "copy"))
    tokenizer = AutoTokenizer.from_pretrained(copy)
    tokenizer.add_tokens(["熟地黄丸"])
    tokenizer.save_pretrained(copy)
    failure = only_one_fails(hf.build(str(copy)), [ask("麻黄"), ask("熟地黄丸")], 1)
    assert "do not belong together" in failure.message


# ------------------------------------------------------------------ memory


def short_of_memory(model: hf.Hf, most: int, error: Exception) -> list[tuple[int, int]]:
    """Let the model's forward pass fail like a full device above `most` tokens at once; return the shapes that went through."""
    passed: list[tuple[int, int]] = []

    def check(_module: Any, _args: Any, named: dict[str, Any]) -> None:
        rows, width = named["input_ids"].shape[0], int(named["position_ids"].max()) + 1
        if rows * width > most:
            raise error
        passed.append((rows, width))

    model._checkpoint.model.register_forward_pre_hook(check, with_kwargs=True)
    return passed


def errors() -> list[Exception]:
    import torch

    return [
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB"),
        RuntimeError(
            "[enforce fail at alloc_cpu.cpp:124] err == 0. DefaultCPUAllocator: can't allocate memory: you tried"
        ),
        RuntimeError("DefaultCPUAllocator: not enough memory: you tried to allocate 274877906944 bytes."),
    ]


@pytest.mark.parametrize("number", [0, 1, 2])
def test_a_batch_that_does_not_fit_is_halved_and_the_answers_are_the_same(checkpoint: Path, number: int) -> None:
    requests = [ask(q) for q in CORPUS] + [Request((Message("user", q),), options=("A", "黄芪")) for q in CORPUS]
    wanted = hf.build(str(checkpoint)).generate_batch(requests)
    model = hf.build(str(checkpoint))
    passed = short_of_memory(model, 100, errors()[number])
    for ours, theirs in zip(model.generate_batch(requests), wanted, strict=True):
        assert isinstance(ours, Response)
        assert isinstance(theirs, Response)
        assert ours.text == theirs.text
        assert [o.total for o in ours.logprobs or ()] == pytest.approx(
            [o.total for o in theirs.logprobs or ()], abs=1e-4
        )
    assert max(rows for rows, _ in passed) > 1  # halved, not asked one by one


def test_a_request_that_does_not_fit_even_alone_fails_alone(checkpoint: Path) -> None:
    model = hf.build(str(checkpoint))
    short_of_memory(model, 60, errors()[0])
    found = model.generate_batch([ask("麻黄"), ask(CORPUS[0] * 6), ask("当归")])
    assert [isinstance(one, Response) for one in found] == [True, False, True]
    assert isinstance(found[1], Failure)
    assert (found[1].kind, "even alone" in found[1].message) == ("too_long", True)


def test_another_error_of_the_model_is_not_taken_for_a_lack_of_memory(checkpoint: Path) -> None:
    model = hf.build(str(checkpoint))
    short_of_memory(model, 0, RuntimeError("shapes do not match"))
    with pytest.raises(RuntimeError, match="shapes do not match"):
        model.generate_batch([ask("麻黄")])
    assert not issubclass(RuntimeError, HarnessError)


def test_real_memory_runs_out_and_the_run_goes_on(checkpoint: Path) -> None:
    """An allocation that no machine can serve, made inside the forward pass: torch's own error, not one that we made up."""
    import torch

    model = hf.build(str(checkpoint))

    def grab(_module: Any, _args: Any, named: dict[str, Any]) -> None:
        if named["input_ids"].shape[0] > 2:
            torch.empty(1 << 50)

    model._checkpoint.model.register_forward_pre_hook(grab, with_kwargs=True)
    assert all(isinstance(one, Response) for one in model.generate_batch([ask(q) for q in CORPUS]))
