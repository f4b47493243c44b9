"""Time all lexical metrics beside their reference libraries on the same pairs, one core, and compare the values.

    OMP_NUM_THREADS=1 python benchmarks/lexical_metrics.py [--pairs 10000] [--characters 60] [--pairs-for-library 2000]

Prints CPU seconds per 10,000 pairs of each side, and the largest difference of a value. The libraries run on fewer pairs
(their time is scaled). Exit code 1 when a value differs by more than 1e-9 or all of ours take more than 15 s.
"""

from __future__ import annotations

import argparse
import platform
import random
import sys
import time
from collections.abc import Callable, Sequence
from importlib.metadata import version
from typing import Any

import numpy as np

from harness.metrics._lexicon import lexicon_of, terms, tokens
from harness.registry import Answer, get_metric
from harness.types import Reference, Sample

Pairs = Sequence[tuple[Sample, Answer]]
OURS = ("bleu4", "rouge_1", "rouge_2", "rouge_l", "rouge_l_tcm", "meteor", "term_score")
LIMIT_S = 15.0


def make_pairs(count: int, characters: int, seed: int) -> list[tuple[Sample, str]]:
    """Return clinical-looking texts, and answers with a third of their words changed, doses and commas among them."""
    chance = random.Random(seed)
    words = [
        *sorted(terms()),
        "，",
        "。",
        "、",
        "治宜",
        "方用",
        "加减",
        "10g",
        "3.5g",
        "证",
        "患者",
        "可见",
        "不",
        "无",
    ]
    pairs = []
    for number in range(count):
        wanted = [chance.choice(words) for _ in range(characters)]
        given = [chance.choice(words) if chance.random() < 1 / 3 else word for word in wanted]
        text, answer = "".join(wanted)[:characters], "".join(given)[:characters]
        pairs.append((Sample(str(number), "bench", {}, Reference((text,))), answer))
    return pairs


def texts(pairs: Pairs) -> tuple[list[str], list[str]]:
    """Return the answers and the references."""
    return [str(answer) for _, answer in pairs], [
        s.target.texts[0] for s, _ in pairs if isinstance(s.target, Reference)
    ]


def by_sacrebleu(pairs: Pairs) -> list[float]:
    from sacrebleu.metrics.bleu import BLEU

    bleu = BLEU(tokenize="zh", effective_order=True)
    return [bleu.sentence_score(a, [r]).score / 100 for a, r in zip(*texts(pairs), strict=True)]


def by_rouge_score(kind: str, cut: Callable[[str], list[str]]) -> Callable[[Pairs], list[float]]:
    class Tokenizer:
        def tokenize(self, text: str) -> list[str]:
            return cut(text)

    def run(pairs: Pairs) -> list[float]:
        from rouge_score.rouge_scorer import RougeScorer

        scorer = RougeScorer([kind], tokenizer=Tokenizer())
        return [scorer.score(r, a)[kind].fmeasure for a, r in zip(*texts(pairs), strict=True)]

    return run


def by_nltk(pairs: Pairs) -> list[float]:
    from nltk.translate.meteor_score import single_meteor_score

    class Nothing:
        def synsets(self, _word: str) -> list[Any]:
            return []

    cut = [([*a], [*r]) for a, r in zip(*texts(pairs), strict=True)]
    return [single_meteor_score(reference, answer, wordnet=Nothing()) for answer, reference in cut]


LIBRARIES: dict[str, tuple[str, Callable[[Pairs], list[float]]]] = {
    "bleu4": ("sacrebleu", by_sacrebleu),
    "rouge_1": ("rouge-score", by_rouge_score("rouge1", list)),
    "rouge_2": ("rouge-score", by_rouge_score("rouge2", list)),
    "rouge_l": ("rouge-score", by_rouge_score("rougeL", list)),
    "rouge_l_tcm": ("rouge-score", by_rouge_score("rougeL", lambda text: tokens(text, lexicon_of({})))),
    "meteor": ("nltk", by_nltk),
}


def timed(run: Callable[[], Any]) -> tuple[Any, float]:
    """Return a result and its CPU seconds."""
    start = time.process_time()
    return run(), time.process_time() - start


def corpus_line(pairs: Pairs) -> tuple[float, float]:
    """Return the largest difference of corpus BLEU and the CPU seconds of 1,000 resamples of 2,000 answers."""
    from sacrebleu.metrics.bleu import BLEU

    metric = get_metric("bleu4")
    assert metric.combine is not None
    parts = np.array([[v.parts[name] for name in metric.parts] for v in metric.score(pairs, {})])
    answers, references = texts(pairs)
    theirs = BLEU(tokenize="zh").corpus_score(answers, [references]).score / 100
    difference = abs(float(metric.combine(parts.sum(axis=0)[None, :])[0]) - theirs)
    draws = np.random.default_rng(0)

    def resample() -> Any:
        count = min(2000, len(parts))
        weights = draws.multinomial(count, np.full(count, 1 / count), size=1000)
        return metric.combine(weights @ parts[:count]) if metric.combine else None

    return difference, timed(resample)[1]


def main() -> int:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--pairs", type=int, default=10_000)
    options.add_argument("--characters", type=int, default=60)
    options.add_argument("--pairs-for-library", type=int, default=2_000)
    options.add_argument("--seed", type=int, default=0)
    given = options.parse_args()
    pairs = make_pairs(given.pairs, given.characters, given.seed)
    few = pairs[: given.pairs_for_library]
    for name in OURS:  # imports and first calls are not what is measured
        get_metric(name).score(pairs[:20], {})
    packages = " ".join(f"{name} {version(name)}" for name in ("sacrebleu", "rouge-score", "nltk", "numpy"))
    print(f"Python {platform.python_version()}, {platform.machine()}, {packages}")
    print(
        f"{given.pairs} pairs of {given.characters} characters; libraries on {len(few)}; CPU seconds per 10,000 pairs"
    )
    print(f"{'metric':<14}{'ours':>8}{'library':>10}{'faster':>8}  {'largest difference':<20}library")
    total = worst = 0.0
    for name in OURS:
        values, seconds = timed(lambda name=name: get_metric(name).score(pairs, {}))  # type: ignore[misc]
        total += seconds
        ours, line = seconds * 10_000 / len(pairs), f"{name:<14}"
        if name not in LIBRARIES:
            print(f"{line}{ours:>8.2f}{'none':>10}")
            continue
        library, run = LIBRARIES[name]
        theirs, theirs_s = timed(lambda run=run: run(few))  # type: ignore[misc]
        scaled = theirs_s * 10_000 / len(few)
        difference = max(abs((v.value or 0.0) - t) for v, t in zip(values, theirs, strict=False))
        worst = max(worst, difference)
        print(f"{line}{ours:>8.2f}{scaled:>10.2f}{scaled / ours:>7.1f}x  {difference:<20.1e}{library}")
    corpus, resampling = corpus_line(few)
    worst = max(worst, corpus)
    print(f"corpus BLEU: difference {corpus:.1e}; 1,000 resamples of {min(2000, len(few))} answers: {resampling:.2f} s")
    print(f"all lexical metrics, {given.pairs} pairs: {total:.2f} s CPU (limit {LIMIT_S:g} s for 10,000)")
    return int(worst > 1e-9 or total * 10_000 / len(pairs) > LIMIT_S)


if __name__ == "__main__":
    sys.exit(main())
