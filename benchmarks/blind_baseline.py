"""Does anything but knowledge answer tcm_core? A learner that sees only the options, never the question.

It is trained on the train and validation splits and answers the test split. Its accuracy must be that of chance: what it
finds above that is a fault of the item maker (answers of a typical length, wording, place or frequency).

    python benchmarks/blind_baseline.py [--data tasks/tcm_core/data] [--json FILE]
"""

from __future__ import annotations

import argparse
import json
import math
import zlib
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

WIDTH = 2048
LETTERS = "ABCDE"
Floats = NDArray[np.float32]


def read(path: Path) -> list[dict[str, Any]]:
    """Return the items of a JSONL file."""
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]


def features(item: dict[str, Any]) -> Floats:
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


def learn(items: Sequence[dict[str, Any]], *, steps: int = 300, decay: float = 3e-3) -> Floats:
    """Return (WIDTH,) weights of a softmax over the five options, fitted by gradient descent with momentum."""
    inputs = np.stack([features(item) for item in items])
    inputs -= inputs.mean(axis=1, keepdims=True)
    wanted = np.array([[letter in item["answer"] for letter in LETTERS] for item in items], dtype=np.float32)
    wanted /= wanted.sum(axis=1, keepdims=True)
    weights, speed = np.zeros(WIDTH, np.float32), np.zeros(WIDTH, np.float32)
    for _ in range(steps):
        logits = inputs @ weights
        chance = np.exp(logits - logits.max(axis=1, keepdims=True))
        chance /= chance.sum(axis=1, keepdims=True)
        slope = np.einsum("io,iow->w", chance - wanted, inputs) / len(items) + decay * weights
        speed = (0.9 * speed - 1.0 * slope).astype(np.float32)
        weights = weights + speed
    return weights


def hits_single(items: Sequence[dict[str, Any]], weights: Floats) -> NDArray[np.float64]:
    """Return 1 or 0 for each item: whether the best-scored option is the right one."""
    return np.array([LETTERS[int(np.argmax(features(i) @ weights))] in i["answer"] for i in items], dtype=np.float64)


def ranking(items: Sequence[dict[str, Any]], weights: Floats) -> NDArray[np.float64]:
    """Return for each item the share of (right, wrong) option pairs that the learner puts in order: 0.5 is chance."""
    shares = []
    for item in items:
        scores = dict(zip(LETTERS, features(item) @ weights, strict=True))
        good = [scores[x] for x in item["answer"]]
        bad = [scores[x] for x in LETTERS if x not in item["answer"]]
        shares.append(np.mean([(g > b) + 0.5 * (g == b) for g in good for b in bad]))
    return np.array(shares)


def measure(items: list[dict[str, Any]]) -> dict[str, dict[str, float]]:
    """Return per discipline: accuracy (one answer) or share of ordered pairs (several), its error, and chance."""
    single = len(items[0]["answer"]) == 1
    report: dict[str, dict[str, float]] = {}
    found: dict[str, list[NDArray[np.float64]]] = defaultdict(list)
    for field in sorted({item["discipline"] for item in items}):
        mine = [item for item in items if item["discipline"] == field]
        weights = learn([i for i in mine if i["split"] != "test"])
        values = (hits_single if single else ranking)([i for i in mine if i["split"] == "test"], weights)
        found[field].append(values)
        found["all"].append(values)
    for field, parts in found.items():
        values = np.concatenate(parts)
        chance = 0.2 if single else 0.5
        error = max(float(values.std(ddof=1) / math.sqrt(len(values))), 1 / len(values))
        report[field] = {
            "n": len(values),
            "value": float(values.mean()),
            "se": error,
            "chance": chance,
            "z": (float(values.mean()) - chance) / error,
        }
    return report


def main() -> None:
    """Print one line per discipline and file."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--data", type=Path, default=Path(__file__).resolve().parents[1] / "tasks" / "tcm_core" / "data"
    )
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    reports = {}
    for name in ("single_choice", "multiple_choice"):
        path = given.data / f"{name}.jsonl"
        if path.is_file():
            reports[name] = measure(read(path))
            print(name, "(accuracy)" if name == "single_choice" else "(share of right-wrong pairs in order)")
            for field, r in reports[name].items():
                print(
                    f"  {field:18s} {r['value']:.3f} ± {r['se']:.3f}  chance {r['chance']}  z {r['z']:+.1f}  n {r['n']:.0f}"
                )
    if given.json:
        given.json.write_text(json.dumps(reports, indent=1) + "\n", "utf-8")


if __name__ == "__main__":
    main()
