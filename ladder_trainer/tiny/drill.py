"""What the tiny model reads: statements, lookups of letters, and train questions with new options and new entities."""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace

from harness.datasets import stream
from harness.knowledge.files import formulas, syndromes
from harness.suites import Catalogue
from ladder_trainer.data import part_of
from ladder_trainer.fence import Fence, stop_at
from ladder_trainer.tiny.problems import LETTERS, Problem, formula_titles, reply, shuffled, subject_shown, to_problem
from ladder_trainer.tiny.rows import SUITE, Row, facts_of, read, task_of
from ladder_trainer.tiny.statements import book
from ladder_trainer.tiny.wording import Wording

TASKS = ("single_choice", "multiple_choice", "fill_blank", "single_choice_en")
HELD = (4, 4)
"""The part of the single choice questions that is left to GRPO: what a model answers rightly every time teaches it nothing."""
STATEMENTS = 16
"""Statements in one text."""
QUERIES = 6
"""Queries of one lookup text, drawn with replacement: without it the model learns to eliminate instead of to look up."""
FEW = 64
"""Different terms in the first lookups. With thousands from the start, looking up is learned late or never."""
CUES = ("选", "属", "用", "即", "、", "\n")


@dataclass(frozen=True, slots=True)
class Text:
    """One text to learn from: pieces, and whether each is learned or only read. `given`: the user's message before them."""

    pieces: tuple[tuple[str, bool], ...]
    given: str | None = None

    @property
    def whole(self) -> str:
        """Return everything that is read or learned."""
        return (self.given or "") + "".join(piece for piece, _ in self.pieces)


class Drill:
    """Draws texts: the same seed draws the same texts in the same order."""

    def __init__(self, catalogue: Catalogue, seed: int, withheld: Collection[str] = ()) -> None:
        self._rng = random.Random(seed)  # noqa: S311 - which text comes next, no secret
        self.book = book(withheld)
        fence = Fence(catalogue, (SUITE,))
        kept = {key: s for key, s in self.book.items() if fence.text(s.said()) is None}
        self.left_out = len(self.book) - len(kept)
        self._statements = list({s.said(): s for s in kept.values()}.values())
        self._prompters = {task: Wording(task_of(catalogue, task)) for task in TASKS}
        self.rows = {task: _asked(read(catalogue, task, "train"), task) for task in TASKS}
        for task in TASKS:
            spec = task_of(catalogue, task)
            leaks = [leak for sample in stream(catalogue, spec, "train") if (leak := fence.sample(sample))]
            stop_at(leaks)
        self.problems = {task: [to_problem(r, task, self.book) for r in rows] for task, rows in self.rows.items()}
        objects = sorted(
            {o for s in self._statements for o in (*s.objects, s.subject) if len(o) < 60 and "、" not in o}
        )
        self._objects = self._rng.sample(objects, len(objects))
        self.looked_up = FEW
        self._prepare()

    def _prepare(self) -> None:
        self._templates: dict[str, dict[str, list[Problem]]] = {}
        self._pools: dict[str, list[str]] = {}
        trained = {fact.split("#")[0] for rows in self.rows.values() for row in rows for fact in facts_of(row)}
        self._trained = sorted(trained)
        self._titles = formula_titles(formulas())
        for task, problems in self.problems.items():
            by: dict[str, list[Problem]] = defaultdict(list)
            pools: dict[str, set[str]] = defaultdict(set)
            for p in problems:
                by[p.template].append(p)
                pools[f"{p.template} {p.discipline}"].update(p.right)
            self._templates[task] = dict(by)
            if task == "single_choice":
                self._pools = {name: sorted(found) for name, found in pools.items()}

    # -------------------------------------------------------------- drawing

    def statement(self) -> Text:
        """Return statements after each other; what is learned of each is its objects, for nobody can guess the next subject."""
        pieces: list[tuple[str, bool]] = []
        for one in self._rng.sample(self._statements, STATEMENTS):
            pieces += [(f"\n{one.lead()}", False), ("、".join(one.objects), True)]
        return Text(tuple(pieces))

    def widen(self, times: float) -> bool:
        """Let lookups use so many times as many different terms; return whether these are all."""
        self.looked_up = min(round(self.looked_up * times), len(self._objects))
        return self.looked_up == len(self._objects)

    def lookup(self) -> Text:
        """Return five random options as questions show them, and queries: which letter has this one, which one has this letter?"""
        rng = self._rng
        options = rng.sample(self._objects[: self.looked_up], len(LETTERS))
        pairs = list(zip(options, LETTERS, strict=True))
        pieces: list[tuple[str, bool]] = [("\n".join(f"{letter}. {o}" for o, letter in pairs), False)]
        for o, letter in (rng.choice(pairs) for _ in range(QUERIES)):
            asked, told = (rng.choice(CUES) + o, letter) if rng.random() < 0.6 else (f"\n{letter}. ", o)
            pieces += [(asked, False), (told, True)]
        return Text(tuple(pieces))

    def case(self) -> Text:
        """Return the signs of a pattern from the knowledge base, and what follows: pattern, principle, formula, herbs."""
        rng, pattern = self._rng, self._rng.choice(syndromes())
        signs = rng.sample(pattern.symptoms, rng.randint(min(2, len(pattern.symptoms)), len(pattern.symptoms)))
        seen = "，".join([*signs, *(one for one in (pattern.tongue, pattern.pulse) if one)])
        filler = "。".join(s.said() for s in rng.sample(self._statements, rng.choice((0, 2, 8))))
        said = [f"证候诊断：{pattern.name}", f"治法：{pattern.principle}"]
        if pattern.formulas:
            members = self.book.get(f"formula:{pattern.formulas[0]}#composition")
            said += [f"方剂：{pattern.formulas[0]}"]
            said += [f"药物组成：{'、'.join(members.objects)}"] if members else []
        asked = f"{filler}{rng.choice(('患者', '症见', ''))}{seen}。\n{rng.choice(('请给出诊断和处方。', '请辨证论治。', ''))}"
        answer = "\n".join(said)
        return Text(((f"<think>\n略\n</think>\n<answer>\n{answer}\n</answer>", True),), given=asked.strip())

    def question(self, task: str) -> Text:
        """Return a train question, or one made like it, with its options in a new order."""
        rng = self._rng
        templates = self._templates[task]
        problem = (
            rng.choice(templates[rng.choice(list(templates))])
            if rng.random() < 0.5
            else rng.choice(self.problems[task])
        )
        if task == "single_choice":
            problem = self._varied(problem)
        return self.worded(problem, shuffled(problem, rng))

    def worded(self, problem: Problem, options: Sequence[str]) -> Text:
        """Return the problem in the harness's own words, with its reply."""
        shown = dict(zip(LETTERS, options, strict=False))
        given = self._prompters[problem.task](problem.stem, shown)
        return Text(((reply(problem, options), True),), given=given)

    def _varied(self, problem: Problem) -> Problem:
        if problem.kind == "each":
            return self._other_each(problem)
        if problem.kind != "recall":
            return problem
        if self._rng.random() < 0.4 and not problem.chain:
            problem = self._other_entity(problem)
        if self._rng.random() < 0.6:
            problem = self._other_options(problem)
        return problem

    def _other_entity(self, problem: Problem) -> Problem:
        """Return the same question about another entity that train questions ask about."""
        if "#" not in problem.key or problem.key.endswith("^") or problem.template == "formula-member":
            return problem
        shown = subject_shown(problem.key, problem.stem, self.book, self._titles)
        entity, attribute = problem.key.split("#")
        alike = entity.split(":")[0] + ":"
        other = self._rng.choice([e for e in self._trained if e.startswith(alike) and ("/" in e) == ("/" in entity)])
        statement = self.book.get(f"{other}#{attribute}")
        if shown is None or statement is None or len(statement.objects) != 1:
            return problem
        new = self._titles[other] if shown == self._titles.get(entity) else statement.subject
        right = statement.objects[0]
        changed = replace(
            problem,
            stem=problem.stem.replace(shown, new),
            right=(right,),
            options=(right, *(o for o in problem.options if o not in (right, *problem.right)))[: len(LETTERS)],
            lead=statement.lead(right),
            key=statement.key,
        )
        return self._other_options(changed) if len(set(changed.options)) == len(LETTERS) else problem

    def _other_options(self, problem: Problem) -> Problem:
        """Return the question with some wrong options drawn anew from what is right in train questions of its kind."""
        statement = self.book[problem.key]
        bad = {*statement.objects, statement.subject}
        pool = [o for o in self._pools.get(f"{problem.template} {problem.discipline}", ()) if o not in bad]
        wrong = [o for o in problem.options if o not in problem.right]
        if len(pool) < 2 * len(LETTERS):
            return problem
        drawn = [o for o in self._rng.sample(pool, len(LETTERS) - 1) if o not in wrong]
        kept = self._rng.sample(wrong, max(0, len(LETTERS) - 1 - len(drawn)) if self._rng.random() < 0.5 else 2)
        options = (*problem.right, *kept, *drawn)[: len(LETTERS)]
        return replace(problem, options=options) if len(options) == len(LETTERS) else problem

    def _other_each(self, problem: Problem) -> Problem:
        """Return the same question with other entities that train questions ask about as options."""
        rng, attribute = self._rng, problem.key.split("#")[1]
        known = {e: self.book.get(f"{e}#{attribute}") for e in self._trained if e.startswith("herb:")}
        having = [s for s in known.values() if s is not None and s.objects[0] == problem.value]
        lacking = [s for s in known.values() if s is not None and s.objects[0] != problem.value]
        if attribute == "pregnancy":
            lacking = [s for s in lacking if s.objects[0] != "不忌"]
        if not having or len(lacking) < len(LETTERS) or rng.random() < 0.2:
            return problem
        right, wrong = rng.choice(having), rng.sample(lacking, len(LETTERS) - 1)
        notes = {s.subject: s.said() for s in (right, *wrong)}
        return replace(problem, right=(right.subject,), options=tuple(notes), notes=notes)


def _asked(rows: Sequence[Row], task: str) -> list[Row]:
    """Return the rows without those that are left to GRPO."""
    return [row for row in rows if task != "single_choice" or part_of(row["id"], HELD[1]) != HELD[0]]
