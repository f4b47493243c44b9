"""Models that know nothing: the chance level, and the harness's own tests and load figures."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping

from harness.errors import UsageError
from harness.types import OptionLogprob, Request, Response

WAYS = ("guess", "first", "last-line")
_OPTION = re.compile(r"^([A-J])[.．、]\s", re.MULTILINE)


class Echo:
    """Answers by rule: `guess` picks an option by a hash of the prompt, `first` the first, `last-line` repeats the last line."""

    def __init__(self, way: str) -> None:
        self.name = f"echo/{way}"
        self.identity: Mapping[str, str] = {"provider": "echo", "model": way, "version": "1"}
        self._way = way

    async def generate(self, request: Request) -> Response:
        """Return the answer that the rule gives; it depends on the request alone."""
        content = request.messages[-1].content
        text = content if isinstance(content, str) else "".join(part for part in content if isinstance(part, str))
        if request.options:
            return Response("", logprobs=tuple(OptionLogprob(-float(self._rank(text + o)), 1) for o in request.options))
        options = list(dict.fromkeys(_OPTION.findall(text)))
        if self._way == "last-line" or not options:
            return Response(text.rstrip().rsplit("\n", 1)[-1])
        return Response(f"答案：{options[self._rank(text) % len(options)]}")

    def _rank(self, text: str) -> int:
        return (
            0 if self._way == "first" else int.from_bytes(hashlib.blake2b(text.encode(), digest_size=4).digest(), "big")
        )

    async def aclose(self) -> None:
        """Do nothing: there is nothing to close."""


def build(model: str) -> Echo:
    """Return the echo of one way; raise UsageError for another."""
    if model not in WAYS:
        raise UsageError(f"echo/{model}: choose one of {', '.join('echo/' + way for way in WAYS)}")
    return Echo(model)
