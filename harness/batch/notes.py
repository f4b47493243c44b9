"""What is written down of a run's batches: before each submission, after it, and when its answers are kept."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import orjson

from harness.errors import UsageError
from harness.store import SCHEMA, Writer, read_lines

NOTES = "batches.jsonl"


@dataclass(frozen=True, slots=True)
class Part:
    """Some questions that went out together. `batch` is the provider's id, None until it is known; `at` is seconds of the epoch.

    `tokens_in` and `tokens_out` are the most that the part may use.
    """

    tag: str
    count: int
    at: float
    left_out: tuple[str, ...]
    tokens_in: int
    tokens_out: int
    batch: str | None = None
    closed: bool = False


def parts(folder: Path) -> list[Part]:
    """Return all parts of a run, in the order of their submission; none where nothing was ever submitted."""
    found: dict[str, Part] = {}
    if (folder / NOTES).exists():
        for _, _, row in read_lines(folder / NOTES):
            tag = str(row["tag"])
            if row["event"] == "intent":
                told = {name: row[name] for name in ("count", "at", "tokens_in", "tokens_out")}
                found[tag] = Part(tag, left_out=tuple(row["left_out"]), **told)
            elif row["event"] == "submitted":
                found[tag] = replace(found[tag], batch=str(row["batch"]))
            else:
                found[tag] = replace(found[tag], closed=True)
    return list(found.values())


def refuse_if_open(folder: Path, how: str) -> None:
    """Raise UsageError when questions of a run are with the provider: they are paid for, and asking them again would cost twice.

    `how` names the command that collects them.
    """
    out = [part for part in parts(folder) if not part.closed]
    if out:
        raise UsageError(
            f"{folder}: {sum(part.count for part in out):,} questions of this run are in {len(out)} batches at the provider. "
            f"Collect them first: {how}."
        )


class Notes:
    """The single writer of a run's notes, and where each part's requests lie while they are out."""

    def __init__(self, folder: Path) -> None:
        self._folder, self.path = folder, folder / NOTES
        self._lines = Writer(self.path)

    def file(self, tag: str) -> Path:
        """Return the file of a part's requests."""
        return self._folder / "batches" / f"{tag}.jsonl"

    def intent(self, part: Part) -> None:
        """Note a part that is about to be submitted: so it can be found again."""
        told = {name: getattr(part, name) for name in ("count", "at", "tokens_in", "tokens_out")}
        self._note("intent", part.tag, left_out=list(part.left_out), **told)

    def submitted(self, part: Part, batch: str) -> Part:
        """Note the provider's id of a part; return the part with it."""
        self._note("submitted", part.tag, batch=batch)
        return replace(part, batch=batch)

    def closed(self, tag: str, how: str) -> None:
        """Note that nothing of a part is out any more; its requests are deleted."""
        self._note("closed", tag, how=how)
        self.file(tag).unlink(missing_ok=True)

    def _note(self, event: str, tag: str, **told: Any) -> None:
        self._lines.append(orjson.dumps({"schema": SCHEMA, "event": event, "tag": tag, **told}) + b"\n")

    def close(self) -> None:
        """Close the file."""
        self._lines.close()
