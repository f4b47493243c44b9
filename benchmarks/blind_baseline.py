"""Does anything but knowledge answer tcm_core? Two learners that see only the options, never the question.

`words` sees each option alone: its characters, its text, its length, its letter. `relations` sees how an option stands to the
other four: most like them or least, longest or shortest, half of the closest pair. Each is fitted to train and validation and
asked on test, and fitted to test and asked on the rest, so that every item counts. Three numbers must be those of chance, and
each is tested on both sides, for a learner that is wrong too often has found something as well:

* best: how often the option that it scores highest is right;
* worst: how often the one that it scores lowest is right (what the learner turned round would reach);
* pairs: the share of pairs (right, wrong) that it puts in order.

    python benchmarks/blind_baseline.py [--data tasks/tcm_core/data] [--json FILE]
"""

from __future__ import annotations

import argparse
import json
import math
import zlib
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

WIDTH = 2048
LETTERS = "ABCDE"
FEWEST = 20
FILES = ("single_choice", "single_choice_en", "multiple_choice")
Floats = NDArray[np.float32]
Item = dict[str, Any]


def read(path: Path) -> list[Item]:
    """Return the items of a JSONL file."""
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]


# ------------------------------------------------------------------ what the learners see


def words(item: Item) -> Floats:
    """Return (5, WIDTH): hashed character 1- to 3-grams, the whole text, its length and its place, for each option."""
    texts = [item["options"][letter] for letter in LETTERS]
    rows = np.zeros((5, WIDTH), dtype=np.float32)
    longest, shortest = max(map(len, texts)), min(map(len, texts))
    for row, text in enumerate(texts):
        grams = [text[i : i + n] for n in (1, 2, 3) for i in range(len(text) - n + 1)]
        for gram in [*grams, f"whole {text}"]:
            rows[row, zlib.crc32(gram.encode()) % (WIDTH - 16)] += 1.0 / math.sqrt(len(grams) + 1)
        rows[row, WIDTH - 16] = len(text) / 10
        rows[row, WIDTH - 15] = len(text) == longest
        rows[row, WIDTH - 14] = len(text) == shortest
        rows[row, WIDTH - 13 + row] = 1.0
    return rows


def relations(item: Item) -> Floats:
    """Return (5, WIDTH): each option's rank among the five by four measures, for all items and for those of its kind."""
    texts = [item["options"][letter] for letter in LETTERS]
    characters = [set(text) for text in texts]
    pairs = [{text[i : i + 2] for i in range(len(text) - 1)} for text in texts]
    alike = [[_jaccard(a, b) for b in characters] for a in characters]
    measures = {
        "like": [sum(row) - 1 for row in alike],
        "twin": [max(x for j, x in enumerate(row) if j != i) for i, row in enumerate(alike)],
        "phrase": [sum(_jaccard(a, b) for j, b in enumerate(pairs) if j != i) for i, a in enumerate(pairs)],
        "length": [float(len(text)) for text in texts],
    }
    rows = np.zeros((5, WIDTH), dtype=np.float32)
    for name, values in measures.items():
        for row, value in enumerate(values):
            above, level = sum(v > value for v in values), sum(v == value for v in values)
            for rank in range(above, above + level):  # what ties is spread over the ranks it takes
                for kind in ("", _kind(texts)):
                    rows[row, zlib.crc32(f"{name} {rank} {kind}".encode()) % WIDTH] += 1.0 / level
    return rows


def _jaccard(a: set[str], b: set[str]) -> float:
    return len(a & b) / max(1, len(a | b))


def _kind(texts: Sequence[str]) -> str:
    """Return what sort of options these are, as far as their form shows it."""
    last = Counter("方" if t[-1] in "汤散丸丹饮煎" else t[-1] for t in texts).most_common(1)[0]
    size = sum(map(len, texts)) // 10
    marks = "".join(m for m in "、，——《" if sum(m in t for t in texts) > 2)
    return f"{last[0] if last[1] > 2 else ''}{marks}{min(size, 8)}"


VIEWS: dict[str, Callable[[Item], Floats]] = {"words": words, "relations": relations}


# ------------------------------------------------------------------ learning and asking


def learn(inputs: Floats, wanted: Floats, *, steps: int = 300, decay: float = 3e-3) -> Floats:
    """Return (WIDTH,) weights of a softmax over the five options, fitted by gradient descent with momentum.

    `inputs` is (items, 5, WIDTH), `wanted` (items, 5) with 1 for a right option.
    """
    inputs = inputs - inputs.mean(axis=1, keepdims=True)
    wanted = wanted / wanted.sum(axis=1, keepdims=True)
    weights, speed = np.zeros(WIDTH, np.float32), np.zeros(WIDTH, np.float32)
    for _ in range(steps):
        logits = inputs @ weights
        chance = np.exp(logits - logits.max(axis=1, keepdims=True))
        chance /= chance.sum(axis=1, keepdims=True)
        slope = np.einsum("io,iow->w", chance - wanted, inputs, optimize=True) / len(inputs) + decay * weights
        speed = (0.9 * speed - 1.0 * slope).astype(np.float32)
        weights = weights + speed
    return weights


def scores(items: Sequence[Item], view: Callable[[Item], Floats]) -> Floats:
    """Return (items, 5): what a learner that was fitted to the other side of the test split thinks of each option.

    With fewer than `FEWEST` items on that side it thinks nothing: all options tie.
    """
    inputs = np.stack([view(item) for item in items])
    wanted = right(items)
    test = np.array([item["split"] == "test" for item in items])
    found = np.zeros((len(items), 5), dtype=np.float32)
    for side in (test, ~test):
        if (~side).sum() >= FEWEST:
            found[side] = inputs[side] @ learn(inputs[~side], wanted[~side])
    return np.round(found, 5)


def right(items: Sequence[Item]) -> Floats:
    """Return (items, 5): 1 for a right option."""
    return np.array([[letter in item["answer"] for letter in LETTERS] for item in items], dtype=np.float32)


# ------------------------------------------------------------------ against chance


def against_chance(found: Floats, wanted: Floats) -> dict[str, dict[str, float]]:
    """Return for `best`, `worst` and `pairs`: value, chance, its standard error under chance, z and two-sided p.

    Chance means: which of an item's options are right has nothing to do with how they are scored. Mean and variance are
    then exact (hypergeometric, and Mann-Whitney's with ties); p is that of a normal variable.

    **Source:** Lehmann, Nonparametrics (1975), section 1.4 for the variance with ties.
    """
    sums: dict[str, list[tuple[float, float, float]]] = defaultdict(list)
    for line, truth in zip(found, wanted, strict=True):
        m = int(truth.sum())
        for name, end in (("best", line.max()), ("worst", line.min())):
            chosen = line == end
            k = int(chosen.sum())
            sums[name].append((float(truth[chosen].mean()), m / 5, m / 5 * (1 - m / 5) * (5 - k) / 4 / k))
        good, bad = line[truth == 1], line[truth == 0]
        order = float(np.mean((good[:, None] > bad) + 0.5 * (good[:, None] == bad)))
        ties = sum(t**3 - t for t in Counter(line.tolist()).values())
        sums["pairs"].append((order, 0.5, (6 - ties / 20) / (12 * m * (5 - m))))
    report = {}
    for name, rows in sums.items():
        value, chance, spread = np.array(rows).T
        se = math.sqrt(spread.sum()) / len(rows)
        z = (value.mean() - chance.mean()) / se if se else 0.0
        p = math.erfc(abs(z) / math.sqrt(2))
        report[name] = {"value": float(value.mean()), "chance": float(chance.mean()), "se": se, "z": float(z), "p": p}
    return report


def measure(items: Sequence[Item], views: Sequence[str] = tuple(VIEWS)) -> dict[tuple[str, str], dict[str, Any]]:
    """Return (learner, discipline or "all") -> the three numbers over all its items; a learner knows one discipline."""
    report: dict[tuple[str, str], dict[str, Any]] = {}
    for name in views:
        parts = []
        for field in sorted({item["discipline"] for item in items}):
            mine = [item for item in items if item["discipline"] == field]
            parts.append((scores(mine, VIEWS[name]), right(mine)))
            report[name, field] = {"n": len(mine), **against_chance(*parts[-1])}
        found, wanted = (np.concatenate(both) for both in zip(*parts, strict=True))
        report[name, "all"] = {"n": len(found), **against_chance(found, wanted)}
    return report


def main() -> None:
    """Print one line per file, learner and discipline, and say what differs from chance."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    default = Path(__file__).resolve().parents[1] / "tasks" / "tcm_core" / "data"
    parser.add_argument("--data", type=Path, default=default)
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    reports = {name: measure(read(given.data / f"{name}.jsonl")) for name in FILES}
    tests = [(f, *key, n, row[n]) for f, rep in reports.items() for key, row in rep.items() for n in _NUMBERS]
    for file, report in reports.items():
        print(file)
        for (learner, field), row in report.items():
            said = "  ".join(f"{n} {row[n]['value']:.3f} (z {row[n]['z']:+.1f})" for n in _NUMBERS)
            print(f"  {learner:10s} {field:18s} n {row['n']:5d}  {said}  chance {row['best']['chance']:.3f} and 0.5")
    limit = 0.05 / len(tests)
    print(
        f"{len(tests)} two-sided tests, each at {limit:.2g}: if all is chance, one or more fails in at most 5 % of suites"
    )
    for file, learner, field, number, row in tests:
        if row["p"] < limit:
            print(f"  NOT CHANCE: {file}, {learner}, {field}, {number} {row['value']:.3f} z {row['z']:+.1f}")
    if given.json:
        plain = {file: {" / ".join(key): row for key, row in report.items()} for file, report in reports.items()}
        given.json.write_text(json.dumps(plain, indent=1) + "\n", "utf-8")


_NUMBERS = ("best", "worst", "pairs")


if __name__ == "__main__":
    main()
