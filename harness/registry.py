"""Metrics, extractors and adapters by name, with "did you mean".

A metric or an extractor is one decorated function; its file is found because it lies in `harness/metrics` or
`harness/extract`. An adapter is a file `model_adapters/<provider>.py`, or an entry point in the group `tcm_eval.adapters`.
"""

from __future__ import annotations

import importlib
import importlib.util
import logging
import pkgutil
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal, TypeVar

from harness.errors import UsageError, unknown
from harness.types import Sample, Value

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

Answer = str | tuple[str, ...] | frozenset[str]
"""What an extractor read: a text, one text per blank, or a set of option letters."""

Options = Mapping[str, Any]
"""A metric's options as its task's YAML states them."""

Family = Literal["choice", "blanks", "text", "case", "logprob"]


@dataclass(frozen=True, slots=True)
class Extractor:
    """Reads a model's text. `read(text without reasoning, sample)` gives None when there is no readable answer."""

    name: str
    version: int
    read: Callable[[str, Sample], Answer | None]

    @property
    def signature(self) -> str:
        return f"{self.name}@{self.version}"


@dataclass(frozen=True, slots=True)
class Metric:
    """Judges answers.

    `score(pairs, options)` gets (sample, answer) pairs, whose answer was parsed, and returns one `Value` each, in order;
    it is handed many at a time so that a metric with an encoder can batch. `combine`, where there is one, turns summed
    `parts` (columns in the order of `parts`) of shape (resamples, n_parts) into corpus values of shape (resamples,).
    `signature(options)` says what produced the number: tokenizer, weights, library version. Both take the options that
    `options` names and no other.
    `bounds` are the least and the greatest possible value, None where there is none.
    """

    name: str
    version: int
    family: tuple[Family, ...]
    score: Callable[[Sequence[tuple[Sample, Answer]], Options], list[Value]]
    signature: Callable[[Options], str]
    parts: tuple[str, ...] = ()
    combine: Callable[[Any], Any] | None = None
    bounds: tuple[float | None, float | None] = (0.0, 1.0)
    higher_is_better: bool = True
    chance: Callable[[Sample], float | None] | None = None
    options: tuple[str, ...] = ()

    def check(self, options: Options) -> None:
        """Raise UsageError for an option that the metric does not have."""
        for name in options:
            if name not in self.options:
                hint = "" if self.options else "This metric has no options: leave it out."
                raise unknown(f"option of metric {self.name}", str(name), self.options, hint)

    @property
    def range(self) -> tuple[float, float] | None:
        """Return the least and the greatest possible value, None unless it has both."""
        least, greatest = self.bounds
        return None if least is None or greatest is None else (least, greatest)


_Item = TypeVar("_Item")
_METRICS: dict[str, Metric] = {}
_EXTRACTORS: dict[str, Extractor] = {}


def extractor(
    name: str, *, version: int = 1
) -> Callable[[Callable[[str, Sample], Answer | None]], Callable[[str, Sample], Answer | None]]:
    """Return a decorator that registers an extractor under `name`."""

    def register(
        read: Callable[[str, Sample], Answer | None],
    ) -> Callable[[str, Sample], Answer | None]:
        _add("extractor", _EXTRACTORS, name, Extractor(name, version, read))
        return read

    return register


def add_metric(metric: Metric) -> Metric:
    """Register a metric that is more than one function of one answer, and return it with its options checked in every call."""

    def score(pairs: Sequence[tuple[Sample, Answer]], options: Options) -> list[Value]:
        metric.check(options)
        return metric.score(pairs, options)

    def signature(options: Options) -> str:
        metric.check(options)
        return metric.signature(options)

    checked = replace(metric, score=score, signature=signature)
    _add("metric", _METRICS, metric.name, checked)
    return checked


def metric(
    name: str,
    *,
    family: Family | tuple[Family, ...],
    version: int = 1,
    signature: Callable[[Options], str] = lambda _options: "",
    bounds: tuple[float | None, float | None] = (0.0, 1.0),
    higher_is_better: bool = True,
    chance: Callable[[Sample], float | None] | None = None,
) -> Callable[[Callable[[Sample, Any], float | Value]], Callable[[Sample, Any], float | Value]]:
    """Return a decorator that registers a function of one (sample, answer) as a metric whose total is the mean."""

    def register(
        judge: Callable[[Sample, Any], float | Value],
    ) -> Callable[[Sample, Any], float | Value]:
        def score(pairs: Sequence[tuple[Sample, Answer]], _options: Options) -> list[Value]:
            values = (judge(sample, answer) for sample, answer in pairs)
            return [v if isinstance(v, Value) else Value(v) for v in values]

        families = (family,) if isinstance(family, str) else family
        add_metric(
            Metric(
                name,
                version,
                families,
                score,
                signature,
                bounds=bounds,
                higher_is_better=higher_is_better,
                chance=chance,
            )
        )
        return judge

    return register


def _add(kind: str, table: dict[str, _Item], name: str, item: _Item) -> None:
    if name in table:
        raise UsageError(f"two {kind}s are named '{name}': give one another name")
    table[name] = item


def _load(package: str, until: Callable[[], bool] = lambda: False) -> None:
    """Import the modules of a package one by one, and stop as soon as the wanted name is there: some are slow to import."""
    module = importlib.import_module(package)
    for found in pkgutil.iter_modules(module.__path__):
        if until():
            return
        importlib.import_module(f"{package}.{found.name}")


def _load_if_missing(name: str, table: Mapping[str, object], package: str) -> None:
    if name not in table:
        _load(package, lambda: name in table)


def get_metric(name: str) -> Metric:
    """Return the metric called `name`; raise UsageError with close names when there is none."""
    _load_if_missing(name, _METRICS, "harness.metrics")
    if name not in _METRICS:
        raise unknown("metric", name, _METRICS)
    return _METRICS[name]


def get_extractor(name: str) -> Extractor:
    """Return the extractor called `name`; raise UsageError with close names when there is none."""
    _load_if_missing(name, _EXTRACTORS, "harness.extract")
    if name not in _EXTRACTORS:
        raise unknown("extractor", name, _EXTRACTORS)
    return _EXTRACTORS[name]


def metric_names() -> list[str]:
    """Return the names of all metrics."""
    _load("harness.metrics")
    return sorted(_METRICS)


# ------------------------------------------------------------------ providers

_LOG = logging.getLogger("tcm_eval")


def adapter_names() -> list[str]:
    """Return the names of all providers, ours and those of installed packages. No package is imported for it."""
    return sorted({*_own_adapters(), *_plugins()})


def _own_adapters() -> list[str]:
    spec = importlib.util.find_spec("model_adapters")
    folders: Iterable[str] = (spec.submodule_search_locations or ()) if spec else ()
    return [m.name for m in pkgutil.iter_modules(folders) if not m.name.startswith("_")]


def _plugins() -> dict[str, list[EntryPoint]]:
    """Return what installed packages offer, by name; of two packages of one name both are here."""
    from importlib.metadata import entry_points

    found: dict[str, list[EntryPoint]] = {}
    for point in sorted(entry_points(group="tcm_eval.adapters"), key=_package):
        found.setdefault(point.name, []).append(point)
    return found


def _package(point: EntryPoint) -> str:
    return f"package {point.dist.name} {point.dist.version}" if point.dist else "an installed package"


def plugin_states() -> dict[str, str]:
    """Return for each provider that installed packages offer its package, and what is wrong with it, empty when nothing is."""
    states = {}
    for name, points in _plugins().items():
        packages = " and ".join(_package(point) for point in points)
        try:
            state = _taken(name, points)
            if not state:
                _load_plugin(name, points)
        except UsageError as error:
            state = str(error)
        states[f"{name} ({packages})"] = state
    return states


def _taken(name: str, points: Sequence[EntryPoint]) -> str:
    if name not in _own_adapters():
        return ""
    packages = " and ".join(_package(point) for point in points)
    return f"{packages} offers a provider '{name}', a name that tcm-eval itself has: its own one is used"


def get_adapter(name: str) -> Callable[..., Any]:
    """Return the `build` function of the provider `name`.

    Raises UsageError with close names when there is none, and naming the package when that of an installed one cannot be used. A name of
    ours is never taken by a package.
    """
    points = _plugins().get(name, [])
    if name in _own_adapters():
        if points:
            _LOG.warning("%s", _taken(name, points))
        build: Callable[..., Any] = importlib.import_module(f"model_adapters.{name}").build
        return build
    if not points:
        raise unknown("provider", name, adapter_names())
    return _load_plugin(name, points)


def _load_plugin(name: str, points: Sequence[EntryPoint]) -> Callable[..., Any]:
    packages = " and ".join(_package(point) for point in points)
    if len(points) > 1:
        raise UsageError(f"{packages} both offer a provider '{name}': uninstall one of them")
    try:
        loaded = points[0].load()
    except (Exception, SystemExit) as error:  # whatever a foreign module raises when it is imported
        raise _unusable(name, points[0], f"{type(error).__name__}: {error}") from error
    build = loaded if callable(loaded) else getattr(loaded, "build", None)
    if not callable(build):
        raise _unusable(name, points[0], "it has no function build(model, *, settings...)")
    made: Callable[..., Any] = build
    return made


def _unusable(name: str, point: EntryPoint, why: str) -> UsageError:
    return UsageError(
        f"the provider '{name}' of {_package(point)} ({point.value}) cannot be used: {why}. "
        "Mend or uninstall the package; everything else works without it."
    )
