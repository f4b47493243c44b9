"""The generator: same facts, same bytes; a lost fact stops it; a planted leak is found; a file edited by hand is named."""

from __future__ import annotations

import shutil
from pathlib import Path

import orjson
import pytest

from harness.datasets import stream
from harness.errors import UsageError
from harness.suites import Catalogue
from tools.make_tasks import __main__ as command
from tools.make_tasks.build import make
from tools.make_tasks.checks import known_facts, leaks, require_facts
from tools.make_tasks.division import divide
from tools.make_tasks.items import Item

SUITE = Path(__file__).resolve().parents[2] / "tasks" / "tcm_core"


@pytest.fixture(scope="module")
def made() -> dict[str, list[Item]]:
    return make()


def test_the_files_in_the_repository_are_what_the_generator_makes(made: dict[str, list[Item]]) -> None:
    for name, items in made.items():
        assert b"".join(orjson.dumps(item) + b"\n" for item in items) == (SUITE / "data" / name).read_bytes(), name


def test_another_seed_makes_another_suite_of_the_same_facts() -> None:
    assert divide(1) != divide(2)
    assert set(divide(1)) == set(divide(2))


def test_a_fact_that_the_knowledge_base_lost_stops_it_with_both_ids(
    made: dict[str, list[Item]], monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    target = tmp_path / "tcm_core"
    shutil.copytree(SUITE, target)
    item = made["single_choice.jsonl"][0]
    lost = item["facts"][0]
    monkeypatch.setattr(command, "known_facts", lambda: known_facts() - {lost})
    assert command.main(["--target", str(target)]) == 2
    message = capsys.readouterr().err
    assert item["id"] in message
    assert lost in message
    assert (target / "suite.yaml").read_bytes() == (SUITE / "suite.yaml").read_bytes()


def test_an_item_without_facts_needs_none() -> None:
    require_facts([{"id": "dx-1"}], frozenset())


def test_a_planted_leak_of_each_kind_is_found() -> None:
    item: Item = {
        "id": "a",
        "split": "test",
        "group": "g",
        "facts": ["f1"],
        "question": "肝开窍于何处，请选出最恰当的一项",
    }
    other: Item = {
        "id": "b",
        "split": "train",
        "group": "h",
        "facts": ["f2"],
        "question": "完全不同的另一道题，问的是脉象",
    }
    assert list(leaks([item, other])) == []
    assert list(leaks([item, {**other, "facts": ["f1"]}])) == ["fact f1 stands in test (a) and train (b)"]
    assert list(leaks([item, {**other, "group": "g"}])) == ["group g stands in test (a) and train (b)"]
    twin = {**other, "question": "肝开窍于何处，请选出最恰当的一项。"}
    assert list(leaks([item, twin])) == ["near-duplicate texts stand in test (a) and train (b)"]


def test_a_leak_planted_in_the_real_suite_is_found(made: dict[str, list[Item]]) -> None:
    items = made["single_choice.jsonl"]
    victim = next(item for item in items if item["split"] == "test")
    found = list(leaks([*items, {**victim, "id": "copy", "split": "train"}]))
    assert any(victim["id"] in line and "near-duplicate" in line for line in found)
    assert any(victim["facts"][0] in line for line in found)


def test_a_task_file_edited_by_hand_is_named(tmp_path: Path) -> None:
    folder = tmp_path / "copy_of_core"
    shutil.copytree(SUITE, folder)
    suite = folder / "suite.yaml"
    suite.write_text(suite.read_text("utf-8").replace("name: tcm_core", "name: copy_of_core"), "utf-8")
    data = folder / "data" / "vignette.jsonl"
    data.write_bytes(data.read_bytes().replace(b'"answer":"A"', b'"answer":"B"', 1))
    catalogue = Catalogue([folder])
    task = next(t for t in catalogue.tasks("copy_of_core") if t.name == "vignette")
    with pytest.raises(UsageError, match=r"vignette\.jsonl has sha256"):
        list(stream(catalogue, task))
