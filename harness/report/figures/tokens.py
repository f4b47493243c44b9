"""What a score costs in tokens: a mark a model, its score against its output tokens per call."""

from __future__ import annotations

from typing import Any

from harness.report.figures.look import COLOURS, MARKERS, Look, finish, new, sentences
from harness.report.figures.numbers import TOKENS, Numbers


def draw(numbers: Numbers, look: Look) -> Any:
    """Return the scatter, tokens on a logarithmic scale, scores with their 95 % intervals."""
    from matplotlib.lines import Line2D
    from matplotlib.ticker import NullLocator, ScalarFormatter

    figure = new(look, look.inches * (0.62 if look.width == "column" else 0.45))
    axes = figure.add_subplot()
    handles = []
    for i, row in enumerate(numbers.rows):
        score, tokens = row.points[numbers.metric], row.points[TOKENS]
        style: dict[str, Any] = {
            "color": COLOURS[i % len(COLOURS)],
            "marker": MARKERS[(i + i // len(COLOURS)) % len(MARKERS)],
            "markersize": 5,
        }
        if score.low is not None and score.high is not None:
            axes.plot([tokens.value] * 2, [score.low, score.high], color=style["color"], linewidth=1.0)
        axes.plot([tokens.value], [score.value], linestyle="", **style)
        handles.append(Line2D([], [], linestyle="", label=look.name(row.label), **style))
    places = [row.points[TOKENS].value for row in numbers.rows]
    axes.set_xscale("log")
    axes.set_xlim(min(places) / 1.6, max(places) * 1.6)
    axes.xaxis.set_minor_locator(NullLocator())
    axes.set_xticks(_ticks(min(places) / 1.6, max(places) * 1.6))
    axes.xaxis.set_major_formatter(ScalarFormatter())
    axes.set_xlabel(look.say("tokens"))
    axes.set_ylabel(f"{look.say(numbers.metric)} ({numbers.suite},\n{look.say('interval')})")
    axes.grid(visible=True)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    return finish(figure, look, [handles], sentences(numbers, look))


def _ticks(low: float, high: float) -> list[float]:
    """Return 1, 2 and 5 times powers of ten between two positive ends, or only the powers when those are many."""
    every = [m * 10.0**e for e in range(-3, 9) for m in (1, 2, 5) if low <= m * 10.0**e <= high]
    return every if len(every) <= 7 else [tick for tick in every if f"{tick:e}".startswith("1.0")]
