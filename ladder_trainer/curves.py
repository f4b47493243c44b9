"""A run's figures over its updates, as a PNG and as one static HTML page."""

from __future__ import annotations

import html
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

Log = Mapping[str, Any]
HARNESS = "evaluation "
"""Begins the names of the harness's own figures, before task and metric."""

PANELS: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("loss", ("loss", "eval_loss")),
    ("reward (weighted sum)", ("reward", "eval_reward")),
    ("parts of the reward", ("rewards/correctness/mean", "rewards/format/mean", "rewards/tags/mean")),
    ("groups without signal (share)", ("frac_reward_zero_std",)),
    ("KL to the reference (nat a token)", ("kl",)),
    ("entropy (nat a token)", ("entropy",)),
    ("completion length (tokens)", ("completions/mean_length",)),
    ("completions cut at the limit (share)", ("completions/clipped_ratio",)),
    ("gradient norm", ("grad_norm",)),
    ("tokens right before the update (share)", ("letters right", "other tokens right")),
    ("different terms in the lookups", ("terms in the lookups",)),
    ("validation (share)", ("eval_accuracy", "eval_format")),
)
COLOURS = ("#1b6ca8", "#c1440e", "#3a7d44", "#7b4ea3", "#8a6d1b", "#4d4d4d")


def series(history: Sequence[Log], key: str) -> list[tuple[float, float]]:
    """Return (update, value) of every log that has the figure."""
    return [(float(log.get("step", 0)), float(log[key])) for log in history if isinstance(log.get(key), int | float)]


def panels(history: Sequence[Log]) -> list[tuple[str, dict[str, list[tuple[float, float]]]]]:
    """Return the panels that have something to show, with their lines."""
    found = []
    own = dict.fromkeys(key for log in history for key in log if key.startswith(HARNESS))
    for title, keys in (*PANELS, ("judged by the harness", tuple(own))):
        lines = {key: points for key in keys if (points := series(history, key))}
        if lines:
            found.append((title, lines))
    return found


def draw(stages: Mapping[str, Sequence[Log]], folder: Path, title: str) -> list[Path]:
    """Write `<stage>.png` and `index.html` for the stages that logged something, and return the files, pictures first."""
    shown = {stage: found for stage, history in stages.items() if (found := panels(history))}
    if not shown:
        return []
    folder.mkdir(parents=True, exist_ok=True)
    pictures = [_png(found, folder / f"{stage}.png", f"{title}: {stage}") for stage, found in shown.items()]
    page = folder / "index.html"
    page.write_text(_page(shown, title), "utf-8")
    return [*(path for path in pictures if path is not None), page]


def _png(found: Sequence[tuple[str, Mapping[str, list[tuple[float, float]]]]], path: Path, title: str) -> Path | None:
    """Return the file of the picture, None where matplotlib is not installed (the HTML page needs nothing)."""
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError:
        return None
    rows = (len(found) + 2) // 3
    figure = Figure(figsize=(12, 3.2 * rows))
    FigureCanvasAgg(figure)
    figure.subplots_adjust(0.06, 0.22 / rows, 0.98, 1 - 0.25 / rows, wspace=0.2, hspace=0.45)
    for place, (name, lines) in enumerate(found, 1):
        axes = figure.add_subplot(rows, 3, place)
        for colour, (key, points) in zip(COLOURS, lines.items(), strict=False):
            mark = "o" if len(points) == 1 else None  # a line of one point would not be seen
            across, up = zip(*points, strict=True)
            axes.plot(across, up, color=colour, label=_short(key), linewidth=1.4, marker=mark)
        axes.set_title(name, fontsize=10)
        axes.set_xlabel("updates", fontsize=8)
        axes.grid(visible=True, alpha=0.3)
        if len(lines) > 1:
            axes.legend(fontsize=8)
    figure.suptitle(title if title.isascii() else title.encode("ascii", "ignore").decode())
    figure.savefig(path, dpi=110)
    return path


def _short(key: str) -> str:
    return key.removeprefix("rewards/").removesuffix("/mean").removeprefix(HARNESS).replace("eval_", "validation ")


WIDTH, HEIGHT, MARGIN = 360, 180, 44


def _page(shown: Mapping[str, Sequence[tuple[str, Mapping[str, list[tuple[float, float]]]]]], title: str) -> str:
    parts = []
    for stage, found in shown.items():
        figures = "\n".join(_figure(name, lines) for name, lines in found)
        parts.append(f"<h2>{html.escape(stage)}</h2>\n<div class=grid>\n{figures}\n</div>")
    return (
        "<!doctype html>\n<html lang=en>\n<meta charset=utf-8>\n"
        f"<title>{html.escape(title)}</title>\n"
        "<style>body{font:15px system-ui,sans-serif;margin:2rem;color:#222;background:#fff}"
        ".grid{display:flex;flex-wrap:wrap;gap:1.5rem}figure{margin:0}figcaption{font-weight:600}"
        "text{font-size:11px;fill:#555}</style>\n"
        f"<h1>{html.escape(title)}</h1>\n" + "\n".join(parts) + "\n</html>\n"
    )


def _figure(name: str, lines: Mapping[str, list[tuple[float, float]]]) -> str:
    points = [point for line in lines.values() for point in line]
    left, right = min(x for x, _ in points), max(x for x, _ in points)
    low, high = min(y for _, y in points), max(y for _, y in points)
    wide, tall = (right - left) or 1.0, (high - low) or 1.0

    def place(x: float, y: float) -> str:
        across = MARGIN + (x - left) / wide * (WIDTH - MARGIN - 8)
        down = HEIGHT - 24 - (y - low) / tall * (HEIGHT - 40)
        return f"{across:.1f},{down:.1f}"

    drawn, keys = "", ""
    for colour, (key, line) in zip(COLOURS, lines.items(), strict=False):
        drawn += f'<polyline fill="none" stroke="{colour}" stroke-width="1.5" points="{" ".join(place(x, y) for x, y in line)}"/>'
        if len(line) == 1:
            across, down = place(*line[0]).split(",")
            drawn += f'<circle fill="{colour}" r="3" cx="{across}" cy="{down}"/>'
        keys += f' <span style="color:{colour}">{html.escape(_short(key))}</span>'
    axis = (
        f'<path d="M{MARGIN} 12V{HEIGHT - 24}H{WIDTH - 8}" fill="none" stroke="#999"/>'
        f'<text x="2" y="18">{high:.4g}</text><text x="2" y="{HEIGHT - 26}">{low:.4g}</text>'
        f'<text x="{MARGIN}" y="{HEIGHT - 8}">{left:.0f}</text>'
        f'<text x="{WIDTH - 8}" y="{HEIGHT - 8}" text-anchor="end">{right:.0f} updates</text>'
    )
    label = html.escape(f"{name}: from {line_ends(lines)}")
    return (
        f"<figure><figcaption>{html.escape(name)}{keys if len(lines) > 1 else ''}</figcaption>"
        f'<svg role="img" aria-label="{label}" width="{WIDTH}" height="{HEIGHT}">{axis}{drawn}</svg></figure>'
    )


def line_ends(lines: Mapping[str, list[tuple[float, float]]]) -> str:
    """Return the first and last value of each line, as the picture's text for readers that do not see it."""
    return "; ".join(f"{_short(key)} {line[0][1]:.4g} to {line[-1][1]:.4g}" for key, line in lines.items())
