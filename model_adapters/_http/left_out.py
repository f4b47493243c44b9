"""Which fields of a request a model does not take: learnt from its refusals, and held by what comes after them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from harness.errors import unknown
from harness.types import Request
from model_adapters._http.faults import refuses

DROPPABLE = ("temperature", "top_p", "top_k", "repetition_penalty", "seed", "stop")
"""What may be left out where it is refused. Never the token limit: an answer without one could cost anything."""

_PARAM = re.compile(r'"param":\s*"([^"\\]+)"')


class LeftOut:
    """The fields that a model does not take; `names` maps the provider's name to ours, `known` are those known before it is asked.

    A field within another is named with a dot. `limit` is the token limit's name and `other_limit` the name that other servers of the
    protocol have for it, if any: a limit is never left out, only called by the other name.
    """

    def __init__(
        self, names: Mapping[str, str], known: tuple[str, ...] = (), limit: str = "", other_limit: str = ""
    ) -> None:
        self._names = names
        self.fields = tuple(dict.fromkeys(known))
        self.limits = (limit, other_limit)

    def trial(self) -> Trial:
        """Return what one request may find out."""
        return Trial(self, self._names)


class Trial:
    """One request's way to the fields that are taken: `fields` are ours that it goes without, `limit` its name for the token limit.

    An error may name a field in the words of a question, and several requests may be under way at once. So each request tries for
    itself, and what it finds out holds for later ones only if it was answered (`answered`).
    """

    def __init__(self, left_out: LeftOut, names: Mapping[str, str]) -> None:
        self._left_out, self._names = left_out, names
        self._refused: tuple[str, ...] = ()
        self._renamed = False
        self.fields = left_out.fields
        self.limits = left_out.limits

    @property
    def limit(self) -> str:
        """Return the token limit's name in this request."""
        return self.limits[0]

    def strip(self, body: dict[str, Any]) -> dict[str, Any]:
        """Return the body without the fields that this request goes without."""
        for name, ours in self._names.items():
            outer, _, inner = name.partition(".")
            if ours not in self.fields or outer not in body:
                continue
            rest = {one: value for one, value in body[outer].items() if one != inner} if inner else {}
            body = {**body, outer: rest} if rest else {one: value for one, value in body.items() if one != outer}
        return body

    def refused(self, status: int, text: str, body: Mapping[str, Any]) -> bool:
        """Tell whether an error names fields of this very body that can be left out: the request goes on without them."""
        if self._calls_the_limit_otherwise(status, text, body):
            return True
        found = self._suspects(status, text, body)
        self._refused += tuple(found)
        self.fields = tuple(dict.fromkeys((*self.fields, *found)))
        return bool(found)

    def answered(self) -> None:
        """Keep for later requests what this one has found out: it was answered."""
        self._left_out.fields = tuple(dict.fromkeys((*self._left_out.fields, *self._refused)))
        if self._renamed:
            self._left_out.limits = self.limits

    def _calls_the_limit_otherwise(self, status: int, text: str, body: Mapping[str, Any]) -> bool:
        limit, other = self.limits
        if not other or limit not in body or not refuses(status, text, limit):
            return False
        if limit == "max_tokens" and other not in text:
            return False  # its value is what is wrong
        self.limits, self._renamed = (other, ""), True
        return True

    def _suspects(self, status: int, text: str, body: Mapping[str, Any]) -> list[str]:
        """Return our names of the fields that the error means: by its `param`, else those it quotes, else those it mentions."""
        sent = {self._names[name] for name in _held(body) if name in self._names}
        named = {name: ours for name, ours in self._names.items() if ours in sent and refuses(status, text, name)}
        param = _PARAM.search(text)
        path = param[1].rpartition(".")[2] if param else ""
        told = [ours for name, ours in named.items() if param and name in (param[1], path)]
        quoted = [ours for name, ours in named.items() if re.search(rf"[\"'`]{re.escape(name)}\\?[\"'`]", text)]
        found = list(dict.fromkeys(told or quoted or named.values()))
        return found[-1:] if "both" in text else found  # either of two is welcome: the later of our list gives way


def _held(body: Mapping[str, Any]) -> Iterator[str]:
    """Yield the names of a body's fields, and of those one level within them, with a dot."""
    for name, value in body.items():
        yield name
        if isinstance(value, Mapping):
            yield from (f"{name}.{inner}" for inner in value)


def ignored(model: str, ignores: str) -> tuple[str, ...]:
    """Return the sampling fields that `ignores` names, in our order; raise UsageError for a name that is none."""
    named = [name.strip() for name in ignores.split(",") if name.strip()]
    for name in named:
        if name not in DROPPABLE:
            raise unknown(f"sampling field in ignores of {model}", name, DROPPABLE)
    return tuple(name for name in DROPPABLE if name in named)


def not_accepted(fields: tuple[str, ...], request: Request) -> tuple[str, ...]:
    """Return the fields that an answer was given without, of those that were asked for."""
    s = request.sampling
    unasked = {name for name, asked in (("seed", s.seed is not None), ("stop", s.stop)) if not asked}
    return tuple(name for name in fields if name not in unasked)
