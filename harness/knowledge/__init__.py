"""The knowledge base of Chinese medicine: herbs, formulas, patterns, diseases, facts and rules, and their look-up.

    herb("炙黄芪").herb.dose      formula("六味地黄汤").composition      segment("脾气虚证，苔白腻")
    incompatible(["附片", "法半夏"])      in_pregnancy(["桃仁"])      normal("麸炒枳实30g") == "枳实"

Written from textbook knowledge by language models, checked by scripts and by reading; no physician has checked it.
For research, not medical advice. See `docs/knowledge.md`.
"""

from harness.knowledge.files import (
    diseases,
    facts,
    formulas,
    herbs,
    incompatibilities,
    syndromes,
    version,
)
from harness.knowledge.lexicon import segment, surface_forms, terms
from harness.knowledge.names import disease, find_herb, formula, herb, known, normal, plain, syndrome
from harness.knowledge.safety import above_dose, in_pregnancy, incompatible, without_precaution

__all__ = [
    "above_dose",
    "disease",
    "diseases",
    "facts",
    "find_herb",
    "formula",
    "formulas",
    "herb",
    "herbs",
    "in_pregnancy",
    "incompatibilities",
    "incompatible",
    "known",
    "normal",
    "plain",
    "segment",
    "surface_forms",
    "syndrome",
    "syndromes",
    "terms",
    "version",
    "without_precaution",
]
