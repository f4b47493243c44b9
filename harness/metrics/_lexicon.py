"""The TCM terms that term-aware metrics look for, those of the knowledge base, and the longest match that finds them."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from harness.errors import UsageError
from harness.knowledge import lexicon as knowledge
from harness.knowledge.names import plain, plain_all
from harness.registry import Options


def written_forms() -> Mapping[str, str]:
    """Return each written form of a term and the name it stands for; a name stands for itself."""
    forms = {form: term.name for form, term in knowledge.terms().items()}
    names = dict(zip(forms.values(), plain_all(forms.values()), strict=True))
    return {**{name: name for name in names.values()}, **{form: names[name] for form, name in forms.items()}}


def terms() -> frozenset[str]:
    """Return every written form of every term."""
    return frozenset(written_forms())


@dataclass(frozen=True, slots=True)
class Lexicon:
    """Terms ready for longest match: plain form -> name, and by first character the lengths to try, longest first."""

    names: Mapping[str, str]
    lengths: Mapping[str, tuple[int, ...]]
    signature: str

    @staticmethod
    def of(forms: Mapping[str, str] | Iterable[str]) -> Lexicon:
        """Return the lexicon of `form -> name`, or of terms that are their own names; both are put in plain form."""
        pairs = forms.items() if isinstance(forms, Mapping) else ((term, term) for term in forms)
        listed = sorted((form, name) for form, name in pairs if form.strip())
        keys, means = plain_all(form for form, _ in listed), plain_all(name for _, name in listed)
        names = dict(zip(keys, means, strict=True))
        lengths: dict[str, set[int]] = {}
        for form in names:
            lengths.setdefault(form[0], set()).add(len(form))
        lines = "\n".join(f"{form}\t{name}" for form, name in sorted(names.items()))
        digest = hashlib.sha256(lines.encode()).hexdigest()[:8]
        longest_first = {first: tuple(sorted(sizes, reverse=True)) for first, sizes in lengths.items()}
        return Lexicon(names, longest_first, f"lexicon:{digest}/{len(names)}")

    def at(self, line: str, start: int) -> str | None:
        """Return the longest form that begins at `start` of a plain line, None when there is none."""
        for length in self.lengths.get(line[start], ()):
            form = line[start : start + length]
            if form in self.names:
                return form
        return None


def lexicon_of(options: Options) -> Lexicon:
    """Return the lexicon of the file `options["lexicon"]`, else the harness's own.

    The file is UTF-8, one term a line: its name, then tab-separated other forms. Raises UsageError when it cannot be
    read or has no term.
    """
    path = options.get("lexicon")
    return _own() if path is None else _from_file(str(path))


@cache
def _own() -> Lexicon:
    return Lexicon.of(written_forms())


@cache
def _from_file(path: str) -> Lexicon:
    try:
        lines = Path(path).read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"cannot read the lexicon '{path}': {error}") from error
    entries = [[form.strip() for form in line.split("\t") if form.strip()] for line in lines]
    forms = {form: entry[0] for entry in entries for form in entry}
    if not forms:
        raise UsageError(f"the lexicon '{path}' has no term: write one a line, other forms after tabs")
    return Lexicon.of(forms)


_REST = re.compile(r"[0-9]+(?:\.[0-9]+)?|[a-z]+|\S")


def tokens(line: str, lexicon: Lexicon | Iterable[str]) -> list[str]:
    """Return the words of a text: terms by longest match, under their names; numbers and Latin words whole.

    Every other character that is not white space is a word of its own. The text is put in plain form first.
    """
    known = lexicon if isinstance(lexicon, Lexicon) else Lexicon.of(lexicon)
    folded, words, i = plain(line), [], 0
    while i < len(folded):
        form = known.at(folded, i)
        if form:
            words.append(known.names[form])
            i += len(form)
        elif rest := _REST.match(folded, i):
            words.append(rest.group())
            i = rest.end()
        else:
            i += 1
    return words
