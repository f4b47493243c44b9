"""The answers that lost most: the question, and what either run said, as far as it can still be found."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from harness.baseline import Place, Side
from harness.compare import Effect
from harness.compare.pairs import shown
from harness.datasets import stream
from harness.errors import HarnessError
from harness.gate.decide import Check
from harness.registry import get_metric
from harness.store import Index, read_json
from harness.suites import Catalogue
from harness.types import Response, slot

WORST = 5
"""So many answers are shown of each task and metric."""

GONE = "(no text: a baseline file keeps scores and short answers only)"


@dataclass(frozen=True, slots=True)
class Changed:
    """One answer that lost. `before` and `after` are its scores; the texts are as they came and not safe to show.

    Of a question in several `rotations` the scores are the means over them, and the answer is that of the rotation that lost most.
    """

    task: str
    metric: str
    place: str
    before: float
    after: float
    question: str
    baseline: str
    candidate: str
    rotations: int = 1


def worst_changed(checks: Sequence[Check], baseline: Side, candidate: Side) -> list[Changed]:
    """Return the answers that lost most in each difference that was looked at, at most `WORST` of each, worst first."""
    texts_of = {id(side): _Texts(side) for side in (baseline, candidate)}
    found: list[Changed] = []
    for check in checks:
        effect = check.effect
        if effect is None:
            continue
        rows = _lost(effect)
        questions = _questions(candidate, effect.task, {effect.pairs.places[row][0] for row in rows})
        for row in rows:
            ours, theirs = _most_lost(effect, effect.pairs.rows[row], baseline, candidate)
            place = candidate.tasks[effect.task].places[theirs]
            found.append(
                Changed(
                    effect.task,
                    effect.metric,
                    shown(place),
                    effect.pairs.baseline[row],
                    effect.pairs.candidate[row],
                    questions.get(place[0], "(the question is not here)"),
                    texts_of[id(baseline)].answer(effect.task, place, ours),
                    texts_of[id(candidate)].answer(effect.task, place, theirs),
                    len(effect.pairs.rows[row]),
                )
            )
    for texts in texts_of.values():
        texts.close()
    return found


def _lost(effect: Effect) -> list[int]:
    """Return the pairs that lost, most first and otherwise in the run's order."""
    sign = 1.0 if get_metric(effect.metric).higher_is_better else -1.0
    gains = [sign * (b - a) for a, b in zip(effect.pairs.baseline, effect.pairs.candidate, strict=True)]
    return sorted((row for row, gain in enumerate(gains) if gain < 0), key=lambda row: gains[row])[:WORST]


def _most_lost(effect: Effect, rows: Sequence[tuple[int, int]], baseline: Side, candidate: Side) -> tuple[int, int]:
    """Return the positions, in the two columns, of that rotation of a question that lost most; the first of equals."""
    before, after = (side.tasks[effect.task].columns[effect.metric].values for side in (baseline, candidate))
    sign = 1.0 if get_metric(effect.metric).higher_is_better else -1.0
    return min(rows, key=lambda row: sign * ((after[row[1]] or 0.0) - (before[row[0]] or 0.0)))


class _Texts:
    """What one side's run said, answer by answer."""

    def __init__(self, side: Side) -> None:
        self._side = side
        records = side.folder / "records.jsonl" if side.folder else None
        self._index = Index(records) if records and records.is_file() else None

    def answer(self, task: str, place: Place, row: int) -> str:
        """Return the short answer (letters, blanks), else the text of the last turn, else why there is none."""
        scores = self._side.tasks[task]
        short = scores.answers[row]
        if short is not None:
            return short
        status = scores.columns[scores.headline].status[row]
        said = self._last(task, place)
        if said is None:
            return GONE if status == "ok" else f"({status})"
        return said if status == "ok" else f"({status}) {said}"

    def _last(self, task: str, place: Place) -> str | None:
        if self._index is None:
            return None
        last, turn = None, 0
        while (record := self._index.get(slot(task, *place, turn, "candidate"))) is not None:
            last, turn = record, turn + 1
        return last.outcome.text if last is not None and isinstance(last.outcome, Response) else None

    def close(self) -> None:
        """Close the record file."""
        if self._index is not None:
            self._index.close()


def _questions(side: Side, task: str, wanted: set[str]) -> dict[str, str]:
    """Return the questions of these samples; fewer, or none, when the task's data is not here any more."""
    if side.folder is None or not wanted:
        return {}
    manifest = read_json(side.folder / "manifest.json")
    found: dict[str, str] = {}
    try:
        for sample, question in _asked(manifest, task):
            if sample in wanted:
                found[sample] = question
                if len(found) == len(wanted):
                    break
    except HarnessError:
        return found  # the verdict rests on scores; a question that is gone takes nothing from it
    return found


def _asked(manifest: Mapping[str, Any], task: str) -> Iterator[tuple[str, str]]:
    catalogue = Catalogue.of_run(manifest)
    here, _ = catalogue.select([task])
    for one in here:
        for sample in stream(catalogue, one):
            yield sample.id, _question(sample.question, sample.fields.get("turns"))


def _question(question: str, turns: Any) -> str:
    """Return the question, or a dialogue's turns as one text."""
    if question or not isinstance(turns, list):
        return question
    return " / ".join(str(turn.get("content", "")) for turn in turns if isinstance(turn, dict))
