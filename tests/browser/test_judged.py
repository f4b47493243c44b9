"""What judges said of an answer, in a real Chromium: shown with the answer, and only ever as text."""

from __future__ import annotations

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from harness.judging import judge
from tests.browser.conftest import Watched, built
from tests.browser.runs import HOSTILE
from tests.support.chat_server import serving
from tests.support.judged import RUBRIC, answered, judges
from tests.support.judges import Sheet, judging, verdict


def hostile(page: Sheet) -> str:
    """Mark as a judge whose reasons are attacks; of one answer write no verdict at all."""
    if "不清楚" in page.answer:
        return f"{HOSTILE} 满分"
    said = json.loads(verdict(page, [1] * len(page.criteria), 7))
    said["criteria"][0]["reason"] = HOSTILE
    return json.dumps({**said, "reason": HOSTILE}, ensure_ascii=False)


@pytest.fixture(scope="module")
def judged_site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    root = tmp_path_factory.mktemp("judged")

    def make() -> Path:
        done = answered(root)
        with serving(judging(hostile), ["j1"]) as server:
            judge(judges(done, server.url, "j1"))
        return root / "out"

    with ThreadPoolExecutor(1) as pool:  # Playwright's own event loop runs in this thread
        pool.submit(make).result()
    yield built(root, lambda: root / "out")


def open_verdicts(watched: Watched, site: Path, row: int) -> str:
    page = watched.page
    [run] = [folder.name for folder in (site / "data").iterdir() if folder.is_dir()]
    page.goto(f"file://{site}/index.html#/samples/{run}?open={row}")
    page.locator(".judged summary").click()
    assert page.evaluate("window.planted") is None
    assert page.locator("main script, main a[href^=javascript], main img").count() == 0
    return page.locator(".judged").inner_text()


def test_each_judges_marks_and_reasons_stand_with_the_answer_as_text(watched: Watched, judged_site: Path) -> None:
    text = open_verdicts(watched, judged_site, 0)
    assert "What the judges said (1 opinion)" in text and "Meaning: 7 of 10" in text
    assert all(point in text for point in RUBRIC) and text.count("1 of 2") == len(RUBRIC)
    assert text.count("<script>window.planted = 1</script>") == 2, "in the first reason and in the whole one's"
    marks = watched.page.locator(".judged .hidden-char").all_inner_texts()
    assert {"U+202E", "ESC", "U+200B"} <= set(marks)


def test_a_reply_that_was_no_verdict_is_shown_as_such(watched: Watched, judged_site: Path) -> None:
    text = open_verdicts(watched, judged_site, 3)
    assert "No mark:" in text and "满分" in text and "Meaning" not in text
