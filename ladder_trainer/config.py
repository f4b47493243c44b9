"""Recipe files -> `Recipe`: found by name or path, `extends` resolved, `--set` applied, errors named with the nearest key."""

from __future__ import annotations

import difflib
import hashlib
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, get_args

import yaml
from pydantic import BaseModel, ValidationError

from harness.errors import UsageError, unknown
from ladder_trainer.recipe import Recipe

RECIPES = Path(__file__).resolve().parent / "recipes"


def recipe_names() -> list[str]:
    """Return the names of the recipes that ship."""
    return sorted(path.stem for path in RECIPES.glob("*.yaml"))


def load_recipe(name: str, changes: Iterable[str] = ()) -> Recipe:
    """Return the recipe of a shipped name or a YAML file, with `key.key=value` changes.

    Raises UsageError for an unknown recipe, an unknown key (with the nearest known one) and a wrong value.
    """
    path = Path(name)
    if path.suffix not in (".yaml", ".yml"):
        if name not in recipe_names():
            raise unknown("recipe", name, recipe_names(), "Or give a recipe's YAML file.")
        path = RECIPES / f"{name}.yaml"
    raw = _read(path, ())
    for change in changes:
        raw = _merge(raw, _change(change))
    try:
        return Recipe.model_validate(raw)
    except ValidationError as error:
        raise UsageError("\n".join(_explain(str(path), one) for one in error.errors())) from None


def fingerprint(recipe: Recipe) -> str:
    """Return 8 hex digits of all that determines the weights."""
    text = json.dumps(recipe.determining(), sort_keys=True, ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()[:8]


def differences(old: Mapping[str, Any], new: Mapping[str, Any], prefix: str = "") -> list[str]:
    """Return `key: old -> new` for every leaf in which two recipes differ."""
    found: list[str] = []
    for key in sorted({*old, *new}):
        a, b = old.get(key), new.get(key)
        if isinstance(a, Mapping) and isinstance(b, Mapping):
            found += differences(a, b, f"{prefix}{key}.")
        elif a != b:
            found.append(f"{prefix}{key}: {a!r} -> {b!r}")
    return found


def _read(path: Path, seen: tuple[Path, ...]) -> dict[str, Any]:
    if path in seen:
        raise UsageError(f"{path}: a recipe extends itself by way of {' -> '.join(p.name for p in seen)}")
    try:
        raw = yaml.safe_load(path.read_text("utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"recipe {path} cannot be read: {error}") from None
    except yaml.YAMLError as error:
        raise UsageError(f"recipe {path} is not YAML: {error}") from None
    if not isinstance(raw, dict):
        raise UsageError(f"recipe {path}: expected keys and values, found {type(raw).__name__}")
    parent = raw.pop("extends", None)
    if parent is None:
        return raw
    beside = path.parent / f"{parent}.yaml"
    file = beside if beside.is_file() else RECIPES / f"{parent}.yaml"
    if not file.is_file():
        raise unknown(f"recipe ({path.name} extends it)", str(parent), recipe_names())
    return _merge(_read(file, (*seen, path)), raw)


def _merge(under: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(under)
    for key, value in over.items():
        old = merged.get(key)
        merged[key] = _merge(old, value) if isinstance(old, Mapping) and isinstance(value, Mapping) else value
    return merged


def _change(text: str) -> dict[str, Any]:
    key, equals, value = text.partition("=")
    if not equals or not key.strip():
        raise UsageError(f"--set {text}: expected KEY=VALUE, for example --set grpo.learning_rate=1e-6")
    try:
        nested: Any = yaml.safe_load(value)
    except yaml.YAMLError as error:
        raise UsageError(f"--set {text}: the value is not YAML: {error}") from None
    for part in reversed(key.strip().split(".")):
        nested = {part: nested}
    whole: dict[str, Any] = nested
    return whole


def _explain(where: str, error: Any) -> str:
    key = ".".join(str(part) for part in error["loc"])
    if error["type"] == "missing":
        return f"{where}: '{key}' is missing"
    if error["type"] != "extra_forbidden":
        return f"{where}: {key or 'recipe'}: {str(error['msg']).removeprefix('Value error, ')}"
    known = _known([str(part) for part in error["loc"][:-1]])
    close = difflib.get_close_matches(str(error["loc"][-1]), known, n=1, cutoff=0.5)
    meant = f" Did you mean '{close[0]}'?" if close else ""
    return f"{where}: unknown key '{key}'.{meant} Known: {', '.join(known)}."


def _known(path: list[str]) -> list[str]:
    model: type[BaseModel] = Recipe
    for part in path:
        inner = [t for t in _types(model.model_fields[part].annotation) if isinstance(t, type)]
        model = next(t for t in inner if issubclass(t, BaseModel))
    return sorted(model.model_fields)


def _types(annotation: Any) -> list[Any]:
    return [annotation, *(inner for part in get_args(annotation) for inner in _types(part))]
