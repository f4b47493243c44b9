"""A recipe: everything that determines a training run. The schema is closed: an unknown key is an error.

Whatever a recipe leaves out has the value written here, never a library's default: every field is passed on by name.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from harness.specs import Language

Share = Annotated[float, Field(ge=0, le=1)]
Positive = Annotated[int, Field(ge=1)]
Whole = Annotated[int, Field(ge=0)]
Rate = Annotated[float, Field(gt=0)]
StageName = Literal["sft", "grpo"]


class Part(BaseModel):
    """A part of a recipe: refuses unknown keys, never changes."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Lora(Part):
    """Low-rank adapters instead of all weights. `merge` writes a checkpoint without adapters at the end."""

    rank: Positive = 16
    alpha: Positive = 32
    dropout: Share = 0.0
    targets: str | tuple[str, ...] = "all-linear"
    merge: bool = True


class Shape(Part):
    """The shape of a Qwen2 model that starts from random weights. Its vocabulary is the tokenizer's, or `vocabulary` if larger."""

    hidden: Positive
    layers: Positive
    heads: Positive
    kv_heads: Positive
    mlp: Positive
    positions: Positive = 32768
    tied: bool = True
    vocabulary: Positive | None = None


class Start(Part):
    """Where training starts: a folder or hub name (`base`), or random weights of a `shape` with a `tokenizer`."""

    base: str | None = None
    shape: Shape | None = None
    tokenizer: str | None = None
    dtype: Literal["bfloat16", "float32"] = "bfloat16"
    attention: Literal["sdpa", "eager", "flash_attention_2"] = "sdpa"
    lora: Lora | None = None

    @model_validator(mode="after")
    def _one_start(self) -> Start:
        if (self.base is None) == (self.shape is None):
            raise ValueError("give either 'base' (a folder or hub name) or 'shape' (random weights)")
        if self.shape is not None and self.tokenizer is None:
            raise ValueError("'shape' needs 'tokenizer': a folder or hub name")
        return self


class Data(Part):
    """What is learned from. `leaks` says what happens to a training text that stands in a test split too.

    The fence against test questions covers every suite whose data is here; `fence` narrows it to the suites named. `part` [k, n]
    takes only the questions whose id falls into part k of n, so that two stages can learn from different ones.
    """

    tasks: tuple[str, ...]
    split: Literal["train"] = "train"
    validation: Literal["validation", "train"] = "validation"
    validation_samples: Whole = 0
    limit: Positive | None = None
    part: tuple[Positive, Positive] | None = None
    language: Language | None = None
    system: str | None = "ladder-paper"
    max_prompt_tokens: Positive = 512
    leaks: Literal["stop", "leave_out"] = "stop"
    fence: tuple[str, ...] = ("all",)


class Weights(Part):
    """How much each part of the reward counts."""

    correctness: Annotated[float, Field(ge=0)] = 5.0
    format: Annotated[float, Field(ge=0)] = 1.0
    tags: Annotated[float, Field(ge=0)] = 1.0


class Rewards(Part):
    """`harness` reads answers as the benchmark does; `authors` reads them as the authors' script does, faults included."""

    variant: Literal["harness", "authors"] = "harness"
    weights: Weights = Weights()


class Steps(Part):
    """What both stages share. `batch` counts sequences per device and forward pass; `steps` -1 means whole epochs.

    `warmup` below 1 is a share of all steps, from 1 on a number of steps. `save_every` and `evaluate_every` count updates;
    `evaluate_every` 0 means no validation during training. `patience` is the number of validations without a better reward
    after which training stops, None never.
    """

    epochs: Rate = 1.0
    steps: int = -1
    batch: Positive = 8
    accumulate: Positive = 1
    learning_rate: Rate = 1e-6
    schedule: Literal["linear", "cosine", "constant", "constant_with_warmup"] = "cosine"
    warmup: Annotated[float, Field(ge=0)] = 0.0
    weight_decay: Annotated[float, Field(ge=0)] = 0.0
    max_grad_norm: Annotated[float, Field(ge=0)] = 1.0
    checkpointing: bool = True
    log_every: Positive = 1
    save_every: Positive = 50
    keep: Positive = 3
    evaluate_every: Whole = 0
    patience: Positive | None = None

    @model_validator(mode="after")
    def _saves_where_it_validates(self) -> Steps:
        if self.evaluate_every and self.save_every % self.evaluate_every:
            raise ValueError(
                f"save_every ({self.save_every}) must be a multiple of evaluate_every ({self.evaluate_every}), "
                "else the best checkpoint could not be kept"
            )
        return self


class Sft(Steps):
    """Supervised warm start: on train questions with a worded answer, and on text files.

    `files` are JSONL with `text`, or `prompt` and `completion`, a line. `questions: false` leaves the train questions out.
    `answer` words the reply to a train question; {letters}, {texts}, {question} and the sample's own columns can stand in it.
    """

    questions: bool = True
    files: tuple[str, ...] = ()
    answer: str = "<think>\n{texts}\n</think>\n<answer>\n答案:{letters}\n</answer>"
    max_tokens: Positive = 1024
    learning_rate: Rate = 2e-5


class Vllm(Part):
    """Rollouts by vLLM: in the training processes (`colocate`), or by a server of its own (`trl vllm-serve`)."""

    mode: Literal["colocate", "server"] = "colocate"
    server: str = "http://127.0.0.1:8000"
    memory_share: Share = 0.3
    tensor_parallel: Positive = 1
    correction: bool = True


class Grpo(Steps):
    """Group relative policy optimisation; the names are the paper's. `group` is G, `beta` the weight of the KL term."""

    batch: Positive = 12
    group: Annotated[int, Field(ge=2)] = 6
    iterations: Positive = 1
    steps_per_generation: Positive | None = None
    temperature: Rate = 0.7
    top_p: Annotated[float, Field(gt=0, le=1)] = 0.8
    top_k: Whole = 0
    max_completion_tokens: Positive = 512
    epsilon: Rate = 0.2
    beta: Annotated[float, Field(ge=0)] = 0.01
    loss: Literal["grpo", "bnpo", "dr_grpo", "dapo"] = "grpo"
    scale: Literal["group", "batch", "none"] = "group"
    bias_correction_kl: bool = False
    mask_truncated: bool = False
    validation_group: Positive = 1
    vllm: Vllm | None = None

    @model_validator(mode="after")
    def _whole_groups(self) -> Grpo:
        per_generation = self.batch * (self.steps_per_generation or self.accumulate)
        if per_generation % self.group:
            raise ValueError(
                f"batch x accumulate ({per_generation} completions) must be a multiple of group ({self.group})"
            )
        generation = (self.steps_per_generation or self.accumulate) * self.iterations
        updates = generation // self.accumulate if generation % self.accumulate == 0 else None
        if updates is None or self.save_every % updates:
            raise ValueError(
                f"save_every ({self.save_every}) must be a multiple of the updates that share one generation "
                f"({generation}/{self.accumulate}), else a resumed run could not go on with the same completions"
            )
        return self


class Evaluation(Part):
    """The harness's own run on the finished checkpoint: which tasks and split, and how many questions a task.

    `tasks` empty: no evaluation. `every_save: true` also runs it on every checkpoint that is saved (in a process that has room
    for a second copy of the model).
    """

    tasks: tuple[str, ...] = ()
    split: Literal["validation", "test"] = "validation"
    limit: Positive | None = None
    every_save: bool = False
    max_tokens: Positive | None = None


class Recipe(Part):
    """One way to make a checkpoint. `cannot_reproduce` lists in which points it differs from its source, and why."""

    name: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]*$")]
    title: str
    alias: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]*$")] | None = None
    source: str
    cannot_reproduce: tuple[str, ...] = ()
    start: Start
    data: Data
    stages: tuple[StageName, ...]
    rewards: Rewards = Rewards()
    sft: Sft = Sft()
    grpo: Grpo = Grpo()
    evaluation: Evaluation = Evaluation()
    seed: int = 42
    device: Literal["auto", "cpu"] = "auto"
    memory: Literal["check", "ignore"] = "check"
    report_to: tuple[Literal["tensorboard", "wandb", "mlflow"], ...] = ("tensorboard",)

    @model_validator(mode="after")
    def _whole(self) -> Recipe:
        if not self.stages or list(self.stages) != [s for s in ("sft", "grpo") if s in self.stages]:
            raise ValueError("stages must be [sft], [grpo] or [sft, grpo]")
        for stage in self.stages:
            steps: Steps = self.grpo if stage == "grpo" else self.sft
            if steps.evaluate_every and not self.data.validation_samples:
                raise ValueError(f"{stage}.evaluate_every needs data.validation_samples above 0")
        return self

    @property
    def trained_on(self) -> tuple[str, ...]:
        """Return the names of the suites that training reads."""
        return tuple(dict.fromkeys(task.partition("/")[0] for task in self.data.tasks))

    def determining(self) -> Mapping[str, Any]:
        """Return what determines the weights, as plain values: not the title, the alias, the logging or the evaluation."""
        left_out = {"title", "alias", "source", "cannot_reproduce", "evaluation", "report_to", "memory"}
        plain: Mapping[str, Any] = self.model_dump(mode="json", exclude=left_out)
        return plain
