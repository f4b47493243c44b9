"""`registry.yaml`: aliases of models, the ways to reach each, and what is known of it."""

from __future__ import annotations

import os
from collections.abc import Mapping
from datetime import date
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Any

import yaml
from pydantic import BeforeValidator, Field, StringConstraints, ValidationError, field_validator

from harness.errors import UsageError
from harness.specs import Closed, faults
from harness.suites import system_text

Day = Annotated[
    str,
    BeforeValidator(lambda said: said.isoformat() if isinstance(said, date) else said),
    StringConstraints(pattern=r"^\d{4}-\d\d(-\d\d)?$"),
]
"""A day or a month as text, 2026-11-21 or 2026-11; YAML makes a date of what stands there without quotes."""

NEEDS = ("package", "env", "gpu", "hub", "checkpoint", "folder")
"""What a way may need: `KIND:NAME`, several separated by commas."""


class Way(Closed):
    """One way to reach a model: provider, the provider's name of it, and the provider's settings."""

    provider: str
    model: str
    settings: Mapping[str, Any] = {}
    needs: str = ""

    @field_validator("needs")
    @classmethod
    def _known(cls, needs: str) -> str:
        for need in filter(None, (part.strip() for part in needs.split(","))):
            kind, _, name = need.partition(":")
            if kind not in NEEDS or (kind == "gpu") == bool(name):
                raise ValueError(
                    f"'{need}' is no need. Known: gpu, {', '.join(f'{k}:NAME' for k in NEEDS if k != 'gpu')}"
                )
        return needs


class Price(Closed):
    """What a provider asks for a million tokens, as read on `date` at `source`; reasoning counts as output."""

    input: Annotated[float, Field(ge=0)]
    output: Annotated[float, Field(ge=0)]
    currency: str
    date: Day
    source: str

    def of(self, tokens_in: float, tokens_out: float) -> float:
        """Return the cost of so many tokens. Discounts for cached or batched tokens are left out: it is an upper bound."""
        return (tokens_in * self.input + tokens_out * self.output) / 1e6


class End(Closed):
    """The `day` on which its provider takes a model down, as read at `source`; `instead` is the alias that takes its place."""

    day: Day
    source: str
    instead: str = ""


class Entry(Closed):
    """One alias of `registry.yaml`. The first way that is possible here is taken.

    `ends` is an end that its provider has announced, `retired` one that is past: then the alias is refused.
    """

    title: str = ""
    ways: tuple[Way, ...] = ()
    own_system: str | None = None
    max_tokens: Annotated[int, Field(ge=1)] | None = None
    trained_on: Annotated[
        tuple[str, ...], BeforeValidator(lambda said: (said,) if isinstance(said, str) else said)
    ] = ()
    published_only: bool = False
    confirmed: bool = True
    ends: End | None = None
    retired: End | None = None
    price: Price | None = None
    notes: str = ""

    @field_validator("own_system")
    @classmethod
    def _there(cls, name: str | None) -> str | None:
        try:
            if name is not None:
                system_text(name)
        except UsageError as error:
            raise ValueError(str(error)) from None
        return name


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
            raise UsageError(f"{file} is not YAML: {error}".replace('in "<unicode string>", ', "in ")) from None
        if not isinstance(raw, dict):
            raise UsageError(f"{file}: expected aliases, each with keys and values, found {type(raw).__name__}")
        for name, entry in raw.items():
            if not isinstance(entry, dict):
                raise UsageError(f"{file}: {name}: expected keys and values, found {type(entry).__name__}")
            try:
                found[str(name)] = _placed(Entry.model_validate(entry), file.parent)
            except ValidationError as error:
                raise UsageError(faults(Entry, file, error, str(name))) from None
    return found


def _placed(entry: Entry, folder: Path) -> Entry:
    """Return the entry with what begins with `./` in its ways as paths from the registry file's own folder."""

    def path(value: Any) -> Any:
        return str(folder / value[2:]) if isinstance(value, str) and value.startswith("./") else value

    ways = []
    for way in entry.ways:
        settings = {key: path(value) for key, value in way.settings.items()}
        needs = way.needs.replace("folder:./", f"folder:{folder}/")
        ways.append(way.model_copy(update={"settings": settings, "model": path(way.model), "needs": needs}))
    return entry.model_copy(update={"ways": tuple(ways)})


def known_price(provider: str, model: str, base_url: str | None = None) -> Price | None:
    """Return the price of a provider's model if an alias states it; None at another address: who answers there has prices of its own."""
    asked = base_url.rstrip("/") if base_url else None
    for entry in entries().values():
        for way in entry.ways:
            if entry.price and (way.provider, way.model) == (provider, model) and way.settings.get("base_url") == asked:
                return entry.price
    return None
