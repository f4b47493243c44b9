"""How figures look: names and notes that fit, colours that everybody tells apart, no label over another or cut off."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest

from harness.report.chosen import chosen
from harness.report.figures import Wanted, fonts
from harness.report.figures.look import COLOURS, ems, narrowed, wrapped
from harness.report.results import Run, published, published_root

Make = Callable[[dict[str, tuple[float, int]]], list[Path]]


def test_a_long_name_keeps_its_end_for_there_families_differ() -> None:
    names = [f"organisation/a-rather-long-model-name-v{i}-instruct" for i in range(10, 13)]
    short = [narrowed(name, 19) for name in names]
    assert len(set(short)) == 3 and all(ems(one) <= 19 and one.endswith("-instruct") for one in short)
    assert narrowed("仲景中医大模型对话版二〇二五年六月", 13) == "仲景中医大模型…二五年六月"
    assert narrowed("short", 19) == "short"


def test_notes_wrap_within_the_width_and_lose_nothing() -> None:
    text = "No Ladder-Score: Qwen2.5-7B-Instruct, 中医大模型。他人数值未在此复现，其数据划分与提示词不同。"
    lines = wrapped(text, 20)
    assert all(ems(line) <= 21 for line in lines)
    assert "".join(lines).replace(" ", "") == text.replace(" ", "")
    assert all(line[0] not in "。，：；）、" for line in lines)


def test_no_two_colours_look_alike_in_grey_or_to_the_colour_blind() -> None:
    """Distances in linear light after the common simulation of missing red, green or blue cones."""
    seen = {
        "red": ((0.1524, 1.0526, -0.2049), (0.1145, 0.7860, 0.0993), (-0.0039, -0.0481, 1.0520)),
        "green": ((0.3673, 0.8607, -0.2279), (0.2803, 0.6726, 0.0471), (-0.0118, 0.0429, 0.9689)),
        "blue": ((1.2555, -0.0767, -0.1788), (-0.0784, 0.9308, 0.1476), (0.0047, 0.6914, 0.3039)),
    }
    for matrix in seen.values():
        points = [_through(matrix, colour) for colour in COLOURS]
        for i, a in enumerate(points):
            for b in points[i + 1 :]:
                assert sum((x - y) ** 2 for x, y in zip(a, b, strict=True)) ** 0.5 > 0.08


def _through(matrix: tuple[tuple[float, ...], ...], colour: str) -> list[float]:
    light = [((int(colour[i : i + 2], 16) / 255 + 0.055) / 1.055) ** 2.4 for i in (1, 3, 5)]
    return [sum(w * c for w, c in zip(row, light, strict=True)) for row in matrix]


def test_a_word_wider_than_a_line_is_parted_and_a_bracket_never_ends_a_line() -> None:
    name = "organisation/a-model-with-a-name-of-many-letters-instruct-v12"
    assert wrapped(f"Not shown: {name}.", 20)[0] == "Not shown:"
    assert all(ems(line) <= 20 for line in wrapped(f"Not shown: {name}.", 20))
    assert "".join(wrapped(f"Not shown: {name}.", 20)).removeprefix("Not shown:") == f"{name}."
    assert all(
        not line.endswith("（")
        for width in range(4, 12)
        for line in wrapped("不可与本次（他人）数值（思考）比较", width)
    )


LONG = {
    "中医大模型对话版二〇二五年六月 †": (0.9, 1),
    "organisation/a-rather-long-model-name-v12-instruct": (0.3, 1),
    "M & <b>x_1%</b> $5": (0.5, 1),
}


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize(
    ("width", "size", "language"),
    [("column", 10, "en"), ("column", 8, "zh"), ("page", 14, "en"), ("page", 8, "en"), ("page", 5, "zh")],
)
def test_no_label_of_any_figure_is_cut_off_or_lies_on_another(
    runs: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, width: Any, size: float, language: Any
) -> None:
    if language == "zh" and fonts.chinese() is None:
        pytest.skip("no Chinese font: apt-get install fonts-wqy-microhei")
    found, _ = chosen(runs(LONG))
    told = [_with_usage(run, i) for i, run in enumerate(found)]
    drawing = sys.modules["harness.report.figures.draw"]
    seen: dict[str, Any] = {}
    monkeypatch.setattr(
        drawing, "_write", lambda stem, _numbers, figure, _formats: [seen.setdefault(stem.name, figure)]
    )
    drawing.draw(told, published(published_root()), tmp_path, Wanted(("png",), width, size, language))
    assert {name.rpartition("-")[2] for name in seen} == {
        "scores",
        "disciplines",
        "heatmap",
        "radar",
        "tokens",
        "cost",
        "single_zh",
    }
    for name, figure in seen.items():
        figure.draw_without_rendering()
        whole = figure.bbox.padded(1.5)
        there = [found for axes in figure.axes for found in _labels(axes)]
        for text, box in there:
            assert whole.x0 <= box.x0 and box.x1 <= whole.x1 and whole.y0 <= box.y0 and box.y1 <= whole.y1, (name, text)
        straight = [(text, box) for text, box in there if not text.get_rotation() % 90]
        for (one, first), (other, second) in combinations(straight, 2):
            assert not first.padded(-0.5).overlaps(second), (name, one, other)


def _with_usage(run: Run, number: int) -> Run:
    """The run with tokens, a price in one of two currencies and what rotations of its options showed."""
    usage = {
        "tokens_out": 3000 * 30**number,
        "cost": 0.1 * 9**number,
        "price": {"currency": ("USD", "CNY")[number % 2]},
    }
    there = {"mean": 0.02, "low": -0.27, "high": 0.31}
    places = dict.fromkeys("ABCDE", there)
    position = {
        "rotations": 4,
        "answers": 240,
        "places": places,
        "bias": {"mean": 0.2, "low": 0.0, "high": 0.41, "noise": 0.1},
    }
    more = {"usage": {**run.summary["usage"], **usage}, "position": {"tcm_ladder/single_zh": position}}
    return replace(run, summary={**run.summary, **more})


def _labels(axes: Any) -> Iterator[tuple[Any, Any]]:
    """All texts of a panel that are seen, with their boxes in pixels."""
    drawn = [tick for axis in (axes.xaxis, axes.yaxis) for tick in axis._update_ticks()]
    ticks = [label for tick in drawn for label in (tick.label1, tick.label2)]
    titles = [axes.title, axes._left_title, axes.xaxis.label, axes.yaxis.label]
    if axes.get_visible():
        for text in (*ticks, *titles, *axes.texts):
            if text.get_visible() and text.get_text().strip():
                yield text, text.get_window_extent()
