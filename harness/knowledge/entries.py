"""What one line of each file of the knowledge base holds. Frozen data only.

The meaning of every field and the closed vocabularies are in `docs/knowledge.md`; `check.py` holds the data to them.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Source:
    """Where a reader finds the fact: a work, its edition, and the entry or chapter."""

    work: str
    edition: str
    entry: str


@dataclass(frozen=True, slots=True)
class Dose:
    """An adult's daily range in `unit` (grams), and how it is taken."""

    low: float
    high: float
    unit: str
    route: str


@dataclass(frozen=True, slots=True)
class Processed:
    """A prepared form. `relation`: "same" counts as the base herb, "distinct" has an entry of its own."""

    name: str
    how: str
    aliases: tuple[str, ...]
    relation: str


@dataclass(frozen=True, slots=True)
class Herb:
    """A medicinal.

    `base` names the herb that a distinct prepared form is made of; `dose` is None for external use only and where no figure
    could be stated, which `dose_note` then says.
    """

    name: str
    base: str | None
    pinyin: str
    latin: str | None
    english: str
    traditional: str
    aliases: tuple[str, ...]
    processed: tuple[Processed, ...]
    category: str
    nature: str
    flavours: tuple[str, ...]
    channels: tuple[str, ...]
    actions: tuple[str, ...]
    indications: tuple[str, ...]
    dose: Dose | None
    dose_note: str | None
    toxicity: str
    pregnancy: str
    decoction: tuple[str, ...]
    precaution: str | None
    part: str | None
    source: Source
    checked_against: str | None


@dataclass(frozen=True, slots=True)
class Ingredient:
    """One herb of a formula: its role (君臣佐使), today's grams, the classic's own amount and its preparation; None = unknown."""

    herb: str
    role: str | None
    dose: float | None
    original: str | None
    processing: str | None


@dataclass(frozen=True, slots=True)
class Modification:
    """A known change of a formula: what is added and taken out, the new name if it has one, and what for."""

    add: tuple[str, ...]
    remove: tuple[str, ...]
    name: str | None
    reason: str | None


@dataclass(frozen=True, slots=True)
class Formula:
    """A formula. `incompatible` says which pair of the 十八反 or 十九畏 it contains on purpose and why; None: none."""

    name: str
    pinyin: str
    aliases: tuple[str, ...]
    category: str
    composition: tuple[Ingredient, ...]
    actions: tuple[str, ...]
    indications: tuple[str, ...]
    symptoms: tuple[str, ...]
    tongue: str | None
    pulse: str | None
    modifications: tuple[Modification, ...]
    source: Source
    dynasty: str | None
    textbook: str | None
    incompatible: str | None
    checked_against: str | None


@dataclass(frozen=True, slots=True)
class Syndrome:
    """A pattern (证). `parent` is the coarser pattern that it belongs to, None at the top."""

    name: str
    aliases: tuple[str, ...]
    parent: str | None
    system: str
    discipline: str
    symptoms: tuple[str, ...]
    tongue: str | None
    pulse: str | None
    mechanism: str
    principle: str
    formulas: tuple[str, ...]
    source: Source
    checked_against: str | None


@dataclass(frozen=True, slots=True)
class DiseasePattern:
    """One pattern type of a disease: its treatment principle and what the textbook gives for it (formulas, as written)."""

    name: str
    principle: str
    formula: str | None


@dataclass(frozen=True, slots=True)
class Disease:
    """A disease of Chinese medicine and its pattern types. `discipline` is the field whose textbook describes it."""

    name: str
    aliases: tuple[str, ...]
    discipline: str
    definition: str
    patterns: tuple[DiseasePattern, ...]
    source: Source
    checked_against: str | None


@dataclass(frozen=True, slots=True)
class Fact:
    """Term - relation - object, about a term of the class `kind`.

    `closed`: of this term and relation only what all lines together state is true, so any other object is wrong. Where it
    is False there are true objects that the base does not state.
    """

    id: str
    term: str
    relation: str
    object: tuple[str, ...]
    discipline: str
    topic: str
    statement: str
    closed: bool
    kind: str
    source: Source
    checked_against: str | None


@dataclass(frozen=True, slots=True)
class Incompatibility:
    """One rule: a herb of `a` (or a form in `a_forms`) not with one of `b`; `b` is empty for the rules on pregnancy."""

    kind: str
    a: tuple[str, ...]
    a_forms: tuple[str, ...]
    b: tuple[str, ...]
    b_forms: tuple[str, ...]
    note: str
    source: Source
    checked_against: str | None


Entry = Herb | Formula | Syndrome | Disease
