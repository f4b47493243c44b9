"""Which samples are asked: twins are found, a limit draws by seed, and our own split keeps twins on one side."""

from __future__ import annotations

from pathlib import Path

from harness.datasets import chosen
from tests.support.data_files import DICT, GOOD, load, make


def test_exact_duplicates_are_one_cluster_and_others_are_not(tmp_path: Path) -> None:
    rows = [GOOD, {**GOOD, "q": " x。"}, {**GOOD, "q": "y"}, {**GOOD, "o": {"A": "当归", "B": "人参"}, "answer": "B"}]
    groups = [s.group for s in load(tmp_path / "own", DICT, rows)]
    assert groups[0] == groups[1] == groups[3] != groups[2]


def test_a_limit_draws_by_seed_and_a_larger_one_only_adds(tmp_path: Path) -> None:
    rows = [{**GOOD, "q": f"题{i}"} for i in range(200)]
    catalogue, task = make(tmp_path / "own", DICT, rows)

    def drawn(limit: int, seed: int) -> list[str]:
        return [s.id for s in chosen(catalogue, task, "test", limit, seed)]

    assert len(drawn(20, 0)) == 20 and drawn(20, 0) == drawn(20, 0)
    assert set(drawn(20, 0)) < set(drawn(60, 0))
    assert drawn(20, 0) != drawn(20, 1)
    assert drawn(20, 0) == sorted(drawn(20, 0), key=int), "file order is kept"
    assert len(drawn(500, 0)) == 200


def test_our_own_split_is_stratified_and_keeps_twins_on_one_side(tmp_path: Path) -> None:
    yaml = DICT + "  fields: { lang: lang, type: type }\n"
    yaml += "split:\n  divide: { train: 0.8, validation: 0.1, test: 0.1 }\n  seed: 0\n  stratify: [type, lang]\n"
    chinese = [
        {
            **GOOD,
            "q": f"患者第{i}号，{'头痛发热' * (i % 7 + 1)}，证属{i * 37 % 101}",
            "lang": "zh",
            "type": "ab"[i % 2],
            "answer": "AB"[i % 3 == 0],
        }
        for i in range(300)
    ]
    english = [
        {**r, "q": f"Patient number {i}, headache {i * 53 % 97}, which pattern {i * i}", "lang": "en"}
        for i, r in enumerate(chinese)
    ]
    near = [{**chinese[5], "q": chinese[5]["q"] + "？", "type": "another"}]
    samples = load(tmp_path / "own", yaml, [*chinese, *english, *near])
    split = {int(s.id): s.split for s in samples}
    assert all(split[i] == split[300 + i] for i in range(300)), "translations share a side"
    assert split[600] == split[5], "a near-duplicate shares a side"
    share = sum(name == "train" for name in split.values()) / len(split)
    assert 0.75 < share < 0.85 and {"train", "validation", "test"} == set(split.values())
    again = load(tmp_path / "own", yaml, [*chinese, *english, *near])
    assert {int(s.id): s.split for s in again} == split
