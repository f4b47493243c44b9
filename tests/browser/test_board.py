"""The leaderboard and its charts as a reader uses them, from file:// in a real Chromium."""

from __future__ import annotations

import re
import shutil
from importlib.util import find_spec
from pathlib import Path

import pytest

from tests.browser.conftest import Watched
from tests.browser.visiting import BAD, GOOD, names, run_id, visit

needs_vega = pytest.mark.skipif(find_spec("vl_convert") is None, reason="pip install 'tcm-eval[site]' brings Vega")


def test_the_leaderboard_shows_means_with_intervals_and_sorts_by_any_column(watched: Watched, site: Path) -> None:
    page = visit(watched.page, site, "#/?suite=own")
    assert names(page)[0] == "良医 7B"
    cell = page.locator("table.board tbody tr").first.locator("td.num").nth(1)
    assert re.fullmatch(r"0\.\d{3}\s+0\.\d{3} – 0\.\d{3}", cell.inner_text().strip())
    page.get_by_role("button", name="choice").click()
    assert page.locator("th[aria-sort=descending]").inner_text().startswith("choice")
    down = names(page)
    page.get_by_role("button", name="choice").click()
    assert page.locator("th[aria-sort=ascending]").count() == 1 and names(page) == down[::-1]


def test_an_incomplete_run_gets_no_rank(watched: Watched, site: Path) -> None:
    page = visit(watched.page, site, "#/?suite=own")
    ranks = dict(zip(names(page), page.locator("td.rank").all_inner_texts(), strict=True))
    assert ranks["良医 7B"] == "1"
    assert [rank for name, rank in ranks.items() if "Mallory" in name] == ["–"]


def test_the_leaderboard_is_filtered_by_type_metric_and_discipline(watched: Watched, site: Path) -> None:
    page = visit(watched.page, site, "#/?suite=own")

    def heads() -> list[str]:
        return [text.split("\n")[0].strip(" ▾▴") for text in page.locator("table.board thead button").all_inner_texts()]

    assert heads() == ["Model", "Mean of columns", "choice", "rx"]
    page.get_by_label("Question type").select_option("single_choice")
    assert heads() == ["Model", "choice"]
    page.get_by_label("Question type").select_option("")
    page.get_by_label("Metric").select_option("herb_f1")
    assert heads() == ["Model", "rx"]
    page.get_by_label("Metric").select_option("headline")
    page.get_by_label("Columns").select_option("discipline")
    assert heads() == ["Model", "all questions", "mean of disciplines", "Pharmacognosy", "Fundamentals"]
    page.get_by_label("Discipline").select_option("Fundamentals")
    assert heads() == ["Model", "Fundamentals"]


def test_a_model_trained_on_the_suite_stands_apart_without_a_rank(watched: Watched, site: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(site, tmp_path / "copy"))
    index = copy / "data" / "index.js"
    index.write_text(index.read_text("utf-8").replace('"trained_on":[]', '"trained_on":["own"]', 1), "utf-8")
    page = visit(watched.page, copy, "#/?suite=own")
    apart = page.locator("tbody.apart").inner_text()
    assert "Facts seen in training: shown, not ranked" in apart and "良医 7B" in apart
    assert page.locator("tbody.apart td.rank").inner_text() == "–" and names(page)[-1] == "良医 7B"


def test_a_page_prints_light_whatever_the_theme(watched: Watched, site: Path) -> None:
    page = visit(watched.page, site, "#/?suite=own")
    page.emulate_media(media="print", color_scheme="dark")
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    assert page.evaluate("getComputedStyle(document.querySelector('.scroll')).backgroundColor") == "rgb(255, 255, 255)"
    assert not page.get_by_label("Suite").is_visible() and page.locator("table.board").is_visible()


@needs_vega
def test_charts_answer_the_pointer_and_a_click_leads_to_the_run(watched: Watched, site: Path) -> None:
    page = visit(watched.page, site, "#/?suite=own")
    page.wait_for_selector(".lively .plot-live svg")
    assert page.locator(".dot-rows").first.is_hidden() and page.locator(".hint").first.is_visible()
    mark = page.locator(".plot-live").first.locator("path[aria-roledescription=point]")
    assert mark.count() == 2
    mark.nth(1).hover()
    page.wait_for_selector("#vg-tooltip-element.visible")
    told = page.locator("#vg-tooltip-element").inner_text()
    assert "<b>Mallory</b>" in told and "95% interval" in told and "\u202e" not in told
    assert page.locator("#vg-tooltip-element b, .plot-live b").count() == 0
    mark.first.click()
    page.wait_for_selector("h1:has-text('良医 7B')")
    page.wait_for_selector(".lively .plot-live svg")


@needs_vega
def test_charts_come_after_the_page_and_only_where_there_are_some(watched: Watched, site: Path) -> None:
    asked: list[str] = []
    watched.page.on("request", lambda request: asked.append(request.url.rpartition("/")[2]))
    page = visit(watched.page, site, f"#/samples/{run_id(site, GOOD)}")
    page.wait_for_selector(".list-row")
    page.wait_for_timeout(300)
    assert "vega.js" not in asked
    page.goto("about:blank")
    asked.clear()
    visit(page, site, "#/?suite=own")
    page.wait_for_selector(".lively")
    assert asked.index("vega.js") > asked.index("index.js")
    first = page.evaluate("performance.getEntriesByName('first-contentful-paint')[0].startTime")
    script = page.evaluate(
        "performance.getEntriesByType('resource').find((one) => one.name.endsWith('vega.js'))?.startTime ?? Infinity"
    )
    assert first < script


def test_without_the_chart_library_the_still_charts_stay(watched: Watched, site: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(site, tmp_path / "copy"))
    index = copy / "data" / "index.js"
    index.write_text(index.read_text("utf-8").replace('"charts":true', '"charts":false'), "utf-8")
    (copy / "vega.js").unlink(missing_ok=True)
    page = visit(watched.page, copy, "#/?suite=own")
    page.wait_for_timeout(300)
    assert page.locator(".dot-rows .dot-row").count() == 3 and page.locator(".dot-rows").first.is_visible()
    assert page.locator(".hint").first.is_hidden() and page.locator(".plot-live").count() == 0


def test_published_numbers_stand_apart(watched: Watched, site: Path) -> None:
    page = visit(watched.page, site, "#/?suite=own")
    page.get_by_label("Suite").select_option("tcm_ladder")
    assert page.locator("table.board").count() == 0
    assert "Published by others, not measured here" in page.locator(".published caption").first.inner_text()
    assert page.locator(".published tr", has_text="Ladder-base").first.locator(".tag.warn").count() == 1


def test_a_long_choice_has_a_line_of_its_own_on_a_phone_and_ends_before_its_arrow(watched: Watched, site: Path) -> None:
    page = watched.page
    page.set_viewport_size({"width": 390, "height": 844})
    visit(page, site, "#/?suite=own")
    select = page.get_by_label("Suite")
    assert select.evaluate("s => getComputedStyle(s).textOverflow") == "ellipsis"
    page.evaluate(
        "document.querySelector('.filters').append(choose('Asked', [['', 'limit:20@0, prompt:ea3542, max:160']], '', () => 0))"
    )
    box, row = page.get_by_label("Asked").bounding_box(), page.locator(".filters").first.bounding_box()
    assert box and row and box["width"] == row["width"]


def test_a_printed_comparison_names_its_runs_and_has_no_controls(watched: Watched, site: Path) -> None:
    good, bad = run_id(site, GOOD), run_id(site, BAD)
    page = visit(watched.page, site, f"#/compare?a={bad}&b={good}")
    page.wait_for_selector(".list-row")
    said = page.get_by_text("B, the candidate: 良医 7B.")
    assert said.is_hidden()
    page.emulate_media(media="print")
    assert said.is_visible() and not page.get_by_label("Search").is_visible()
    visit(page, site, f"#/run/{good}")
    assert page.locator("main select").count() > 0 and page.locator("main select:visible").count() == 0


def test_a_name_breaks_behind_its_strokes(watched: Watched, site: Path) -> None:
    page = visit(watched.page, site, f"#/run/{run_id(site, GOOD)}")
    first = page.locator("table", has_text="Results by task").locator("tbody th").first
    assert first.locator("wbr").count() > 0 and "own/" in first.inner_text()
