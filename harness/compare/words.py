"""A comparison as sentences, as tables in every form, and as JSON."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from typing import Any

from harness.baseline import Side
from harness.compare.effects import Compared, Effect
from harness.store import SCHEMA
from harness.tables import Cell, Form, Name, Table, printable, render

FORCED = "FORCED: these runs were not asked alike"
NAMED = 10
"""So many answers without a counterpart are named in tables; JSON names all."""


def render_comparison(found: Sequence[Compared], form: Form, *, width: int = 100) -> str:
    """Return all comparisons in one form, ready to print or to save."""
    if form == "json":
        return json.dumps(
            {"schema": SCHEMA, "comparisons": [as_json(one) for one in found]}, ensure_ascii=False, indent=1
        )
    return render([table for one in found for table in as_tables(one)], form, width=width)


def signed(value: float) -> str:
    """Return a difference with its sign and three decimals; what rounds to nothing has no sign."""
    text = f"{value:+.3f}"
    return "0.000" if float(text) == 0 else text


def p_text(p: float) -> str:
    """Return a p-value as text."""
    return "< 0.001" if p < 0.001 else f"{p:.3f}"


def sentence(effect: Effect, baseline: str, candidate: str) -> str:
    """Return in one sentence what the test says of one number."""
    found, where = effect.found, f"{effect.task} ({effect.metric})"
    level = f"{100 * (1 - found.alpha):g}% interval"
    interval = "no interval: it is all one cluster"
    if found.low is not None and found.high is not None:
        interval = f"{level} {signed(found.low)} to {signed(found.high)}"
    p = f"p {p_text(effect.p)}"
    if effect.p_claim is not None and effect.claims > 1:
        p += f" after Holm's correction for {effect.claims} claims"
    if effect.p < found.alpha and found.effect:
        word = "better" if found.effect > 0 else "worse"
        text = f"{candidate} is {word} than {baseline} on {where} by {abs(found.effect):.3f} ({interval}), {p}."
    elif found.won == found.lost == 0:
        text = (
            f"{candidate} and {baseline} did equally on each of {found.n} {effect.pairs.noun} of {where} ({interval})."
        )
    else:
        text = (
            f"No difference between {candidate} and {baseline} is shown on {where}: "
            f"{signed(found.effect)} ({interval}), {p}."
        )
        if effect.detectable is not None:
            text += f" A true difference of {effect.detectable:.3f} would be found in 4 of 5 cases."
    return f"{FORCED}. {text}" if effect.differs else text


def budget_notes(baseline: Side, candidate: Side) -> list[str]:
    """Return a line where an answer of one run could be longer than one of the other, for a model had a token budget of its own."""
    ours, theirs = baseline.budget, candidate.budget
    if ours == theirs:
        return []
    return [f"an answer's token budget: {baseline.name} {ours}, {candidate.name} {theirs}"]


def unpaired_notes(*effects: Effect) -> list[str]:
    """Return a line for each reason why answers stand outside the comparison, with how many and which, and of which metrics."""
    found: dict[tuple[str, str, tuple[str, ...]], list[str]] = {}
    for effect in effects:
        for reason, names in effect.pairs.unpaired.items():
            found.setdefault((effect.task, reason, tuple(names)), []).append(effect.metric)
    return [
        f"{task} ({', '.join(metrics)}): {len(names)} left out, {reason}: {_some(names)}"
        for (task, reason, names), metrics in found.items()
    ]


def open_notes(one: Compared) -> list[str]:
    """Return a line for each reason why metrics could not be compared at all, with their names."""
    return [f"{task} ({', '.join(metrics)}): {why}" for (task, why), metrics in one.open.items()]


def _some(names: Sequence[str]) -> str:
    more = f" ... and {len(names) - NAMED} more" if len(names) > NAMED else ""
    return ", ".join(names[:NAMED]) + more


def as_tables(one: Compared) -> list[Table]:
    """Return one comparison as tables: what is claimed, and the other metrics when there are any."""
    claimed = [effect for effect in one.effects if effect.headline]
    others = [effect for effect in one.effects if not effect.headline]
    title = f"{one.candidate.name} ({one.candidate.run}) against {one.baseline.name} ({one.baseline.run})"
    if one.forced:
        title = f"{FORCED}. {title}"
    notes = [sentence(effect, one.baseline.name, one.candidate.name) for effect in claimed]
    notes += _forced_notes(one.effects)
    notes += budget_notes(one.baseline, one.candidate)
    notes += unpaired_notes(*one.effects)
    notes += open_notes(one)
    notes += [f"only in the {side}: {', '.join(names)}" for side, names in one.alone.items()]
    notes.append(_legend(claimed or others))
    tables = [_table(one, title, claimed, notes, claims=True)] if claimed else []
    if others:
        said = ["Shown, not claimed: their p-values stand alone, without Holm's correction."]
        tables.append(
            _table(one, f"{title}: other metrics", others, said if claimed else [*said, *notes], claims=False)
        )
    return tables


def _legend(effects: Sequence[Effect]) -> str:
    tests = sorted({effect.found.test for effect in effects})
    ways = sorted({effect.found.method for effect in effects})
    rotated = any(effect.pairs.rotations[1] > 1 for effect in effects)
    once = "a question counts once, with the mean over its rotations; " if rotated else ""
    return (
        "difference: candidate - baseline over the answers that both gave, above 0 where the candidate is better; "
        f"{once}tests: {', '.join(tests)}; intervals: {', '.join(ways)}."
    )


def _forced_notes(effects: Sequence[Effect]) -> list[str]:
    return _once(f"{FORCED}: {effect.task}: {', '.join(effect.differs)}" for effect in effects if effect.differs)


def _once(notes: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(notes))


def _table(one: Compared, title: str, effects: Sequence[Effect], notes: Sequence[str], *, claims: bool) -> Table:
    columns = ["baseline", "candidate", "difference and interval", "p", "won / lost / tied", "detectable", "answers"]
    holm = claims and effects[0].claims > 1
    if holm:
        columns.insert(4, "p (Holm)")
    rows = []
    for effect in effects:
        name = Name(f"{effect.task} {effect.metric}", asked=(effect.task, effect.metric))
        rows.append((name, _cells(effect, holm=holm)))
    whose = [one.baseline.name, *[one.candidate.name] * (len(columns) - 1)]
    return Table(title, columns, rows, notes, kind="comparison", of="task and metric", whose=whose)


def _cells(effect: Effect, *, holm: bool) -> list[Cell]:
    found = effect.found
    difference = signed(found.effect)
    if found.low is not None and found.high is not None:
        difference += f" [{signed(found.low)}, {signed(found.high)}]"
    counted = Cell() if found.won is None else Cell(text=f"{found.won} / {found.lost} / {found.tied}")
    clusters = "" if found.n_groups == found.n else f" in {found.n_groups} clusters"
    least, most = effect.pairs.rotations
    turned = "" if most == 1 else f", each in {most if least == most else f'{least} to {most}'} rotations"
    tests = [Cell(p, text=p_text(p)) for p in (found.p_value, *([effect.p] if holm else []))]
    n = {"n": found.n}
    return [
        Cell(found.baseline, detail=n),
        Cell(found.candidate, detail=n),
        Cell(found.effect, found.low, found.high, text=difference, detail=n),
        *tests,
        counted,
        Cell(effect.detectable),
        Cell(text=f"{found.n}{clusters}{turned}"),
    ]


def as_json(one: Compared) -> dict[str, Any]:
    """Return one comparison as plain data."""
    return {
        "baseline": {"name": one.baseline.name, "run": one.baseline.run},
        "candidate": {"name": one.candidate.name, "run": one.candidate.run},
        "forced": one.forced,
        "notes": [printable(note) for note in (*budget_notes(one.baseline, one.candidate), *open_notes(one))],
        "only_baseline": list(one.alone.get("baseline", ())),
        "only_candidate": list(one.alone.get("candidate", ())),
        "effects": [effect_json(effect, one.baseline.name, one.candidate.name) for effect in one.effects],
    }


def effect_json(effect: Effect, baseline: str, candidate: str) -> dict[str, Any]:
    """Return one effect as plain data; `effect` above 0 is in the candidate's favour."""
    return {
        "task": effect.task,
        "metric": effect.metric,
        "headline": effect.headline,
        **asdict(effect.found),
        "rotations": effect.pairs.rotations[1],
        "p_holm": effect.p_claim,
        "claims": effect.claims if effect.p_claim is not None else None,
        "detectable": effect.detectable,
        "differs": list(effect.differs),
        "unpaired": {reason: list(names) for reason, names in effect.pairs.unpaired.items()},
        "counts": {status: {"baseline": a, "candidate": b} for status, (a, b) in effect.counts.items()},
        "sentence": printable(sentence(effect, baseline, candidate)),
    }
