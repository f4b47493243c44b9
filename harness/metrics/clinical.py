"""A case answer against the reference case: disease, pattern, principle, formula, and the prescription as a set.

Names are compared through the knowledge base, so 失眠 is 不寐 and 丹皮 is 牡丹皮. Targets are a `Case`, whose slots count where they
are filled; else the reference texts are read by the same extractor as the answers, and the best of several counts.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence

from harness.extract.herbs import Item
from harness.knowledge.formula_names import split_formulas
from harness.knowledge.lexicon import segment
from harness.knowledge.names import disease, formula, formula_forms, plain, syndrome
from harness.metrics import _targets
from harness.metrics._prescriptions import (
    CASES,
    add,
    answered,
    forms_of,
    herb_signature,
    key,
    read_slots,
    wanted,
)
from harness.metrics.safety import counts
from harness.registry import Answer, Metric, Options, add_metric
from harness.types import Case, Sample, Value

# ------------------------------------------------------------------ slots

Match = Callable[[str, str], float]
_BRACKETS = re.compile(r"[(（]([^()（）]*)[)）]")
_LEVELS = re.compile(r"[-—–－,，]|之(?=.{2})")
_LISTED = re.compile(r"[、;；/／+|]|(?<=证)[和与兼及]")


def _accepted(sample: Sample, slot: str) -> list[str]:
    target = sample.target
    if isinstance(target, Case) and target.slots.get(slot):
        return [text for text in target.slots[slot] if text.strip()]
    found = (getattr(read_slots(text), slot) for text in _targets.references(sample))
    return [text for text in found if text]


def _slot(slot: str, match: Match) -> Callable[[Sample, Answer], Value]:
    def judge(sample: Sample, answer: Answer) -> Value:
        accepted = _accepted(sample, slot)
        if not accepted:
            return Value(None)
        said = getattr(read_slots(_targets.text(sample, answer)), slot)
        return Value(max(match(said, text) for text in accepted) if said else 0.0, {"stated": float(bool(said))})

    return judge


def _with_brackets(text: str) -> list[str]:
    """Return a name without what stands in brackets, and what stands in them: 阳黄（急黄） means both."""
    bare = plain(text)
    return [part for part in (_BRACKETS.sub("", bare).strip(), *_BRACKETS.findall(bare)) if part]


def _disease_keys(text: str) -> set[str]:
    keys = set()
    for part in _with_brackets(text):
        for name in re.split(r"[,、;/]", part):
            found = disease(name)
            keys.add(found.name if found else re.sub(r"[病证症]\Z", "", name.strip()))
    return keys - {""}


def match_disease(said: str, accepted: str) -> float:
    """Return 1 where two texts name one disease, by any alias, with or without 病 or 证; else 0."""
    return float(bool(_disease_keys(said) & _disease_keys(accepted)))


def _pattern_key(name: str) -> str:
    found = syndrome(name)
    return found.name if found else re.sub(r"(?:证型|证候|证|型)\Z", "", name.strip())


def _pattern_levels(text: str) -> tuple[set[str], set[str]]:
    """Return the names of one pattern: those of its finest level, and those of the coarser ones.

    外感咳嗽-风热犯肺证 is 风热犯肺证 under 外感咳嗽; the pattern that the knowledge base puts above it is coarser too.
    """
    finest: set[str] = set()
    coarser: set[str] = set()
    for part in _with_brackets(text):
        levels = [level for level in _LEVELS.split(part) if level.strip()]
        finest |= {_pattern_key(level) for level in levels[-1:]} | {_pattern_key(part)}
        coarser |= {_pattern_key(level) for level in levels[:-1]}
    for name in tuple(finest):
        found = syndrome(name)
        if found is not None and found.parent:
            coarser.add(_pattern_key(found.parent))
    return finest - {""}, coarser - finest - {""}


def _match_one_pattern(said: str, accepted: str) -> float:
    named, (finest, coarser) = _pattern_levels(said)[0], _pattern_levels(accepted)
    bare = {_pattern_key(re.sub(r"[-,之]", "", plain(text))) for text in (said, accepted)}
    if named & finest or len(bare) == 1:
        return 1.0
    return 0.5 if named & coarser else 0.0


def match_pattern(said: str, accepted: str) -> float:
    """Return 1 for the same pattern by any alias, 0.5 for the one directly above it, else 0.

    Where several are named (肝郁证、脾虚证) the best matches are summed and divided by the greater number of patterns, so naming
    more never pays.
    """
    ours = [name for name in _LISTED.split(plain(said)) if name.strip()]
    theirs = [name for name in _LISTED.split(plain(accepted)) if name.strip()]
    if not ours or not theirs:
        return 0.0
    total = sum(max(_match_one_pattern(one, other) for one in ours) for other in theirs)
    return min(1.0, total / max(len(ours), len(theirs)))


def principle_parts(text: str) -> set[str]:
    """Return the single principles of a treatment: 疏肝解郁，化痰散结 -> 疏肝, 化痰散结; what is no known term stays as written."""
    line = plain(text)
    parts: set[str] = set()
    since = 0
    for span in [*segment(line), None]:
        rest = line[since : span.start if span else len(line)]
        parts |= {piece for piece in re.split(r"[\s,、。;以兼佐]+", rest) if len(piece) > 1}
        if span:
            parts.add(span.term.name)
            since = span.end
    return parts


def match_principle(said: str, accepted: str) -> float:
    """Return the F1 of the single principles of two treatments."""
    return _f1(principle_parts(said), principle_parts(accepted))


def _formula_keys(text: str) -> set[str]:
    keys = set()
    for name in split_formulas(plain(text), formula_forms()):
        found = formula(name)
        keys.add(found.name if found else name)
    return keys


def match_formula(said: str, accepted: str) -> float:
    """Return the F1 of the formulas of two texts: 天王补心丹合朱砂安神丸加减 names two; of 甲或乙 in the reference either will do."""
    ours, line = _formula_keys(said), plain(accepted)
    return max(_f1(ours, _formula_keys(one)) for one in (line, *line.split("或")))


def _f1(ours: set[str], theirs: set[str]) -> float:
    return 2 * len(ours & theirs) / (len(ours) + len(theirs)) if ours and theirs else 0.0


add("slot_disease", _slot("disease", match_disease), "exact:1|alias:1")
add("slot_pattern", _slot("pattern", match_pattern), "exact:1|alias:1|parent:0.5|several:mean")
add("slot_principle", _slot("principle", match_principle), "set-f1-of-terms")
add("slot_formula", _slot("formula", match_formula), "set-f1|alias:1|modified:same")

# ------------------------------------------------------------------ the prescription as a set


def _precision(hits: int, ours: int, _theirs: int) -> float:
    return hits / ours if ours else 0.0


def _recall(hits: int, _ours: int, theirs: int) -> float:
    return hits / theirs


def _set_f1(hits: int, ours: int, theirs: int) -> float:
    return 2 * hits / (ours + theirs)


def _jaccard(hits: int, ours: int, theirs: int) -> float:
    return hits / (ours + theirs - hits)


def _keys(items: Iterable[Item], forms: str) -> set[str]:
    return {key(item, forms) for item in items}


def _add_set_metric(name: str, value: Callable[[int, int, int], float], rule: str) -> None:
    def judge(sample: Sample, answer: Answer, forms: str) -> Value:
        ours = _keys(answered(sample, answer), forms)
        best: tuple[float, int, int] | None = None
        for items in wanted(sample):
            theirs = _keys(items, forms)
            hits = len(ours & theirs)
            found = (value(hits, len(ours), len(theirs)), hits, len(theirs))
            best = max(best, found) if best else found
        if best is None:
            return Value(None)
        sizes = {"hits": float(best[1]), "answered": float(len(ours)), "wanted": float(best[2])}
        return Value(best[0], {**sizes, **counts(sample, answer)})

    def score(pairs: Sequence[tuple[Sample, Answer]], options: Options) -> list[Value]:
        forms = forms_of(options)
        return [judge(sample, answer, forms) for sample, answer in pairs]

    add_metric(Metric(name, 1, CASES, score, herb_signature(rule), options=("forms",)))


_add_set_metric("herb_precision", _precision, "hits/answered")
_add_set_metric("herb_recall", _recall, "hits/wanted")
_add_set_metric("herb_f1", _set_f1, "set-f1")
_add_set_metric("herb_jaccard", _jaccard, "hits/union")

# ------------------------------------------------------------------ doses


def dose_error(ours: Sequence[Item], theirs: Sequence[Item], forms: str) -> float | None:
    """Return the mean of 1 - smaller / greater over the herbs that both prescribe and the reference gives grams for.

    0 is every dose right, 0.5 is double or half; a herb without grams in the answer counts 1, and so does an answer without
    any such herb. None when the reference states no grams at all.
    """
    wanted_grams = {key(item, forms): item.grams for item in theirs if item.grams}
    if not wanted_grams:
        return None
    common = [item for item in ours if key(item, forms) in wanted_grams]
    errors = []
    for item in common:
        right, grams = wanted_grams[key(item, forms)] or 0.0, item.grams
        errors.append(1 - min(right, grams) / max(right, grams) if grams else 1.0)
    return sum(errors) / len(errors) if errors else 1.0


def _dose_values(pairs: Sequence[tuple[Sample, Answer]], options: Options) -> list[Value]:
    forms = forms_of(options)
    values = []
    for sample, answer in pairs:
        ours = answered(sample, answer)
        errors = [e for items in wanted(sample) if (e := dose_error(ours, items, forms)) is not None]
        values.append(Value(min(errors), counts(sample, answer)) if errors else Value(None))
    return values


add_metric(
    Metric(
        "dose_error",
        1,
        CASES,
        _dose_values,
        herb_signature("common-herbs|1-min/max|no-grams:1|none-common:1"),
        higher_is_better=False,
        options=("forms",),
    )
)
