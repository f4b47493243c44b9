"""The knowledge base on real answers: MTCMB TCM-PR and TCM-CHGD, where they lie on this machine.

`TCM_EVAL_REAL_DATA` names the folder; else `../shared/data` is looked at. Where there is none these tests do not exist: the
logic they rest on is tested beside, on texts of our own.
"""

from __future__ import annotations

import ast
import json
import os
from pathlib import Path

import pytest

from harness.extract.herbs import prescription
from harness.extract.slots import slots
from harness.knowledge import known
from harness.metrics._lexicon import lexicon_of, plain
from harness.metrics.ladder import term_items

MARKED = Path(__file__).parent / "marked" / "terms_200.jsonl"
STATED = os.environ.get("TCM_EVAL_REAL_DATA")
FOLDERS = [Path(STATED)] if STATED else [Path(__file__).parents[4] / "shared" / "data"]
MTCMB = [folder / "mtcmb" for folder in FOLDERS if (folder / "mtcmb").is_dir()]


if MTCMB:

    def test_the_herbs_of_100_real_prescriptions_are_recognised() -> None:
        rows = [json.loads(line) for line in (MTCMB[0] / "TCM-PR.jsonl").read_text(encoding="utf-8").splitlines()]
        names = [name for row in rows for name in ast.literal_eval(row["answer"])]
        assert sum(known(name) for name in names) / len(names) >= 0.98
        read = sum(len(prescription(row["answer"])) for row in rows)
        assert read / len(names) >= 0.98

    def test_the_slots_of_100_real_case_answers_are_found_with_headings_and_without() -> None:
        rows = [json.loads(line) for line in (MTCMB[0] / "TCM-CHGD.jsonl").read_text(encoding="utf-8").splitlines()]
        for strip in (False, True):
            found = 0
            for row in rows:
                lines = row["answer"].split("\n")
                text = "\n".join(line.split("：", 1)[1] for line in lines) if strip else row["answer"]
                read = slots(text)
                found += sum(map(bool, (read.disease, read.pattern, read.principle, read.formula, read.herbs)))
            assert found / (5 * len(rows)) >= 0.95


def test_the_terms_of_200_marked_sentences_are_found_with_their_denial() -> None:
    lexicon = lexicon_of({})
    both = ours = marked = denied = denied_found = 0
    for line in MARKED.read_text(encoding="utf-8").splitlines():
        row = json.loads(line)
        wanted = {
            (lexicon.names.get(plain(form), plain(form)), no)
            for no, forms in ((False, row["affirmed"]), (True, row["denied"]))
            for form in forms
        }
        found = term_items(row["text"], lexicon)
        both, ours, marked = both + len(wanted & found), ours + len(found), marked + len(wanted)
        denials = {item for item in wanted if item[1]}
        denied, denied_found = denied + len(denials), denied_found + len(denials & found)
    assert both / ours >= 0.80 and both / marked >= 0.90 and denied_found / denied >= 0.90


@pytest.mark.parametrize("text", ["无恶心、呕吐及腹痛", "未触及瘰疬", "不可攻下"])
def test_what_is_denied_is_found_as_denied(text: str) -> None:
    assert all(denied for _, denied in term_items(text, lexicon_of({})))
