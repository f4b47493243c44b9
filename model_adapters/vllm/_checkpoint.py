"""Which checkpoint it is: the name and the fingerprint that vLLM's answers are stored under."""

from __future__ import annotations

import hashlib
from pathlib import Path

SAMPLE = 1 << 20
"""Bytes read at each of three places of a weights file for its fingerprint."""


def short(model: str) -> str:
    """Return the name of a folder without the way to it; a hub name as it is."""
    return Path(model).resolve().name if Path(model).is_dir() else model


def weights(model: str) -> dict[str, str]:
    """Return the fingerprint of a checkpoint's folder (names, sizes, small files, and three places of each weights file), or nothing."""
    folder = Path(model).expanduser()
    if not folder.is_dir():
        return {}
    digest = hashlib.blake2b(digest_size=8)
    for path in sorted(p for p in folder.rglob("*") if p.is_file() and p.suffix in (".json", ".safetensors", ".jinja")):
        size = path.stat().st_size
        digest.update(f"{path.relative_to(folder)}:{size}:".encode())
        with path.open("rb") as file:
            for place in (0, size // 2, size - SAMPLE):
                file.seek(max(0, place))
                digest.update(file.read(SAMPLE))
    return {"weights": digest.hexdigest()}
