"""The judges of a run, and what they said of each answer."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from harness.judge.question import Question, question_of
from harness.judge.verdict import FULL, MOST, Unread, Verdict
from harness.judge.wording import Wording
from harness.store import Answers
from harness.types import Response, Sample, Sampling


@dataclass(frozen=True, slots=True)
class Member:
    """One judge: the name it has in tables and files, who it is, how it is asked, and the versions that answered."""

    name: str
    identity: Mapping[str, str]
    sampling: Sampling
    versions: tuple[str, ...] = ()
    price: tuple[float, float] | None = None

    @property
    def role(self) -> str:
        """Return the role of its replies among the records."""
        return f"judge:{self.name}"

    @property
    def key(self) -> str:
        """Return the text that stands for it in every reply's key."""
        return json.dumps(dict(self.identity), sort_keys=True, ensure_ascii=False)

    @property
    def signature(self) -> str:
        """Return provider and model, a hash of the whole identity, versions, and what it was asked with."""
        digest = hashlib.sha256(self.key.encode()).hexdigest()[:6]
        model = "/".join(str(self.identity[name]) for name in ("provider", "model") if name in self.identity)
        said = f"={'+'.join(self.versions)}" if self.versions else ""
        return f"{model}#{digest}{said},temp:{self.sampling.temperature:g},max:{self.sampling.max_tokens}"


@dataclass(frozen=True, slots=True)
class Opinion:
    """What one judge has said of one answer so far: its replies, and what they come to (None: something is still to be asked)."""

    member: Member
    replies: tuple[Response, ...]
    found: Verdict | Unread | None


@dataclass(frozen=True, slots=True)
class Panel:
    """All judges of a run and the wording they share. `ladder`: their mark of meaning stands in Ladder-Score too.

    `replies` holds what they said, by the request's key.
    """

    members: tuple[Member, ...]
    wording: Wording
    ladder: bool = False
    replies: Answers = field(default_factory=lambda: Answers(()), compare=False)

    @classmethod
    def of(cls, row: Mapping[str, Any], replies: Answers) -> Panel:
        """Return the panel that a manifest describes."""
        members = [
            Member(
                one["name"],
                one["identity"],
                Sampling(**{**one["sampling"], "stop": tuple(one["sampling"]["stop"])}),
                tuple(one["versions"]),
                tuple(one["price"]) if one["price"] else None,
            )
            for one in row["judges"]
        ]
        return cls(tuple(members), Wording(**row["wording"]), bool(row["ladder"]), replies)

    def as_row(self) -> dict[str, Any]:
        """Return the panel as it stands in a manifest."""
        return {"judges": [asdict(one) for one in self.members], "wording": asdict(self.wording), "ladder": self.ladder}

    @property
    def signature(self) -> str:
        """Return all that makes two judged numbers comparable: the judges, their number, the wording, the scales."""
        judges = "; ".join(sorted(one.signature for one in self.members))
        scales = f"marks:0-{MOST}|meaning:0-{FULL}"
        return f"judges:{len(self.members)}[{judges}]|prompt:{self.wording.fingerprint}|{scales}|mean-of-judges"

    def opinions(self, sample: Sample, answer: str) -> list[Opinion]:
        """Return what each judge has said of an answer."""
        found = []
        asked: Question | None = None
        for one in self.members:
            if asked is None or asked.request.sampling != one.sampling:
                asked = question_of(sample, answer, self.wording, one.sampling)
            found.append(self.opinion(one, asked))
        return found

    def opinion(self, member: Member, question: Question) -> Opinion:
        """Return what one judge has said to a question, replayed from the replies that are there."""
        replies: list[Response] = []
        while (request := question.following(replies)) is not None:
            said = self.replies.find(request.key(member.key))
            if said is None:
                return Opinion(member, tuple(replies), None)
            replies.append(said[0])
        return Opinion(member, tuple(replies), question.read(replies[-1]))
