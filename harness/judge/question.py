"""One answer of one sample -> what a judge is asked about it.

The answer is a stranger's text, and may try to speak to the judge. So all material stands between lines that carry a boundary; every line
of it begins with a bar, so that none can pass for a boundary or an instruction; brackets that chat templates read are widened; hidden
characters are written out; and the verdict must repeat a word that stands nowhere in the answer. This lowers the risk; it does not
remove it. **Source:** Hines et al. 2024, "Defending Against Indirect Prompt Injection Attacks With Spotlighting" (arXiv 2403.14720).
"""

from __future__ import annotations

import hashlib
import json
import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import count

from harness.judge.verdict import FULL, MOST, Unread, Verdict, read_verdict
from harness.judge.wording import Wording
from harness.types import Case, Message, Reference, Request, Response, Sample, Sampling

BAR = "│ "
_CONTROL = re.compile(r"\[(/?[A-Za-z_]{2,24})\]")
_WIDE = str.maketrans("<>", "＜＞")
_HIDDEN = ("Cc", "Cf", "Co", "Cs", "Cn", "Zl", "Zp")


@dataclass(frozen=True, slots=True)
class Question:
    """What a judge is asked about one answer, and how its reply is read: the word to repeat and the criteria's ids."""

    request: Request
    wording: Wording
    check: str
    ids: tuple[str, ...]

    def read(self, response: Response) -> Verdict | Unread:
        """Return the verdict of one reply, or why there is none."""
        return read_verdict(response, self.check, self.ids)

    def following(self, done: Sequence[Response]) -> Request | None:
        """Return what is asked next: the question, one reminder after a reply that could not be read, then nothing more."""
        if not done:
            return self.request
        found = self.read(done[0])
        if len(done) > 1 or isinstance(found, Verdict) or found.refused:
            return None
        reminder = self.wording.remind(found.why, example(self.check, self.ids))
        if said := done[0].text.strip():
            asked = (*self.request.messages, Message("assistant", said), Message("user", reminder))
        else:
            *before, last = self.request.messages
            asked = (*before, Message("user", f"{last.content}\n\n{reminder}"))
        return Request(asked, self.request.sampling, (), self.request.place)

    def verdict(self, replies: Sequence[Response]) -> Verdict | Unread | None:
        """Return what these replies come to; None while something is still to be asked."""
        return None if self.following(replies) is not None else self.read(replies[-1])


@dataclass(frozen=True, slots=True)
class Chain:
    """A question as a job's steps, and the answer's place in the run: how-manieth time, which turn was judged."""

    question: Question
    repeat: int
    turn: int

    def __call__(self, done: Sequence[Response]) -> Request | None:
        return self.question.following(done)


def question_of(sample: Sample, answer: str, wording: Wording, sampling: Sampling) -> Question:
    """Return what a judge is asked about an answer; equal (sample, answer, wording, sampling) give the same request."""
    target = sample.target
    rubric, texts = (target.rubric, target.texts) if isinstance(target, Reference | Case) else ((), ())
    boundary = _word("boundary", sample, answer, 16)
    check = _word("check", sample, answer, 8)
    ids = tuple(f"k{n}" for n in range(1, len(rubric) + 1))
    shown = {
        "boundary": boundary,
        "dialogue": _block(boundary, "题目", _dialogue(sample)),
        "reference": _block(boundary, "参考答案", "\n（或）\n".join(texts)),
        "criteria": _block(boundary, "评分要点", "\n".join(f"{k}：{one}" for k, one in zip(ids, rubric, strict=True))),
        "answer": _block(boundary, "考生回答", answer),
        "example": example(check, ids),
    }
    messages = (Message("system", wording.system), Message("user", wording.ask(shown)))
    return Question(Request(messages, sampling, (), (sample.task, sample.id, 0)), wording, check, ids)


def example(check: str, ids: Sequence[str]) -> str:
    """Return the verdict's form as the judge sees it. Copied as it is, it is no verdict: its marks are no numbers."""
    criteria = [{"id": name, "reason": "……", "mark": f"0～{MOST}"} for name in ids]
    value = {"check": check, "criteria": criteria, "meaning": f"0～{FULL}", "reason": "……"}
    return json.dumps(value, ensure_ascii=False)


def _word(kind: str, sample: Sample, answer: str, length: int) -> str:
    """Return hex digits that depend on sample and answer alone and stand nowhere in the answer."""
    text = answer.casefold()
    seeds = ("\x1f".join((kind, str(n), sample.task, sample.id, answer)).encode("utf-8", "replace") for n in count())
    words = (hashlib.blake2b(seed, digest_size=length // 2).hexdigest() for seed in seeds)
    return next(word for word in words if word not in text)


def _dialogue(sample: Sample) -> str:
    who = {"user": "患者", "assistant": "医生", "system": "说明"}
    turns = [f"{who.get(t['role'], t['role'])}：{t['content']}" for t in sample.fields.get("turns") or []]
    return "\n".join([*turns, f"要求：{sample.question}" if turns else sample.question])


def _block(boundary: str, name: str, text: str) -> str:
    """Return a text between its two boundary lines, or nothing for no text."""
    if not text.strip():
        return ""
    return f"<<<{boundary} {name} 开始>>>\n{quoted(text)}\n<<<{boundary} {name} 结束>>>"


def quoted(text: str) -> str:
    """Return a text as material: a bar before each line, template brackets widened, hidden characters written out."""
    lines = "\n".join(text.strip().splitlines())  # at every kind of line break there is
    hidden = {c for c in set(lines) if c not in "\t\n" and unicodedata.category(c) in _HIDDEN}
    shown = lines.translate({**_WIDE, **{ord(c): f"\\u{ord(c):04x}" for c in hidden}})
    return BAR + _CONTROL.sub(r"［\1］", shown).replace("\n", f"\n{BAR}")
