"""The extractors that a task's YAML can name. One more is one more decorated function, here or in a file beside."""

from __future__ import annotations

from harness.extract.blanks import blanks as read_blanks
from harness.extract.choice import choice as read_choice
from harness.extract.free_text import free_text as read_free_text
from harness.registry import Answer, extractor
from harness.types import Blanks, Sample


@extractor("choice")
def choice(text: str, sample: Sample) -> Answer | None:
    """Return the set of letters affirmed for a question with one right option."""
    return read_choice(text, sample.options, stem=sample.question, many=False)


@extractor("choices")
def choices(text: str, sample: Sample) -> Answer | None:
    """Return the set of letters affirmed for a question with one or more right options."""
    return read_choice(text, sample.options, stem=sample.question, many=True)


@extractor("blanks")
def blanks(text: str, sample: Sample) -> Answer | None:
    """Return one text per blank."""
    wanted = len(sample.target.accepted) if isinstance(sample.target, Blanks) else 1
    return read_blanks(text, wanted, stem=sample.question)


@extractor("free_text")
def free_text(text: str, _sample: Sample) -> Answer | None:
    """Return the answer's text."""
    return read_free_text(text)
