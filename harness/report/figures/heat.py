"""Models by discipline as a heat map: every number readable, others' numbers hatched and below a gap."""

from __future__ import annotations

from typing import Any

from harness.report.figures.look import HATCH, Look, ems, finish, fitting, new, sentences
from harness.report.figures.numbers import MEAN, Numbers


def draw(numbers: Numbers, look: Look) -> Any:
    """Return the heat map on a scale from 0 to 1, which is the same in every figure; a dash is no number."""
    from matplotlib.patches import Patch

    rows, columns = numbers.rows, list(numbers.columns)
    ours = sum(row.ours for row in rows)
    gap = 0.35 if 0 < ours < len(rows) else 0.0
    step = look.size * 1.75 / 72
    heads = max(ems(look.say(name)) for name in columns) * look.size * 0.75 / 72
    figure = new(look, (len(rows) + gap) * step + heads + 0.5)
    axes = figure.add_subplot()
    places = [i + (gap if i >= ours else 0.0) for i in range(len(rows))]
    shades = _shades()
    names = [look.name(row.label) for row in rows]
    size = _digits(look, max(map(ems, names)), len(columns))
    for place, row in zip(places, rows, strict=True):
        for x, column in enumerate(columns):
            _cell(axes, (x + (0.2 if column == MEAN else 0.0), place), row.points.get(column), shades, look, size)
    last = len(columns) + (0.2 if MEAN in columns else 0.0)
    axes.set_xlim(-0.5, last - 0.5)
    axes.set_ylim(len(rows) + gap - 0.5, -0.5)
    axes.set_yticks(places, names)
    marks = [x + (0.2 if column == MEAN else 0.0) for x, column in enumerate(columns)]
    axes.set_xticks(marks, [look.say(name) for name in columns], rotation=40, ha="left", rotation_mode="anchor")
    axes.tick_params(length=0, top=False, labeltop=True, labelbottom=False, pad=2)
    axes.spines[:].set_visible(False)
    bar = figure.colorbar(shades, ax=axes, location="bottom", aspect=45, pad=0.015, fraction=0.04)
    bar.set_label(f"{look.say(numbers.metric)} ({numbers.suite})", fontsize=look.size)
    bar.set_ticks([0.0, 0.5, 1.0], labels=["0", "0.5", "1"])
    bar.ax.tick_params(labelsize=look.small, length=2)
    bar.outline.set_visible(False)
    handles = [
        Patch(facecolor="#f2f2f2", edgecolor="#444444", hatch=HATCH[origin] * 2, linewidth=0.5, label=look.say(origin))
        for origin in numbers.origins
        if origin != "run"
    ]
    return finish(figure, look, [handles], sentences(numbers, look))


def _shades() -> Any:
    from matplotlib import colormaps
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import Normalize

    return ScalarMappable(Normalize(0.0, 1.0), colormaps["cividis"])


def _digits(look: Look, names: float, columns: int) -> float:
    """Return the digits' size in points: that of notes, or what fits into a cell beside names of so many ems."""
    cell = (look.inches * 72 - names * look.size * 1.1 - 10) / (columns + 0.5)
    return fitting(look.small, _written(0.0, look), 0.95 * cell)


def _written(value: float, look: Look) -> str:
    return f"{value:.2f}" if look.width == "column" else f"{value:.3f}"


def _cell(axes: Any, at: tuple[float, float], point: Any, shades: Any, look: Look, size: float) -> None:
    from matplotlib.patches import Rectangle

    x, y = at
    if point is None:
        axes.text(x, y, "–", ha="center", va="center", color="#777777", fontsize=size)
        return
    red, green, blue, _ = colour = shades.to_rgba(point.value)
    dark = 0.299 * red + 0.587 * green + 0.114 * blue < 0.46  # where black and white stand out alike
    ink = "white" if dark else "black"
    axes.add_patch(
        Rectangle(
            (x - 0.48, y - 0.47),
            0.96,
            0.94,
            facecolor=colour,
            edgecolor=(*((1, 1, 1) if dark else (0, 0, 0)), 0.35),
            hatch=HATCH[point.origin] or None,
            linewidth=0.0,
        )
    )
    behind = {"facecolor": colour, "edgecolor": "none", "pad": 0.5} if point.origin != "run" else None
    axes.text(x, y, _written(point.value, look), ha="center", va="center", color=ink, fontsize=size, bbox=behind)
