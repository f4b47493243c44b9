"""Drafts -> items as the suite's files hold them."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TypeVar

from tools.make_tasks.deal import by_pool, places, settle, thin
from tools.make_tasks.draft import LETTERS, BlankDraft, Draft, item_id, rank

CANARY = "tcm-eval tcm_core canary 6f0c2b7e-5d1a-4c37-9e84-b1d3a7f20c95: benchmark data, not for training"
Item = dict[str, Any]
_Any = TypeVar("_Any", Draft, BlankDraft)


def choice_items(
    drafts: Iterable[Draft], splits: Mapping[str, str], most: Mapping[str, int], *, prefix: str, seed: int
) -> list[Item]:
    """Return items of one discipline: at most `most[split]` of each split, spread over the templates."""
    by_split: dict[str, list[Draft]] = defaultdict(list)
    for draft in drafts:
        by_split[splits[draft.entity]].append(draft)
    items: list[Item] = []
    for split, inside in sorted(by_split.items()):
        chosen = _share_out(inside, most[split], seed)
        wrong: dict[str, tuple[str, ...]] = {}
        kept: list[Draft] = []
        spare = by_pool(drafts)
        for pool, together in sorted(by_pool(chosen).items()):
            members = thin(together, seed)
            found = settle(members, [s for d in spare[pool] for s in d.right], seed)
            wrong |= found
            kept += [d for d in members if d.key in found]
        items += _placed(kept, wrong, split, prefix, seed)
    return items


def _share_out(drafts: Sequence[_Any], most: int, seed: int) -> list[_Any]:
    """Return at most `most` drafts, taken in turns from each template, and there no right answer twice before all others once."""
    queues: dict[str, list[_Any]] = defaultdict(list)
    times: Counter[tuple[str, object]] = Counter()
    turn: dict[str, int] = {}
    for draft in sorted(drafts, key=lambda d: rank(seed, f"share{d.key}")):
        answer = (draft.template, draft.right if isinstance(draft, Draft) else draft.key)
        turn[draft.key] = times[answer]
        times[answer] += 1
        queues[draft.template].append(draft)
    for waiting in queues.values():
        waiting.sort(key=lambda d: turn[d.key])
    chosen: list[_Any] = []
    while len(chosen) < most and any(queues.values()):
        for name in sorted(queues):
            if queues[name] and len(chosen) < most:
                chosen.append(queues[name].pop(0))
    return chosen


def _placed(
    drafts: Sequence[Draft], wrong: Mapping[str, tuple[str, ...]], split: str, prefix: str, seed: int
) -> list[Item]:
    spots = places([d.key for d in drafts], seed)
    items = []
    for draft in drafts:
        texts = sorted(wrong[draft.key], key=lambda s: rank(seed, draft.key + s))
        if len(draft.right) == 1:
            texts.insert(spots[draft.key], draft.right[0])
        else:
            texts = sorted([*texts, *draft.right], key=lambda s: rank(seed, f"order{draft.key}{s}"))
        options = dict(zip(LETTERS, texts, strict=True))
        answer = "".join(letter for letter, text in options.items() if text in draft.right)
        items.append(_item(draft, options, answer, split, prefix))
    return items


def _item(draft: Draft, options: Mapping[str, str], answer: str, split: str, prefix: str) -> Item:
    return {
        "id": item_id(prefix, draft.discipline, draft.key),
        "discipline": draft.discipline,
        "type": "single_choice" if len(draft.right) == 1 else "multiple_choice",
        "lang": "zh",
        "split": split,
        "group": draft.group,
        "question": draft.question,
        "options": dict(options),
        "answer": answer,
        "explanation": draft.explanation,
        "facts": list(draft.facts),
        "source": {"work": draft.source.work, "edition": draft.source.edition, "entry": draft.source.entry},
        "difficulty": draft.difficulty,
        "template": draft.template,
        "canary": CANARY,
    }


def blank_items(
    drafts: Iterable[BlankDraft], splits: Mapping[str, str], most: Mapping[str, int], *, seed: int
) -> list[Item]:
    """Return fill-in items of one discipline: at most `most[split]` of each split, spread over the templates."""
    by_split: dict[str, list[BlankDraft]] = defaultdict(list)
    for draft in drafts:
        by_split[splits[draft.entity]].append(draft)
    return [
        {
            "id": item_id("fb", draft.discipline, draft.key),
            "discipline": draft.discipline,
            "type": "fill_blank",
            "lang": "zh",
            "split": split,
            "group": draft.group,
            "question": draft.question,
            "answer": [list(one) for one in draft.answer],
            "explanation": draft.explanation,
            "facts": list(draft.facts),
            "source": {"work": draft.source.work, "edition": draft.source.edition, "entry": draft.source.entry},
            "difficulty": draft.difficulty,
            "template": draft.template,
            "canary": CANARY,
        }
        for split, inside in sorted(by_split.items())
        for draft in _share_out(inside, most[split], seed)
    ]
