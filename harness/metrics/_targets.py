"""What each family of metrics reads from a sample's target, refused with the sample's name when it is of another kind."""

from __future__ import annotations

from harness.errors import UsageError
from harness.types import Blanks, Case, Choice, Reference, Sample


def letters(sample: Sample) -> frozenset[str]:
    """Return the right option letters, at least one; raise UsageError for any other kind of target."""
    target = sample.target
    if not isinstance(target, Choice) or not target.letters:
        raise _refused(sample, "a choice with at least one right letter")
    return target.letters


def accepted(sample: Sample) -> tuple[tuple[str, ...], ...]:
    """Return the accepted answers of each blank, at least one each; raise UsageError for any other kind of target."""
    target = sample.target
    if not isinstance(target, Blanks) or not target.accepted or not all(target.accepted):
        raise _refused(sample, "blanks with at least one accepted answer each")
    return target.accepted


def references(sample: Sample) -> tuple[str, ...]:
    """Return the reference texts, at least one; raise UsageError for a choice, for blanks and for no text.

    Overlap metrics stop here for blanks on purpose: cut into words, an answer of one word that equals its reference scores
    0.18 (nltk's BLEU-4, smoothed) and 0.5 (METEOR), so a number there would mislead.
    """
    target = sample.target
    if not isinstance(target, Reference | Case) or not any(text.strip() for text in target.texts):
        raise _refused(sample, "at least one reference text; for short blanks use exact_match or char_f1")
    return tuple(text for text in target.texts if text.strip())


def text(sample: Sample, answer: object) -> str:
    """Return the answer as a text; raise UsageError when the task's extractor gave letters or blanks instead."""
    if isinstance(answer, str):
        return answer
    raise UsageError(
        f"task '{sample.task}', sample '{sample.id}': this metric needs a text as the answer; "
        f"the task's extractor gives {type(answer).__name__}"
    )


def _refused(sample: Sample, needed: str) -> UsageError:
    got = type(sample.target).__name__
    return UsageError(f"task '{sample.task}', sample '{sample.id}': this metric needs {needed}; the target is {got}")
