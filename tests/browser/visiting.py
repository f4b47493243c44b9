"""Ways about the site that several tests go."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from playwright.sync_api import Page

GOOD, BAD = "7B-", "b-Mallory"
"""How the folders of the two runs begin."""


def run_id(site: Path, start: str) -> str:
    """Return the folder of the run whose name begins so."""
    return next(folder.name for folder in (site / "data").iterdir() if folder.name.startswith(start))


def visit(page: Page, site: Path, address: str = "") -> Page:
    """Open the site at an address behind `#`, and wait until it is drawn."""
    page.goto(f"file://{site}/index.html{address}")
    page.wait_for_selector("h1")
    return page


def names(page: Page) -> list[str]:
    """Return the models of the leaderboard, from the top."""
    return page.locator("table.board tbody tr > th a").all_inner_texts()


def shows(page: Page, rows: int) -> None:
    """Wait until the list draws so many rows: it draws with the next frame."""
    from playwright.sync_api import expect

    expect(page.locator(".list-row")).to_have_count(rows)


def open_answer(page: Page, site: Path, start: str, sample: str) -> Page:
    """Search the answers of a run for a sample and open it."""
    visit(page, site, f"#/samples/{run_id(site, start)}?q={sample}")
    page.locator(".list-row", has_text=f"{sample} ").first.click()
    page.wait_for_selector(f".detail h2:has-text('{sample}')")
    return page
