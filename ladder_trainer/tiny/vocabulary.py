"""The tokenizer: every term of the knowledge base is one token, so are the fixed phrases of the prompts, the rest are characters."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

from harness.knowledge.files import diseases, facts, formulas, herbs, syndromes
from harness.suites import shared_prompts
from ladder_trainer.characters import character_tokenizer
from ladder_trainer.tiny.statements import INVERSE, Statement

CHAT = (
    "{% for message in messages %}{% if message['role'] != 'system' %}"
    "<|im_start|>{{ message['role'] }}\n{{ message['content'] }}<|im_end|>\n{% endif %}{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
"""ChatML without the system prompt: a model of this size cannot follow one."""

POSITIONS = 8192
"""Tokens of prompt and answer together."""
_FIELD = re.compile(r"\{(?:question|options)\}")
_ASKED = ("single_choice", "multiple_choice", "fill_blank")


def terms(statements: Iterable[Statement]) -> set[str]:
    """Return what shall be one token: every subject and object of the statements, and the names in the knowledge base."""
    found = {h.name for h in herbs()} | {f.name for f in formulas()} | {s.name for s in syndromes()}
    found |= {d.name for d in diseases()} | {f.term for f in facts()} | {f.relation for f in facts()}
    for statement in statements:
        found.add(statement.relation)
        found.update(statement.objects)
        if not (statement.key.endswith(INVERSE) and "、" in statement.subject):
            found.add(statement.subject)
    return {term for term in found if len(term) > 1}


def prompt_phrases() -> set[str]:
    """Return the fixed parts of the harness's prompts in both languages."""
    prompts: Mapping[str, Mapping[str, str]] = shared_prompts()["prompts"]
    whole = [text.strip() for kind in _ASKED for text in prompts[kind].values()]
    marks = {". ", "答案：", "Answer: ", "）——"}
    return marks | {part for text in whole for part in _FIELD.split(text) if len(part) > 1}


def common_phrases(stems: Iterable[str], known: Iterable[str], least: int = 3) -> set[str]:
    """Return what stands between the known terms in at least so many stems: the wording of the questions."""
    from tokenizers import Tokenizer, models

    pieces = {text: -1.0 + 1e-6 * min(len(text), 60) ** 2 for text in known}
    cutter = Tokenizer(models.Unigram([("<unk>", -50.0), *pieces.items()], unk_id=0))
    counted: Counter[str] = Counter()
    for stem in stems:
        run = ""
        for token, (start, end) in zip(*_cut(cutter, stem), strict=True):
            if token in pieces:
                counted[run] += 1
                run = ""
            else:
                run += stem[start:end]
        counted[run] += 1
    return {text for text, times in counted.items() if times >= least and len(text) > 1}


def english_words(texts: Iterable[str], least: int = 2) -> set[str]:
    """Return the words, with the space after them, that stand at least so often in the texts."""
    counted = Counter(word for text in texts for word in re.findall(r"[A-Za-z]{2,} ?", text))
    return {word for word, times in counted.items() if times >= least}


def _cut(cutter: Any, text: str) -> tuple[list[str], list[tuple[int, int]]]:
    coded = cutter.encode(text)
    return coded.tokens, coded.offsets


def make_tokenizer(words: Iterable[str], texts: Iterable[str]) -> Any:
    """Return a tokenizer with `words` as whole tokens, and the characters of `texts`; it leaves the system prompt out."""
    made = character_tokenizer(texts, words, positions=POSITIONS)
    made.chat_template = CHAT
    return made
