"""The paper's Figure 3: bars of Ladder-Score and Exact Match by model."""

from __future__ import annotations

from typing import Any

from harness.report.figures.look import COLOURS, HATCH, Look, finish, new, origin_handles, sentences
from harness.report.figures.numbers import Numbers


def draw(numbers: Numbers, look: Look) -> Any:
    """Return horizontal bars, a group a model and a bar a metric, with 95 % intervals; numbers of others are hatched.

    Bars lie because models have long names. A metric that a model lacks leaves no bar, and a note says so.
    """
    from matplotlib.patches import Patch

    bars = [(row, metric) for row in numbers.rows for metric in numbers.columns if metric in row.points]
    step = look.size * 1.5 / 72
    gaps = 0.55 * (len(numbers.rows) - 1)
    figure = new(look, (len(bars) + gaps + 0.6) * step + 0.42)
    axes = figure.add_subplot()
    top, ticks = 0.0, []
    previous = True
    for row in numbers.rows:
        if previous and not row.ours and top:
            axes.axhline(top - 0.28, color="#999999", linewidth=0.6, linestyle=(0, (1, 2)))
        previous = row.ours
        there = [metric for metric in numbers.columns if metric in row.points]
        for i, metric in enumerate(there):
            _bar(axes, top + i + 0.5, row.points[metric], COLOURS[numbers.columns.index(metric)], look)
        ticks.append((top + len(there) / 2, look.name(row.label)))
        top += len(there) + 0.55
    axes.set_ylim(top - 0.55 + 0.3, -0.3)
    axes.set_yticks([place for place, _ in ticks], [label for _, label in ticks])
    axes.tick_params(axis="y", length=0)
    axes.set_xlim(0, 1.14)  # room for the digits beside a bar that is full
    axes.set_xticks([0, 0.2, 0.4, 0.6, 0.8, 1.0])
    axes.set_xlabel(f"{look.say('score')} ({numbers.suite}, {look.say('interval')})", loc="right")
    axes.grid(visible=True, axis="x")
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    metrics = [Patch(facecolor=COLOURS[i], label=look.say(metric)) for i, metric in enumerate(numbers.columns)]
    kinds = origin_handles(numbers, look, patches=True)
    return finish(figure, look, [metrics, kinds], sentences(numbers, look))


def _bar(axes: Any, place: float, point: Any, colour: str, look: Look) -> None:
    ours = point.origin == "run"
    axes.barh(
        place,
        point.value,
        height=0.86,
        color=colour if ours else "white",
        edgecolor="white" if ours else colour,
        hatch=HATCH[point.origin] or None,
        linewidth=0.0 if ours else 0.7,
    )
    end = point.value
    if point.low is not None and point.high is not None:
        axes.plot([point.low, point.high], [place, place], color="#222222", linewidth=0.8, solid_capstyle="butt")
        for edge in (point.low, point.high):
            axes.plot([edge, edge], [place - 0.2, place + 0.2], color="#222222", linewidth=0.8)
        end = max(end, point.high)
    axes.text(end + 0.012, place, f"{point.value:.3f}", va="center", ha="left", fontsize=look.small, color="#222222")
