"""What can be wrong with a checkpoint, a machine or the settings: one clear message each."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from harness.errors import Fatal, UsageError
from harness.models import Subject
from harness.types import Message, Request, Response, Sampling
from model_adapters import hf
from tests.adapters.tiny import THINKING, make_checkpoint

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
