"""Where answers are drawn to: for each letter the share of answers that choose it less the share of right answers there."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from harness.report.figures.look import COLOURS, Look, ems, finish, fitting, new
from harness.report.figures.numbers import Numbers, Point, Row, labels
from harness.report.results import Run

BIAS = "position_bias"
_WORDS: Mapping[str, tuple[str, str]] = {
    BIAS: ("Position bias", "位置偏差"),
    "rotated": (
        "{task}, each question in {k} rotations of its options; lines are 95% intervals. By letter: the share of answers that choose it, "
        "less the share of right answers there.",
        "{task}，每题按选项的 {k} 种轮换提问；横线为 95% 置信区间。各字母：选择该字母的回答比例，减去正确答案在该处的比例。",
    ),
    "number": (
        "Position bias: the share of answers that would have to move to another letter; the tick is what chance alone would show.",
        "位置偏差：须移到其他字母的回答比例；短线为仅由偶然造成的水平。",
    ),
    "left": ("Not shown, for they were asked in another way: {models}.", "提问方式不同、故未列入：{models}。"),
}


def by_position(runs: Sequence[Run], suite: str) -> Iterator[tuple[str, Numbers]]:
    """Yield (task, numbers) of every choice task that was asked in rotations: a column a letter, and the position bias.

    Only runs that were asked alike share a figure: the most of them. Rows are in the order of the bias. A point's `chance` is the
    level of chance of the bias.
    """
    rotated = [(run, task) for run in runs for task in run.summary.get("position", {}) if _rotations(run, task) > 1]
    tasks = dict.fromkeys(task for _, task in rotated if task.partition("/")[0] == suite)
    for task in tasks:
        groups: dict[str, list[Run]] = {}
        for run, of in rotated:
            if of == task:
                groups.setdefault(_asked(run, task), []).append(run)
        most = max(groups.values(), key=len)
        names = labels(runs)
        rows = [_row(run, task, names, suite) for run in most]
        rows.sort(key=lambda row: row.points[BIAS].value)
        letters = list(dict.fromkeys(letter for run in most for letter in run.summary["position"][task]["places"]))
        left = [names[str(run.folder)] for group in groups.values() if group is not most for run in group]
        notes = [("rotated", {"task": task, "k": str(_rotations(most[0], task))}), ("number", {})]
        notes += [("left", {"models": "; ".join(left)})] if left else []
        yield task.partition("/")[2], Numbers(suite, BIAS, [*sorted(letters), BIAS], rows, notes)


def _asked(run: Run, task: str) -> str:
    return str(run.summary["tasks"][task][run.manifest["tasks"][task]["headline"]]["comparison_id"])


def _rotations(run: Run, task: str) -> int:
    return int(run.summary["position"][task]["rotations"])


def _row(run: Run, task: str, names: Mapping[str, str], suite: str) -> Row:
    entry = run.summary["position"][task]
    cid = _asked(run, task)
    points = {
        letter: Point(row["mean"], row["low"], row["high"], entry["answers"], comparison_id=cid)
        for letter, row in entry["places"].items()
    }
    bias = entry["bias"]
    points[BIAS] = Point(bias["mean"], bias["low"], bias["high"], entry["answers"], bias["noise"], "run", cid)
    marks = (" †" if run.trained_on(suite) else "") + ("" if run.summary["complete"] else " *")
    return Row(names[str(run.folder)] + marks, points, run.folder.name)


def draw(numbers: Numbers, look: Look) -> Any:
    """Return a panel a letter and one of the bias, a dot a model with its interval; the letters' panels share one scale."""
    columns = list(numbers.columns)
    across = min(len(columns), 3 if look.width == "column" or look.size > 9 else 6)
    down = -(-len(columns) // across)
    figure = new(look, down * (len(numbers.rows) * look.size * 1.4 + look.size * 3.0) / 72 + 0.1)
    panels = figure.subplots(down, across, sharey=True, squeeze=False).ravel().tolist()
    for axes in panels[len(columns) :]:
        axes.set_visible(False)
    ends = [
        abs(e)
        for row in numbers.rows
        for c, p in row.points.items()
        if c != BIAS
        for e in (p.low, p.high, p.value)
        if e
    ]
    reach = max(0.05, 1.1 * max(ends, default=0.0))
    names = max(ems(look.name(row.label)) for row in numbers.rows) * look.small
    room = (look.inches * 72 - names) / across - 6
    for axes, column in zip(panels, columns, strict=False):
        _panel(axes, numbers, column, look, reach)
        name = _say(look, column) if column == BIAS else column
        axes.set_title(name, fontsize=fitting(look.size, name, room), pad=3, loc="left")
    panels[0].set_ylim(len(numbers.rows) - 0.4, -0.6)
    panels[0].set_yticks(range(len(numbers.rows)), [look.name(row.label) for row in numbers.rows])
    notes = [look.drawable(_say(look, key, values)) for key, values in numbers.notes]
    return finish(figure, look, [], notes)


def _panel(axes: Any, numbers: Numbers, column: str, look: Look, reach: float) -> None:
    axes.tick_params(axis="y", length=0, labelsize=look.small)
    axes.tick_params(axis="x", labelsize=look.small)
    axes.grid(visible=True, axis="x")
    axes.set_axisbelow(True)
    axes.spines[["top", "right", "left"]].set_visible(False)
    if column == BIAS:
        top = max(
            (p.value if p.high is None else p.high for p in (row.points[BIAS] for row in numbers.rows)), default=0
        )
        end = max(0.05, 1.08 * top)
        axes.set_xlim(0, end)
        axes.set_xticks([0, _step(end)])
    else:
        axes.set_xlim(-reach, reach)
        axes.set_xticks([-_step(reach), 0, _step(reach)])
        axes.axvline(0, color="#444444", linewidth=0.8)
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:g}".replace("-", "\u2212"))
    for place, row in enumerate(numbers.rows):
        point = row.points.get(column)
        if point is None:
            continue
        if point.low is not None and point.high is not None:
            axes.plot([point.low, point.high], [place, place], color=COLOURS[0], linewidth=1.0, solid_capstyle="butt")
        axes.plot(point.value, place, linestyle="", marker="o", markersize=3.6, color=COLOURS[0], zorder=3)
        if point.chance is not None:
            axes.plot([point.chance] * 2, [place - 0.3, place + 0.3], color=COLOURS[1], linewidth=1.0)


def _step(end: float) -> float:
    """Return the round number at about two thirds of the way to an axis' end."""
    return next(step for step in (0.5, 0.4, 0.3, 0.2, 0.1, 0.05, 0.02) if step <= 0.8 * end)


def _say(look: Look, key: str, values: Mapping[str, str] | None = None) -> str:
    text = _WORDS[key][look.language == "zh"]
    for name, value in (values or {}).items():
        text = text.replace("{" + name + "}", value)
    return text
