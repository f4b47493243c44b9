"""Distractors and places: every option string is right as often as any other, and so is every letter."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence

from tools.make_tasks.draft import LETTERS, Draft, rank

WIDTH = len(LETTERS)


def bigrams(text: str) -> frozenset[str]:
    """Return the pairs of neighbouring characters of a text."""
    return frozenset(text[i : i + 2] for i in range(len(text) - 1))


def thin(drafts: Iterable[Draft], seed: int) -> list[Draft]:
    """Return the drafts of one pool without those whose answer is right so often that guessing it would pay."""
    kept = sorted(drafts, key=lambda d: rank(seed, d.key))
    while kept:
        counts = Counter(s for d in kept for s in d.right)
        most, times = max(counts.items(), key=lambda pair: (pair[1], pair[0]))
        rights = sum(counts.values())
        # A string can stand in each question once: it may be right in at most (right options / all options) of them.
        if times <= max(1, rights // WIDTH if len(kept[0].right) == 1 else (len(kept) * 3) // WIDTH):
            break
        kept.remove(next(d for d in reversed(kept) if most in d.right))
    return kept


def distractors(drafts: Sequence[Draft], spare: Iterable[str], seed: int) -> dict[str, tuple[str, ...]]:
    """Return draft key -> distractors, for the drafts of one pool that can have enough.

    Each string gets a quota of places as a distractor, proportional to how often it is right; the strings furthest behind
    their quota come first, and near ones before others. `spare` strings help a pool that is too small.
    """
    right = Counter(s for d in drafts for s in d.right)
    wanted = sum(WIDTH - len(d.right) for d in drafts)
    total = sum(right.values())
    quota: dict[str, float] = {s: n * wanted / total for s, n in right.items()} if total else {}
    extra = sorted(set(spare) - set(right))
    found: dict[str, tuple[str, ...]] = {}
    left = len(drafts)
    for draft in sorted(drafts, key=lambda d: (len(_valid(d, quota)), rank(seed, d.key))):
        need = WIDTH - len(draft.right)
        ranked = sorted(
            _valid(draft, quota),
            key=lambda s: -(quota[s] / max(1, left) * 4 + (s in draft.near)) + rank(seed, draft.key + s) / 2**66,
        )
        chosen = _compatible(ranked, need)
        if len(chosen) < need:
            more = sorted(_valid(draft, extra), key=lambda s: (s not in draft.near, rank(seed, draft.key + s)))
            chosen = _compatible([*chosen, *more], need)
        left -= 1
        if len(chosen) < need or _echo_gives_away(draft, chosen):
            continue
        for s in chosen:
            if s in quota:
                quota[s] -= 1
        found[draft.key] = tuple(chosen)
    return found


def _valid(draft: Draft, strings: Iterable[str]) -> list[str]:
    return [
        s
        for s in strings
        if s not in draft.excluded
        and (draft.allowed is None or s in draft.allowed)
        and not any(s in r or r in s for r in draft.right)
    ]


def _compatible(ranked: Sequence[str], need: int) -> list[str]:
    chosen: list[str] = []
    for s in ranked:
        if len(chosen) == need:
            break
        if not any(s in other or other in s for other in chosen):
            chosen.append(s)
    return chosen


def _echo_gives_away(draft: Draft, wrong: Sequence[str]) -> bool:
    """Tell whether only the right options repeat words of the question."""
    stem = bigrams(draft.question)
    return any(bigrams(r) & stem for r in draft.right) and not any(bigrams(w) & stem for w in wrong)


def places(keys: Sequence[str], seed: int) -> dict[str, int]:
    """Return for each single-choice question where its right option stands, each letter as often as any other."""
    ordered = sorted(keys, key=lambda key: rank(seed, f"place{key}"))
    result: dict[str, int] = {}
    for start in range(0, len(ordered), WIDTH):
        block = sorted(range(WIDTH), key=lambda letter: rank(seed, f"block{start}-{letter}"))
        result.update(zip(ordered[start : start + WIDTH], block, strict=False))
    return result


def by_pool(drafts: Iterable[Draft]) -> dict[str, list[Draft]]:
    """Return pool -> drafts."""
    pools: dict[str, list[Draft]] = defaultdict(list)
    for draft in drafts:
        pools[draft.pool].append(draft)
    return pools
