"""What a run may cost, before it is asked and while it is, and what its tokens cost."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from harness import batch
from harness.engine import Todo
from harness.errors import UsageError
from harness.limits import Gate, Limits, Used, prompt_tokens
from harness.models import Subject, resolve
from harness.plan import Part, Plan, earlier_answers, earlier_identity, may_be_of, pending, planned
from harness.prompts import step_by_step
from harness.registry import get_adapter
from harness.runs import RunSpec, asked_as, open_catalogue, worded
from harness.store import Index, write_json
from harness.tables import counted, money
from harness.types import Response

PerMillion = tuple[float, float] | None
"""What a million tokens in and out cost; None where nobody has said."""


def price_of(stated: PerMillion, subject: Subject, limits: Limits) -> PerMillion:
    """Return what a million tokens in and out cost, as the user or the registry states; raise UsageError when a cost is to be kept to."""
    price = stated or _known(subject)
    if limits.max_cost is not None and not price:
        raise UsageError(
            f"--max-cost: no price of {subject.name} is known. State it per million tokens: --price INPUT,OUTPUT"
        )
    return price


def _known(subject: Subject) -> PerMillion:
    return (subject.price.input, subject.price.output) if subject.price else None


def note_price(plan: Plan, spec: RunSpec, subject: Subject) -> None:
    """Keep in the manifest what a million tokens cost: a price stated by the user has no date, source or currency."""
    if spec.price:
        price: dict[str, Any] = {"input": spec.price[0], "output": spec.price[1], "currency": ""}
    elif subject.price and not plan.manifest.get("price"):
        price = subject.price.model_dump()
    else:
        return
    if plan.manifest.get("price") != price:
        plan.manifest = {**plan.manifest, "price": price}
        write_json(plan.folder / "manifest.json", plan.manifest)


def refuse_uncounted(max_failures: float | None, *, batched: bool) -> None:
    """Raise UsageError where failures are to stop a batch: it is bought whole before one of its questions can fail."""
    if batched and max_failures is not None:
        raise UsageError(
            "--max-failures does not go with --batch: a batch is bought whole before one of its questions can fail. Leave one of the two out."
        )


def refuse_unbatched(parts: Iterable[Part]) -> None:
    """Raise UsageError for a task that no batch interface can ask, whoever answers."""
    for part in parts:
        if part.ask != "generate":
            raise UsageError(f"--batch: no batch interface gives option log-probabilities (--ask {part.ask})")
        if step_by_step(part.task):
            raise UsageError(
                f"--batch cannot ask {part.task.id} step by step, for each question needs the answer before it. "
                "Leave this task out, or ask it without --batch."
            )


def refuse_without_batches(subject: Subject) -> None:
    """Raise UsageError for a provider of ours without a batch interface; that of a package is known when its model is built."""
    ours = get_adapter(subject.provider).__module__.startswith("model_adapters.")
    if ours and subject.provider not in batch.PROVIDERS:
        batch.interface(None, subject.name)


def estimate(spec: RunSpec) -> str:
    """Return how many requests, tokens and how much money a run would still take at most; nothing is asked, built or written."""
    refuse_uncounted(spec.max_failures, batched=spec.batch)
    catalogue = open_catalogue(spec)
    here, absent = catalogue.select(spec.tasks)
    lines, images = [], False
    for subject in resolve(spec.model, spec.settings, spec.name, only_possible=False):
        parts = worded(spec, subject, catalogue, here)
        if spec.batch:
            refuse_without_batches(subject)
            refuse_unbatched(parts)
        ahead = _ahead(spec, subject, Plan(subject.name, {}, parts, spec.selection, catalogue, spec.output / "runs"))
        images = images or ahead.images
        price = spec.price or _known(subject)
        cost = "unknown (no price: --price INPUT,OUTPUT)"
        if price:
            cost = money(most_cost(price, (ahead.prompt, ahead.most), ahead.alone, batched=spec.batch), up=True)
        if price and subject.price and not spec.price:
            cost += f" {subject.price.currency} (price of {subject.price.date}, {subject.price.source})"
        if price and spec.batch:
            cost += ", at half the price but for the first question"
        lines.append(
            f"{subject.name}: {counted(ahead.requests, 'request')}; at most {ahead.prompt:,} tokens in and {ahead.most:,} out; cost at most {cost}"
        )
        lines += [f"  {ahead.said}"] if ahead.said else []
    lines += ["each image counted as 1,000 tokens: providers differ"] if images else []
    lines += [f"not counted, for the data is not here: {', '.join(task.id for task in absent)}"] if absent else []
    return "\n".join(lines)


@dataclass(slots=True)
class _Ahead:
    """What one subject is still to be asked: requests, tokens in and out at most, those of the longest request; and what is to be said of it."""

    requests: int = 0
    prompt: int = 0
    most: int = 0
    alone: tuple[int, int] = (0, 0)
    images: bool = False
    said: str = ""

    def add(self, part: Part, todo: Todo) -> None:
        """Count what a job still asks."""
        allowed = part.prompter.sampling.max_tokens
        tokens, shown = _prompts(todo, part)
        self.requests += todo.job.steps - len(todo.done)
        self.prompt += tokens
        self.most += (todo.job.steps - len(todo.done)) * allowed
        self.images = self.images or shown
        self.alone = max(self.alone, (tokens, allowed), key=sum)


def _ahead(spec: RunSpec, subject: Subject, bare: Plan) -> _Ahead:
    """Return what a subject is still to be asked, `bare` being its plan with nobody's identity and the folder of all runs.

    Who answers is known only when the model is built: it is taken for the one that answered when it was last asked by this name.
    """
    ahead, parts, runs = _Ahead(), {part.task.id: part for part in bare.parts}, bare.folder
    known = None if spec.fresh else earlier_identity(runs, asked_as(spec, subject))
    if known is None:
        for part in bare.parts:
            for job in bare.jobs(part):
                ahead.add(part, Todo(job))
        if not spec.fresh and may_be_of(runs, subject.provider, subject.model):
            ahead.said = "if nothing is answered yet: whether earlier runs hold answers of this very model shows when it is asked"
        return ahead
    identity, run = known
    plan = planned(subject.name, identity, bare.parts, bare.selection, bare.catalogue, runs)
    with Index(plan.folder / "records.jsonl") as index:
        for todo in pending(plan, index, earlier_answers(runs, plan), lambda _record, _job: None):
            ahead.add(parts[todo.job.sample.task], todo)
    there = sum(job.steps for part in plan.parts for job in plan.jobs(part)) - ahead.requests
    out = sum(one.count for one in batch.parts(plan.folder) if not one.closed)
    said = (
        [f"{there:,} more are answered already, if the model is still the one that answered in {run}"] if there else []
    )
    said += [f"{out:,} of these are in batches at the provider already"] if out else []
    ahead.said = "; ".join(said)
    return ahead


def most_cost(price: tuple[float, float], tokens: tuple[int, int], alone: tuple[int, int], *, batched: bool) -> float:
    """Return what so many tokens in and out cost at most. In a batch those `alone` among them are bought one by one, at the full price."""
    told = dict(zip(("tokens_in", "tokens_out"), tokens, strict=True))
    if batched:
        told |= {f"batch_{name}": told[name] - one for name, one in zip(tuple(told), alone, strict=True)}
    return batch.as_bought(price, told)


_NOTHING = Response("")


def _prompts(todo: Todo, part: Part) -> tuple[int, bool]:
    """Return the most tokens of the prompts that a job still sends, together, and whether they show images.

    With `history: own` a prompt holds the answers before it, each as long as allowed where it is not there yet.
    """
    own = part.prompter.sampling.max_tokens if part.task.history == "own" else 0
    rest = range(todo.job.steps - len(todo.done))
    asked = [one for step in rest if (one := todo.job.next([*todo.done, *[_NOTHING] * step])) is not None]
    tokens = sum(prompt_tokens(request) + step * own for step, request in enumerate(asked))
    messages = (message for request in asked for message in request.messages)
    return tokens, any(not isinstance(message.content, str) for message in messages)


def gate_of(
    model: object, limits: Limits, max_failures: float | None, answers: int, price: PerMillion, earlier: Used
) -> Gate:
    """Return the gate of one session: `max_failures` below 1 is a share of so many answers, and tokens get their price."""
    if max_failures is not None:
        limits = replace(limits, max_failures=int(max_failures if max_failures >= 1 else max_failures * answers))
    return Gate(limits, cost_of(price), metered=bool(getattr(model, "metered", False)), earlier=earlier)


def cost_of(price: PerMillion) -> Callable[[float, float], float] | None:
    """Return what so many tokens in and out cost when they are asked for one by one, None where no price is known."""
    if price is None:
        return None
    return lambda tokens_in, tokens_out: batch.as_bought(price, {"tokens_in": tokens_in, "tokens_out": tokens_out})


def used_before(tokens: Mapping[str, float], price: PerMillion) -> Used:
    """Return what earlier sessions have used: each answer counts at what it was bought for, 0 where no price is known."""
    spent = batch.as_bought(price, tokens) if price else 0.0
    return Used(int(tokens.get("tokens_in", 0) + tokens.get("tokens_out", 0)), spent)
