"""The knowledge base in memory: one cached function per file, each read when it is first asked for.

Every line becomes a frozen entry (see `entries.py`). A line that is no such entry raises UsageError with `file:line`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

import orjson

from harness.errors import UsageError
from harness.knowledge.entries import (
    Disease,
    DiseasePattern,
    Dose,
    Fact,
    Formula,
    Herb,
    Incompatibility,
    Ingredient,
    Modification,
    Processed,
    Source,
    Syndrome,
)

HERE = Path(__file__).parent
FILES = (
    "herbs",
    "formulas",
    "syndromes",
    "diseases",
    "fundamentals",
    "diagnostics",
    "incompatibilities",
    "words",
)

_Row = Mapping[str, Any]
_Item = TypeVar("_Item")


def rows(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yield (line number, object) of a JSONL file; raise UsageError with `file:line` for a line that is no object."""
    try:
        lines = path.read_bytes().splitlines()
    except OSError as error:
        raise UsageError(f"cannot read {path}: {error.strerror}") from None
    for number, line in enumerate(lines, 1):
        try:
            row = orjson.loads(line)
        except orjson.JSONDecodeError as error:
            raise UsageError(f"{path}:{number}: not JSON: {error}") from None
        if not isinstance(row, dict):
            raise UsageError(f"{path}:{number}: expected an object, found {type(row).__name__}")
        yield number, row


def read(folder: Path, name: str, build: Callable[[_Row], _Item]) -> Iterator[tuple[int, _Item]]:
    """Yield (line number, entry) of the file `name` of a knowledge base; raise UsageError with `file:line`."""
    path = folder / f"{name}.jsonl"
    for number, row in rows(path):
        try:
            yield number, build(row)
        except KeyError as error:
            raise UsageError(f"{path}:{number}: no key {error}") from None
        except TypeError as error:
            raise UsageError(f"{path}:{number}: {error}") from None


@cache
def version() -> str:
    """Return 8 hex digits that change whenever any fact of the knowledge base does: the metrics' signatures carry them."""
    digest = hashlib.sha256()
    for name in FILES:
        digest.update(name.encode())
        digest.update((HERE / f"{name}.jsonl").read_bytes())
    return digest.hexdigest()[:8]


@cache
def herbs() -> tuple[Herb, ...]:
    """Return every medicinal."""
    return tuple(entry for _, entry in read(HERE, "herbs", herb_of))


@cache
def formulas() -> tuple[Formula, ...]:
    """Return every formula."""
    return tuple(entry for _, entry in read(HERE, "formulas", formula_of))


@cache
def syndromes() -> tuple[Syndrome, ...]:
    """Return every pattern."""
    return tuple(entry for _, entry in read(HERE, "syndromes", syndrome_of))


@cache
def diseases() -> tuple[Disease, ...]:
    """Return every disease."""
    return tuple(entry for _, entry in read(HERE, "diseases", disease_of))


@cache
def facts() -> tuple[Fact, ...]:
    """Return the facts of both fields, fundamentals first."""
    both = (read(HERE, name, fact_of) for name in ("fundamentals", "diagnostics"))
    return tuple(entry for file in both for _, entry in file)


@cache
def incompatibilities() -> tuple[Incompatibility, ...]:
    """Return the rules of 十八反, 十九畏 and of pregnancy."""
    return tuple(entry for _, entry in read(HERE, "incompatibilities", incompatibility_of))


# ------------------------------------------------------------------ one line -> one entry


def _source(row: _Row) -> Source:
    return Source(**row["source"])


def herb_of(row: _Row) -> Herb:
    """Return the medicinal that a line of herbs.jsonl states."""
    dose = row["dose"]
    return Herb(
        **{
            **_listed(row),
            "processed": tuple(Processed(**_listed(form)) for form in row["processed"]),
            "dose": Dose(**dose) if dose else None,
            "source": _source(row),
        }
    )


def formula_of(row: _Row) -> Formula:
    """Return the formula that a line of formulas.jsonl states."""
    changes = tuple(
        Modification(tuple(m["add"]), tuple(m["remove"]), m["name"] or None, m["for"] or None)
        for m in row["modifications"]
    )
    return Formula(
        **{
            **_listed(row),
            "composition": tuple(Ingredient(**herb) for herb in row["composition"]),
            "modifications": changes,
            "source": _source(row),
        }
    )


def syndrome_of(row: _Row) -> Syndrome:
    """Return the pattern that a line of syndromes.jsonl states."""
    return Syndrome(**{**_listed(row), "source": _source(row)})


def disease_of(row: _Row) -> Disease:
    """Return the disease that a line of diseases.jsonl states."""
    patterns = tuple(DiseasePattern(**pattern) for pattern in row["patterns"])
    return Disease(**{**_listed(row), "patterns": patterns, "source": _source(row)})


def fact_of(row: _Row) -> Fact:
    """Return the fact that a line of fundamentals.jsonl or diagnostics.jsonl states."""
    listed = _listed(row)
    listed["kind"] = listed.pop("class")
    return Fact(**{**listed, "source": _source(row)})


def incompatibility_of(row: _Row) -> Incompatibility:
    """Return the rule that a line of incompatibilities.jsonl states."""
    return Incompatibility(**{**_listed(row), "source": _source(row)})


def _listed(row: _Row) -> dict[str, Any]:
    return {key: tuple(value) if isinstance(value, list) else value for key, value in row.items()}
