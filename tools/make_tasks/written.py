"""The hand-written items: read from the suite's own files, given the keys that all items have, and written back."""

from __future__ import annotations

from pathlib import Path

import orjson

from tools.make_tasks.items import CANARY, Item

FILES = {"dialogue.jsonl": "dialogue", "vignette.jsonl": "single_choice"}


def read(path: Path) -> list[Item]:
    """Return the items of a JSONL file; none where there is no file."""
    if not path.is_file():
        return []
    return [orjson.loads(line) for line in path.read_bytes().splitlines() if line.strip()]


def hand_written(target: Path) -> dict[str, list[Item]]:
    """Return file name -> the hand-written items of the suite at `target`, with type, form and canary set."""
    found: dict[str, list[Item]] = {}
    for name, kind in FILES.items():
        items = []
        for item in read(target / "data" / name):
            head = {"id": item["id"], "discipline": item["discipline"], "type": kind}
            if kind == "dialogue":
                head["form"] = "one turn" if len(item["turns"]) == 1 else "several turns"
            items.append({**head, **{k: v for k, v in item.items() if k not in head}, "canary": CANARY})
        if items:
            found[name] = items
    return found
