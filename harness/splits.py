"""Our own division of a suite into train, validation and test: seeded, stratified, and with no twin on both sides.

What must stay together is found first: items of one group, near-duplicates by text, and translations. Then whole clusters
are dealt out. It is never the split of somebody else's paper, and tasks that use it say so.
"""

from __future__ import annotations

import hashlib
import re
import zlib
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace

from harness.specs import SplitRule
from harness.types import Choice, Sample

SHINGLE = 4
BANDS, ROWS = 12, 3
SIMILAR = 0.8
"""Texts whose sets of four-character pieces overlap by this Jaccard share or more are near-duplicates."""


def divide(rule: SplitRule, samples: Iterable[Sample]) -> Callable[[Sample], Sample]:
    """Return a function that gives each of these samples its split."""
    items = list(samples)
    cluster = _Union(len(items))
    _tie_equal(cluster, [s.group or f"id:{s.id}" for s in items])
    texts = [_bare(s) for s in items]
    _tie_equal(cluster, texts)
    for a, b in near_duplicates(texts):
        cluster.tie(a, b)
    for a, b in translations(items):
        cluster.tie(a, b)
    splits = _deal(rule, items, cluster)
    return lambda sample: replace(sample, split=splits[sample.id])


class _Union:
    def __init__(self, size: int) -> None:
        self._parent = list(range(size))

    def root(self, item: int) -> int:
        while self._parent[item] != item:
            self._parent[item] = self._parent[self._parent[item]]
            item = self._parent[item]
        return item

    def tie(self, a: int, b: int) -> None:
        a, b = self.root(a), self.root(b)
        self._parent[max(a, b)] = min(a, b)


def _tie_equal(cluster: _Union, names: Sequence[str]) -> None:
    first: dict[str, int] = {}
    for place, name in enumerate(names):
        cluster.tie(place, first.setdefault(name, place))


def _bare(sample: Sample) -> str:
    options = "".join(sorted(sample.options.values()))
    return re.sub(r"[\W_]+", "", f"{sample.question}{options}").lower()


def near_duplicates(texts: Sequence[str]) -> Iterable[tuple[int, int]]:
    """Yield pairs of places whose texts are near-duplicates; pairs are found by MinHash bands and then verified.

    **Source:** Broder 1997, On the resemblance and containment of documents.
    """
    import numpy as np

    rng = np.random.default_rng(0)
    factors = rng.integers(1, 2**31 - 1, size=(BANDS * ROWS, 1), dtype=np.int64)
    offsets = rng.integers(0, 2**31 - 1, size=(BANDS * ROWS, 1), dtype=np.int64)
    buckets: dict[tuple[int, bytes], list[int]] = defaultdict(list)
    pieces = [_pieces(text) for text in texts]
    for place, own in enumerate(pieces):
        hashes = np.fromiter(own, dtype=np.int64) % (2**31 - 1)
        sketch = ((factors * hashes + offsets) % (2**31 - 1)).min(axis=1).reshape(BANDS, ROWS)
        for band, rows in enumerate(sketch):
            buckets[band, rows.tobytes()].append(place)
    seen: set[tuple[int, int]] = set()
    for members in buckets.values():
        for place in members[1:]:
            pair = (members[0], place)
            if pair not in seen:
                seen.add(pair)
                a, b = pieces[pair[0]], pieces[pair[1]]
                if len(a & b) >= SIMILAR * len(a | b):
                    yield pair


def _pieces(text: str) -> frozenset[int]:
    ends = max(1, len(text) - SHINGLE + 1)
    return frozenset(zlib.crc32(text[i : i + SHINGLE].encode("utf-8", "replace")) for i in range(ends))


def translations(samples: Sequence[Sample]) -> Iterable[tuple[int, int]]:
    """Yield pairs of places that translate each other, where the data's order shows it.

    Samples must carry a `lang` field. Within each block (same discipline and same other short fields) the n-th item of one language
    is taken for the translation of the n-th of the other when both languages have equally many items and at least 95 in 100 of
    their answers agree; else nothing is yielded for the block, for a wrong guess would be worse than none.
    """
    blocks: dict[str, dict[str, list[int]]] = defaultdict(lambda: defaultdict(list))
    for place, sample in enumerate(samples):
        language = str(sample.fields.get("lang") or "")
        if language:
            blocks[_block(sample)][language].append(place)
    for by_language in blocks.values():
        if len(by_language) == 2:
            first, second = by_language.values()
            agree = sum(_answer(samples[a]) == _answer(samples[b]) for a, b in zip(first, second, strict=False))
            if len(first) == len(second) and agree >= 0.95 * len(first):
                yield from zip(first, second, strict=True)


def _block(sample: Sample) -> str:
    fields = (
        (k, v)
        for k, v in sorted(sample.fields.items())
        if k not in ("lang", "question", "options") and isinstance(v, str)
    )
    return repr([sample.discipline, *fields])


def _answer(sample: Sample) -> str:
    return "".join(sorted(sample.target.letters)) if isinstance(sample.target, Choice) else repr(sample.target)


def _deal(rule: SplitRule, items: Sequence[Sample], cluster: _Union) -> dict[str, str]:
    """Deal whole clusters out, stratum by stratum, so that each split gets its share of the samples."""
    shares: dict[str, float] = {str(name): share for name, share in (rule.divide or {}).items()}
    members: dict[int, list[Sample]] = defaultdict(list)
    for place, sample in enumerate(items):
        members[cluster.root(place)].append(sample)
    strata: dict[str, list[list[Sample]]] = defaultdict(list)
    for group in members.values():
        strata["\x1f".join(_stratum(group[0], name) for name in rule.stratify)].append(group)
    splits: dict[str, str] = {}
    whole = sum(shares.values())
    for _, groups in sorted(strata.items()):
        total = sum(map(len, groups))
        got = dict.fromkeys(shares, 0)
        for group in sorted(groups, key=lambda g: _rank(rule.seed, min(s.id for s in g))):
            # the split that is furthest behind its share takes the next cluster
            name = max(shares, key=lambda n: shares[n] / whole - got[n] / total)
            got[name] += len(group)
            splits.update({sample.id: name for sample in group})
    return splits


def _stratum(sample: Sample, name: str) -> str:
    return sample.discipline or "" if name == "discipline" else str(sample.fields.get(name, ""))


def _rank(seed: int, name: str) -> bytes:
    return hashlib.blake2b(f"{seed}\x1f{name}".encode(), digest_size=8).digest()
