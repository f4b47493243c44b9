from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.errors import UsageError
from harness.registry import get_metric
from harness.types import Blanks, Choice, Sample

NAMES = ("exact_match", "exact_match_strict", "exact_match_all", "char_f1")
short = st.text(st.sampled_from("气血寒热3.5-～g克 。、（"), max_size=6) | st.text(max_size=6)
blanks = st.lists(st.lists(short.filter(bool), min_size=1, max_size=2).map(tuple), min_size=1, max_size=3).map(tuple)
answers = st.lists(short, max_size=4).map(tuple)


def score(name: str, accepted: tuple[tuple[str, ...], ...], given: tuple[str, ...]) -> float:
    (value,) = get_metric(name).score([(Sample("7", "fill", {}, Blanks(accepted)), given)], {})
    assert value.value is not None
    return value.value


@given(accepted=blanks, given=answers)
@settings(deadline=None)
def test_the_rules_order_themselves_from_strict_to_lenient(
    accepted: tuple[tuple[str, ...], ...], given: tuple[str, ...]
) -> None:
    strict, normalised, characters = (
        score(name, accepted, given) for name in ("exact_match_strict", "exact_match", "char_f1")
    )
    assert 0 <= strict <= normalised <= characters + 1e-12 <= 1 + 2e-12
    assert score("exact_match_all", accepted, given) == float(normalised == 1)


@given(accepted=blanks)
@settings(deadline=None)
def test_the_accepted_answers_score_1_and_no_answers_0(accepted: tuple[tuple[str, ...], ...]) -> None:
    written = tuple(alternatives[-1] for alternatives in accepted)
    if all(answer.strip() for answer in written):
        assert [score(name, accepted, written) for name in NAMES] == pytest.approx([1, 1, 1, 1])
    assert [score(name, accepted, ()) for name in NAMES] == [0, 0, 0, 0]


@given(one=short, other=short)
@settings(deadline=None)
def test_equality_and_char_f1_do_not_care_which_side_is_the_reference(one: str, other: str) -> None:
    if one and other:
        for name in ("exact_match", "exact_match_strict", "char_f1"):
            assert score(name, ((one,),), (other,)) == pytest.approx(score(name, ((other,),), (one,)))


@pytest.mark.parametrize("target", [Blanks(()), Blanks((("寒",), ())), Choice(frozenset("A"))])
def test_a_target_without_accepted_answers_is_refused_by_the_sample_s_name(target: Blanks | Choice) -> None:
    with pytest.raises(UsageError, match=r"task 'fill', sample '7'.*accepted answer"):
        get_metric("exact_match").score([(Sample("7", "fill", {}, target), ("寒",))], {})


def test_the_real_fill_in_answers_are_accepted_however_the_amount_is_written() -> None:
    folder = Path(os.environ.get("TCM_EVAL_REAL_DATA", Path(__file__).parents[4] / "shared" / "data"))
    file = folder / "mtcmb" / "TCM-SE-A.jsonl"
    if not file.exists():
        pytest.skip("the MTCMB file TCM-SE-A.jsonl is not here")
    gold = [json.loads(line)["answer"] for line in file.read_text(encoding="utf-8").splitlines() if line.strip()]
    assert len(gold) == 50
    for answer in gold:
        rewritten = answer.replace("～", "-").replace("g", "克").replace("；", "; ").replace("、", "，")
        assert score("exact_match", ((answer,),), (rewritten,)) == 1
    different = {answer for answer in gold if score("exact_match", tuple((a,) for a in [gold[0]]), (answer,)) == 0}
    assert different == set(gold) - {gold[0]}
