"""Which split each fact belongs to: what says the same stays together, and nothing of it stands on two sides."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Iterable

from harness import knowledge  # noqa: F401 - the package must be importable before its files are read
from harness.knowledge.entries import Fact
from harness.knowledge.files import diseases, facts, formulas, herbs
from tools.make_tasks.draft import rank

SHARES = {"test": 0.52, "train": 0.38, "validation": 0.10}
SMALL = 16
"""Facts of one relation and class are asked with the same few options; up to this many stay together."""


class Ties:
    """Sets that grow together."""

    def __init__(self) -> None:
        self._parent: dict[str, str] = {}

    def root(self, name: str) -> str:
        """Return the name that stands for the whole set."""
        self._parent.setdefault(name, name)
        while self._parent[name] != name:
            self._parent[name] = self._parent[self._parent[name]]
            name = self._parent[name]
        return name

    def tie(self, a: str, b: str) -> None:
        """Put two sets into one."""
        a, b = self.root(a), self.root(b)
        self._parent[max(a, b)] = min(a, b)

    def tie_equal(self, pairs: Iterable[tuple[Hashable, str]]) -> None:
        """Tie all names that come with an equal key."""
        first: dict[Hashable, str] = {}
        for key, name in pairs:
            self.tie(first.setdefault(key, name), name)


def entities(ties: Ties) -> dict[str, list[str]]:
    """Return discipline -> entities (herbs, formulas, diseases, facts), with all that belong together tied."""
    found: dict[str, list[str]] = defaultdict(list)
    for herb in herbs():
        name = f"herb:{herb.name}"
        found["Pharmacognosy"].append(name)
        ties.tie(name, f"herb:{herb.base or herb.name}")
    for formula in formulas():
        found["Herbal Formulas"].append(f"formula:{formula.name}")
    for disease in diseases():
        found[disease.discipline].append(f"disease:{disease.name}")
    _tie_diseases(ties)
    for fact in facts():
        found[fact.discipline].append(f"fact:{fact.id}")
    _tie_facts(ties, facts())
    return found


def _tie_diseases(ties: Ties) -> None:
    """Tie diseases that name the same pattern with the same formula: one item would answer the other."""
    ties.tie_equal(
        ((pattern.name.split("-")[-1], pattern.formula), f"disease:{disease.name}")
        for disease in diseases()
        for pattern in disease.patterns
    )


def _tie_facts(ties: Ties, all_facts: Iterable[Fact]) -> None:
    classes: dict[tuple[str, str, str], list[Fact]] = defaultdict(list)
    for fact in all_facts:
        classes[fact.discipline, fact.relation, fact.kind].append(fact)
    for members in classes.values():
        short = sum(len(o) for f in members for o in f.object) <= 5 * sum(len(f.object) for f in members)
        if len(members) <= SMALL or short:
            ties.tie_equal(("one", f"fact:{f.id}") for f in members)
    ties.tie_equal(
        (frozenset((_bare(f.term), _bare(o))), f"fact:{f.id}")
        for members in classes.values()
        for f in members
        for o in f.object
    )


def _bare(text: str) -> str:
    return text.strip("《》“”。证")


def divide(seed: int) -> dict[str, str]:
    """Return entity -> split. Clusters are dealt by discipline, largest first, to the split furthest behind its share."""
    ties = Ties()
    found = entities(ties)
    splits: dict[str, str] = {}
    dealt: dict[str, str] = {}
    for discipline in sorted(found):
        clusters: dict[str, list[str]] = defaultdict(list)
        for name in found[discipline]:
            clusters[ties.root(name)].append(name)
        total = len(found[discipline])
        got = dict.fromkeys(SHARES, 0)
        for root, names in sorted(
            clusters.items(), key=lambda c: (-len(c[1]) if len(c[1]) > 5 else 0, rank(seed, c[0]))
        ):
            split = dealt.get(root) or max(SHARES, key=lambda s: SHARES[s] - got[s] / total)
            dealt[root] = split
            got[split] += len(names)
            splits.update(dict.fromkeys(names, split))
    return splits
