"""Distractors and places: every option string is right as often as any other, and so is every letter."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from functools import cache

from tools.make_tasks.alike import alike, apart
from tools.make_tasks.draft import LETTERS, Draft, rank
from tools.make_tasks.even import even

WIDTH = len(LETTERS)


@cache
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
        told = _telling(kept, found, seed)
        if told is None:
            return even(kept, found, seed, lambda draft, wrong: not _echo_gives_away(draft, wrong))
        kept = thin([d for d in kept if d.key != told.key], seed)


def _telling(drafts: Sequence[Draft], found: Mapping[str, tuple[str, ...]], seed: int) -> Draft | None:
    """Return a draft with an option that is right far more often, or far more seldom, than its places would have it.

    None where all is even. Of the drafts with a distractor that is too seldom right, the one with most such goes first.
    """
    dealt = [d for d in drafts if not d.wrong]
    right = Counter(s for d in dealt for s in d.right)
    wrong = Counter(s for d in dealt for s in found[d.key])
    wanted = wrong.total() / max(1, right.total())
    excess = {s: right[s] * wanted - wrong[s] for s in {*right, *wrong}}
    often = max((s for s in right if right[s] > 1), key=lambda s: (excess[s], s), default=None)
    if often is not None and excess[often] >= WIDTH - 1:
        return next(d for d in dealt if often in d.right)
    seldom = min(wrong, key=lambda s: (excess[s], s), default=None)
    if seldom is None or excess[seldom] > -WIDTH:
        return None
    holding = [d for d in dealt if seldom in found[d.key]]
    return min(holding, key=lambda d: (sum(min(0.0, excess[s]) for s in found[d.key]), rank(seed, d.key)))


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
        chosen = _chosen(draft, _ranked(draft, [*quota, *extra], quota, seed), need)
        if chosen is None:
            continue
        for s in chosen:
            if s in quota:
                quota[s] -= 1
        found[draft.key] = chosen
    _even_out([d for d in open_drafts if d.key in found], found, quota, seed)
    return found


def _chosen(draft: Draft, ranked: Sequence[str], need: int) -> tuple[str, ...] | None:
    """Return the first `need` strings that may stand together; None where no start among them leads to so many."""
    for start in range(min(len(ranked), 4 * need)):
        chosen = apart(draft.pool, (ranked[start], *ranked), need)
        if len(chosen) == need and not _echo_gives_away(draft, chosen):
            return chosen
    return None


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
                    and not any(alike(draft.pool, few, s) for s in rest)
                    and not _echo_gives_away(draft, [*rest, few])
                ):
                    found[draft.key] = (*rest, few)
                    quota[few] -= 1
                    if often in quota:
                        quota[often] += 1
                    break


def _ranked(draft: Draft, strings: Iterable[str], quota: Mapping[str, float], seed: int) -> list[str]:
    """Return the valid ones of `strings`: those that are due first, then the pool's, then others, each with the best first."""
    stem, key = frozenset(draft.question), draft.key
    aim = max(echo(s, stem) for s in draft.right)

    def score(s: str) -> tuple[int, float]:
        left = quota.get(s, -1.0)
        heard = min(1.0, echo(s, stem) / aim) if aim else 0.0
        spent = min(1.0, max(0.0, left) / (WIDTH * 2))
        worth = (s in draft.near) + 2.0 * heard + 1.5 * spent + rank(seed, key + s) / 2**64
        return (0 if left > 0.5 else 1 if s in quota else 2), -worth

    return sorted(_valid(draft, strings), key=score)


def echo(option: str, stem: frozenset[str]) -> float:
    """Return the share of an option's characters that stand in the question too."""
    own = _characters(option)
    return len(own & stem) / len(own)


@cache
def _characters(text: str) -> frozenset[str]:
    return frozenset(text)


def _valid(draft: Draft, strings: Iterable[str]) -> list[str]:
    return [s for s in strings if s not in draft.excluded and not any(alike(draft.pool, s, r) for r in draft.right)]


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
