"""The outcome as JUnit XML, which GitHub, GitLab and Jenkins show as tests."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections.abc import Sequence

from harness.gate.changed import Changed
from harness.gate.decide import Check, Outcome, Verdict
from harness.gate.words import headline, notes
from harness.tables import printable, shortened

LENGTH = 400


def as_junit(outcome: Outcome, changed: Sequence[Changed]) -> str:
    """Return the outcome as one test suite: a test for each check, and a last one that is the verdict itself.

    Regressions are failures, broken runs are errors. Inconclusive checks fail only when the verdict does; checks that are not
    required, and inconclusive ones that are let pass, are skipped.
    """
    suite = ET.Element("testsuite", name="tcm-eval gate")
    for check in outcome.checks:
        _case(suite, check, outcome, [one for one in changed if (one.task, one.metric) == (check.task, check.what)])
    last = ET.SubElement(suite, "testcase", classname="tcm-eval gate", name="verdict")
    text = _clean(headline(outcome))
    if outcome.verdict is Verdict.INVALID:
        ET.SubElement(last, "error", type=_kind(outcome.verdict), message=text)
    elif outcome.verdict.exit_code:
        ET.SubElement(last, "failure", type=_kind(outcome.verdict), message=text)
    ET.SubElement(last, "system-out").text = "\n".join([text, *(_clean(note) for note in notes(outcome))])
    for name, tag in (("failures", "failure"), ("errors", "error"), ("skipped", "skipped")):
        suite.set(name, str(len(suite.findall(f"testcase/{tag}"))))
    suite.set("tests", str(len(suite)))
    ET.indent(suite)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + ET.tostring(suite, encoding="unicode") + "\n"


def _case(suite: ET.Element, check: Check, outcome: Outcome, changed: Sequence[Changed]) -> None:
    name = f"{check.what} {check.kind}" if check.effect is not None else check.what
    case = ET.SubElement(suite, "testcase", classname=_clean(check.task), name=_clean(name))
    text = _clean(check.text)
    if not check.required:
        ET.SubElement(case, "skipped", message=f"not required: {_kind(check.verdict)}")
    elif check.verdict is Verdict.INVALID:
        ET.SubElement(case, "error", type=_kind(check.verdict), message=text)
    elif check.verdict is Verdict.REGRESSION:
        ET.SubElement(case, "failure", type=_kind(check.verdict), message=text)
    elif check.verdict is Verdict.INCONCLUSIVE:
        passed = outcome.verdict is Verdict.INCONCLUSIVE_PASSED
        ET.SubElement(case, "skipped" if passed else "failure", type=_kind(check.verdict), message=text)
    ET.SubElement(case, "system-out").text = "\n".join([text, *(_lost(one) for one in changed)])


def _lost(one: Changed) -> str:
    texts = [("question", one.question), ("baseline", one.baseline), ("candidate", one.candidate)]
    said = "; ".join(f"{name}: {_clean(shortened(text, LENGTH))}" for name, text in texts)
    return f"{_clean(one.place)}: {one.before:.3f} -> {one.after:.3f}; {said}"


def _kind(verdict: Verdict) -> str:
    return verdict.name.lower()


def _clean(text: str) -> str:
    # What XML 1.0 cannot hold at all (control characters, lone surrogates) is no part of printable text.
    return "".join(c for c in printable(text) if c not in "\ufffe\uffff")
