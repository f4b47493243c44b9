"""Train questions -> problems: what is asked, what is right, and which recalled statements lead there."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from ladder_trainer.tiny.statements import INVERSE, Statement, case_name, title

Kind = Literal["recall", "each", "judge", "blank", "plain"]
Row = Mapping[str, Any]
LETTERS = "ABCDE"


@dataclass(frozen=True, slots=True)
class Problem:
    """One question with its way of thinking.

    recall: say `chain`, then the statement up to the right option. each: say `notes` of every option, then pick `value`.
    judge: say `chain`, then judge every option by its note. blank: say `chain`. plain: nothing is known that helps.
    """

    kind: Kind
    task: str
    template: str
    discipline: str
    stem: str
    right: tuple[str, ...]
    options: tuple[str, ...] = ()
    chain: tuple[str, ...] = ()
    lead: str = ""
    notes: Mapping[str, str] = field(default_factory=dict)
    value: str = ""
    key: str = ""


def think(problem: Problem, options: Sequence[str]) -> str:
    """Return the thought for the options in this order."""
    named = dict(zip(options, LETTERS, strict=False))
    if problem.kind == "recall":
        gold = problem.right[0]
        return "\n".join([*problem.chain, problem.lead + gold + named[gold]])
    if problem.kind == "each":
        lines = [f"{letter}. {problem.notes[o]}{letter}" for o, letter in named.items()]
        return "\n".join([*lines, f"选{problem.value}{named[problem.right[0]]}"])
    if problem.kind == "judge":
        judged = [
            f"{letter}. {problem.notes[o] or o}{'√' if o in problem.right else '×'}" for o, letter in named.items()
        ]
        return "\n".join([*problem.chain, *judged])
    return "\n".join(problem.chain) or "略"


def reply(problem: Problem, options: Sequence[str]) -> str:
    """Return the whole reply to learn: the thought, and the answer as the common prompt asks for it."""
    if problem.task == "fill_blank":
        answer = "；".join(problem.right)
    else:
        answer = "".join(letter for o, letter in zip(options, LETTERS, strict=False) if o in problem.right)
    mark = "Answer: " if problem.task.endswith("_en") else "答案："
    return f"<think>\n{think(problem, options)}\n</think>\n<answer>\n{mark}{answer}\n</answer>"


def shuffled(problem: Problem, rng: random.Random) -> tuple[str, ...]:
    """Return the options in a random order."""
    return tuple(rng.sample(problem.options, len(problem.options)))


# ------------------------------------------------------------------ from a row of tcm_core


def to_problem(row: Row, task: str, book: Mapping[str, Statement]) -> Problem:
    """Return the problem that a row states; kind `plain` where the statements do not lead to its answer."""
    if task == "fill_blank":
        return _blank(row, task, book)
    options = tuple(row["options"].values())
    right = tuple(row["options"][letter] for letter in row["answer"])
    base = {
        "task": task,
        "template": row.get("template", ""),
        "discipline": row["discipline"],
        "stem": row["question"],
        "right": right,
        "options": options,
    }
    plain = Problem("plain", **base)
    keys = [_asked(fact, row["question"]) for fact in row.get("facts", ())]
    if not keys or any(key not in book for key in keys) or task.endswith("_en"):
        return plain
    if task == "multiple_choice":
        return _several(base, keys, book) or plain
    return _single(base, keys, book) or plain


def _asked(fact: str, question: str) -> str:
    return fact.replace("#composition", "#sovereign") if "君药" in question else fact


def _single(base: Mapping[str, Any], keys: Sequence[str], book: Mapping[str, Statement]) -> Problem | None:
    right, last = base["right"][0], book[keys[-1]]
    chain = tuple(book[key].said() for key in keys[:-1])
    if right in last.objects:
        return Problem("recall", **base, chain=chain, lead=last.lead(right), key=last.key)
    inverse = book.get(keys[-1] + INVERSE)
    if inverse is not None and right in inverse.objects:
        return Problem("recall", **base, chain=chain, lead=inverse.lead(right), key=inverse.key)
    notes = _notes(base["options"], keys[-1], book)
    if notes is None:
        return None
    return Problem("each", **base, notes=notes, value=last.objects[0], key=last.key)


def _notes(options: Sequence[str], key: str, book: Mapping[str, Statement]) -> dict[str, str] | None:
    """Return option -> what is known of it in the attribute of `key`; None when an option is no entry of that kind."""
    kind, attribute = key.split(":")[0], key.split("#")[-1]
    found = {option: book.get(f"{kind}:{option}#{attribute}") for option in options}
    if any(statement is None for statement in found.values()):
        return None
    return {option: statement.said() for option, statement in found.items() if statement is not None}


def _several(base: Mapping[str, Any], keys: Sequence[str], book: Mapping[str, Statement]) -> Problem | None:
    last = book[keys[-1]]
    if all(one in last.objects for one in base["right"]):
        said = tuple(book[key].said() for key in keys)
        return Problem("judge", **base, chain=said, notes=dict.fromkeys(base["options"], ""), key=last.key)
    notes = _notes(base["options"], keys[0], book) if "#" in keys[0] and "/" not in keys[0] else None
    if notes is None:
        notes = _pairs(base["options"], keys, book)
    return None if notes is None else Problem("judge", **base, notes=notes, key=keys[0])


def _pairs(options: Sequence[str], keys: Sequence[str], book: Mapping[str, Statement]) -> dict[str, str] | None:
    """Return option -> the statement about its subject, where every option speaks of one subject of `keys`."""
    notes: dict[str, str] = {}
    for option in options:
        about = [s for s in (book[key] for key in keys) if s.subject in option]
        if not about:
            return None
        notes[option] = max(about, key=lambda s: (len(s.subject), *(o in option for o in s.objects[:1]))).said()
    return notes


def _blank(row: Row, task: str, book: Mapping[str, Statement]) -> Problem:
    keys: list[str] = []
    for fact in row["facts"]:
        if "君药" in row["question"]:
            keys.append(fact.replace("#composition", "#sovereign"))
            if "臣药" in row["question"]:
                keys.append(fact.replace("#composition", "#minister"))
        elif "毒性标为" in row["question"] and fact.endswith("#toxicity"):
            keys.append(f"{fact} degree")
        elif fact.endswith("#definition"):
            keys.append(fact + INVERSE)
        elif not fact.endswith("#principle"):
            keys.append(fact)
    right = tuple(one[0] for one in row["answer"])
    chain = tuple(book[key].said() for key in keys if key in book)
    kind: Kind = "blank" if len(chain) == len(keys) else "plain"
    return Problem(
        kind, task, row.get("template", ""), row["discipline"], row["question"], right, chain=chain, key=keys[0]
    )


# ------------------------------------------------------------------ more of the same


def subject_shown(key: str, stem: str, book: Mapping[str, Statement], titles: Mapping[str, str]) -> str | None:
    """Return how the entity of `key` stands in the stem: with its source, or by its name alone; None if it does not."""
    for shown in (titles.get(key.split("#")[0], ""), book[key].subject):
        if shown and stem.count(shown) == 1:
            return shown
    return None


def formula_titles(all_formulas: Sequence[Any]) -> dict[str, str]:
    """Return `formula:NAME` -> name and source."""
    return {f"formula:{f.name}": title(f) for f in all_formulas}


__all__ = [
    "LETTERS",
    "Problem",
    "case_name",
    "formula_titles",
    "reply",
    "shuffled",
    "subject_shown",
    "think",
    "to_problem",
]
