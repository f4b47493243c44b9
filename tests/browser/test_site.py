"""The site's runs and answers as a reader uses them, from file:// in a real Chromium."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.browser.conftest import MANY, Watched
from tests.browser.runs import BIG, HOSTILE
from tests.browser.visiting import BAD, GOOD, open_answer, run_id, shows, visit


def test_a_run_has_a_page_and_the_back_button_returns(watched: Watched, site: Path) -> None:
    page = visit(watched.page, site, "#/?suite=own")
    page.get_by_role("link", name="良医 7B").click()
    page.wait_for_selector("text=Cost and speed")
    text = page.locator("main").inner_text()
    for wanted in ("What became of the answers", "By discipline", "Answers by status", "Who answered", "answers-8"):
        assert wanted in text
    page.locator("summary", has_text="own/choice").click()
    assert "task:own/choice@1" in page.locator("main").inner_text()
    page.go_back()
    page.wait_for_selector("table.board")
    assert "suite=own" in page.url


def test_an_answer_shows_its_prompt_text_reasoning_extraction_and_metrics(watched: Watched, site: Path) -> None:
    page = open_answer(watched.page, site, GOOD, "q1")
    detail = page.locator(".detail")
    text = detail.inner_text()
    for wanted in ("当归属于", "A. ", "Expected", "Extracted", "choice@", "accuracy", "答案：B"):
        assert wanted in text
    assert not detail.get_by_text("先看药性", exact=False).first.is_visible()
    detail.get_by_text(re.compile("^Reasoning")).click()
    assert detail.locator(".reasoning .prose").is_visible()
    page.go_back()
    assert page.locator(".detail .empty").count() == 1


def test_answers_are_searched_and_filtered_by_outcome_and_safety(watched: Watched, site: Path) -> None:
    from playwright.sync_api import expect

    page = visit(watched.page, site, f"#/samples/{run_id(site, BAD)}")
    for outcome, sample in (("refused", "q2"), ("truncated", "q5"), ("failed", "q8")):
        page.get_by_label("Outcome").select_option(outcome)
        shows(page, 1)
        expect(page.locator(".list-row")).to_contain_text(sample)
    page.get_by_label("Outcome").select_option("")
    page.get_by_label("Discipline").select_option("Herbal Formulas")
    shows(page, 3)
    page.get_by_label("unsafe only").check()
    shows(page, 1)
    page.locator(".list-row").click()
    assert "甘遂" in page.locator(".callout.danger").inner_text()
    page.get_by_label("unsafe only").uncheck()
    page.get_by_label("Discipline").select_option("")
    page.get_by_label("Search", exact=True).fill("石膏 q4")
    shows(page, 1)
    page.get_by_label("Search", exact=True).fill("水煎服")
    expect(page.locator(".list-row")).not_to_have_count(3)
    page.get_by_role("button", name="Search whole texts").click()
    page.wait_for_selector("text=whole texts searched")
    shows(page, 2)


def test_the_list_is_reached_and_opened_by_keyboard(watched: Watched, site: Path) -> None:
    page = visit(watched.page, site, f"#/samples/{run_id(site, GOOD)}")
    page.wait_for_selector(".list-row")
    page.keyboard.press("/")
    assert page.evaluate("document.activeElement.type") == "search"
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.getAttribute('role')") == "listbox"
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    page.wait_for_selector(".detail h2:has-text('q1')")
    assert page.locator("[aria-selected=true]").count() == 1


def test_images_of_a_prompt_are_shown_and_only_of_kinds_that_hold_no_script(watched: Watched, kinds_site: Path) -> None:
    page = visit(watched.page, kinds_site, f"#/samples/{run_id(kinds_site, 'images')}?open=1")
    image = page.locator(".message img")
    image.wait_for()
    assert image.count() == 1 and page.evaluate("document.querySelector('.message img').naturalWidth") == 1
    page.get_by_role("button", name="Previous").click()
    page.wait_for_selector("text=[image of type image/svg+xml]")
    assert page.locator(".message img").count() == 0 and page.evaluate("window.planted") is None


def test_scored_options_are_a_table_with_the_likeliest_marked(watched: Watched, kinds_site: Path) -> None:
    page = visit(watched.page, kinds_site, f"#/samples/{run_id(kinds_site, 'options')}?open=0")
    table = page.get_by_role("region", name="Options by log-probability")
    table.wait_for()
    assert table.locator("tbody tr").count() == 5 and table.locator(".tag", has_text="highest").count() >= 1
    shares = [float(text.strip("%")) for text in table.locator("tbody td:last-child").all_inner_texts()]
    assert sum(shares) == pytest.approx(100, abs=0.5)
    assert "chose among the options by their log-probabilities" in page.locator(".detail").inner_text()


def test_a_dialogue_is_shown_turn_by_turn_and_listed_by_its_first_words(watched: Watched, kinds_site: Path) -> None:
    page = visit(watched.page, kinds_site, f"#/samples/{run_id(kinds_site, 'dialogue')}?open=0")
    page.wait_for_selector(".turn >> nth=1")
    turns = page.locator(".turn")
    assert turns.count() > 2
    first = turns.first.locator(".message.user .prose").inner_text()
    about = page.locator(".list-row .row-about").all_inner_texts()
    assert about[0].rstrip("…") and first.startswith(about[0].rstrip("…")) and len(set(about)) == 2
    said = [turn.locator(".message.user .prose").inner_text() for turn in turns.all()]
    assert len(set(said)) == len(said)


def test_two_runs_are_compared_answer_by_answer(watched: Watched, site: Path) -> None:
    good, bad = run_id(site, GOOD), run_id(site, BAD)
    page = visit(watched.page, site, f"#/compare?a={good}&b={bad}")
    page.wait_for_selector(".list-row")
    assert page.locator(".count").inner_text() == "33 of 33 pairs"
    page.get_by_role("combobox", name="Pairs").select_option("lost")
    lost = int(page.locator(".count b").inner_text())
    page.get_by_role("combobox", name="Pairs").select_option("won")
    assert page.locator(".count b").inner_text() == "0"
    page.get_by_role("combobox", name="Pairs").select_option("lost")
    page.locator(".list-row").first.click()
    page.wait_for_selector(".sides .side >> nth=1")
    assert page.locator(".side").count() == 2
    page.goto(f"file://{site}/index.html#/compare?a={bad}&b={good}&kind=won")
    page.wait_for_function(f"document.querySelector('.count b')?.textContent === '{lost}'")


def test_dark_and_light_follow_the_system_and_the_button(watched: Watched, site: Path) -> None:
    page = watched.page
    shade = "getComputedStyle(document.body).backgroundColor"
    page.emulate_media(color_scheme="dark")
    visit(page, site)
    dark = page.evaluate(shade)
    page.emulate_media(color_scheme="light")
    light = page.evaluate(shade)
    assert dark != light
    page.get_by_role("button", name="Theme: auto").click()
    page.get_by_role("button", name="Theme: light").click()
    assert page.evaluate(shade) == dark
    page.reload()
    assert page.evaluate(shade) == dark
    page.get_by_role("button", name="Theme: dark").click()
    assert page.evaluate(shade) == light


def test_hostile_answers_and_names_are_text_and_nothing_runs(watched: Watched, site: Path) -> None:
    page = visit(watched.page, site, "#/?suite=own")
    assert "<b>Mallory</b>" in page.locator("main").inner_text()
    assert page.locator("main").locator("b", has_text=re.compile("^Mallory$")).count() == 0
    open_answer(page, site, BAD, "q0")
    said = page.locator(".prose.answer").inner_text()
    for piece in ("<script>window.planted = 1</script>", "onerror='window.planted = 2'", "__proto__"):
        assert piece in said and piece in HOSTILE
    marks = page.locator(".prose.answer .hidden-char").all_inner_texts()
    assert {"U+202E", "U+202C", "ESC", "BEL", "U+200B", "U+2028"} <= set(marks)
    assert not re.search("[\u202a-\u202e\u2066-\u2069\x1b\u200b\u2028]", page.locator("body").inner_text())
    assert page.evaluate("window.planted") is None
    assert page.locator("main script, main a[href^=javascript], main img").count() == 0


def test_an_answer_of_a_million_characters_is_opened_in_part_and_then_whole(watched: Watched, site: Path) -> None:
    page = open_answer(watched.page, site, BAD, "q1")
    box = page.locator(".prose.answer")
    assert len(box.inner_text()) == 20_000
    page.get_by_role("button", name="Show all 1,048,576 characters").click()
    assert page.evaluate("document.querySelector('.prose.answer').textContent.length") == len(BIG)


def test_the_policy_forbids_inline_scripts_and_requests(watched: Watched, site: Path) -> None:
    page = visit(watched.page, site)
    page.evaluate("""() => {
        const inline = document.createElement('script'); inline.textContent = 'window.planted = 1'; document.head.append(inline);
        const image = document.createElement('img'); image.setAttribute('onerror', 'window.planted = 2'); image.src = 'data:,x'; document.body.append(image);
    }""")
    assert page.evaluate("fetch('https://example.invalid/').then(() => 'sent', () => 'refused')") == "refused"
    page.wait_for_timeout(100)
    assert page.evaluate("window.planted") is None
    assert any("Content Security Policy" in line for line in watched.wrong)
    watched.wrong.clear()


@pytest.mark.parametrize("width", [360, 1360])
def test_no_page_is_wider_than_the_screen(watched: Watched, site: Path, width: int) -> None:
    page = watched.page
    page.set_viewport_size({"width": width, "height": 740})
    good, bad = run_id(site, GOOD), run_id(site, BAD)
    for address in ("#/?suite=own", f"#/run/{bad}", f"#/samples/{bad}?open=0", f"#/compare?a={good}&b={bad}&open=0"):
        visit(page, site, address)
        page.wait_for_timeout(150)
        assert page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0, address


def test_a_run_or_a_file_that_is_not_there_is_said(watched: Watched, site: Path) -> None:
    page = visit(watched.page, site, "#/run/nobody")
    page.wait_for_selector("text=There is no run nobody")
    shard = site / "data" / run_id(site, GOOD) / "texts-0.js"
    kept = shard.read_bytes()
    try:
        shard.unlink()
        visit(page, site, f"#/samples/{run_id(site, GOOD)}?open=0")
        page.wait_for_selector("text=is missing: copy the whole folder")
    finally:
        shard.write_bytes(kept)
    watched.wrong[:] = [line for line in watched.wrong if "ERR_FILE_NOT_FOUND" not in line]


def test_a_hundred_thousand_answers_scroll_and_filter_with_few_elements(watched: Watched, many_site: Path) -> None:
    page = visit(watched.page, many_site, f"#/samples/{run_id(many_site, 'echo')}")
    page.wait_for_selector(".list-row")
    page.wait_for_function(f"document.querySelector('.count').textContent.startsWith('{MANY:,} of {MANY:,} answers') "
                           "&& !document.querySelector('.count').textContent.includes('loaded')")  # fmt: skip
    page.locator(".list").focus()
    page.keyboard.press("End")
    page.wait_for_selector(f".list-row:has-text('n{MANY - 1} ')")
    assert page.locator(".list-row").count() < 60
    page.evaluate("document.querySelector('.list').scrollTop = 0.5 * document.querySelector('.list').scrollHeight")
    page.wait_for_selector(f".list-row:has-text('n{MANY // 2} ')")
    page.get_by_label("Outcome").select_option("right")
    assert 0 < int(page.locator(".count b").inner_text().replace(",", "")) < MANY
    page.get_by_label("Outcome").select_option("")
    page.get_by_label("Search", exact=True).fill(f"n{MANY - 1}")
    page.wait_for_selector(f".list-row:has-text('n{MANY - 1} ')")
    shows(page, 1)
    page.locator(".list-row").click()
    page.wait_for_selector(f".detail h2:has-text('n{MANY - 1}')")
    assert page.evaluate("document.querySelectorAll('*').length") < 1_000


def test_two_runs_of_a_hundred_thousand_answers_are_compared_with_few_elements(
    watched: Watched, many_site: Path
) -> None:
    a, b = run_id(many_site, "echo"), run_id(many_site, "guess")
    page = visit(watched.page, many_site, f"#/compare?a={a}&b={b}")
    page.wait_for_function(f"document.querySelector('.count')?.textContent === '{MANY:,} of {MANY:,} pairs'")
    counted = {}
    for kind in ("won", "lost", "both right", "both wrong"):
        page.get_by_role("combobox", name="Pairs").select_option(kind)
        page.wait_for_function(f"!document.querySelector('.count').textContent.startsWith('{MANY:,} of')")
        page.wait_for_timeout(50)
        counted[kind] = int(page.locator(".count b").inner_text().replace(",", ""))
    assert sum(counted.values()) == MANY and min(counted.values()) > 0
    page.get_by_role("combobox", name="Pairs").select_option("")
    page.locator(".list").focus()
    page.keyboard.press("End")
    page.wait_for_selector(f".list-row:has-text('n{MANY - 1} ')")
    page.keyboard.press("Enter")
    page.wait_for_selector(".sides .side >> nth=1")
    assert page.evaluate("document.querySelectorAll('*').length") < 1_000
