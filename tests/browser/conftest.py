"""A Chromium for all browser tests, sites to look at, and a page that notes whatever it should not do."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from harness.cli import main
from tests.browser.runs import kinds, many, two_runs

if TYPE_CHECKING:
    from playwright.sync_api import BrowserContext, Page

FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
MANY = 100_000


@dataclass
class Watched:
    """A page, and what went wrong on it: errors, dialogs, breaches of the policy, requests that left the site."""

    page: Page
    wrong: list[str] = field(default_factory=list)


def chromium() -> str | None:
    """Return where Chromium is, or None."""
    return os.environ.get("TCM_EVAL_CHROMIUM") or shutil.which("chromium") or shutil.which("chromium-browser")


@pytest.fixture(scope="package")
def browser_context(tmp_path_factory: pytest.TempPathFactory) -> Iterator[BrowserContext]:
    found = chromium()
    if found is None:
        pytest.skip("no chromium here: make setup-dev installs it where it may, or set TCM_EVAL_CHROMIUM")
    from playwright.sync_api import sync_playwright

    profile = tmp_path_factory.mktemp("profile")
    with sync_playwright() as engine:
        context = engine.chromium.launch_persistent_context(
            str(profile), executable_path=found, headless=True, args=FLAGS, viewport={"width": 1360, "height": 900}
        )
        yield context
        context.close()


@pytest.fixture
def watched(browser_context: BrowserContext) -> Iterator[Watched]:
    page = browser_context.new_page()
    page.set_default_timeout(15_000)
    seen = Watched(page)
    page.on("pageerror", lambda error: seen.wrong.append(f"error: {error}"))
    page.on("console", lambda said: seen.wrong.append(f"{said.type}: {said.text}") if said.type == "error" else None)
    page.on("dialog", lambda dialog: (seen.wrong.append("a dialog"), dialog.dismiss()))
    page.on(
        "request",
        lambda asked: (
            None
            if asked.url.startswith(("file:", "data:", "http://127.0.0.1:"))
            else seen.wrong.append(f"asked {asked.url}")
        ),
    )
    page.add_init_script(
        "addEventListener('securitypolicyviolation', e => console.error('policy: ' + e.violatedDirective))"
    )
    yield seen
    page.close()
    assert seen.wrong == []


def built(root: Path, make: Callable[[], Path]) -> Path:
    """Return the site of the results that `make` gives. In a thread: Playwright's own event loop runs in this one."""

    def build() -> int:
        return main(["leaderboard", "--output", str(make()), "--site", str(root / "site")])

    with ThreadPoolExecutor(1) as pool:
        assert pool.submit(build).result() == 0
    return root / "site"


@pytest.fixture(scope="package")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site of two runs."""
    root = tmp_path_factory.mktemp("two")
    return built(root, lambda: two_runs(root))


@pytest.fixture(scope="package")
def kinds_site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site of runs with images, with scored options, and of a dialogue."""
    root = tmp_path_factory.mktemp("kinds")
    return built(root, lambda: kinds(root))


@pytest.fixture(scope="package")
def many_site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site of two runs of 100,000 samples each."""
    root = tmp_path_factory.mktemp("many")
    return built(root, lambda: many(root, MANY, ("echo/first", "guess")))
