"""What a run may cost, before it is asked and while it is, and what its tokens cost."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import Any

from harness import batch
from harness.errors import UsageError
from harness.limits import Gate, Limits, Used, prompt_tokens
from harness.models import Subject, resolve
from harness.plan import Part, Plan
from harness.prompts import step_by_step
from harness.registry import get_adapter
from harness.runs import RunSpec, open_catalogue, worded
from harness.store import write_json
from harness.tables import counted, money
from harness.types import Job, Response

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
    """Return how many requests, tokens and how much money a run would take at most; nothing is asked, built or written."""
    refuse_uncounted(spec.max_failures, batched=spec.batch)
    catalogue = open_catalogue(spec)
    here, absent = catalogue.select(spec.tasks)
    lines, images = [], False
    for subject in resolve(spec.model, spec.settings, spec.name, only_possible=False):
        requests = prompt = most = 0
        alone = (0, 0)
        bare = Plan(subject.name, {}, worded(spec, subject, catalogue, here), spec.selection, catalogue, spec.output)
        if spec.batch:
            refuse_without_batches(subject)
            refuse_unbatched(bare.parts)
        for part in bare.parts:
            for job in bare.jobs(part):
                requests += job.steps
                tokens, shown = _prompts(job, part)
                prompt, images = prompt + tokens, images or shown
                most += job.steps * part.prompter.sampling.max_tokens
                alone = max(alone, (tokens, part.prompter.sampling.max_tokens), key=sum)
        price = spec.price or _known(subject)
        cost = "unknown (no price: --price INPUT,OUTPUT)"
        if price:
            cost = money(most_cost(price, (prompt, most), alone, batched=spec.batch), up=True)
        if price and subject.price and not spec.price:
            cost += f" {subject.price.currency} (price of {subject.price.date}, {subject.price.source})"
        if price and spec.batch:
            cost += ", at half the price but for the first question"
        lines.append(
            f"{subject.name}: {counted(requests, 'request')}; at most {prompt:,} tokens in and {most:,} out; cost at most {cost}"
        )
    lines += ["each image counted as 1,000 tokens: providers differ"] if images else []
    lines += [f"not counted, for the data is not here: {', '.join(task.id for task in absent)}"] if absent else []
    return "\n".join(lines)


def most_cost(price: tuple[float, float], tokens: tuple[int, int], alone: tuple[int, int], *, batched: bool) -> float:
    """Return what so many tokens in and out cost at most. In a batch those `alone` among them are bought one by one, at the full price."""
    told = dict(zip(("tokens_in", "tokens_out"), tokens, strict=True))
    if batched:
        told |= {f"batch_{name}": told[name] - one for name, one in zip(tuple(told), alone, strict=True)}
    return batch.as_bought(price, told)


_NOTHING = Response("")


def _prompts(job: Job, part: Part) -> tuple[int, bool]:
    """Return the most tokens of a job's prompts together, and whether they show images.

    With `history: own` a prompt holds the answers before it, each as long as allowed.
    """
    own = part.prompter.sampling.max_tokens if part.task.history == "own" else 0
    asked = [request for step in range(job.steps) if (request := job.next([_NOTHING] * step)) is not None]
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
