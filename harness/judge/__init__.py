"""Models as judges: how one is asked about an answer, how its verdict is read, and how far several agree. Nothing is sent from here."""

from harness.judge.itself import Candidate, is_same, relatives
from harness.judge.panel import Member, Opinion, Panel
from harness.judge.question import Chain, Question, question_of
from harness.judge.signs import signs
from harness.judge.tally import Answered, tally
from harness.judge.verdict import Unread, Verdict
from harness.judge.wording import Wording, wording_from

__all__ = [
    "Answered",
    "Candidate",
    "Chain",
    "Member",
    "Opinion",
    "Panel",
    "Question",
    "Unread",
    "Verdict",
    "Wording",
    "is_same",
    "question_of",
    "relatives",
    "signs",
    "tally",
    "wording_from",
]
