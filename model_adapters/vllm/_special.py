"""Special tokens: which of them an answer shows.

Reasoning tags are special tokens of some models, and without them a thought would be read as the answer. vLLM leaves out either every
special token or none.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

_TAG = re.compile(r"[<◁]/?(?:think|thinking|reasoning|analysis)[>▷]", re.I)


_OPENED = re.compile(r"([<◁](?:think|thinking|reasoning|analysis)[>▷])\s*$", re.I)


def opened(prompt: str) -> str:
    """Return the reasoning tag that a prompt ends with, where the chat template opens the model's thought; "" where it does not."""
    found = _OPENED.search(prompt)
    return found[1] if found else ""


def hidden(special: Iterable[str]) -> re.Pattern[str] | None:
    """Return what finds the special tokens that no answer shows, None where vLLM itself may leave out every special token."""
    tokens = set(special)
    tags = {token for token in tokens if _TAG.fullmatch(token)}
    return re.compile("|".join(map(re.escape, sorted(tokens - tags))) or r"\b\B") if tags else None


def special_tokens(model: str) -> set[str]:
    """Return the special tokens that the tokenizer's files name, of a folder or of the newest copy in the hub's cache."""
    folder = _files(model)
    if folder is None:
        return set()
    added = list(_read(folder / "tokenizer.json").get("added_tokens") or [])
    added += (_read(folder / "tokenizer_config.json").get("added_tokens_decoder") or {}).values()
    return {str(token["content"]) for token in added if token.get("special")}


def _files(model: str) -> Path | None:
    if Path(model).expanduser().is_dir():
        return Path(model).expanduser()
    home = os.environ.get("HF_HUB_CACHE") or Path(os.environ.get("HF_HOME", "~/.cache/huggingface")) / "hub"
    copies = Path(home).expanduser() / f"models--{model.replace('/', '--')}" / "snapshots"
    return max(copies.glob("*"), key=lambda one: one.stat().st_mtime, default=None)


def _read(path: Path) -> dict[str, Any]:
    loaded = json.loads(path.read_text("utf-8")) if path.is_file() else {}
    return loaded if isinstance(loaded, dict) else {}
