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
