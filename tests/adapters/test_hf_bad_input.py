"""What can be wrong with a checkpoint, a machine or a request: one clear message each, and nothing else is lost."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from harness.errors import Fatal, HarnessError, UsageError
from harness.models import Subject
from harness.types import Failure, Image, Message, Request, Response, Sampling
from model_adapters import hf
from tests.adapters.tiny import CORPUS, THINKING, make_checkpoint

Tcm = Callable[..., tuple[int, str, str]]


def ask(text: str, **sampling: Any) -> Request:
    return Request((Message("user", text),), Sampling(**{"max_tokens": 8, **sampling}))


def refused(model: Path | str, **settings: Any) -> str:
    with pytest.raises(UsageError) as caught:
        hf.build(str(model), **settings)
    message = str(caught.value)
    assert message.count("\n") == 0
    assert str(model) in message
    return message


@pytest.fixture
def copy(checkpoint: Path, tmp_path: Path) -> Path:
    """A copy of the small checkpoint, to be broken."""
    return Path(shutil.copytree(checkpoint, tmp_path / "copy"))


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


# ------------------------------------------------------------------ the checkpoint


def test_a_truncated_weights_file_is_named_as_unreadable(copy: Path) -> None:
    weights = copy / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[: weights.stat().st_size // 2])
    assert "cannot read the checkpoint" in refused(copy)


def test_a_missing_configuration_is_named(copy: Path) -> None:
    (copy / "config.json").unlink()
    assert "has no config.json" in refused(copy)


def test_a_broken_configuration_is_named(copy: Path) -> None:
    (copy / "config.json").write_text('{"model_type": "qwen2", ')
    assert "cannot read" in refused(copy)


def test_a_folder_without_weights_is_named(copy: Path) -> None:
    (copy / "model.safetensors").unlink()
    assert "no *.safetensors file" in refused(copy)


def test_a_checkpoint_that_lacks_a_tensor_is_refused_not_filled_with_random_numbers(copy: Path) -> None:
    from safetensors.torch import load_file, save_file

    weights = load_file(copy / "model.safetensors")
    del weights["model.layers.1.mlp.up_proj.weight"]
    save_file(weights, copy / "model.safetensors", metadata={"format": "pt"})
    assert "model.layers.1.mlp.up_proj.weight" in refused(copy)


def test_a_missing_tokenizer_is_named(copy: Path) -> None:
    for file in copy.glob("tokenizer*"):
        file.unlink()
    assert "no tokenizer" in refused(copy)


def test_a_folder_that_does_not_exist_is_named(tmp_path: Path) -> None:
    assert "no such folder" in refused(tmp_path / "nothing")


def test_a_hub_name_that_cannot_be_had_says_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    assert "not in the local model cache" in refused("nobody/nothing")


def test_a_hub_name_in_the_local_cache_is_read_from_there_with_its_commit(
    checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    commit, kept = "0123456789abcdef0123456789abcdef01234567", tmp_path / "models--someone--tiny"
    shutil.copytree(checkpoint, kept / "snapshots" / commit)
    (kept / "refs").mkdir()
    (kept / "refs" / "main").write_text(commit)
    model = hf.build("someone/tiny")
    assert (model.name, model.identity["revision"]) == ("hf/someone/tiny", commit)
    assert model.identity["weights"] == hf.build(str(checkpoint)).identity["weights"]


def test_pickled_weights_are_loaded_only_when_allowed(copy: Path, checkpoint: Path) -> None:
    import torch
    from safetensors.torch import load_file

    torch.save(load_file(copy / "model.safetensors"), copy / "pytorch_model.bin")
    (copy / "model.safetensors").unlink()
    assert "allow_pickle=true" in refused(copy)
    (ours,) = hf.build(str(copy), allow_pickle=True).generate_batch([ask("麻黄")])
    (same,) = hf.build(str(checkpoint)).generate_batch([ask("麻黄")])
    assert isinstance(ours, Response)
    assert isinstance(same, Response)
    assert ours.text == same.text


def test_a_checkpoint_with_code_of_its_own_is_not_run_unless_asked(copy: Path, tmp_path: Path) -> None:
    config = json.loads((copy / "config.json").read_text())
    names = {"AutoConfig": "own.OwnConfig", "AutoModelForCausalLM": "own.OwnModel"}
    (copy / "config.json").write_text(json.dumps({**config, "model_type": "own-kind", "auto_map": names}))
    (copy / "own.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w').close()\n")
    assert "trust_remote_code=true" in refused(copy)
    assert not (tmp_path / "ran").exists()


def test_without_a_chat_template_the_message_names_the_way_out_and_the_way_out_works(tmp_path: Path) -> None:
    folder = make_checkpoint(tmp_path / "base", template=None)
    assert "chat_template=FILE" in refused(folder)
    (tmp_path / "own.jinja").write_text(THINKING, "utf-8")
    model = hf.build(str(folder), chat_template=str(tmp_path / "own.jinja"))
    (found,) = model.generate_batch([ask("麻黄")])
    assert isinstance(found, Response)
    assert found.text.startswith("<think>")
    with_own = make_checkpoint(tmp_path / "chat", template=THINKING)
    assert hf.build(str(with_own)).identity["template"] == model.identity["template"]


@pytest.mark.parametrize(
    ("template", "said"),
    [
        ("{% for m in messages %}", "does not work"),
        ("你好", "leaves the user's message out"),
        (None, "cannot read the chat template"),
    ],
)
def test_a_chat_template_that_does_not_work_is_refused_before_anything_is_asked(
    checkpoint: Path, tmp_path: Path, template: str | None, said: str
) -> None:
    file = tmp_path / "t.jinja"
    if template is not None:
        file.write_text(template, "utf-8")
    assert said in refused(checkpoint, chat_template=str(file))


def test_a_tokenizer_without_a_length_limit_is_no_trouble(checkpoint: Path) -> None:
    model = hf.build(str(checkpoint))
    assert model._checkpoint.tokenizer.model_max_length > 10**20
    assert model._checkpoint.context == 512


def test_scores_that_are_no_numbers_end_the_run_with_one_message(copy: Path) -> None:
    from safetensors.torch import load_file, save_file

    weights = load_file(copy / "model.safetensors")
    weights["model.norm.weight"][3] = float("nan")
    save_file(weights, copy / "model.safetensors", metadata={"format": "pt"})
    model = hf.build(str(copy))
    for request in (
        ask("麻黄"),
        ask("麻黄", temperature=1.0),
        Request((Message("user", "麻黄"),), options=("A", "黄芪")),
    ):
        with pytest.raises(Fatal, match=r"not finite \(NaN or infinite\): its weights are broken"):
            model.generate_batch([request])


def test_broken_weights_in_a_run_are_one_message_and_exit_code_3(
    copy: Path, suite: Path, tmp_path: Path, tcm_eval: Tcm
) -> None:
    from safetensors.torch import load_file, save_file

    weights = load_file(copy / "model.safetensors")
    weights["lm_head.weight"][:] = float("inf")
    save_file(weights, copy / "model.safetensors", metadata={"format": "pt"})
    words = ["run", "--model", f"hf/{copy}", "--task-path", suite, "--tasks", "own/choice", "--max-tokens", "8"]
    code, _, err = tcm_eval(*words, "--output", tmp_path / "out")
    assert code == 3
    assert "not finite" in err


# ------------------------------------------------------------------ the machine and the settings


def test_cuda_asked_for_and_absent_names_the_cpu(checkpoint: Path) -> None:
    import torch

    if torch.cuda.is_available():
        pytest.skip("this machine has a CUDA device")
    assert "Use device=cpu" in refused(checkpoint, device="cuda")
    assert "Use device=cpu" in refused(checkpoint, device="cuda:1")


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"device": "tpu"}, "none of auto, cpu, cuda"),
        ({"dtype": "int8"}, "none of auto, float32"),
        ({"batch": 0}, "whole number from 1"),
        ({"batch": 2.5}, "whole number from 1"),
        ({"max_context": -1}, "whole number from 1"),
        ({"allow_pickle": "yes"}, "true or false"),
        ({"revision": "main"}, "a folder has no revisions"),
    ],
)
def test_a_setting_that_means_nothing_is_refused(checkpoint: Path, settings: dict[str, Any], said: str) -> None:
    assert said in refused(checkpoint, **settings)


def test_an_unknown_setting_gets_a_did_you_mean(checkpoint: Path) -> None:
    with pytest.raises(UsageError, match="Did you mean: chat_template"):
        Subject("x", "hf", str(checkpoint), {"chat_templat": "f"}).build()


# ------------------------------------------------------------------ single requests


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


def test_a_token_that_the_model_does_not_know_fails_alone(copy: Path) -> None:
    from transformers import AutoTokenizer

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
