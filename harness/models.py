"""`--model` -> a subject that answers: registry entries (aliases, own prompts, what they were trained on) and providers."""

from __future__ import annotations

import inspect
import json
import os
import sysconfig
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from harness.errors import UsageError, unknown
from harness.registry import adapter_names, get_adapter
from harness.specs import Closed, faults
from harness.suites import default_data_root
from harness.types import BatchModel, Model


class Way(Closed):
    """One way to reach a model: provider, the provider's name of it, and the provider's settings."""

    provider: str
    model: str
    settings: Mapping[str, Any] = {}
    needs: str = ""


class Price(Closed):
    """What a provider asks for a million tokens, as read on `date` at `source`; reasoning counts as output."""

    input: float
    output: float
    currency: str
    date: str
    source: str

    def of(self, tokens_in: float, tokens_out: float) -> float:
        """Return the cost of so many tokens. Discounts for cached or batched tokens are left out: it is an upper bound."""
        return (tokens_in * self.input + tokens_out * self.output) / 1e6


class Entry(Closed):
    """One alias of `registry.yaml`. The first way that is possible here is taken."""

    title: str = ""
    ways: tuple[Way, ...] = ()
    own_system: str | None = None
    max_tokens: int | None = None
    trained_on: tuple[str, ...] = ()
    published_only: bool = False
    confirmed: bool = True
    price: Price | None = None
    notes: str = ""


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
        _check_settings(self.provider, make, self.settings)
        built: object = make(self.model, **self.settings)
        if not isinstance(built, Model | BatchModel):
            raise UsageError(
                f"provider {self.provider} built a {type(built).__name__}, which is no model: it needs name, identity, and either "
                "async generate(request) and async aclose(), or max_batch and generate_batch(requests)"
            )
        return built


def _check_settings(provider: str, make: Callable[..., Any], settings: Mapping[str, Any]) -> None:
    allowed = [name for name in inspect.signature(make).parameters if name != "model"]
    for name in settings:
        if name not in allowed:
            raise unknown(f"setting of provider {provider}", name, allowed)


@lru_cache(maxsize=1)
def entries() -> Mapping[str, Entry]:
    """Return all aliases: ours and those of the user's own file (`TCM_EVAL_REGISTRY`), which may replace ours."""
    found: dict[str, Entry] = {}
    spec = find_spec("model_adapters")
    files = [Path(place) / "registry.yaml" for place in (spec.submodule_search_locations or ())] if spec else []
    own = os.environ.get("TCM_EVAL_REGISTRY")
    if own:
        files.append(Path(own))
    for file in files:
        if not file.is_file():
            raise UsageError(f"model registry {file} does not exist (TCM_EVAL_REGISTRY names it)")
        try:
            raw = yaml.safe_load(file.read_text("utf-8")) or {}
        except (yaml.YAMLError, UnicodeDecodeError) as error:
            raise UsageError(f"{file} is not YAML: {error}") from None
        if not isinstance(raw, dict):
            raise UsageError(f"{file}: expected aliases, each with keys and values, found {type(raw).__name__}")
        for name, entry in raw.items():
            try:
                found[str(name)] = _placed(Entry.model_validate(entry), file.parent)
            except ValidationError as error:
                raise UsageError(faults(Entry, file, error, str(name))) from None
    return found


def _placed(entry: Entry, folder: Path) -> Entry:
    """Return the entry with its settings that begin with `./` as paths from the registry file's own folder."""
    ways = []
    for way in entry.ways:
        settings = {
            key: str(folder / value[2:]) if isinstance(value, str) and value.startswith("./") else value
            for key, value in way.settings.items()
        }
        ways.append(way.model_copy(update={"settings": settings}))
    return entry.model_copy(update={"ways": tuple(ways)})


def known_price(provider: str, model: str) -> Price | None:
    """Return the price of a provider's model if an alias states it."""
    for entry in entries().values():
        if entry.price and any(way.provider == provider and way.model == model for way in entry.ways):
            return entry.price
    return None


def checkpoint(name: str) -> Path:
    """Return where `tcm-eval train` keeps the newest checkpoint of that name; it need not exist."""
    return default_data_root() / "checkpoints" / name / "latest"


def shipped(place: str) -> Path:
    """Return the path of `PACKAGE/FOLDER` inside an installed package, without importing it; UsageError when it is not there."""
    package, _, inside = place.partition("/")
    spec = find_spec(package)
    for root in (spec.submodule_search_locations or ()) if spec else ():
        if (Path(root) / inside).is_dir():
            return Path(root) / inside
    raise UsageError(f"the installed package '{package}' holds no folder {inside}: install tcm-eval anew")


def trained_on(model: str) -> tuple[str, ...]:
    """Return the suites that a local checkpoint has learned from, as the `training.json` beside its weights says.

    Empty for a model that is no folder or has no such file; raises UsageError when the file cannot be read.
    """
    path = Path(model).expanduser() / "training.json"
    if not path.is_file():
        return ()
    try:
        known = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise UsageError(f"{path}, which says what the checkpoint was trained on, cannot be read: {error}") from None
    return tuple(known.get("trained_on", ())) if isinstance(known, dict) else ()


def resolve(
    text: str, settings: Mapping[str, Any], name: str | None = None, *, only_possible: bool = True
) -> list[Subject]:
    """Return the subjects that `--model text` means: one, or two when the entry has a prompt of its own.

    Raises UsageError for an unknown provider or alias, and for an alias none of whose ways is possible here; unless
    `only_possible` is False, for an estimate that asks nobody needs no key: then its first way stands.
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
        price = known_price(provider, model)
        seen = trained_on(model)
        return [Subject(name or text, provider, model, _reachable(provider, settings), trained_on=seen, price=price)]
    if text not in entries():
        if text in adapter_names():
            raise UsageError(f"--model {text}: add the model's name after '/', for example {text}/NAME")
        raise unknown(
            "model", text, entries(), "Or provider/name, for example server/NAME: see `tcm-eval models list`."
        )
    return _from_entry(text, entries()[text], settings, name, only_possible=only_possible)


def _reachable(provider: str, settings: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the settings without an address, for providers that need none: --base-url is meant for the other --model."""
    return {k: v for k, v in settings.items() if provider not in ("echo", "replay") or k not in ("base_url", "key_env")}


def _from_entry(
    alias: str, entry: Entry, settings: Mapping[str, Any], name: str | None, *, only_possible: bool
) -> list[Subject]:
    if entry.published_only:
        raise UsageError(f"{alias} has no API and no weights: only its published numbers can be shown. {entry.notes}")
    if entry.ways:
        settings = _reachable(entry.ways[0].provider, settings)
    if "base_url" in settings:  # the user says where it runs
        way = next((w for w in entry.ways if w.provider == "server"), Way(provider="server", model=alias))
    else:
        reasons = {f"{w.provider}/{w.model}": obstacle(w) for w in entry.ways}
        possible = [w for w in entry.ways if not reasons[f"{w.provider}/{w.model}"]]
        possible = possible or ([] if only_possible else list(entry.ways[:1]))
        if not possible:
            tried = "".join(f"\n  - {way}: {reason}" for way, reason in reasons.items())
            raise UsageError(
                f"{alias} cannot be run here yet. Tried:{tried or ' nothing: it has no way declared.'}\n"
                f"Ways out:\n  - serve it anywhere with an OpenAI-compatible server, then: "
                f"tcm-eval run --model {alias} --base-url http://127.0.0.1:8000/v1 ...\n"
                f"{_more_ways_out(entry)}"
                f"  - name another model: see `tcm-eval models list`"
            )
        way = possible[0]
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


def _more_ways_out(entry: Entry) -> str:
    made = [way.model.partition(":")[2] for way in entry.ways if way.model.startswith("checkpoint:")]
    keys = dict.fromkeys(way.settings["key_env"] for way in entry.ways if "key_env" in way.settings)
    lines = [
        f"  - train it here: tcm-eval train (its checkpoint {name} is then found by itself)\n" for name in made[:1]
    ]
    return "".join([*lines, *(f"  - set its key: export {key}=...\n" for key in keys)])


def _own_settings(way: Way, stated: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the way's settings. A key that belongs to the way's own address never goes to one that the user states."""
    if "base_url" not in stated:
        return way.settings
    return {key: value for key, value in way.settings.items() if key not in ("base_url", "key_env", "key_file")}


def obstacle(way: Way) -> str:
    """Return why a way is not possible here, empty when it is."""
    if way.provider not in adapter_names():
        return f"this installation has no provider '{way.provider}'"
    for package in filter(None, (part.strip() for part in way.needs.split(","))):
        kind, _, rest = package.partition(":")
        if kind == "package" and find_spec(rest) is None:
            return f"package '{rest}' is not installed (pip install 'tcm-eval[{'vllm' if rest == 'vllm' else 'hf'}]')"
        if kind == "env" and not os.environ.get(rest):
            return f"environment variable {rest} is not set"
        if kind == "gpu" and not _has_gpu():
            return "no GPU was found"
        if kind == "hub" and not _in_hub_cache(rest):
            return f"{rest} is not in the local model cache (fetch it once with: hf download {rest})"
        if kind == "checkpoint" and not checkpoint(rest).is_dir():
            return f"no checkpoint of {rest} was made here (tcm-eval train)"
        if kind == "folder" and not Path(os.path.expandvars(rest)).expanduser().is_dir():
            return f"folder {rest} does not exist"
    return ""


def _has_gpu() -> bool:
    return Path("/dev/nvidia0").exists() or Path("/dev/kfd").exists()


def _in_hub_cache(repository: str) -> bool:
    home = os.environ.get("HF_HUB_CACHE") or str(
        Path(os.environ.get("HF_HOME", "~/.cache/huggingface")).expanduser() / "hub"
    )
    return (Path(home) / f"models--{repository.replace('/', '--')}").is_dir()


def published_root() -> Path:
    """Return the folder of published numbers: the checkout's, or the installed one."""
    beside = Path(__file__).resolve().parent.parent / "results" / "published"
    return beside if beside.is_dir() else Path(sysconfig.get_path("data")) / "share" / "tcm-eval" / "published"
