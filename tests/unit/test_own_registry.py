"""What a user's own registry file says: aliases beside ours and instead of them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from harness.errors import UsageError
from harness.models import entries, obstacle, resolve


@pytest.fixture
def mine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Path]:
    """Where the user's own file is looked for; a test writes it."""
    monkeypatch.setenv("TCM_EVAL_REGISTRY", str(tmp_path / "mine.yaml"))
    entries.cache_clear()
    yield tmp_path / "mine.yaml"
    entries.cache_clear()


def test_a_users_own_file_may_replace_an_alias(mine: Path) -> None:
    mine.write_text("guess:\n  title: mine\n  ways:\n    - {provider: echo, model: first}\n")
    assert resolve("guess", {})[0].model == "first"


def test_a_day_in_a_users_own_file_needs_no_quotes(mine: Path) -> None:
    mine.write_text(
        "mine:\n  ways: [{provider: echo, model: first}]\n  ends: {day: 2027-05-01, source: 'https://example.org'}\n"
        "  price: {input: 1, output: 2, currency: EUR, date: 2026-11-21, source: 'https://example.org'}\n"
    )
    entry = entries()["mine"]
    assert entry.price and entry.price.date == "2026-11-21" and entry.ends and entry.ends.day == "2027-05-01"


@pytest.mark.parametrize(
    ("entry", "wrong"),
    [
        ("just text", "mine: expected keys and values, found str"),
        ("{ways: [{provider: echo, model: x, needs: 'pakage:y'}]}", "'pakage:y' is no need. Known: gpu, package:NAME"),
        ("{ways: [{provider: echo, model: x, needs: 'env'}]}", "'env' is no need"),
        ("{max_tokens: 0}", "mine.max_tokens: Input should be greater than or equal to 1"),
        ("{own_system: no-such}", "mine.own_system: unknown system prompt 'no-such'"),
        ("{ends: {day: soon, source: s}}", "mine.ends.day: String should match pattern"),
        (
            "{price: {input: -1, output: 2, currency: EUR, date: 2026-11, source: s}}",
            "mine.price.input: Input should be greater",
        ),
        ("{titel: x}", "unknown key 'mine.titel'. Did you mean 'title'"),
    ],
)
def test_a_wrong_field_of_a_users_own_file_is_named(mine: Path, entry: str, wrong: str) -> None:
    mine.write_text(f"mine: {entry}\n", "utf-8")
    with pytest.raises(UsageError, match=re.escape(wrong)):
        entries()


def test_one_suite_or_an_own_prompts_text_may_stand_alone(mine: Path) -> None:
    mine.write_text(
        "mine:\n  trained_on: tcm_core\n  own_system: 你是中医\n  ways: [{provider: echo, model: first}]\n", "utf-8"
    )
    common, own = resolve("mine", {})
    assert common.trained_on == ("tcm_core",) and own.own_system == "你是中医"


def test_paths_in_a_users_own_file_are_from_its_folder(mine: Path) -> None:
    way = "{provider: echo, model: ./weights, settings: {chat_template: ./t.jinja}, needs: 'folder:./weights'}"
    mine.write_text(f"mine:\n  ways: [{way}]\n")
    [way_there] = entries()["mine"].ways
    assert obstacle(way_there) == f"folder {mine.parent}/weights does not exist"
    (mine.parent / "weights").mkdir()
    [subject] = resolve("mine", {})
    assert subject.model == str(mine.parent / "weights")
    assert subject.settings == {"chat_template": str(mine.parent / "t.jinja")}
