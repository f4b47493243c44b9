"""An example of a provider: it always names one letter. `--model herbalist/B --model-arg politely=1`."""

from __future__ import annotations

from collections.abc import Mapping

from harness.errors import UsageError
from harness.types import Request, Response


class Herbalist:
    """Answers every question with the same letter."""

    def __init__(self, letter: str, greeting: str) -> None:
        self.name = f"herbalist/{letter}"
        self.identity: Mapping[str, str] = {"provider": "herbalist", "model": letter, "greeting": greeting}
        self._answer = f"{greeting}答案：{letter}"

    async def generate(self, request: Request) -> Response:
        return Response(self._answer, tokens_in=sum(len(str(m.content)) for m in request.messages), tokens_out=4)

    async def aclose(self) -> None:
        """Nothing is open."""


def build(model: str, *, politely: bool = False) -> Herbalist:
    """Return the model that names the letter `model`; raise UsageError when it is none."""
    if model not in ("A", "B", "C", "D", "E"):
        raise UsageError(f"herbalist/{model}: the name is a letter from A to E")
    return Herbalist(model, "您好。" if politely else "")
