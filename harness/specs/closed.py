"""YAML files as closed schemas: an unknown key is an error with the nearest known one."""

from __future__ import annotations

import difflib
from pathlib import Path
from typing import Any, get_args

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError

from harness.errors import UsageError


class Closed(BaseModel):
    """A model that refuses unknown keys."""

    model_config = ConfigDict(extra="forbid", frozen=True)


def parse(model: type[Any], file: Path, **defaults: str) -> Any:
    """Return the YAML file as `model`; raise UsageError naming the key, with the nearest known one."""
    try:
        raw = yaml.safe_load(file.read_text("utf-8"))
    except OSError as error:
        raise UsageError(f"{file} cannot be read: {error.strerror or error}") from None
    except UnicodeDecodeError as error:
        raise UsageError(f"{file} cannot be read: {error}") from None
    except yaml.YAMLError as error:
        raise UsageError(f"{file} is not YAML: {error}".replace('in "<unicode string>", ', "in ")) from None
    if not isinstance(raw, dict):
        raise UsageError(f"{file}: expected keys and values, found {type(raw).__name__}")
    try:
        return model.model_validate({**defaults, **raw})
    except ValidationError as error:
        raise UsageError(faults(model, file, error)) from None


def faults(model: type[BaseModel], file: Path, error: ValidationError, under: str = "") -> str:
    """Return a line for each thing that is wrong in a file's keys below `under`, with the nearest known key."""
    return "\n".join(_explain(model, file, one, under) for one in error.errors())


def _explain(model: type[BaseModel], file: Path, error: Any, under: str) -> str:
    where = ".".join([*([under] if under else []), *(str(part) for part in error["loc"])])
    if error["type"] != "extra_forbidden":
        said = error["msg"].removeprefix("Value error, ")
        return f"{file}: {where}: {said}" if where else f"{file}: {said}"
    known = _known_keys(model, [str(part) for part in error["loc"][:-1]])
    close = difflib.get_close_matches(str(error["loc"][-1]), known, n=1, cutoff=0.5)
    meant = f" Did you mean '{close[0]}'?" if close else ""
    return f"{file}: unknown key '{where}'.{meant} Known: {', '.join(known)}."


def _known_keys(model: type[BaseModel], path: list[str]) -> list[str]:
    for part in path:
        field = model.model_fields.get(part)
        inner = (
            [t for t in _types(field.annotation) if isinstance(t, type) and issubclass(t, BaseModel)] if field else []
        )
        if not inner:
            continue
        model = inner[0]
    return sorted(set(model.model_fields) - {"suite", "folder"})


def _types(annotation: Any) -> list[Any]:
    parts = get_args(annotation)
    return [annotation, *(inner for part in parts for inner in _types(part))]
