"""What a score takes: a mark a model, its score against its cost and against its output tokens."""

from __future__ import annotations

from typing import Any

from harness.report.figures.look import COLOURS, MARKERS, Look, finish, new, sentences
from harness.report.figures.numbers import COST, TOKENS, Numbers, Row

TICKS = 5
"""So many labels fit under a panel."""


def draw(numbers: Numbers, look: Look) -> Any:
    """Return the scatter with scores and their 95 % intervals; a panel for each currency and one for tokens, on logarithmic scales."""
    from matplotlib.lines import Line2D

    kinds = list(numbers.columns[1:])
    stacked = look.width == "column" or look.size > 10
    height = min(look.inches, 5.0) * (0.62 if stacked else 0.63)
    figure = new(look, height * (len(kinds) if stacked else 1))
    across = {"nrows": len(kinds)} if stacked else {"ncols": len(kinds)}
    panels = figure.subplots(**across, sharey=True, squeeze=False).ravel().tolist()
    styles = [_style(i) for i in range(len(numbers.rows))]
    for axes, kind in zip(panels, kinds, strict=True):
        there = [(row, style) for row, style in zip(numbers.rows, styles, strict=True) if kind in row.points]
        for row, style in there:
            _mark(axes, row, numbers.metric, kind, style)
        _scale(axes, [row.points[kind].value for row, _ in there])
        axes.set_xlabel(_label(kind, look, alone=len(kinds) == 1))
        axes.grid(visible=True)
        axes.set_axisbelow(True)
        axes.spines[["top", "right"]].set_visible(False)
    for axes in panels if stacked else panels[:1]:
        axes.set_ylabel(look.say(numbers.metric))
    handles = [
        Line2D([], [], linestyle="", label=look.name(row.label), **style)
        for row, style in zip(numbers.rows, styles, strict=True)
    ]
    about = look.say("about", {"suite": numbers.suite})
    return finish(figure, look, [handles], [about, *sentences(numbers, look)])


def _style(number: int) -> dict[str, Any]:
    """Return a model's mark: no two alike among the first 49."""
    turned = number + number // len(COLOURS)
    return {"color": COLOURS[number % len(COLOURS)], "marker": MARKERS[turned % len(MARKERS)], "markersize": 5}


def _mark(axes: Any, row: Row, metric: str, kind: str, style: dict[str, Any]) -> None:
    score, place = row.points[metric], row.points[kind].value
    if score.low is not None and score.high is not None:
        axes.plot([place, place], [score.low, score.high], color=style["color"], linewidth=1.0)
    axes.plot([place], [score.value], linestyle="", **style)


def _scale(axes: Any, places: list[float]) -> None:
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    low, high = min(places) / 1.6, max(places) * 1.6
    axes.set_xscale("log")
    axes.set_xlim(low, high)
    axes.xaxis.set_minor_locator(LogLocator(subs=tuple(range(2, 10))))
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.set_xticks(_ticks(low, high))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.10g}"))


def _label(kind: str, look: Look, *, alone: bool) -> str:
    if kind == TOKENS:
        return look.say(TOKENS) + ("" if alone else f"\n({look.say('unpriced')})")
    currency = kind.removeprefix(COST)
    return f"{look.say('cost')}{' ' if alone else chr(10)}({look.drawable(currency) or look.say('stated')})"


def _ticks(low: float, high: float) -> list[float]:
    """Return 1, 2 and 5 times powers of ten between two positive ends; 1 and 3 times when those are many, then only the powers."""
    steps: list[float] = []
    for leading in ((1, 2, 5), (1, 3), (1,)):
        steps = [m * 10.0**e for e in range(-9, 10) for m in leading if low <= m * 10.0**e <= high]
        if len(steps) <= TICKS:
            break
    return steps
