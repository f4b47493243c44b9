"""The launch configurations load in accelerate, and two processes compute what one does."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import ladder_trainer

FOLDER = Path(ladder_trainer.__file__).parent / "launch"
EXPECTED = {
    "1gpu.yaml": ("NO", 1, 1),
    "2gpu.yaml": ("MULTI_GPU", 2, 1),
    "2cpu.yaml": ("MULTI_CPU", 2, 1),
    "zero3-2gpu.yaml": ("DEEPSPEED", 2, 1),
    "zero3-8gpu.yaml": ("DEEPSPEED", 8, 1),
    "zero3-nodes.yaml": ("DEEPSPEED", 16, 2),
    "fsdp-8gpu.yaml": ("FSDP", 8, 1),
    "fsdp-nodes.yaml": ("FSDP", 16, 2),
}


def launched(name: str) -> Any:
    """Return accelerate's own reading of `accelerate launch --config_file NAME`."""
    from accelerate.commands.launch import _validate_launch_command, launch_command_parser

    asked = launch_command_parser().parse_args(["--config_file", str(FOLDER / name), "-m", "harness.cli", "train", "x"])
    return _validate_launch_command(asked)[0]


def test_there_is_a_configuration_for_one_two_and_eight_gpus_and_several_machines() -> None:
    assert {path.name for path in FOLDER.glob("*.yaml")} == set(EXPECTED)


@pytest.mark.parametrize("name", EXPECTED)
def test_a_launch_configuration_is_what_accelerate_understands(name: str) -> None:
    from accelerate.commands.config.config_args import load_config_from_file

    kind, processes, machines = EXPECTED[name]
    config = load_config_from_file(str(FOLDER / name))
    assert (config.distributed_type.value, config.num_processes, config.num_machines) == (kind, processes, machines)
    said = launched(name)
    assert (said.use_deepspeed, said.use_fsdp) == (kind == "DEEPSPEED", kind == "FSDP")
    if kind == "DEEPSPEED":
        # without it a checkpoint would hold no weights that another program can read
        assert (said.zero_stage, said.zero3_save_16bit_model) == (3, True)
    if kind == "FSDP":
        assert (said.fsdp_state_dict_type, said.fsdp_transformer_layer_cls_to_wrap) == (
            "FULL_STATE_DICT",
            "Qwen2DecoderLayer",
        )


# ------------------------------------------------------------------ one process and two

WORKER = '''
import json, sys
from pathlib import Path
from accelerate import PartialState
from ladder_trainer import grpo, sft
from ladder_trainer.data import gather, Document
from ladder_trainer.start import load_tokenizer, prepare_start
from ladder_trainer.train import Sources, _texts
from tests.trainer.conftest import tiny
from ladder_trainer import rewards
from tests.trainer.test_formula import uneven

rewards.correctness = uneven
folder = Path(sys.argv[1])
state = PartialState(cpu=True)
share = state.num_processes
places = Sources((folder / "herbs",))


def losses(trainer):
    trainer.train()
    return [log["loss"] for log in trainer.state.log_history if "loss" in log]


def completions(prompts, trainer):
    """Completions that depend on the prompt and the place in its group alone, so that any number of processes makes the same."""
    group, ids, said = trainer.num_generations, [], []
    first = trainer.accelerator.process_index * len(prompts)
    for place, prompt in enumerate(prompts, first):
        ids.append(tokenizer.apply_chat_template(prompt, add_generation_prompt=True, tokenize=True, return_dict=False))
        text = ("甲补气AB"[place % group :] + "血阴阳"[: place % group]) + prompt[0]["content"][:2]
        said.append([*tokenizer(text, add_special_tokens=False)["input_ids"], tokenizer.eos_token_id])
    return {"prompt_ids": ids, "completion_ids": said, "logprobs": [[0.0] * len(one) for one in said]}


both = {"learning_rate": 1e-2, "log_every": 1, "steps": 3, "save_every": 3}
recipe = tiny(stages=["sft", "grpo"], sft={**both, "batch": 8 // share}, grpo={**both, "batch": 16 // share})
seen = gather(recipe, places.catalogue(), lambda chat: 0)
tokenizer = load_tokenizer(recipe, _texts(seen))
with state.main_process_first():
    start = prepare_start(recipe, tokenizer, folder / "start")
same = [Document(d.given, d.learned) for d in seen.documents]
found = {"sft": losses(sft.build(recipe, start, tokenizer, same, [], folder / "sft"))}
trainer = grpo.build(recipe, start, tokenizer, seen.train, [], folder / "grpo")
trainer.rollout_func = completions
found["grpo"] = losses(trainer)
found["reward"] = [log["reward"] for log in trainer.state.log_history if "reward" in log]
if state.is_main_process:
    (folder / "found.json").write_text(json.dumps(found))
'''


def worked(folder: Path, processes: int) -> dict[str, list[float]]:
    from tests.trainer.conftest import rows, write_suite

    write_suite(folder / "herbs", rows(32))
    script = folder / "worker.py"
    script.write_text(WORKER, "utf-8")
    root = Path(__file__).resolve().parents[2]
    environment = {**os.environ, "PYTHONPATH": str(root), "OMP_NUM_THREADS": "1", "PYTHONWARNINGS": "ignore"}
    start = [sys.executable]
    if processes > 1:
        start += ["-m", "torch.distributed.run", "--standalone", "--nproc_per_node", str(processes)]
    done = subprocess.run(
        [*start, str(script), str(folder)], env=environment, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr[-3000:]
    found: dict[str, list[float]] = json.loads((folder / "found.json").read_text("utf-8"))
    return found


def test_two_processes_give_the_losses_of_one(tmp_path: Path) -> None:
    one, two = worked(tmp_path / "one", 1), worked(tmp_path / "two", 2)
    for name in ("sft", "grpo", "reward"):
        assert len(one[name]) == 3
        assert two[name] == pytest.approx(one[name], rel=1e-4, abs=1e-5), name
    assert max(abs(x) for x in one["grpo"]) > 1e-4 and one["sft"][0] > one["sft"][-1]
