"""Ladder-Score as we read it, the term score it is made of, and the floor of shuffled references.

**This is our own reading.** The paper on TCM-Ladder (arXiv 2505.24063) describes an evaluation by terminology and by
meaning; its formula, its weights and its scorer of meaning could not be confirmed, and no code of it is public. So the
weights must be stated in the task, they stand in the signature, and both parts are reported with every value.
"""

from __future__ import annotations

import random
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from math import isclose

from harness.errors import UsageError, unknown
from harness.knowledge.names import plain
from harness.metrics._lexicon import Lexicon, lexicon_of
from harness.metrics._targets import references, text
from harness.metrics.bertscore import BERTSCORE
from harness.metrics.judge import SEMANTIC as JUDGED
from harness.registry import Answer, Family, Metric, Options, add_metric
from harness.types import Sample, Value

TEXTS: tuple[Family, ...] = ("text", "case")
Item = tuple[str, bool]
"""A term's name, and whether the text denies it."""

_FAR = re.compile(
    r"(?:未曾|未见|未有|未出现|未诉|未述|未及|未触及|未闻及|没有|没|否认|并无|无|排除)(?:明显|显著|任何|特殊|出现|发现|伴有?|兼有?|见|有)*"
)
_NEAR = re.compile(r"(?:不可|不宜|不含|不能|不属于?|不是|不伴有?|不兼有?|不见|不|未|并非|非)(?:明显|显著)?")
_AND = re.compile(r"[、/和与及或兼]|以及|或者|并且")
_DENIAL = "无不未"

# ------------------------------------------------------------------ terms


def term_items(line: str, lexicon: Lexicon) -> frozenset[Item]:
    """Return the terms of a text, each with whether it is denied; what is said twice counts once.

    Terms are found by longest match in the plain form of the text. A word of denial directly before a term denies it:
    不, 未 and 非 that term only; 无, 未见, 没有, 否认 and their like also the terms that follow at once or after 、和与或.
    A term that is itself a denial (无汗) denies its own rest (汗) where that is a term, and nothing after it. Denials
    that follow their term (发热不明显), that stand farther off, or that are in English are not read.
    """
    line = plain(line)
    items: set[Item] = set()
    denied = carries = False
    i = 0
    while i < len(line):
        if form := lexicon.at(line, i):
            name = lexicon.names[form]
            own = lexicon.names.get(name[1:]) if name[0] in _DENIAL else None
            items.add((own, True) if own else (name, denied))
            denied = denied and carries and own is None
            i += len(form)
        elif found := _FAR.match(line, i) or _NEAR.match(line, i):
            denied, carries = True, found.re is _FAR
            i = found.end()
        elif line[i] == " ":
            i += 1
        elif denied and carries and (found := _AND.match(line, i)):
            i = found.end()
        else:
            denied = False
            i += 1
    return frozenset(items)


def _term_f1(answer: str, texts: Sequence[str], lexicon: Lexicon) -> float | None:
    """Return the F1 of the answer's items with the best reference; None when no reference has a term."""
    ours = term_items(answer, lexicon)
    wanted = [items for items in (term_items(reference, lexicon) for reference in texts) if items]
    if not wanted:
        return None
    return max(2 * len(ours & items) / (len(ours) + len(items)) for items in wanted)


def _term_values(pairs: Sequence[tuple[Sample, Answer]], options: Options) -> list[float | None]:
    lexicon = lexicon_of(options)
    return [_term_f1(text(sample, answer), references(sample), lexicon) for sample, answer in pairs]


def _term_score(pairs: Sequence[tuple[Sample, Answer]], options: Options) -> list[Value]:
    """Return the F1 of TCM terms, affirmed and denied ones apart; None when no reference has a term of the lexicon."""
    return [Value(value) for value in _term_values(pairs, options)]


def _term_signature(options: Options) -> str:
    return f"terms:longest-match|{lexicon_of(options).signature}|denials:apart@2|set-f1|refs:best"


add_metric(Metric("term_score", 1, TEXTS, _term_score, _term_signature, options=("lexicon",)))

# ------------------------------------------------------------------ Ladder-Score


def _weights(options: Options) -> tuple[float, float]:
    """Return (w_term, w_sem); raise UsageError unless both are stated, neither is negative and they sum to 1."""
    weights = tuple(options.get(name) for name in ("w_term", "w_sem"))
    numbers = [float(w) for w in weights if isinstance(w, int | float) and not isinstance(w, bool)]
    if len(numbers) != len(weights) or min(numbers) < 0 or not isclose(sum(numbers), 1, abs_tol=1e-9):
        raise UsageError(
            f"ladder_score: w_term and w_sem are weights of 0 or more that sum to 1; got {weights[0]!r} and {weights[1]!r}"
        )
    return numbers[0], numbers[1]


def _semantic(options: Options) -> tuple[Metric, dict[str, object]]:
    """Return the metric of meaning and its options: BERTScore, or with `semantic: judge` the mark of the run's judges."""
    metrics = {"bertscore": BERTSCORE, "judge": JUDGED}
    name = str(options.get("semantic", "bertscore"))
    if name not in metrics:
        raise unknown("scorer of meaning", name, metrics)
    metric = metrics[name]
    return metric, {option: options[option] for option in metric.options if option in options}


def _ladder(pairs: Sequence[tuple[Sample, Answer]], options: Options) -> list[Value]:
    """Return w_term * TermScore + w_sem * SemanticScore; parts `term`, `sem` and the encoder's `cut`.

    TermScore is `term_score`, SemanticScore is BERTScore's F1 or the judges' mark of meaning. Where one of the two could not be
    computed (no encoder, no verdict, no term in any reference) the value is None, and the parts hold what there is. Our own
    reading: see above.
    """
    w_term, w_sem = _weights(options)
    metric, stated = _semantic(options)
    meanings = metric.score(pairs, stated)
    values = []
    for term, meaning in zip(_term_values(pairs, options), meanings, strict=True):
        parts = {"term": term, "sem": meaning.value, "cut": meaning.parts.get("cut")}
        both = None if term is None or meaning.value is None else w_term * term + w_sem * meaning.value
        values.append(Value(both, {name: part for name, part in parts.items() if part is not None}))
    return values


def _ladder_signature(options: Options) -> str:
    w_term, w_sem = _weights(options)
    metric, stated = _semantic(options)
    terms, meaning = _term_signature(options), metric.signature(stated)
    return f"reading:own|w_term:{w_term:g}|w_sem:{w_sem:g}|term[{terms}]|sem:{metric.name}@{metric.version}[{meaning}]"


add_metric(
    Metric(
        "ladder_score",
        1,
        TEXTS,
        _ladder,
        _ladder_signature,
        parts=("term", "sem", "cut"),
        bounds=(None, None),
        options=("w_term", "w_sem", "semantic", "lexicon", *JUDGED.options, *BERTSCORE.options),
    )
)

# ------------------------------------------------------------------ the floor


def shuffled_floor(pairs: Sequence[tuple[Sample, Answer]], metric: Metric, options: Options, seed: int) -> float | None:
    """Return the mean of a metric when each answer is judged by another sample's target: what unrelated texts reach.

    The samples are moved round in one cycle that depends on `seed` only, so none keeps its own target. Samples of one
    group (translations, a shared stem) move together and meet a sample of another group. Values of None are left out;
    None when nothing remains to average, or when all samples are of one group.
    """
    first: dict[str, Sample] = {}
    for sample, _ in pairs:
        first.setdefault(_cluster(sample), sample)
    if len(first) < 2:
        return None
    other = _one_cycle(sorted(first), seed)
    moved = [(replace(sample, target=first[other[_cluster(sample)]].target), answer) for sample, answer in pairs]
    values = [value.value for value in metric.score(moved, options) if value.value is not None]
    return sum(values) / len(values) if values else None


def _cluster(sample: Sample) -> str:
    return f"{sample.task}\x1f{'group' if sample.group else 'id'}\x1f{sample.group or sample.id}"


def _one_cycle(names: Sequence[str], seed: int) -> Mapping[str, str]:
    order = list(names)
    random.Random(seed).shuffle(order)  # noqa: S311 - a reproducible order, nothing secret
    return dict(zip(order, order[1:] + order[:1], strict=True))
