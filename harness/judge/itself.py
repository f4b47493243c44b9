"""Is a judge the very model that it judges, or of its family?"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from harness.errors import UsageError
from harness.types import Record, Response

_FAMILY = re.compile(r"[a-z]{3,}")


@dataclass(frozen=True, slots=True)
class Candidate:
    """Who gave the answers: the identity, and the versions that the provider named with them. `forced`: it may judge itself."""

    identity: Mapping[str, str]
    versions: tuple[str, ...] = ()
    forced: bool = False

    def refuse(self, name: str, judge: Mapping[str, str], versions: Iterable[str] = ()) -> None:
        """Raise UsageError where the judge called `name`, with the versions that its replies have named, is the candidate itself."""
        if not self.forced and is_same(self.identity, judge, self.versions, versions):
            raise UsageError(
                f"{name} gave these answers itself, and a model is no fair judge of its own. Name another judge, or use --force."
            )

    def refuse_reply(self, name: str, judge: Mapping[str, str], record: Record) -> None:
        """Raise UsageError where a judge's reply names a version that shows it to be the candidate itself."""
        if isinstance(record.outcome, Response) and record.outcome.model_version:
            self.refuse(
                f"{name}, which answers as {record.outcome.model_version},", judge, [record.outcome.model_version]
            )


def is_same(
    first: Mapping[str, str],
    second: Mapping[str, str],
    first_versions: Iterable[str] = (),
    second_versions: Iterable[str] = (),
) -> bool:
    """Tell whether two identities are one model: the same weights, or a name in common where weights cannot tell.

    A model's names are the one that it is asked by and the versions that its answers were said to come from. Of a name only the part
    after the last slash counts: the same model behind another provider is still the same.
    """
    if "weights" in first and "weights" in second and first.get("provider") == second.get("provider"):
        return first["weights"] == second["weights"]
    names = {_last(one) for one in first_versions} | {_name(first)}
    return not names.isdisjoint({_last(one) for one in second_versions} | {_name(second)})


def relatives(candidate: Mapping[str, str], judge: Mapping[str, str], name: str) -> list[str]:
    """Return a note where both models' names begin with the same word (`qwen`, `gpt`): a weak sign that they are of one family."""
    words = [found[0] if (found := _FAMILY.match(_name(one))) else None for one in (candidate, judge)]
    if words[0] is None or words[0] != words[1]:
        return []
    return [f"{name} seems to be of the candidate's family ({words[0]}); judges may favour their own kind"]


def _name(identity: Mapping[str, str]) -> str:
    return _last(str(identity.get("model", "")))


def _last(name: str) -> str:
    return name.rstrip("/").rpartition("/")[2].lower()
