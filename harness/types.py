"""The nouns of tcm-eval. Frozen data only: no I/O, standard library only.

What is asked (`Sample`, `Request`, `Job`), what came back (`Response`, `Failure`, `Record`), how it was judged (`Score`),
and what it amounts to (`Estimate`).
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol, runtime_checkable

Role = Literal["system", "user", "assistant"]
Stop = Literal["stop", "length", "filter", "refusal"]
FailureKind = Literal["timeout", "rate_limit", "server", "bad_request", "too_long"]
Status = Literal["ok", "unparsed", "truncated", "refused", "failed", "unscored"]
STATUSES: tuple[Status, ...] = ("ok", "unparsed", "truncated", "refused", "failed", "unscored")

DISCIPLINES = (
    "Diagnostics",
    "Pharmacognosy",
    "Surgery",
    "Herbal Formulas",
    "Internal Medicine",
    "Pediatrics",
    "Fundamentals",
)
"""The seven disciplines of TCM-Ladder, in the order of the paper's figure."""


# ------------------------------------------------------------------ what is asked


@dataclass(frozen=True, slots=True)
class Image:
    """One picture in a message: its MIME type and its bytes in base64."""

    media_type: str
    data: str


Content = str | tuple[str | Image, ...]


@dataclass(frozen=True, slots=True)
class Message:
    """One chat turn: text, or text and images in order."""

    role: Role
    content: Content


@dataclass(frozen=True, slots=True)
class Sampling:
    """Decoding settings. Every one is sent, so that no model's own defaults slip in.

    `top_k=0` means off; `repetition_penalty=1.0` means none; `seed=None` lets the provider choose.
    """

    temperature: float = 0.0
    top_p: float = 1.0
    top_k: int = 0
    repetition_penalty: float = 1.0
    max_tokens: int = 1024
    stop: tuple[str, ...] = ()
    seed: int | None = 0


@dataclass(frozen=True, slots=True)
class Choice:
    """The set of right option letters."""

    letters: frozenset[str]


@dataclass(frozen=True, slots=True)
class Blanks:
    """For each blank the accepted answers; a numeric range such as `1.5～3g` is one of them."""

    accepted: tuple[tuple[str, ...], ...]


@dataclass(frozen=True, slots=True)
class Reference:
    """One or more reference texts, any of which would do.

    `rubric` is what a judge looks for, point by point; `terms` are words that a good answer has. Empty where the data state none.
    """

    texts: tuple[str, ...]
    rubric: tuple[str, ...] = ()
    terms: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Case:
    """A diagnostic dialogue: the reference answer and the slots it fills.

    `slots` maps disease, pattern, principle and formula to accepted names; `herbs` are (name, grams or None). `rubric` and `terms`
    as in `Reference`.
    """

    texts: tuple[str, ...]
    slots: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    herbs: tuple[tuple[str, float | None], ...] = ()
    rubric: tuple[str, ...] = ()
    terms: tuple[str, ...] = ()


Target = Choice | Blanks | Reference | Case


@dataclass(frozen=True, slots=True)
class Sample:
    """One test item. `target` is never shown to the model.

    `fields` holds what a prompt may show: `question`, `options` (letter -> text), `turns` and the task's other columns.
    `discipline` is None where the source does not say. `group` ties items that share a stem, a case or a translation: the
    cluster of the standard error; None means the item stands alone. `tags` are the item's further labels by which scores may be
    sorted, such as `difficulty`.
    """

    id: str
    task: str
    fields: Mapping[str, Any]
    target: Target
    discipline: str | None = None
    group: str | None = None
    split: str = "test"
    tags: Mapping[str, str] = field(default_factory=dict)

    @property
    def question(self) -> str:
        return str(self.fields.get("question", ""))

    @property
    def options(self) -> Mapping[str, str]:
        options: Mapping[str, str] = self.fields.get("options") or {}
        return options


@dataclass(frozen=True, slots=True)
class Request:
    """Everything that determines a model's answer, and nothing else.

    `options` not empty: do not generate, but score each of these continuations by its log-probability. `place` says which
    question this is (task, sample, repeat), for adapters that look answers up; it is no part of the key.
    """

    messages: tuple[Message, ...]
    sampling: Sampling = Sampling()
    options: tuple[str, ...] = ()
    place: tuple[str, str, int] | None = field(default=None, compare=False)

    def key(self, identity: str, repeat: int = 0) -> str:
        """Return the 32-hex-digit id under which the answer of `identity` is stored and resumed."""
        s = self.sampling
        digest = hashlib.blake2b(digest_size=16)

        def add(*parts: str) -> None:
            for part in parts:
                data = part.encode("utf-8", "surrogatepass")
                digest.update(b"%d:" % len(data))
                digest.update(data)

        add(identity, str(repeat))
        add(
            f"{s.temperature!r}|{s.top_p!r}|{s.top_k}|{s.repetition_penalty!r}|{s.max_tokens}|{s.seed}",
            str(len(s.stop)),
            *s.stop,
        )
        add(str(len(self.options)), *self.options)
        for message in self.messages:
            parts = (message.content,) if isinstance(message.content, str) else message.content
            add(message.role, str(len(parts)))
            for part in parts:
                if isinstance(part, str):
                    add("text", part)
                else:
                    add("image", part.media_type, part.data)
        return digest.hexdigest()


@dataclass(frozen=True, slots=True)
class Job:
    """Who is asked what next about one sample.

    `next(responses so far)` gives the request of the following step, or None at the end. A plain question has one step, a
    dialogue may have several `steps`, and resume replays them. `variant` numbers the option permutation.
    """

    sample: Sample
    next: Callable[[Sequence[Response]], Request | None]
    repeat: int = 0
    variant: int = 0
    role: str = "candidate"
    steps: int = 1

    def slot(self, turn: int) -> str:
        """Return the place of one answer inside a run."""
        return slot(self.sample.task, self.sample.id, self.repeat, self.variant, turn, self.role)


def slot(task: str, sample: str, repeat: int, variant: int, turn: int, role: str) -> str:
    """Return the name of one answer's place: what is asked of whom, the how-manieth time."""
    return f"{task}\x1f{sample}\x1f{repeat}\x1f{variant}\x1f{turn}\x1f{role}"


# ------------------------------------------------------------------ what came back


@dataclass(frozen=True, slots=True)
class OptionLogprob:
    """Log-probability (nats) of one option's continuation, summed over its tokens; None below what the server reports."""

    total: float | None
    tokens: int


@dataclass(frozen=True, slots=True)
class Response:
    """What the model said. Token counts are the provider's own (0 = not told); `seconds` is the time of the successful call.

    `model_version` is the provider's own name of what answered; `not_accepted` names sampling fields, or a summary of thoughts, that the model refused
    and that were left out; `logprobs` has one entry per requested option; `batched`: it came through a provider's batch interface,
    at part of the price.
    """

    text: str
    reasoning: str | None = None
    stop: Stop = "stop"
    tokens_in: int = 0
    tokens_out: int = 0
    tokens_reasoning: int = 0
    tokens_cached: int = 0
    seconds: float = 0.0
    model_version: str | None = None
    not_accepted: tuple[str, ...] = ()
    logprobs: tuple[OptionLogprob, ...] | None = None
    batched: bool = False


@dataclass(frozen=True, slots=True)
class Failure:
    """The infrastructure's fault: there is no answer. Never scored as a wrong one."""

    kind: FailureKind
    message: str
    attempts: int


@dataclass(frozen=True, slots=True)
class Record:
    """One line of `records.jsonl`: one call's outcome and its place in the run.

    `role` is `candidate` or `judge:<id>`; `origin` names the run that an adopted answer came from.
    """

    key: str
    task: str
    sample: str
    outcome: Response | Failure
    repeat: int = 0
    variant: int = 0
    turn: int = 0
    role: str = "candidate"
    origin: str | None = None

    @property
    def slot(self) -> str:
        return slot(self.task, self.sample, self.repeat, self.variant, self.turn, self.role)


# ------------------------------------------------------------------ how it was judged


@dataclass(frozen=True, slots=True)
class Value:
    """What a metric says of one answer: a number, or None when it could not be computed, and its sufficient statistics."""

    value: float | None
    parts: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Score:
    """One metric on one sample: one line of `scores.jsonl`. `value=None` means failed or unscored, never zero.

    `tags` are the sample's own.
    """

    task: str
    sample: str
    metric: str
    value: float | None
    status: Status
    answer: str | None = None
    repeat: int = 0
    variant: int = 0
    discipline: str | None = None
    group: str | None = None
    split: str = "test"
    parts: Mapping[str, float] = field(default_factory=dict)
    tags: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Estimate:
    """A mean with its uncertainty. All of `mean`, `se`, `low`, `high` are None when nothing was answered.

    `n` counts the values in the mean, `n_groups` the clusters; `counts` counts every sample by status;
    `mean_parsed_only` leaves out unparsed, truncated and refused answers.
    """

    mean: float | None
    se: float | None
    low: float | None
    high: float | None
    level: float
    n: int
    n_groups: int
    counts: Mapping[str, int]
    mean_parsed_only: float | None
    comparison_id: str


# ------------------------------------------------------------------ who answers


@runtime_checkable
class Model(Protocol):
    """Answers one request at a time, concurrently.

    `name` is what a reader sees; `identity` holds all that makes this subject itself (model, version, weights' fingerprint,
    engine, dtype, template): answers are stored and resumed under it.
    """

    name: str
    identity: Mapping[str, str]

    async def generate(self, request: Request) -> Response: ...

    async def aclose(self) -> None: ...


@runtime_checkable
class LocalModel(Model, Protocol):
    """A model on this machine that works on `at_once` requests at a time and takes them as they come. It is busy, never silent."""

    at_once: int


@runtime_checkable
class BatchModel(Protocol):
    """Answers many requests in one blocking call; a bad item comes back as a `Failure` and fails alone."""

    name: str
    identity: Mapping[str, str]
    max_batch: int

    def generate_batch(self, requests: Sequence[Request]) -> list[Response | Failure]: ...
