"""`--model` -> a subject that answers: an alias by the first way that is possible here, or a provider's own name."""

from __future__ import annotations

import inspect
import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, get_args

from harness.errors import UsageError, unknown
from harness.models.aliases import End, Entry, Price, Way, entries, known_price
from harness.models.here import checkpoint, obstacle, recipes, shipped, trained_on
from harness.registry import adapter_names, get_adapter
from harness.types import BatchModel, Model


@dataclass(frozen=True, slots=True)
class Subject:
    """Who is asked: a display name, how to build it, and what the registry knows about it."""

    name: str
    provider: str
    model: str
    settings: Mapping[str, Any] = field(default_factory=dict)
    own_system: str | None = None
    max_tokens: int | None = None
    trained_on: tuple[str, ...] = ()
    price: Price | None = None

    def build(self) -> Model | BatchModel:
        """Return the model, ready to answer; raise UsageError for wrong settings, Fatal when it cannot be reached."""
        make = get_adapter(self.provider)
        built: object = make(self.model, **_checked(self.provider, make, self.settings))
        if not isinstance(built, Model | BatchModel):
            raise UsageError(
                f"provider {self.provider} built a {type(built).__name__}, which is no model: it needs name, identity, and either "
                "async generate(request) and async aclose(), or max_batch and generate_batch(requests)"
            )
        return built


KINDS: Mapping[type, str] = {
    bool: "true or false",
    int: "a whole number",
    float: "a number",
    str: "a text",
}


def _checked(provider: str, make: Callable[..., Any], settings: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the settings as `make` declares them; raise UsageError for a name that it does not take, or a value of another kind."""
    declared = _declared(make)
    for name in settings:
        if name not in declared:
            raise unknown(f"setting of provider {provider}", name, declared)
    return {name: _as_declared(provider, name, value, declared[name]) for name, value in settings.items()}


def _declared(make: Callable[..., Any]) -> dict[str, tuple[type, ...]]:
    """Return for each setting the plain kinds that its annotation allows, empty where it says something else, or nothing."""
    try:
        parameters = inspect.signature(make, eval_str=True).parameters
    except (
        NameError,
        SyntaxError,
        TypeError,
    ):  # annotations of a package that say what is imported for type checkers only
        return {name: () for name in inspect.signature(make).parameters if name != "model"}
    found = {name: get_args(p.annotation) or (p.annotation,) for name, p in parameters.items() if name != "model"}
    plain = (*KINDS, type(None))
    return {name: kinds if all(kind in plain for kind in kinds) else () for name, kinds in found.items()}


def _as_declared(provider: str, name: str, value: Any, kinds: tuple[type, ...]) -> Any:
    if not kinds or type(value) in kinds or (type(value) is int and float in kinds):
        return value
    if str in kinds and type(value) in (int, float):
        return str(value)  # what looks like a number on the command line may be a name
    expected = " or ".join(KINDS[kind] for kind in kinds if kind in KINDS)
    raise UsageError(f"--model-arg {name}={value}: provider {provider} expects {expected}")


def resolve(
    text: str, settings: Mapping[str, Any], name: str | None = None, *, only_possible: bool = True
) -> list[Subject]:
    """Return the subjects that `--model text` means: one, or two when the entry has a prompt of its own.

    Raises UsageError for an unknown provider or alias, for a retired model without an address that still has it, and for an alias
    none of whose ways is possible here; unless `only_possible` is False, for an estimate that asks nobody needs no key: then its
    first way stands.
    """
    provider, slash, model = text.partition("/")
    if slash and text not in entries():
        if provider not in adapter_names():
            raise unknown(
                "provider",
                provider,
                adapter_names(),
                "A model is an alias or provider/name: see `tcm-eval models list`.",
            )
        if not model:
            raise UsageError(f"--model {text}: the part after '/' is empty. Example: server/qwen2.5-7b-instruct")
        price = known_price(provider, model, address_of(provider, settings))
        seen = trained_on(model)
        return [Subject(name or text, provider, model, _reachable(provider, settings), trained_on=seen, price=price)]
    if text not in entries():
        if text in adapter_names():
            raise UsageError(f"--model {text}: add the model's name after '/', for example {text}/NAME")
        raise unknown(
            "model", text, entries(), "Or provider/name, for example server/NAME: see `tcm-eval models list`."
        )
    return _from_entry(text, entries()[text], settings, name, only_possible=only_possible)


def address_of(provider: str, settings: Mapping[str, Any]) -> str | None:
    """Return the address that the user states, None for the provider's own."""
    stated = settings.get("base_url") or (os.environ.get("TCM_EVAL_BASE_URL") if provider == "server" else None)
    return str(stated) if stated else None


def _reachable(provider: str, settings: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the settings without an address, for providers that need none: --base-url is meant for the other --model."""
    return {k: v for k, v in settings.items() if provider not in ("echo", "replay") or k not in ("base_url", "key_env")}


def _from_entry(
    alias: str, entry: Entry, settings: Mapping[str, Any], name: str | None, *, only_possible: bool
) -> list[Subject]:
    if entry.published_only:
        raise UsageError(f"{alias} has no API and no weights: only its published numbers can be shown. {entry.notes}")
    if entry.retired and "base_url" not in settings:
        raise UsageError(_gone(alias, entry, entry.retired))
    if entry.ways:
        settings = _reachable(entry.ways[0].provider, settings)
    if "base_url" in settings:  # the user says where it runs
        way = next((w for w in entry.ways if w.provider == "server"), Way(provider="server", model=alias))
    else:
        keyed = not settings.keys().isdisjoint(("key_env", "key_file"))
        way = _possible_way(alias, entry, only_possible=only_possible, keyed=keyed)
    merged = {**_own_settings(way, settings), **settings}
    model = way.model
    if model.startswith("checkpoint:"):
        model = str(checkpoint(model.removeprefix("checkpoint:")).resolve())
    if model.startswith("package:"):
        model = str(shipped(model.removeprefix("package:")))
    price = None if "base_url" in settings else entry.price
    known = (entry.max_tokens, tuple(dict.fromkeys((*entry.trained_on, *trained_on(model)))), price)
    common = Subject(name or alias, way.provider, model, merged, None, *known)
    if entry.own_system is None:
        return [common]
    return [common, Subject(f"{name or alias} (own prompt)", way.provider, model, merged, entry.own_system, *known)]


def _possible_way(alias: str, entry: Entry, *, only_possible: bool, keyed: bool) -> Way:
    """Return the first way that is possible here, or unless `only_possible` the first; raise UsageError where there is none.

    `keyed` says that the user names a key, so that the provider's usual variable is not missed.
    """
    reasons = {f"{way.provider}/{way.model}": obstacle(way, keyed=keyed) for way in entry.ways}
    for way in entry.ways:
        if not reasons[f"{way.provider}/{way.model}"]:
            return way
    if entry.ways and not only_possible:
        return entry.ways[0]
    tried = "".join(f"\n  - {way}: {reason}" for way, reason in reasons.items())
    raise UsageError(
        f"{alias} cannot be run here yet. Tried:{tried or ' nothing: it has no way declared.'}\n"
        f"Ways out:\n  - serve it anywhere with an OpenAI-compatible server, then: "
        f"tcm-eval run --model {alias} --base-url http://127.0.0.1:8000/v1 ...\n"
        f"{_more_ways_out(entry)}"
        f"  - name another model: see `tcm-eval models list`"
    )


def _gone(alias: str, entry: Entry, end: End) -> str:
    """Return why a retired model is not asked: its name is refused by now, or answered by another model."""
    notes = f" {entry.notes}" if entry.notes else ""
    today = f"  - ask what takes its place: --model {end.instead}\n" if end.instead else ""
    return (
        f"{alias}: its provider took {entry.title} down on {end.day} ({end.source}).{notes}\nWays out:\n{today}"
        f"  - a server that still has it: tcm-eval run --model {alias} --base-url https://HOST/v1 --key-env VARIABLE ...\n"
        "  - what others measured of it, where published: tcm-eval leaderboard"
    )


def _more_ways_out(entry: Entry) -> str:
    """Return the ways out that this entry has besides a server: a checkpoint trained, brought or fetched, and its key."""
    lines = []
    for name in dict.fromkeys(way.model.partition(":")[2] for way in entry.ways if way.model.startswith("checkpoint:")):
        found = recipes(name)
        lines += [f"train it here: tcm-eval train {' | '.join(found)}"] if found else []
        lines += [f"put its checkpoint, or a link to it, at {checkpoint(name)}{'' if found else f'. {entry.notes}'}"]
    needs = [need.strip() for way in entry.ways for need in way.needs.split(",")]
    for repository in dict.fromkeys(need.removeprefix("hub:") for need in needs if need.startswith("hub:")):
        lines += [f"fetch its weights{_size(repository)}, which an alias never does unasked: hf download {repository}"]
    if any(way.provider == "hf" for way in entry.ways):
        lines += ["name any checkpoint's folder on this machine: --model hf/FOLDER"]
    lines += [
        f"set its key: export {need[4:]}=..., or name another variable with --key-env, or a file with --model-arg key_file=PATH"
        for need in dict.fromkeys(needs)
        if need.startswith("env:")
    ]
    return "".join(f"  - {line}\n" for line in lines)


def _size(repository: str) -> str:
    """Return about how large weights are whose name says how many billions of parameters they have, at two bytes each; else nothing."""
    found = re.search(r"(?<![\d.])(\d+(?:\.\d+)?)B(?![A-Za-z])", repository)
    return f" (some {2 * float(found[1]):.0f} GB, if two bytes a parameter)" if found else ""


def _own_settings(way: Way, stated: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the way's settings. A key that belongs to the way's own address never goes to one that the user states."""
    if "base_url" not in stated:
        return way.settings
    return {key: value for key, value in way.settings.items() if key not in ("base_url", "key_env", "key_file")}
