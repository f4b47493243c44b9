"""What a checkpoint is, by its bytes: a new one at the same path must never be served the old one's answers."""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from collections.abc import Iterable
from pathlib import Path

REMEMBER_FROM = 1 << 30
"""Bytes from which a file's hash is remembered. Smaller files are read anew each time: that takes a second at most."""


def digest(files: Iterable[Path]) -> str:
    """Return 16 hex digits over the names and the whole contents of `files`; any changed byte changes them."""
    total = hashlib.sha256()
    for file in sorted(files, key=lambda file: file.name):
        total.update(f"{file.name}\x1f{_hash(file)}\x1e".encode())
    return total.hexdigest()[:16]


def digest_text(text: str) -> str:
    """Return 16 hex digits of a text."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:16]


def _hash(file: Path) -> str:
    state = file.stat()
    if state.st_size < REMEMBER_FROM:
        return _read(file)
    # The change time is in the key beside the modification time: copying tools preserve the latter, nothing sets the former.
    key = f"{file.resolve()}|{state.st_size}|{state.st_mtime_ns}|{state.st_ctime_ns}|{state.st_ino}"
    remembered = _remembered()
    if key not in remembered:
        remembered[key] = _read(file)
        _remember(remembered)
    return remembered[key]


def _read(file: Path) -> str:
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _cache() -> Path:
    home = os.environ.get("XDG_CACHE_HOME")
    return (Path(home) if home else Path.home() / ".cache") / "tcm-eval" / "weights.json"


def _remembered() -> dict[str, str]:
    try:
        loaded = json.loads(_cache().read_text("utf-8"))
    except (OSError, ValueError):
        return {}  # nothing remembered, or nothing readable: the hashes are made again
    return {str(k): str(v) for k, v in loaded.items()} if isinstance(loaded, dict) else {}


def _remember(hashes: dict[str, str]) -> None:
    cache = _cache()
    try:
        cache.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile("w", dir=cache.parent, encoding="utf-8", delete=False) as file:
            json.dump(hashes, file)
        Path(file.name).replace(cache)
    except OSError:
        return  # a cache that cannot be written costs time, not correctness
