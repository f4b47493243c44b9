"""Distractors and places: every option string is right as often as any other, and so is every letter."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence

from tools.make_tasks.draft import LETTERS, Draft, rank

WIDTH = len(LETTERS)


def bigrams(text: str) -> frozenset[str]:
    """Return the pairs of neighbouring characters of a text."""
    return frozenset(text[i : i + 2] for i in range(len(text) - 1))


def thin(drafts: Iterable[Draft], seed: int) -> list[Draft]:
    """Return the drafts of one pool without those whose answer is right so often that guessing it would pay."""
    kept = _opposed_evenly(sorted(drafts, key=lambda d: rank(seed, d.key)))
    while kept:
        counts = Counter(s for d in kept for s in d.right)
        most, times = max(counts.items(), key=lambda pair: (pair[1], pair[0]))
        rights = sum(counts.values())
        # A string can stand in each question once: it may be right in at most (right options / all options) of them.
        if times <= max(1, rights // WIDTH if len(kept[0].right) == 1 else (len(kept) * 3) // WIDTH):
            break
        kept.remove(next(d for d in reversed(kept) if most in d.right))
    return kept


def _opposed_evenly(drafts: list[Draft]) -> list[Draft]:
    """Return as many drafts of the question `…-a` as of its opposite `…-b`: what is right in one is wrong in the other."""
    sides = [[d for d in drafts if d.template.endswith(side)] for side in ("-a", "-b")]
    if not all(sides):
        return drafts
    least = min(map(len, sides))
    gone = {d.key for side in sides for d in side[least:]}
    return [d for d in drafts if d.key not in gone]


def settle(drafts: Sequence[Draft], spare: Iterable[str], seed: int) -> dict[str, tuple[str, ...]]:
    """Return draft key -> distractors, dealt anew without the drafts that could not have good ones, until all can.

    A draft that is left out takes its right answer along: dealing anew keeps the others balanced.
    """
    kept, spare = list(drafts), list(spare)
    while True:
        found = distractors(kept, spare, seed)
        if len(found) < len(kept):
            kept = thin([d for d in kept if d.key in found], seed)
            continue
        told = _telling(kept, found)
        if told is None:
            return found
        kept = thin([d for d in kept if d.key != told.key], seed)


def _telling(drafts: Sequence[Draft], found: Mapping[str, tuple[str, ...]]) -> Draft | None:
    """Return a draft whose right option is right far more often than its places would have it; None where all is even."""
    right = Counter(s for d in drafts if not d.wrong for s in d.right)
    wrong = Counter(s for d in drafts if not d.wrong for s in found[d.key])
    wanted = sum(len(found[d.key]) for d in drafts if not d.wrong) / max(1, right.total())
    excess = {s: n * wanted - wrong[s] for s, n in right.items() if n > 1}
    most = max(excess, key=lambda s: (excess[s], s), default=None)
    if most is None or excess[most] < WIDTH - 1:
        return None
    return next(d for d in drafts if most in d.right)


def distractors(drafts: Sequence[Draft], spare: Iterable[str], seed: int) -> dict[str, tuple[str, ...]]:
    """Return draft key -> distractors, for the drafts of one pool that can have enough.

    Each string gets a quota of places as a distractor, proportional to how often it is right. Among those with quota left,
    near ones come first, and ones that repeat as much of the question as the right option does. `spare` strings help a pool
    that is too small.
    """
    found = {d.key: d.wrong for d in drafts if d.wrong}
    open_drafts = [d for d in drafts if not d.wrong]
    right = Counter(s for d in open_drafts for s in d.right)
    wanted = sum(WIDTH - len(d.right) for d in open_drafts)
    quota = {s: n * wanted / right.total() for s, n in right.items()}
    extra = sorted(set(spare) - set(right))
    for draft in sorted(open_drafts, key=lambda d: (len(_valid(d, quota)), rank(seed, d.key))):
        need = WIDTH - len(draft.right)
        chosen = _first(_ranked(draft, [s for s in quota if quota[s] > 0.5], quota, seed), need)
        for more in (quota, extra):
            if len(chosen) < need:
                chosen = _first([*chosen, *_ranked(draft, more, quota, seed)], need)
        if len(chosen) < need or _echo_gives_away(draft, chosen):
            continue
        for s in chosen:
            if s in quota:
                quota[s] -= 1
        found[draft.key] = tuple(chosen)
    _even_out([d for d in open_drafts if d.key in found], found, quota, seed)
    return found


def _even_out(drafts: Sequence[Draft], found: dict[str, tuple[str, ...]], quota: dict[str, float], seed: int) -> None:
    """Exchange distractors that stand too often for ones that stand too seldom, where the question stays as good."""
    for few in sorted(quota, key=lambda s: (-quota[s], s)):
        for draft in sorted(drafts, key=lambda d: rank(seed, f"even{few}{d.key}")):
            if quota[few] <= 0.5:
                break
            wrong = found[draft.key]
            if few in wrong or not _valid(draft, [few]):
                continue
            for often in sorted(wrong, key=lambda s: quota.get(s, -9.0)):
                rest = [s for s in wrong if s != often]
                if (
                    quota.get(often, -9.0) < quota[few] - 1
                    and compatible(few, rest)
                    and not _echo_gives_away(draft, [*rest, few])
                ):
                    found[draft.key] = (*rest, few)
                    quota[few] -= 1
                    if often in quota:
                        quota[often] += 1
                    break


def _ranked(draft: Draft, strings: Iterable[str], quota: Mapping[str, float], seed: int) -> list[str]:
    """Return the valid ones of `strings`, best distractors first."""
    stem = frozenset(draft.question)
    aim = max(echo(s, stem) for s in draft.right)

    def score(s: str) -> float:
        heard = min(1.0, echo(s, stem) / aim) if aim else 0.0
        spent = min(1.0, max(0.0, quota.get(s, 0.0)) / (WIDTH * 2))
        return (s in draft.near) + 2.0 * heard + 1.5 * spent + rank(seed, draft.key + s) / 2**64

    return sorted(_valid(draft, strings), key=lambda s: -score(s))


def echo(option: str, stem: frozenset[str]) -> float:
    """Return the share of an option's characters that stand in the question too."""
    return len(set(option) & stem) / len(set(option))


def _valid(draft: Draft, strings: Iterable[str]) -> list[str]:
    return [s for s in strings if s not in draft.excluded and not any(s in r or r in s for r in draft.right)]


def _first(ranked: Sequence[str], need: int) -> list[str]:
    chosen: list[str] = []
    for s in ranked:
        if len(chosen) == need:
            break
        if compatible(s, chosen):
            chosen.append(s)
    return chosen


def compatible(text: str, others: Iterable[str]) -> bool:
    """Tell whether an option may stand beside others: not where one says all that another says and more."""
    lists = "、" in text or text.endswith(("经", "g")) or len(text) < 3
    return not any(text == o if lists or "、" in o else text in o or o in text for o in others)


def _echo_gives_away(draft: Draft, wrong: Sequence[str]) -> bool:
    """Tell whether the right options repeat more of the question than every distractor, by words or by characters."""
    words, stem = bigrams(draft.question), frozenset(draft.question)
    if any(bigrams(r) & words for r in draft.right) and not any(bigrams(w) & words for w in wrong):
        return True
    return max(echo(r, stem) for r in draft.right) > 0.1 + max(echo(w, stem) for w in wrong)


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
