"""The words a judge is asked with: ours in `tasks/prompts.yaml`, or a file of the user's own."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import yaml
from pydantic import Field, ValidationError

from harness.errors import UsageError, unknown
from harness.specs import Closed
from harness.suites import shared_prompts

FIELDS = ("boundary", "dialogue", "reference", "criteria", "answer", "example")
NEEDED = ("answer", "example")
_FIELD = re.compile(r"\{([a-z]+)\}")


class _Texts(Closed):
    """What a file with a wording holds."""

    system: str = Field(min_length=1)
    question: str = Field(min_length=1)
    reminder: str = Field(min_length=1)


@dataclass(frozen=True, slots=True)
class Wording:
    """The three texts: `system` is the same for every answer; `question` and `reminder` have fields in braces."""

    system: str
    question: str
    reminder: str

    @property
    def fingerprint(self) -> str:
        """Return 6 hex digits of all three texts."""
        return hashlib.sha256("\x1f".join((self.system, self.question, self.reminder)).encode()).hexdigest()[:6]

    def ask(self, shown: Mapping[str, str]) -> str:
        """Return the question with its fields filled in; a field that shows nothing leaves no gap."""
        return re.sub(r"\n{3,}", "\n\n", _fill(self.question, shown)).strip()

    def remind(self, fault: str, example: str) -> str:
        """Return the reminder after a verdict that could not be read."""
        return _fill(self.reminder, {"fault": fault, "example": example}).strip()


def _fill(text: str, shown: Mapping[str, str]) -> str:
    """Fill the fields in one pass: what a field shows is never searched for fields itself."""
    return _FIELD.sub(lambda found: shown.get(found[1], found[0]), text)


def wording_from(file: Path | None = None) -> Wording:
    """Return our wording, or that of a YAML file; raise UsageError for an unknown key or field, or one that is missing."""
    if file is None:
        raw, where = shared_prompts()["judge"], "tasks/prompts.yaml"
    else:
        where = str(file)
        try:
            raw = yaml.safe_load(file.read_text("utf-8"))
        except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
            raise UsageError(f"--prompt {file}: cannot be read: {error}") from None
    try:
        texts = _Texts.model_validate(raw)
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(str(part) for part in first["loc"]) or "the file"
        raise UsageError(
            f"{where}: {key}: {first['msg']}. A judge's wording has: system, question, reminder."
        ) from None
    named = _FIELD.findall(texts.question)
    for name in named:
        if name not in FIELDS:
            raise unknown(f"field in {where}", name, FIELDS)
    for name in NEEDED:
        if name not in named:
            raise UsageError(f"{where}: question has no {{{name}}}: the judge would not see it")
    return Wording(texts.system.strip(), texts.question, texts.reminder)
