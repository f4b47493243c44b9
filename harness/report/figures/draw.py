"""Runs and published numbers -> figure files, each with its numbers as CSV beside it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from harness.errors import UsageError, unknown
from harness.report.figures import bars, dots, fonts, heat, position, radar, scatter
from harness.report.figures.costs import by_cost, by_tokens
from harness.report.figures.look import INCHES, Look, Width
from harness.report.figures.numbers import (
    MEAN,
    Numbers,
    as_csv,
    labels,
)
from harness.report.figures.scores import by_discipline, by_metric, by_tag, tags
from harness.report.figures.words import Language
from harness.report.results import Published, Run
from harness.store import explain

Format = Literal["png", "svg", "pdf"]
FORMATS: tuple[Format, ...] = ("png", "svg", "pdf")
SIZES: Mapping[Width, tuple[float, float]] = {"column": (5.0, 10.0), "page": (5.0, 14.0)}
"""Points of type that a figure of each width can hold."""

Draw = Callable[[Numbers, Look], Any]


@dataclass(frozen=True, slots=True)
class Wanted:
    """How the figures are to be: file formats, width, font size in points, language of the labels."""

    formats: tuple[Format, ...] = ("png",)
    width: Width = "page"
    size: float = 8.0
    language: Language = "en"


@dataclass(frozen=True, slots=True)
class Drawn:
    """The files that were written, and what was left out and why."""

    files: list[Path]
    notes: list[str]


def formats(names: str) -> tuple[Format, ...]:
    """Return the file formats of a comma-separated list; raise UsageError for an unknown one."""
    chosen = [name.strip().lower() for name in names.split(",") if name.strip()]
    for name in chosen:
        if name not in FORMATS:
            raise unknown("figure format", name, FORMATS)
    if not chosen:
        raise UsageError(f"--format is empty; choose from {', '.join(FORMATS)}")
    return tuple(name for name in FORMATS if name in chosen)


def only(published: Sequence[Published], names: str) -> list[Published]:
    """Return the published rows of the models in a comma-separated list; `all` and `none` are such lists too."""
    wanted = [name.strip() for name in names.split(",") if name.strip()]
    if wanted in (["all"], ["none"]):
        return list(published) if wanted == ["all"] else []
    known = {one.model for one in published}
    for name in wanted:
        if name not in known:
            raise unknown("published model", name, [*known, "all", "none"])
    return [one for one in published if one.model in wanted]


def draw(runs: Sequence[Run], published: Sequence[Published], folder: Path, wanted: Wanted) -> Drawn:
    """Write the figures of these runs into a folder and return their files.

    Raises UsageError when matplotlib is missing, when a setting is out of range or when there is nothing to draw, and
    StorageError when the folder cannot be written.
    """
    low, high = SIZES[wanted.width]
    if not low <= wanted.size <= high:
        raise UsageError(
            f"--font-size {wanted.size:g}: choose {low:g} to {high:g} points for --width {wanted.width} "
            f"({INCHES[wanted.width]:g} inches)"
        )
    try:
        import matplotlib
    except ImportError:
        raise UsageError("figures need matplotlib: pip install 'tcm-eval[figures]'") from None
    look, notes = _look(runs, wanted)
    files: list[Path] = []
    with explain(folder):
        folder.mkdir(parents=True, exist_ok=True)
    with matplotlib.rc_context(look.settings()):
        for name, numbers, how in _figures(runs, published, notes):
            with explain(folder):
                files += _write(folder / name, numbers, how(numbers, look), wanted.formats)
    if not files:
        raise UsageError("\n  ".join(["there is nothing to draw in these runs", *notes]))
    return Drawn(files, notes)


def _look(runs: Sequence[Run], wanted: Wanted) -> tuple[Look, list[str]]:
    """Return how the figures look, and a note when Chinese is needed and no font has it."""
    language, notes = wanted.language, []
    chinese_names = any(fonts.has_chinese(name) for name in labels(runs).values())
    if fonts.chinese() is None and (language == "zh" or chinese_names):
        language = "en"
        notes.append(fonts.NO_FONT)
    return Look(wanted.width, wanted.size, language, tuple(fonts.families()), fonts.drawer()), notes


def _figures(
    runs: Sequence[Run], published: Sequence[Published], notes: list[str]
) -> Iterable[tuple[str, Numbers, Draw]]:
    """Yield (file stem, numbers, way to draw) of every figure that has something to show; add to `notes` what has not."""
    for suite in dict.fromkeys(name for run in runs for name in run.summary.get("suites", {})):
        scores = by_metric(runs, published, suite)
        if scores is None:
            notes.append(f"{suite}: no figure of Ladder-Score and Exact Match: no run was scored by either.")
        else:
            yield f"{suite}-scores", scores, bars.draw
        for task, places in position.by_position(runs, suite):
            yield f"{suite}-position-{task}", places, position.draw
        numbers = by_discipline(runs, published, suite)
        if numbers is None:
            notes.append(f"{suite}: no figures by discipline: its data names none of the seven disciplines.")
        else:
            yield f"{suite}-disciplines", numbers, dots.draw
            yield f"{suite}-heatmap", numbers, heat.draw
            if len([name for name in numbers.columns if name != MEAN]) >= 3:
                yield f"{suite}-radar", numbers, radar.draw
            else:
                notes.append(f"{suite}: no radar: it needs three disciplines.")
        for tag in tags(runs, suite):
            sorted_by = by_tag(runs, suite, tag)
            if sorted_by is not None:
                yield f"{suite}-by-{tag}", sorted_by, dots.draw
        usage = by_tokens(runs, suite)
        if usage is None:
            notes.append(f"{suite}: no figure of score against tokens: it needs two runs whose providers told tokens.")
        else:
            yield f"{suite}-tokens", usage, scatter.draw
        cost = by_cost(runs, suite)
        if cost is not None:
            yield f"{suite}-cost", cost, scatter.draw


def _write(stem: Path, numbers: Numbers, figure: Any, chosen: Sequence[Format]) -> list[Path]:
    """Write a figure in each format and its numbers as CSV; no file holds a date, so that equal runs give equal bytes."""
    table = stem.with_name(stem.name + ".csv")
    table.write_text(as_csv(numbers), "utf-8")
    plain = {"png": {"Software": None}, "svg": {"Date": None}, "pdf": {"CreationDate": None, "ModDate": None}}
    written = []
    for name in chosen:
        path = stem.with_name(f"{stem.name}.{name}")
        figure.savefig(path, format=name, dpi=300, metadata=plain[name])
        written.append(path)
    return [*written, table]
