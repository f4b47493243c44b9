"""What the page of a run says of questions whose options were asked in several orders, in a real Chromium."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from harness.cli import main
from tests.browser.conftest import Watched, built
from tests.browser.visiting import names, visit
from tests.conftest import make_suite

if TYPE_CHECKING:
    from playwright.sync_api import Page


@pytest.fixture(scope="module")
def turned_site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("turned")

    def make() -> Path:
        command = [
            "run",
            "--tasks",
            "own",
            "--task-path",
            str(make_suite(root / "own", 40)),
            "--output",
            str(root / "out"),
        ]
        assert main([*command, "--model", "echo/first", "--rotate-options", "5", "--quiet"]) == 0
        assert main([*command, "--model", "guess", "--quiet"]) == 0
        return root / "out"

    return built(root, make)


def turned(page: Page) -> str:
    """Return the label under which the run with its options in other places is asked for."""
    [label] = [text for text in page.get_by_label("Asked").locator("option").all_inner_texts() if "rotations" in text]
    return label


def test_runs_asked_with_and_without_rotations_have_boards_of_their_own_and_keep_their_ranks(
    watched: Watched, turned_site: Path
) -> None:
    page = visit(watched.page, turned_site)
    rotated = turned(page)
    seen = {}
    for label in page.get_by_label("Asked").locator("option").all_inner_texts():
        page.get_by_label("Asked").select_option(label=label)
        page.wait_for_function(f"document.querySelector('[aria-label=Asked]').selectedOptions[0].text === {label!r}")
        seen[label == rotated] = names(page), page.locator("td.rank").all_inner_texts()
    assert seen == {True: (["echo/first"], ["1"]), False: (["guess"], ["1"])}
    assert "1 run of this suite was asked in another way and ranked apart" in page.locator("ul.notes").inner_text()


def test_a_model_that_always_takes_the_first_option_shows_as_drawn_to_its_place(
    watched: Watched, turned_site: Path
) -> None:
    page = visit(watched.page, turned_site)
    page.get_by_label("Asked").select_option(label=turned(page))
    page.wait_for_selector("table.board >> text=echo/first")
    page.get_by_role("link", name="echo/first").first.click()
    section = page.locator("section", has=page.get_by_role("heading", name="Options in other places"))
    cells = section.locator("table").first.locator("tbody tr").first.inner_text().split("\t")
    assert cells[0] == "own/choice" and cells[1] == "5"
    assert cells[2].startswith("0.000") and cells[3].startswith("0.000"), "another option each time, never right in all"
    assert cells[4].startswith("0.800"), "four of five answers would have to move from A"
    letters = section.locator("table").nth(1).locator("tbody tr").first.inner_text().split("\t")
    assert letters[1].startswith("0.800") and all(cell.startswith("-0.200") for cell in letters[2:])


def test_a_run_without_rotations_has_no_such_section(watched: Watched, turned_site: Path) -> None:
    page = watched.page
    visit(page, turned_site)
    [other] = {*page.get_by_label("Asked").locator("option").all_inner_texts()} - {turned(page)}
    page.get_by_label("Asked").select_option(label=other)
    page.get_by_role("link", name="guess").first.click()
    page.get_by_role("heading", name="By task").wait_for()
    assert page.get_by_text("Options in other places").count() == 0
