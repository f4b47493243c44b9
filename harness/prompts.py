"""`TaskSpec` + `Sample` -> messages. Few-shot examples and option order are functions of (seed, sample id) alone."""

from __future__ import annotations

import hashlib
import heapq
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from harness.datasets import text_of
from harness.errors import UsageError
from harness.extract.reasoning import split
from harness.specs import Language, TaskSpec
from harness.suites import shared_prompts, system_text
from harness.types import Blanks, Case, Choice, Image, Job, Message, Reference, Request, Response, Sample, Sampling

Ask = Literal["generate", "letter", "text"]
"""How a choice question is asked: generate an answer, or score the option letters, or the option texts, by log-probability."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Style:
    """How a run words its questions: language, system prompt, examples, and how choices are asked.

    `system` is the name of a shared system prompt, or a text of its own; None leaves the task's own (mostly none).
    `own_system` and `own_max_tokens` are the prompt and the token budget of an answer that a model's registry entry declares as its
    own: they replace the common ones, and belong to the subject's identity, not to the question.
    """

    language: Language | None = None
    system: str | None = None
    own_system: str | None = None
    own_max_tokens: int | None = None
    shots: int = 0
    seed: int = 0
    ask: Ask = "generate"


_FIELD = re.compile(r"\{([A-Za-z_][A-Za-z0-9_]*)\}")


class Prompter:
    """Words the requests of one task in one style."""

    def __init__(self, task: TaskSpec, style: Style, sampling: Sampling, examples: Sequence[Sample] = ()) -> None:
        self.task = task
        self.style = style
        self.common_sampling = sampling
        self.sampling = replace(sampling, max_tokens=style.own_max_tokens or sampling.max_tokens)
        self.language: Language = style.language or task.language
        self.template = self._template()
        self.common_system = system_text(style.system) if style.system else task.system.get(self.language, "")
        self.system = system_text(style.own_system) if style.own_system else self.common_system
        self._examples = examples
        if style.shots and len(examples) < style.shots:
            raise UsageError(
                f"{task.id}: {style.shots} examples asked for, but the validation and train splits hold {len(examples)}. "
                "Examples never come from the test split: lower --shots or choose tasks that have a train split."
            )

    def _template(self) -> str:
        own = self.task.prompt.get(self.language)
        if own is not None:
            return own
        kind = self.task.type
        if self.style.ask != "generate" and self.task.is_choice:
            kind_name = "choice_text" if self.style.ask == "text" else "choice_letter"
            return str(shared_prompts()["prompts"][kind_name][self.language])
        return str(shared_prompts()["prompts"][kind][self.language])

    @property
    def fingerprint(self) -> str:
        """Return 6 hex digits of all that words the questions: template, system prompt, way of asking, dialogue rule."""
        parts = [
            self.template,
            self.common_system,
            self.style.ask,
            self.task.history,
            self.task.score_turns,
            self.language,
        ]
        return hashlib.sha256("\x1f".join(parts).encode()).hexdigest()[:6]

    def job(self, sample: Sample, repeat: int = 0, variant: int = 0) -> Job:
        """Return the chain of requests about one sample. Nothing is worded before the first request is asked for."""
        sampling = self.sampling
        if repeat and sampling.seed is not None:
            sampling = replace(sampling, seed=sampling.seed + repeat)
        steps = step_count(self.task, sample)
        if steps > 1:
            return Job(sample, self._talk(permuted(sample, variant), sampling, repeat), repeat, variant, steps=steps)

        def once(done: Sequence[Response]) -> Request | None:
            if done:
                return None
            shown = permuted(sample, variant)
            return Request(self._messages(shown), sampling, self._options(shown), (sample.task, sample.id, repeat))

        return Job(sample, once, repeat, variant)

    def _options(self, sample: Sample) -> tuple[str, ...]:
        if self.style.ask == "generate" or not isinstance(sample.target, Choice):
            return ()
        return tuple(sample.options) if self.style.ask == "letter" else tuple(sample.options.values())

    def _messages(self, sample: Sample) -> tuple[Message, ...]:
        head = self._head(sample)
        turns = sample.fields.get("turns") or []
        if self.task.type != "dialogue" or not turns:
            return (*head, Message("user", self._content(sample)))
        history = [Message(turn["role"], turn["content"]) for turn in turns]
        return (*head, *_merged([*history, Message("user", self._content(sample))]))

    def _head(self, sample: Sample) -> list[Message]:
        head = [Message("system", self.system)] if self.system else []
        for example in self._shots(sample):
            head += [Message("user", self.render(example)), Message("assistant", reference_answer(example))]
        return head

    def _talk(self, sample: Sample, sampling: Sampling, repeat: int) -> Callable[[Sequence[Response]], Request | None]:
        """Play the patient's turns one by one and end with the task's question.

        With `history: own` the doctor's earlier turns are the model's own (without its reasoning), else the data's.
        """
        turns = sample.fields["turns"]
        script = [turn["content"] for turn in turns if turn["role"] == "user"]
        script[-1] = f"{script[-1]}\n\n{self.render(sample)}"
        written = [turn["content"] for turn in turns if turn["role"] == "assistant"]
        head = self._head(sample)
        place = (sample.task, sample.id, repeat)

        def following(done: Sequence[Response]) -> Request | None:
            if len(done) >= len(script):
                return None
            own = [split(answer.text, answer.reasoning).answer for answer in done]
            doctor = own if self.task.history == "own" else written
            messages = list(head)
            for said, answered in zip(script[: len(done)], doctor, strict=False):
                messages += [Message("user", said), Message("assistant", answered)]
            return Request((*messages, Message("user", script[len(done)])), sampling, (), place)

        return following

    def _content(self, sample: Sample) -> str | tuple[str | Image, ...]:
        images = sample.fields.get("images")
        text = self.render(sample)
        if not images:
            return text
        return (*(Image(one["media_type"], one["data"]) for one in images), text)

    def render(self, sample: Sample) -> str:
        """Return the question as the model reads it; raise UsageError for a field the sample lacks."""
        shown = {"options": "\n".join(f"{letter}. {text}" for letter, text in sample.options.items())}
        shown["letters"] = "、".join(sample.options) if self.language == "zh" else ", ".join(sample.options)

        def fill(match: re.Match[str]) -> str:
            name = match[1]
            if name in shown:
                return shown[name]
            if name not in sample.fields:
                raise UsageError(
                    f"{self.task.id}: the prompt names '{{{name}}}', but sample {sample.id} has only "
                    f"{', '.join(sample.fields)}. Add it under columns.fields, or change the prompt."
                )
            return text_of(sample.fields[name])

        return _FIELD.sub(fill, self.template).strip()

    def _shots(self, sample: Sample) -> list[Sample]:
        if not self.style.shots:
            return []
        others = (e for e in self._examples if e.id != sample.id and (e.group is None or e.group != sample.group))
        return heapq.nsmallest(self.style.shots, others, key=lambda e: _order(self.style.seed, sample.id, e.id))


def _order(seed: int, *parts: str) -> bytes:
    return hashlib.blake2b("\x1f".join((str(seed), *parts)).encode(), digest_size=8).digest()


def _merged(messages: Iterable[Message]) -> list[Message]:
    """Join neighbours of one role: many chat templates demand that roles alternate."""
    merged: list[Message] = []
    for message in messages:
        last = merged[-1] if merged else None
        if last and last.role == message.role and isinstance(last.content, str) and isinstance(message.content, str):
            merged[-1] = Message(last.role, f"{last.content}\n\n{message.content}")
        else:
            merged.append(message)
    return merged


def permuted(sample: Sample, variant: int) -> Sample:
    """Return the sample as variant `variant` shows it: its options rotated by that many places. Variant 0 is as written."""
    options = sample.options
    if not variant or not options:
        return sample
    texts = list(options.values())
    turn = variant % len(texts)
    rotated = dict(zip(options, texts[turn:] + texts[:turn], strict=True))
    target = sample.target
    if isinstance(target, Choice):
        target = Choice(as_shown(sample, variant, target.letters))
    return replace(sample, fields={**sample.fields, "options": rotated}, target=target)


def _sources(options: Mapping[str, str], variant: int) -> dict[str, str]:
    """Return for each shown letter the letter that its text has in the data."""
    letters = list(options)
    turn = variant % len(letters)
    return dict(zip(letters, letters[turn:] + letters[:turn], strict=True))


def as_written(sample: Sample, variant: int, letters: Iterable[str]) -> frozenset[str]:
    """Return the letters that a variant's answer has in the data's own order."""
    sources = _sources(sample.options, variant) if variant else {letter: letter for letter in sample.options}
    return frozenset(sources[letter] for letter in letters)


def as_shown(sample: Sample, variant: int, letters: Iterable[str]) -> frozenset[str]:
    """Return the letters under which a variant showed options that have these letters in the data."""
    shown = {old: new for new, old in _sources(sample.options, variant).items()}
    return frozenset(shown[letter] for letter in letters)


def step_by_step(task: TaskSpec) -> bool:
    """Tell whether a task asks for an answer after each of the patient's turns."""
    return task.type == "dialogue" and not (task.history == "given" and task.score_turns == "last")


def step_count(task: TaskSpec, sample: Sample) -> int:
    """Return how many answers a sample asks for: one, or one after each of the patient's turns."""
    turns = sample.fields.get("turns") or []
    if not step_by_step(task):
        return 1
    return max(1, len([turn for turn in turns if turn["role"] == "user"]))


def judged(task: TaskSpec, sample: Sample) -> list[tuple[int, Sample]]:
    """Return the turns that are scored, each with the sample as it is to be judged there.

    With `score_turns: every` an earlier turn is judged against the doctor's turn in the data, the last against the answer.
    """
    steps = step_count(task, sample)
    if task.score_turns == "last" or steps == 1:
        return [(steps - 1, sample)]
    doctor = [turn["content"] for turn in sample.fields["turns"] if turn["role"] == "assistant"]
    earlier = [(turn, replace(sample, target=Reference((said,)))) for turn, said in enumerate(doctor[: steps - 1])]
    return [*earlier, (steps - 1, sample)]


def reference_answer(sample: Sample) -> str:
    """Return the gold answer as a model would write it, for examples and for the oracle tests."""
    target = sample.target
    match target:
        case Choice(letters):
            return f"答案：{''.join(sorted(letters))}"
        case Blanks(accepted):
            return f"答案：{'；'.join(one[0] for one in accepted)}"
        case Reference(texts) | Case(texts):
            return texts[0]
