"""How figures look: sizes, colours, marks, and the page with its legend and notes below the picture."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from harness.report.figures.numbers import Numbers, Origin
from harness.report.figures.words import Language, say

Width = Literal["column", "page"]
INCHES: Mapping[Width, float] = {"column": 3.4, "page": 7.0}
"""Widths of one and of two columns of a journal page."""

NAMES: Mapping[Width, float] = {"column": 13.0, "page": 19.0}
"""How wide a model's name may be drawn at most, in units of its font size."""

SHARE = 0.42
"""The most of a figure's width that names may take."""

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
"""Okabe and Ito's palette without yellow: told apart with every kind of colour blindness."""
MARKERS = ("o", "s", "^", "D", "v", "P", "X")
GREY = "#6b6b6b"
HATCH: Mapping[Origin, str] = {"run": "", "published": "////", "digitised": "...."}
MARKS: Mapping[Origin, str] = {"run": "o", "published": "D", "digitised": "o"}


@dataclass(frozen=True, slots=True)
class Look:
    """Size, language and fonts of a set of figures. `drawable` makes a text from outside safe to draw; sizes are in points."""

    width: Width
    size: float
    language: Language
    families: Sequence[str]
    drawable: Callable[[str], str]

    @property
    def inches(self) -> float:
        """Return the figure's width in inches."""
        return INCHES[self.width]

    @property
    def small(self) -> float:
        """Return the size of notes, in points."""
        return max(5.0, self.size * 0.82)

    def say(self, key: str, values: Mapping[str, str] | None = None) -> str:
        """Return a word in the figure's language."""
        return say(self.language, key, values)

    def name(self, text: str) -> str:
        """Return a model's name as it is drawn: not too wide, its end kept, all characters with a glyph."""
        room = SHARE * self.inches * 72 / self.size
        return narrowed(self.drawable(text).strip(), min(NAMES[self.width], room))

    def settings(self) -> dict[str, Any]:
        """Return matplotlib's settings for these figures."""
        return {
            "font.family": list(self.families),
            "font.size": self.size,
            "axes.labelsize": self.size,
            "axes.titlesize": self.size,
            "xtick.labelsize": self.size * 0.9,
            "ytick.labelsize": self.size * 0.9,
            "axes.linewidth": 0.6,
            "axes.edgecolor": "#444444",
            "xtick.major.width": 0.6,
            "ytick.major.width": 0.6,
            "grid.linewidth": 0.4,
            "grid.color": "#d5d5d5",
            "hatch.linewidth": 0.5,
            "axes.unicode_minus": True,
            "text.parse_math": False,  # a name with two dollar signs is a name
            "pdf.fonttype": 42,
            "svg.fonttype": "path",
            "svg.hashsalt": "tcm-eval",
        }


def fitting(size: float, text: str, room: float) -> float:
    """Return the size at which a text is no wider than `room`; all in points."""
    return min(size, room / max(1.0, ems(text) * 1.25))


def ems(text: str) -> float:
    """Return about how wide a text is, in units of its font size."""
    return sum(1.0 if unicodedata.east_asian_width(c) in "WF" else 0.54 for c in text)


def narrowed(text: str, width: float) -> str:
    """Return a text of at most `width` ems. The middle gives way: names of one family differ at their ends."""
    if ems(text) <= width:
        return text
    tail = _fitting(text[::-1], width * 0.45)[::-1].lstrip()
    return _fitting(text, width - 1.0 - ems(tail)).rstrip() + "…" + tail


def _fitting(text: str, width: float) -> str:
    """Return as much of a text's beginning as is no wider than `width` ems."""
    length = len(text)
    while length and ems(text[:length]) > width:
        length -= 1
    return text[:length]


def wrapped(text: str, width: float) -> list[str]:
    """Return a text in lines of at most `width` ems.

    Latin words stay whole unless one is wider than a line; Chinese breaks anywhere but before a stop and after an opening bracket.
    """
    lines = [""]
    for piece in (part for found in _PIECES.findall(text) for part in _parts(found, width)):
        if lines[-1] and ems((lines[-1] + piece).rstrip()) > width:
            lines.append("")
        lines[-1] += piece
    return [line.rstrip() for line in lines]


_PIECES = re.compile(
    "[^\u2e80-\uffff ]+\u00a0[\u2e80-\uffff]|[^\u2e80-\uffff ]+ *|[（《「]*[\u2e80-\uffff][。，：；）、》」]* *| +"
)


def _parts(word: str, width: float) -> list[str]:
    """Return a word as it is, or in pieces of at most `width` ems."""
    parts = []
    while ems(word.rstrip()) > width and len(word) > 1:
        head = _fitting(word, width) or word[0]
        parts.append(head)
        word = word[len(head) :]
    return [*parts, word]


def new(look: Look, height: float) -> Any:
    """Return an empty figure of the look's width and `height` inches, on the Agg canvas and apart from pyplot."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(look.inches, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def finish(figure: Any, look: Look, legends: Sequence[Sequence[Any]], notes: Sequence[str], top: float = 0.0) -> Any:
    """Return the figure with legends, one above the other, and a paragraph of notes below the picture, which keeps its height.

    `top` inches of the picture stay free at its upper edge.
    """
    drawn = figure.get_size_inches()[1]
    line = look.small * 1.32 / 72
    between = "" if look.language == "zh" else " "
    lines = wrapped(between.join(notes), look.inches * 72 / look.small - 1.5) if notes else []
    below = len(lines) * line + 0.07
    made = [_legend(figure, look, handles) for handles in reversed(legends) if handles]
    heights = [legend.get_window_extent(figure.canvas.get_renderer()).height / figure.dpi for legend in made]
    bottom = below + sum(heights) + (0.06 if made else 0.0)
    total = drawn + bottom
    figure.set_size_inches(look.inches, total)
    foot = below
    for legend, height in zip(made, heights, strict=True):
        legend.set_bbox_to_anchor((0.5, foot / total), transform=figure.transFigure)
        foot += height
    for i, text in enumerate(reversed(lines)):
        note = figure.text(0.012, (0.05 + i * line) / total, text, fontsize=look.small, color="#444444", va="bottom")
        note.set_in_layout(False)
    rect = (0.0, bottom / total, 1.0, 1.0 - (bottom + top) / total)
    figure.get_layout_engine().set(rect=rect, w_pad=0.03, h_pad=0.03)
    figure.draw_without_rendering()  # the layout settles with the second drawing: after one alone a label may be cut off
    return figure


def _legend(figure: Any, look: Look, handles: Sequence[Any]) -> Any:
    """Return a legend in as many columns as the figure's width takes."""
    widest = max(ems(handle.get_label()) for handle in handles) + 4.0
    columns = max(1, min(len(handles), int(look.inches * 72 / (widest * look.small))))
    even = -(-len(handles) // -(-len(handles) // columns))
    legend = figure.legend(
        handles=handles,
        loc="lower center",
        ncols=even,
        fontsize=look.small,
        frameon=False,
        handlelength=2.4,
        columnspacing=1.2,
        borderaxespad=0.0,
        borderpad=0.2,
    )
    legend.set_in_layout(False)
    return legend


def sentences(numbers: Numbers, look: Look) -> list[str]:
    """Return a figure's notes in its language, every name in them safe to draw."""
    return [look.drawable(look.say(key, values)) for key, values in numbers.notes]


def origin_handles(numbers: Numbers, look: Look, *, patches: bool) -> list[Any]:
    """Return legend entries for the kinds of numbers, as hatched patches or as marks; none when all were measured here."""
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    if numbers.origins == ("run",):
        return []
    handles: list[Any] = []
    for origin in numbers.origins:
        text = look.say(origin)
        if patches:
            face = "#8a8a8a" if origin == "run" else "#f2f2f2"
            handles.append(
                Patch(facecolor=face, edgecolor="#444444", hatch=HATCH[origin] * 2, linewidth=0.5, label=text)
            )
        else:
            face = COLOURS[0] if origin == "run" else "white"
            edge = COLOURS[0] if origin == "run" else GREY
            handles.append(
                Line2D([], [], linestyle="", marker=MARKS[origin], markersize=4, mfc=face, mec=edge, label=text)
            )
    return handles
