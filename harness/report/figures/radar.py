"""The paper's Figure 4: accuracy by discipline and model as a radar chart, as its authors drew it."""

from __future__ import annotations

from itertools import pairwise
from math import ceil, pi
from typing import Any

from harness.report.figures.look import COLOURS, MARKERS, Look, finish, new, sentences
from harness.report.figures.numbers import MEAN, Numbers, Row

DASHES = ((0, (4, 1.6)), (0, (1, 1.3)), (0, (4, 1.2, 1, 1.2)))


def draw(numbers: Numbers, look: Look) -> Any:
    """Return the radar: measured models as solid lines (with 95 % bands when one or two), others' numbers as thin broken ones, their printed values as diamonds."""
    from matplotlib.lines import Line2D

    axes_names = [name for name in numbers.columns if name != MEAN]
    room = look.size * 1.9 / 72
    figure = new(look, min(look.inches * 0.8, 3.9) + room)
    axes = figure.add_subplot(projection="polar")
    axes.set_theta_offset(pi / 2)
    axes.set_theta_direction(-1)
    angles = [2 * pi * i / len(axes_names) for i in range(len(axes_names))]
    top = min(1.0, ceil(max(p.value for r in numbers.rows for p in r.points.values()) * 10 + 0.2) / 10)
    handles = []
    ours = others = 0
    mine = sum(row.ours for row in numbers.rows)
    for row in numbers.rows:
        number = ours if row.ours else others
        style = _style(row, number)
        ours, others = ours + row.ours, others + (not row.ours)
        _line(axes, row, axes_names, angles, style, band=mine <= 2)
        handles.append(Line2D([], [], label=look.name(row.label), **style))
    kinds = [Line2D([], [], color="#444444", linestyle=DASHES[0], linewidth=0.9, label=look.say("digitised"))]
    kinds.append(Line2D([], [], color="#444444", linestyle="", marker="D", markersize=3.6, label=look.say("published")))
    there = [kind for kind, name in zip(kinds, ("digitised", "published"), strict=True) if name in numbers.origins]
    _frame(axes, angles, [look.say(name) for name in axes_names], top, look)
    own = [Line2D([], [], color="#444444", linewidth=1.8, label=look.say("run"))] if there and ours else []
    return finish(figure, look, [handles, [*own, *there]], sentences(numbers, look), top=room)


def _style(row: Row, number: int) -> dict[str, Any]:
    """Return how a model's line looks: no two alike among the first 21 of others and 7 of our own."""
    colour, turn = COLOURS[number % len(COLOURS)], number // len(COLOURS)
    if row.ours:
        return {
            "color": colour,
            "linewidth": 1.8,
            "marker": MARKERS[number % len(MARKERS)],
            "markersize": 3.8,
            "linestyle": "-" if turn == 0 else DASHES[turn % len(DASHES)],
        }
    return {"color": colour, "linewidth": 0.8, "linestyle": DASHES[turn % len(DASHES)], "alpha": 0.85}


def _line(axes: Any, row: Row, names: list[str], angles: list[float], style: dict[str, Any], *, band: bool) -> None:
    """Draw one model, with its intervals as a `band` where asked. A discipline without a number leaves a gap: its neighbours are not joined across it."""
    values = [row.points[name].value if name in row.points else float("nan") for name in names]
    axes.plot([*angles, angles[0]], [*values, values[0]], zorder=3 if row.ours else 2, clip_on=False, **style)
    if row.ours and band:
        bounds = [(row.points[n].low, row.points[n].high) if n in row.points else (None, None) for n in names]
        ring = [*zip(angles, bounds, strict=True), (2 * pi, bounds[0])]
        for (a, (low_a, high_a)), (b, (low_b, high_b)) in pairwise(ring):
            if None not in (low_a, high_a, low_b, high_b):
                axes.fill_between(
                    [a, b], [low_a, low_b], [high_a, high_b], color=style["color"], alpha=0.13, linewidth=0
                )
    stated = [(a, row.points[n].value) for a, n in zip(angles, names, strict=True) if _stated(row, n)]
    if stated:
        axes.plot(
            *zip(*stated, strict=True),
            linestyle="",
            marker="D",
            markersize=3.4,
            color=style["color"],
            zorder=4,
            clip_on=False,
        )


def _stated(row: Row, name: str) -> bool:
    return name in row.points and row.points[name].origin == "published"


def _frame(axes: Any, angles: list[float], names: list[str], top: float, look: Look) -> None:
    axes.set_ylim(0, top)
    axes.set_xticks(angles, names)
    for label, angle in zip(axes.get_xticklabels(), angles, strict=True):
        straight = min(angle, abs(angle - pi), 2 * pi - angle) < 0.2
        label.set_horizontalalignment("center" if straight else "left" if angle < pi else "right")
        label.set_fontsize(look.size)
    axes.tick_params(axis="x", pad=1)
    rings = [i / 10 for i in range(2, round(top * 10) + 1, 2)]
    axes.set_yticks(rings, [f"{ring:.1f}" for ring in rings])
    axes.set_rlabel_position(180 / len(angles))
    for label in axes.get_yticklabels():
        label.set(fontsize=look.small, color="#444444", zorder=5)
        label.set_bbox({"facecolor": "white", "edgecolor": "none", "alpha": 0.75, "pad": 0.4})
    axes.spines["polar"].set_color("#bbbbbb")
    axes.spines["polar"].set_linewidth(0.6)
