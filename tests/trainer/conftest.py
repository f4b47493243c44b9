"""A tiny recipe on a tiny suite: a model of about 20,000 parameters that trains in seconds on one CPU core."""

from __future__ import annotations

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ladder_trainer.recipe import Recipe
from ladder_trainer.train import Sources

THIRD_PARTY = (
    # torch's own scheduler wrapper, called by accelerate when a step was skipped or before the first one
    "ignore:Detected call of `lr_scheduler.step:UserWarning",
    # the loader pins memory although there is no accelerator
    "ignore:'pin_memory' argument is set as true but no accelerator:UserWarning",
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    here = Path(__file__).parent
    for item in items:
        if here in Path(item.path).parents:
            for warning in THIRD_PARTY:
                item.add_marker(pytest.mark.filterwarnings(warning))


QUESTIONS = [("人参", "补气"), ("当归", "补血"), ("麦冬", "补阴"), ("鹿茸", "补阳"), ("石膏", "清热"), ("麻黄", "解表")]
TASK = """type: single_choice
data: [choice.jsonl]
columns:
  id: id
  question: question
  options: { form: dict, column: options }
split: { column: split }
prompt: "{question}\\n{options}"
"""


def rows(count: int) -> list[dict[str, Any]]:
    """Choice questions of two options; each third one is in train, validation and test."""
    made = []
    for i in range(count):
        herb, right = QUESTIONS[i % len(QUESTIONS)]
        wrong = QUESTIONS[(i + 1) % len(QUESTIONS)][1]
        texts = [right, wrong] if i % 2 else [wrong, right]
        made.append(
            {
                "id": f"q{i}",
                "question": f"{i}号{herb}",
                "options": dict(zip("AB", texts, strict=True)),
                "answer": "A" if i % 2 else "B",
                "split": ("train", "train", "validation", "test")[i % 4],
            }
        )
    return made


def write_suite(folder: Path, items: list[dict[str, Any]], task: str = TASK) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "choice.yaml").write_text(task, "utf-8")
    text = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in items)
    (folder / "choice.jsonl").write_text(text, "utf-8")
    return folder


@pytest.fixture
def herbs(tmp_path: Path) -> Path:
    """A suite named `herbs` with one task `choice`: 16 questions in train, 8 in validation, 8 in test."""
    return write_suite(tmp_path / "herbs", rows(32))


@pytest.fixture
def places(herbs: Path) -> Sources:
    return Sources(task_paths=(herbs,))


def tiny(**changes: Any) -> Recipe:
    """A recipe for the suite `herbs`; `changes` replace whole parts or, given as mappings, keys of parts."""
    raw: dict[str, Any] = {
        "name": "tiny-test",
        "title": "Tiny test",
        "source": "these tests",
        "start": {
            "shape": {"hidden": 32, "layers": 2, "heads": 2, "kv_heads": 1, "mlp": 64, "positions": 256},
            "tokenizer": "characters",
            "dtype": "float32",
        },
        "data": {"tasks": ["herbs/choice"], "system": None, "max_prompt_tokens": 64, "fence": ["herbs"]},
        "stages": ["grpo"],
        "sft": {"batch": 4, "steps": 6, "save_every": 2, "learning_rate": 1e-2, "checkpointing": False},
        "grpo": {
            "batch": 8,
            "group": 4,
            "steps": 6,
            "epochs": 3,
            "save_every": 2,
            "learning_rate": 1e-3,
            "warmup": 0,
            "temperature": 1.0,
            "top_p": 1.0,
            "max_completion_tokens": 6,
            "checkpointing": False,
        },
        "device": "cpu",
        "report_to": [],
    }
    for key, value in changes.items():
        raw[key] = {**raw[key], **value} if isinstance(value, dict) and isinstance(raw.get(key), dict) else value
    return Recipe.model_validate(raw)


@pytest.fixture
def recipe() -> Callable[..., Recipe]:
    return tiny


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[str]]:
    """The checkpoint of a whole run with both stages, and what the run said; its data folder lies beside it, as `data`."""
    from ladder_trainer import run

    root = tmp_path_factory.mktemp("finished")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TCM_EVAL_DATA", str(root / "data"))
        herbs = write_suite(root / "herbs", rows(32))
        said: list[str] = []
        made = tiny(
            stages=["sft", "grpo"],
            alias="tiny-alias",
            data={"validation_samples": 4},
            sft={"steps": 30, "save_every": 30, "learning_rate": 2e-2, "batch": 16},
            grpo={"steps": 4, "evaluate_every": 2, "keep": 1, "max_completion_tokens": 40},
            evaluation={"tasks": ["herbs/choice"], "limit": 4},
            report_to=["tensorboard"],
        )
        final = run(made, output=root / "out", sources=Sources((herbs,)), say=said.append)
    return final, said
