"""A better form of Figure 4: a panel a discipline, a dot a model with its interval, on one common scale."""

from __future__ import annotations

from math import ceil, floor
from typing import Any

from harness.report.figures.look import COLOURS, GREY, MARKS, Look, ems, finish, fitting, new, origin_handles, sentences
from harness.report.figures.numbers import Numbers, Point


def draw(numbers: Numbers, look: Look) -> Any:
    """Return small multiples: models in one order in every panel, measured ones first; a dotted line is what guessing gives."""
    across = min(len(numbers.columns), 2 if look.width == "column" or look.size > 10 else 4)
    down = -(-len(numbers.columns) // across)
    step = look.size * (1.12 if look.width == "column" else 1.3) / 72
    heads = max(_head(numbers, column, look).count("\n") for column in numbers.columns) * look.size * 1.2 / 72
    figure = new(
        look,
        down * (len(numbers.rows) * step + look.size * 1.9 / 72 + heads)
        + 0.36 * (2 if len(numbers.columns) % across else 1),
    )
    panels = figure.subplots(down, across, sharex=True, sharey=True, squeeze=False).ravel().tolist()
    low, high = _scale(numbers)
    names = max(ems(look.name(row.label)) for row in numbers.rows) * look.small
    room = (look.inches * 72 - names) / across - 6
    for axes, column in zip(panels, numbers.columns, strict=False):
        _panel(axes, numbers, column, look, room)
    for axes in panels[len(numbers.columns) :]:
        axes.set_visible(False)
    for axes in panels[len(numbers.columns) - across : len(numbers.columns)]:
        axes.tick_params(axis="x", labelbottom=True)
        axes.set_xlabel(look.say(numbers.metric), labelpad=1)
    first = panels[0]
    first.set_xlim(low, high)
    first.set_ylim(len(numbers.rows) - 0.4, -0.6)
    first.xaxis.set_major_formatter(lambda value, _: f"{value:g}")
    first.set_yticks(range(len(numbers.rows)), [look.name(row.label) for row in numbers.rows])
    for axes in panels:
        axes.tick_params(axis="y", labelsize=look.small)
    handles = origin_handles(numbers, look, patches=False)
    if _guess(numbers, None) is not None:
        from matplotlib.lines import Line2D

        handles.append(Line2D([], [], color="#444444", linewidth=0.8, linestyle=":", label=look.say("chance")))
    bars = look.say("about", {"suite": numbers.suite})
    return finish(figure, look, [handles], [bars, *sentences(numbers, look)])


def _scale(numbers: Numbers) -> tuple[float, float]:
    """Return the axis' ends: whole tenths around all numbers, intervals and what guessing gives."""
    points = [point for row in numbers.rows for point in row.points.values()]
    low = min(v for p in points for v in (p.value, p.low, p.chance) if v is not None)
    high = max(v for p in points for v in (p.value, p.high, p.chance) if v is not None)
    return max(0.0, floor(low * 10 - 0.3) / 10), min(1.03, ceil(high * 10 + 0.3) / 10)


def _guess(numbers: Numbers, column: str | None) -> float | None:
    """Return the chance level of one column, or of any when `column` is None."""
    points = [p for row in numbers.rows for name, p in row.points.items() if column in (None, name)]
    return next((p.chance for p in points if p.chance is not None), None)


def _head(numbers: Numbers, column: str, look: Look) -> str:
    """Return a panel's title; where questions are sorted by a label, with how many there are of each value."""
    tag, equals, value = column.partition("=")
    if not equals:
        return look.say(column)
    counts = [row.points[column].n or 0 for row in numbers.rows if column in row.points]
    between = "\n" if look.width == "column" else "   "
    return f"{look.drawable(f'{look.say(tag).capitalize()} {value}')}{between}n = {max(counts)}"


def _panel(axes: Any, numbers: Numbers, column: str, look: Look, room: float) -> None:
    """Draw one panel, `room` points wide."""
    head = _head(numbers, column, look)
    axes.set_title(head, fontsize=fitting(look.size, max(head.split("\n"), key=ems), room), pad=3, loc="left")
    axes.grid(visible=True, axis="x")
    axes.set_axisbelow(True)
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.tick_params(axis="y", length=0)
    guess = _guess(numbers, column)
    if guess is not None:
        axes.axvline(guess, color="#444444", linewidth=0.8, linestyle=":")
    ours = sum(row.ours for row in numbers.rows)
    if 0 < ours < len(numbers.rows):
        axes.axhline(ours - 0.5, color="#999999", linewidth=0.6)
    for place, row in enumerate(numbers.rows):
        point = row.points.get(column)
        if point is None:
            axes.text(0.5, place, "–", transform=axes.get_yaxis_transform(), ha="center", va="center", color=GREY)
        else:
            _dot(axes, place, point)


def _dot(axes: Any, place: int, point: Point) -> None:
    ours = point.origin == "run"
    if point.low is not None and point.high is not None:
        axes.plot([point.low, point.high], [place, place], color=COLOURS[0], linewidth=1.0, solid_capstyle="butt")
    axes.plot(
        point.value,
        place,
        linestyle="",
        marker=MARKS[point.origin],
        markersize=3.6 if ours else 3.2,
        mfc=COLOURS[0] if ours else "white",
        mec=COLOURS[0] if ours else GREY,
        mew=0.8,
        clip_on=False,
        zorder=3,
    )
