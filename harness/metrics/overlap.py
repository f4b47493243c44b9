"""Metrics that count shared tokens of a text and its references: BLEU-4, ROUGE and METEOR, all on a 0 to 1 scale.

Every value equals the one of its reference library on the same tokens; the tokenizer is part of each signature. Where we
count by ourselves it is for speed, and the tests compare with the library. A text without any token scores 0.

On very short texts the numbers mean little, even for identical ones: one equal character gives ROUGE-2 0 (there is no pair of
characters), METEOR 0.5 (its penalty for one chunk over one match is one half), and BLEU-4 1 only because orders that
are longer than the text are left out. So none of them is offered for blanks.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from functools import cache
from importlib.metadata import version
from math import exp, log
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.metrics._lexicon import Lexicon, lexicon_of, tokens
from harness.metrics._targets import references, text
from harness.registry import Answer, Family, Metric, Options, add_metric
from harness.types import Sample, Value

TEXTS: tuple[Family, ...] = ("text", "case")
ORDER = 4
BLEU_PARTS = (*(f"right_{n}" for n in range(1, 5)), *(f"all_{n}" for n in range(1, 5)), "length", "reference_length")
_ASCII_PUNCTUATION = re.compile(r"[!-/:-@\[-`{-~]")


def characters(line: str) -> list[str]:
    """Return every character that is not white space, as it is: upper case, widths and punctuation are kept apart."""
    return list("".join(line.split()))


# ------------------------------------------------------------------ BLEU


class _Spaced(dict[int, str]):
    """A table for `str.translate` that asks sacreBLEU about each new character, whether it stands as a token alone."""

    def __missing__(self, code: int) -> str:
        char = chr(code)
        alone = code > 127 and len(str(_sacrebleu_zh()(f"a{char}a")).split()) > 1
        self[code] = f" {char} " if alone else char
        return self[code]


_SPACED = _Spaced()


@cache
def _sacrebleu_zh() -> Any:
    from sacrebleu.tokenizers.tokenizer_zh import TokenizerZh

    untyped: Any = TokenizerZh
    return untyped()


def bleu_tokens(line: str) -> list[str]:
    """Return sacreBLEU's `zh` tokens: Chinese characters alone, the rest as its `13a` rules cut it."""
    if _ASCII_PUNCTUATION.search(line):
        return str(_sacrebleu_zh()(line.rstrip())).split()
    return line.translate(_SPACED).split()


def _ngrams(words: Sequence[str], n: int) -> Counter[Any]:
    return Counter(words) if n == 1 else Counter(zip(*(words[i:] for i in range(n)), strict=False))


def bleu_statistics(answer: str, texts: Iterable[str]) -> list[int]:
    """Return the ten sums that BLEU-4 is made of, in the order of `BLEU_PARTS`.

    For n of 1 to 4 the n-grams found in a reference and all n-grams of the answer; then the number of tokens of the
    answer and of the reference closest in length (the shorter of two equally close).
    """
    words = bleu_tokens(answer)
    cut = [bleu_tokens(reference) for reference in texts]
    right, total = [], []
    for n in range(1, ORDER + 1):
        known = _ngrams(cut[0], n)
        for more in cut[1:]:
            known |= _ngrams(more, n)
        right.append(sum(min(count, known[gram]) for gram, count in _ngrams(words, n).items() if gram in known))
        total.append(max(0, len(words) - n + 1))
    closest = min((abs(len(reference) - len(words)), len(reference)) for reference in cut)[1]
    return [*right, *total, len(words), closest]


def sentence_bleu(statistics: Sequence[int]) -> float:
    """Return BLEU-4 of one answer, 0 to 1, with sacreBLEU's `exp` smoothing and effective order.

    Orders longer than the answer are left out. Each order without a match counts 1/2, 1/4, ... of one match.
    **Source:** Chen and Cherry 2014 (method 3), as in sacreBLEU with `effective_order=True`.
    """
    right, total, (length, reference) = statistics[:ORDER], statistics[ORDER : 2 * ORDER], statistics[2 * ORDER :]
    if not any(right):
        return 0.0
    sum_of_logs, halved, orders = 0.0, 1, 0
    for found, possible in zip(right, total, strict=True):
        if not possible:
            break
        orders += 1
        halved *= 1 if found else 2
        sum_of_logs += log((found or 1 / halved) / possible)
    brevity = exp(min(0.0, 1 - reference / length))
    return brevity * exp(sum_of_logs / orders)


def corpus_bleu(sums: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return corpus BLEU-4, 0 to 1, of each row of summed `BLEU_PARTS`: shape (rows, 10) to (rows,).

    Equal to sacreBLEU's `corpus_score` divided by 100. Without a match, or when no answer has four tokens, it is 0.
    """
    sums = np.atleast_2d(np.asarray(sums, dtype=float))
    right, total = sums[:, :ORDER], sums[:, ORDER : 2 * ORDER]
    length, reference = sums[:, -2], sums[:, -1]
    halved = np.exp2(np.cumsum(right == 0, axis=1))
    with np.errstate(divide="ignore", invalid="ignore"):
        precision = np.where(right > 0, right, 1 / halved) / total
        brevity = np.exp(np.minimum(0.0, 1 - reference / length))
        value = brevity * np.exp(np.log(precision).mean(axis=1))
    nothing = ~right.any(axis=1) | (total == 0).any(axis=1)
    return np.where(nothing, 0.0, value)


def _bleu4(pairs: Sequence[tuple[Sample, Answer]], _options: Options) -> list[Value]:
    values = []
    for sample, answer in pairs:
        statistics = bleu_statistics(text(sample, answer), references(sample))
        parts = dict(zip(BLEU_PARTS, map(float, statistics), strict=True))
        values.append(Value(sentence_bleu(statistics), parts))
    return values


def _bleu_signature(_options: Options) -> str:
    return f"tok:zh|smooth:exp|order:effective|corpus-order:4|scale:0-1|sacrebleu:{version('sacrebleu')}"


add_metric(Metric("bleu4", 1, TEXTS, _bleu4, _bleu_signature, parts=BLEU_PARTS, combine=corpus_bleu))

# ------------------------------------------------------------------ ROUGE


def longest_common_subsequence(a: Sequence[str], b: Sequence[str]) -> int:
    """Return the length of the longest common subsequence, one machine word of `a` at a time.

    **Source:** Hyyrö 2004, "Bit-parallel LCS-length computation revisited".
    """
    places: dict[str, int] = {}
    for i, token in enumerate(a):
        places[token] = places.get(token, 0) | 1 << i
    full = (1 << len(a)) - 1
    free = full
    for token in b:
        here = free & places.get(token, 0)
        if here:
            free = ((free + here) | (free - here)) & full
    return len(a) - free.bit_count()


def _f1(shared: int, answered: int, wanted: int) -> float:
    return 2 * shared / (answered + wanted) if shared else 0.0


def rouge_l(answer: Sequence[str], reference: Sequence[str]) -> float:
    """Return ROUGE-L F1 of two token lists: shared subsequence against both lengths, alpha one half."""
    return _f1(longest_common_subsequence(answer, reference), len(answer), len(reference))


def rouge_n(answer: Sequence[str], reference: Sequence[str], n: int) -> float:
    """Return ROUGE-n F1 of two token lists, from clipped n-gram counts."""
    ours, theirs = _ngrams(answer, n), _ngrams(reference, n)
    shared = sum(min(count, theirs[gram]) for gram, count in ours.items() if gram in theirs)
    return _f1(shared, max(0, len(answer) - n + 1), max(0, len(reference) - n + 1))


def _add_rouge(name: str, n: int | None) -> None:
    def score(pairs: Sequence[tuple[Sample, Answer]], _options: Options) -> list[Value]:
        values = []
        for sample, answer in pairs:
            ours = characters(text(sample, answer))
            cut = [characters(reference) for reference in references(sample)]
            values.append(Value(max(rouge_n(ours, c, n) if n else rouge_l(ours, c) for c in cut)))
        return values

    add_metric(Metric(name, 1, TEXTS, score, lambda _options: "tok:char|f1|refs:best"))


for _name, _order in (("rouge_1", 1), ("rouge_2", 2), ("rouge_l", None)):
    _add_rouge(_name, _order)


def _rouge_l_tcm(pairs: Sequence[tuple[Sample, Answer]], options: Options) -> list[Value]:
    lexicon: Lexicon = lexicon_of(options)
    values = []
    for sample, answer in pairs:
        ours = tokens(text(sample, answer), lexicon)
        values.append(Value(max(rouge_l(ours, tokens(r, lexicon)) for r in references(sample))))
    return values


def _rouge_l_tcm_signature(options: Options) -> str:
    return f"tok:tcm-longest-match|{lexicon_of(options).signature}|f1|refs:best"


add_metric(Metric("rouge_l_tcm", 1, TEXTS, _rouge_l_tcm, _rouge_l_tcm_signature, options=("lexicon",)))

# ------------------------------------------------------------------ METEOR


class _NoSynonyms:
    """Stands where nltk expects WordNet: no word has a synonym."""

    def synsets(self, _word: str) -> list[Any]:
        return []


def _meteor(pairs: Sequence[tuple[Sample, Answer]], _options: Options) -> list[Value]:
    """Return nltk's METEOR of characters: exact and stem matches only, no synonyms.

    A single character is its own Porter stem, so that stem matching never adds to the exact (case-blind) one here.
    """
    from nltk.translate.meteor_score import meteor_score

    none = _NoSynonyms()
    values = []
    for sample, answer in pairs:
        cut = [characters(reference) for reference in references(sample)]
        values.append(Value(float(meteor_score(cut, characters(text(sample, answer)), wordnet=none))))
    return values


def _meteor_signature(_options: Options) -> str:
    return f"tok:char|match:exact+stem|synonyms:none|a:0.9|b:3|g:0.5|refs:best|nltk:{version('nltk')}"


add_metric(Metric("meteor", 1, TEXTS, _meteor, _meteor_signature))
