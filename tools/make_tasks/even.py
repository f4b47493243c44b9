"""Exchange distractors between questions until the right option stands out in no way that can be seen.

A distractor is chosen to be near the right answer, so the right one stands in the middle of the five: the option most like the
others would be right too often. Exchanges keep every string in as many questions as before.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cache

from tools.make_tasks.alike import alike
from tools.make_tasks.draft import LETTERS, Draft, rank

WIDTH = len(LETTERS)
TRIES = 60
"""Exchanges tried for each question of a pool."""
NEAR = 0.5
"""What a near distractor is worth: so much more even must the pool become by giving one up."""
Ranks = tuple[tuple[float, ...], ...]
Wrong = dict[str, tuple[str, ...]]


def even(drafts: Sequence[Draft], found: Mapping[str, tuple[str, ...]], seed: int, fair: Callable[..., bool]) -> Wrong:
    """Return draft key -> distractors, with right options at each rank of likeness, length and echo about equally often.

    `fair(draft, wrong)` tells whether a question may have these distractors.
    """
    wrong: Wrong = dict(found)
    dealt = [d for d in drafts if not d.wrong]
    strings = {s for d in dealt for s in wrong[d.key]}
    fits = {d.key: {s for s in strings if _fits(d, s)} for d in dealt}
    marks = {d.key: _ranks(d, wrong[d.key]) for d in dealt}
    sums = [[sum(bins) for bins in zip(*rows, strict=True)] for rows in zip(*marks.values(), strict=True)]
    level = sum(len(d.right) for d in dealt) / WIDTH
    for attempt in range(TRIES * len(dealt) if len(dealt) > 1 else 0):
        if all(abs(bin_ - level) < 1 for row in sums for bin_ in row):
            break
        chance = rank(seed, f"even{attempt}{dealt[0].key}")
        one, other = dealt[chance % len(dealt)], dealt[chance // 1000 % len(dealt)]
        given, taken = _pick(wrong[one.key], chance // 10**7), _pick(wrong[other.key], chance // 10**8)
        if taken not in fits[one.key] or given not in fits[other.key]:
            continue
        mine, theirs = _exchanged(one, wrong, given, taken), _exchanged(other, wrong, taken, given)
        if one is other or mine is None or theirs is None or not (fair(one, mine) and fair(other, theirs)):
            continue
        ranks = {one.key: _ranks(one, mine), other.key: _ranks(other, theirs)}
        after = [
            [n + sum(ranks[key][m][b] - marks[key][m][b] for key in ranks) for b, n in enumerate(row)]
            for m, row in enumerate(sums)
        ]
        lost = (given in one.near) + (taken in other.near) - (taken in one.near) - (given in other.near)
        if _uneven(after, level) + NEAR * lost < _uneven(sums, level):
            wrong[one.key], wrong[other.key], sums = mine, theirs, after
            marks.update(ranks)
    return wrong


def _pick(texts: Sequence[str], number: int) -> str:
    return texts[number % len(texts)]


def _fits(draft: Draft, text: str) -> bool:
    return text not in draft.excluded and not any(alike(draft.pool, text, r) for r in draft.right)


def _exchanged(draft: Draft, wrong: Wrong, given: str, taken: str) -> tuple[str, ...] | None:
    """Return the draft's distractors with one exchanged; None where the new one cannot stand beside the rest."""
    rest = tuple(s for s in wrong[draft.key] if s != given)
    return None if any(alike(draft.pool, taken, s) for s in rest) else (*rest, taken)


def _uneven(sums: Sequence[Sequence[float]], level: float) -> float:
    return sum((bin_ - level) ** 2 for row in sums for bin_ in row)


def _ranks(draft: Draft, wrong: Sequence[str]) -> Ranks:
    """Return for each measure how many right options stand at each rank; one that ties is shared out."""
    texts = (*draft.right, *wrong)
    measures = (
        [sum([_likeness(a, b) for b in texts]) for a in texts],
        [float(len(text)) for text in texts],
        [_echo(text, draft.question) for text in texts],
    )
    found = []
    for values in measures:
        bins = [0.0] * WIDTH
        for value in values[: len(draft.right)]:
            above, level = (
                len([1 for v in values if v > value + 1e-9]),
                len([1 for v in values if abs(v - value) <= 1e-9]),
            )
            for place in range(above, above + level):
                bins[place] += 1.0 / level
        found.append(tuple(bins))
    return tuple(found)


@cache
def _echo(option: str, question: str) -> float:
    return len(set(option) & set(question)) / len(set(option))


@cache
def _likeness(one: str, other: str) -> float:
    """Return the characters that two texts share, as a part of all that they have."""
    own, theirs = set(one), set(other)
    return len(own & theirs) / len(own | theirs)
