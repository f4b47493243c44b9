"""What `models show` and `models test` print: all that the registry says of a model, and all that came back from one question."""

from __future__ import annotations

import asyncio
import inspect
import os
from collections.abc import Mapping, Sequence
from typing import Any, get_args

from harness.batch import PROVIDERS
from harness.engine import Batched, answer
from harness.errors import UsageError
from harness.limits import Limits
from harness.models import End, Entry, Price, Subject, Way, entries, obstacle, resolve
from harness.plan import Selection, prepare
from harness.prompts import Style
from harness.registry import adapter_names, get_adapter
from harness.score import read, written
from harness.suites import Catalogue, system_text
from harness.tables import money, printable
from harness.types import BatchModel, Choice, Failure, Job, Model, Record, Request, Response, Sampling

QUESTION = "tcm_core/single_choice"
WIDTH = 14


def about(name: str) -> str:
    """Return all that is known of an alias, or of what a provider takes for `provider/name`; raise UsageError for neither."""
    entry = entries().get(name)
    if entry is None:
        provider, slash, model = name.partition("/")
        if not slash or provider not in adapter_names():
            resolve(name, {})  # says what is wrong, with the nearest known names
        if not model:
            raise UsageError(f"{name}: add the model's name after '/', for example {provider}/NAME")
        return "\n".join([name, *_field("what it is", "no alias: any model of this provider"), *_provider(provider)])
    return "\n".join([name, *_entry(name, entry)])


def _entry(name: str, entry: Entry) -> list[str]:
    lines = _field("what it is", entry.title)
    if not entry.confirmed:
        lines += _field("UNCONFIRMED", "the paper names the family only; the version given here is a guess")
    lines += _field("trained on", ", ".join(entry.trained_on) or "not known to be trained on any suite here")
    lines += _field("own prompt", entry.own_system and _own_prompt(entry.own_system))
    lines += _field(
        "max tokens", entry.max_tokens and f"{entry.max_tokens:,} for each answer, unless --max-tokens says otherwise"
    )
    lines += _field("RETIRED", _end(entry.retired)) + _field("ends", _end(entry.ends))
    lines += _field("notes", entry.notes)
    if entry.published_only:
        return lines + _field("to use it", "impossible: it has no API and no weights; its published numbers are shown")
    lines += _field("price", _price(entry.price))
    lines += _field("limits", "none known: state them with --rpm and --tpm; told to slow down, a run does")
    reasons = [obstacle(way) for way in entry.ways]
    for number, (way, reason) in enumerate(zip(entry.ways, reasons, strict=True), 1):
        lines += [
            "",
            f"way {number} of {len(entry.ways)}" if len(entry.ways) > 1 else "the way to it",
            *_way(way, reason),
        ]
    lines.append("")
    if entry.retired:
        return lines + _field(
            "gone", f"a server that still has it can be asked: --model {name} --base-url https://HOST/v1"
        )
    possible = [way for way, reason in zip(entry.ways, reasons, strict=True) if not reason]
    if possible:
        return lines + _field("ready", f"tcm-eval run --model {name} asks {possible[0].provider}/{possible[0].model}")
    return lines + _field(
        "not here yet", f"bring what is missing, or serve it anywhere: --model {name} --base-url http://HOST:PORT/v1"
    )


def _own_prompt(name: str) -> str:
    text = system_text(name)
    named = f"{name}: " if text != name else ""
    return f"{named}asked without it and with it. It begins: {text[:60]}…"


def _end(end: End | None) -> str:
    if end is None:
        return ""
    return f"{end.day}{f', then {end.instead} takes its place' if end.instead else ''} (as read at {end.source})"


def _price(price: Price | None) -> str:
    if price is None:
        return "not known: state it with --price INPUT,OUTPUT"
    return (
        f"{price.input:g} in and {price.output:g} out, {price.currency} for a million tokens "
        f"(as read {price.date}, {price.source})"
    )


def _way(way: Way, reason: str) -> list[str]:
    settings = dict(way.settings)
    address = settings.pop("base_url", None) or _default(way.provider, "base_url")
    lines = _field("provider", way.provider) + _field("model", way.model) + _field("address", address)
    keys = [str(settings.pop("key_env"))] if "key_env" in settings else []
    keys += [need.strip()[4:] for need in way.needs.split(",") if need.strip().startswith("env:")]
    for key in dict.fromkeys(keys):
        lines += _field("key", f"environment variable {key}: {'set' if os.environ.get(key) else 'NOT set'}")
    lines += _field("settings", ", ".join(f"{key}={value}" for key, value in settings.items()))
    lines += _field("batch", "half the price with --batch" if way.provider in PROVIDERS else "")
    lines += _field("needs", way.needs)
    return lines + _field("missing", reason or "nothing")


def _default(provider: str, setting: str) -> object:
    if provider not in adapter_names():
        return None
    found = inspect.signature(get_adapter(provider)).parameters.get(setting)
    return found.default if found is not None and found.default not in (inspect.Parameter.empty, None) else None


def _provider(provider: str) -> list[str]:
    make = get_adapter(provider)
    lines = _field("provider", provider)
    for name, parameter in inspect.signature(make).parameters.items():
        if name != "model":
            kind = (
                parameter.annotation
                if isinstance(parameter.annotation, str)
                else "|".join(map(str, get_args(parameter.annotation)))
            )
            default = "" if parameter.default in (inspect.Parameter.empty, None) else f" (default {parameter.default})"
            lines += _field("setting", f"{name}: {kind}{default}")
    said = (inspect.getdoc(make) or "").splitlines()[2:]
    return [*lines, "", *(f"  {line}" for line in said)]


def _field(name: str, value: object) -> list[str]:
    """Return one line, safe for a terminal; none where there is nothing to say."""
    return [f"  {name:{WIDTH}}{printable(str(value))}"] if value not in (None, "") else []


# ------------------------------------------------------------------ one question


def tried(name: str, settings: Mapping[str, Any], timeout: float) -> tuple[str, bool]:
    """Return all that came back from one packaged question, and whether an answer did. `timeout`: seconds.

    Raises UsageError for an unknown model or setting, Fatal when the provider will not answer any request.
    """
    subject = resolve(name, settings)[0]
    catalogue = Catalogue()
    [task], _ = catalogue.select([QUESTION])
    part = prepare(catalogue, task, Style(own_max_tokens=subject.max_tokens), Selection(limit=1), {})
    job = part.prompter.job(next(_questions(catalogue, task)))
    request = job.next([])
    assert request is not None, "a question has a first step"
    outcome = asyncio.run(_asked(subject.build(), request, Limits(attempts=1, timeout=timeout)))
    head = [f"{subject.name}  ({subject.provider}/{subject.model})", *_question(request), "answered"]
    if isinstance(outcome, Failure):
        return "\n".join([*head, *_field("FAILED", f"{outcome.kind}: {outcome.message}")]), False
    reading = read(task, "generate", job, Record("", task.id, job.sample.id, outcome), job.sample)
    return "\n".join(
        [*head, *_response(outcome, request.sampling, subject), *_read(reading.status, reading.answer, job)]
    ), True


def _questions(catalogue: Catalogue, task: Any) -> Any:
    from harness.datasets import stream

    return stream(catalogue, task, "test")


async def _asked(model: Model | BatchModel, request: Request, limits: Limits) -> Response | Failure:
    asked = Batched(model) if isinstance(model, BatchModel) else model
    try:
        return await answer(asked, request, limits)
    finally:
        await asked.aclose()


def _question(request: Request) -> list[str]:
    lines = ["asked"]
    for message in request.messages:
        lines += [
            f"  {message.role:{WIDTH}}",
            *_block(message.content if isinstance(message.content, str) else "[images and text]"),
        ]
    return lines


def _response(response: Response, sampling: Sampling, subject: Subject) -> list[str]:
    tokens = f"{response.tokens_in:,} in, {response.tokens_out:,} out, of which {response.tokens_reasoning:,} for reasoning; {response.tokens_cached:,} of those in were cached"
    untold = not response.tokens_in and not response.tokens_out
    lines = ["  reasoning", *_block(response.reasoning)] if response.reasoning else []
    lines += ["  text", *_block(response.text)]
    lines += _field("stop", response.stop) + _field("tokens", "not told" if untold else tokens)
    lines += _field("at most", f"{sampling.max_tokens:,} tokens were allowed")
    lines += _field("model", response.model_version or "not told")
    lines += _field("not accepted", ", ".join(response.not_accepted) or "every sampling parameter was accepted")
    lines += _field("seconds", f"{response.seconds:.2f}")
    if subject.price and not untold:
        cost = subject.price.of(response.tokens_in, response.tokens_out)
        lines += _field("cost", f"{money(cost)} {subject.price.currency} at most (price of {subject.price.date})")
    return lines


def _read(status: str, found: Any, job: Job) -> list[str]:
    target = job.sample.target
    key = "".join(sorted(target.letters)) if isinstance(target, Choice) else ""
    said = written(found)
    verdict = "" if said is None else "right" if said == key else "wrong"
    return [
        "read",
        *_field("answer", said or "none"),
        *_field("status", status),
        *_field("key", f"{key}  {verdict}".strip()),
    ]


def _block(text: str) -> Sequence[str]:
    return [f"    {printable(line)}" for line in text.split("\n")]
