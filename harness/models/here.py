"""What of a model is on this machine: checkpoints, packages, and why a way to it is not possible here."""

from __future__ import annotations

import json
import os
from importlib.util import find_spec
from pathlib import Path

from harness.errors import UsageError
from harness.models.aliases import Way
from harness.registry import adapter_names
from harness.suites import default_data_root


def checkpoint(name: str) -> Path:
    """Return where `tcm-eval train` keeps the newest checkpoint of that name; it need not exist."""
    return default_data_root() / "checkpoints" / name / "latest"


def recipes(name: str) -> list[str]:
    """Return the shipped recipes of `tcm-eval train` that make a checkpoint of that name, those of all its weights first."""
    spec = find_spec("ladder_trainer")
    roots = (spec.submodule_search_locations or ()) if spec else ()
    found = [file.stem for root in roots for file in sorted((Path(root) / "recipes").glob(f"{name}*.yaml"))]
    return sorted(found, key=lambda one: (one.endswith("-lora"), "paper" not in one))


def bring(name: str) -> str:
    """Return how to bring a checkpoint of that name to where it is looked for."""
    return next(
        (f"tcm-eval train {recipe}" for recipe in recipes(name)), f"put it, or a link to it, at {checkpoint(name)}"
    )


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


EXTRAS = {"vllm": "vllm", "openai": "providers", "anthropic": "providers", "google.genai": "providers"}
"""The extra of tcm-eval that brings a package, where it is not `hf`."""


def _installed(package: str) -> bool:
    try:
        return find_spec(package) is not None
    except ModuleNotFoundError:  # the package that this one would lie in is not there
        return False


def obstacle(way: Way, *, keyed: bool = False) -> str:
    """Return all that makes a way not possible here, each with its cure in brackets; empty when nothing does.

    Where a key is named otherwise (`keyed`), its usual environment variable is not missed.
    """
    if way.provider not in adapter_names():
        return f"this installation has no provider '{way.provider}'"
    needs = [need.strip().partition(":") for need in way.needs.split(",") if need.strip()]
    packages = [name for kind, _, name in needs if kind == "package" and not _installed(name)]
    missing = []
    if packages:
        extra = EXTRAS.get(packages[0], "hf")
        several = len(packages) > 1
        named = " and ".join(f"'{name}'" for name in packages)
        missing.append(
            f"package{'s' if several else ''} {named} {'are' if several else 'is'} not installed (pip install 'tcm-eval[{extra}]')"
        )
    return "; ".join(
        [*missing, *filter(None, (_lacking(kind, rest) for kind, _, rest in needs if not (keyed and kind == "env")))]
    )


def _lacking(kind: str, rest: str) -> str:
    if kind == "env" and not os.environ.get(rest):
        return f"environment variable {rest} is not set"
    if kind == "gpu" and not _has_gpu():
        return "no GPU was found"
    if kind == "hub" and not _in_hub_cache(rest):
        return f"{rest} is not in the local model cache (fetch it once with: hf download {rest})"
    if kind == "checkpoint" and not checkpoint(rest).is_dir():
        return f"no checkpoint of {rest} is here ({bring(rest)})"
    if kind == "folder" and not Path(os.path.expandvars(rest)).expanduser().is_dir():
        return f"folder {rest} does not exist"
    return ""


def _has_gpu() -> bool:
    return Path("/dev/nvidia0").exists() or Path("/dev/kfd").exists()


def _in_hub_cache(repository: str) -> bool:
    """Tell whether a model's files are in the cache of the hub; a folder that a broken download left has no config.json."""
    home = os.environ.get("HF_HOME") or f"{os.environ.get('XDG_CACHE_HOME') or '~/.cache'}/huggingface"
    cache = Path(os.environ.get("HF_HUB_CACHE") or f"{home}/hub").expanduser()
    return any((cache / f"models--{repository.replace('/', '--')}" / "snapshots").glob("*/config.json"))
