from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.errors import UsageError
from harness.knowledge import version
from harness.metrics.clinical import match_formula, match_pattern, match_principle
from harness.metrics.ranked import CUTS, at_k, f1, f1_of_means
from harness.metrics.safety import RULES
from harness.registry import get_metric, metric_names
from harness.types import Case, Choice, Reference, Sample

CASES = Path(__file__).parent / "clinical_cases"
CLINICAL = [name for name in metric_names() if name.startswith(("slot_", "herb_", "dose_", "safety_"))]
RANKED = st.lists(st.sampled_from("甲乙丙丁戊己庚辛"), max_size=12)


def cases() -> list[dict[str, Any]]:
    files = sorted(CASES.glob("*.jsonl"))
    return [json.loads(line) for file in files for line in file.read_text(encoding="utf-8").splitlines()]


def judged(metric: str, target: Any, answer: Any, fields: dict[str, Any] | None = None, **options: Any) -> float | None:
    (value,) = get_metric(metric).score([(Sample("1", "t", fields or {}, target), answer)], options)
    return value.value


def slot_target(metric: str, text: str) -> Case | Reference:
    if metric.startswith("slot_"):
        return Case((text,), {metric.removeprefix("slot_"): (text,)})
    return Reference((text,))


@pytest.mark.parametrize("case", cases(), ids=lambda case: f"{case['metric']}: {case['why']}")
def test_each_case_gets_the_value_it_states(case: dict[str, Any]) -> None:
    value = judged(
        case["metric"],
        slot_target(case["metric"], case["target"]),
        case["answer"],
        case.get("fields"),
        **case.get("options", {}),
    )
    assert value == (None if case["expected"] is None else pytest.approx(case["expected"]))


def test_the_case_files_are_not_shrinking() -> None:
    assert len(cases()) >= 58


REFERENCE = "疾病诊断：不寐\n证候诊断：心脾两虚证\n治法：补益心脾，养血安神\n方剂：归脾汤加减\n药物组成：党参15g、黄芪30g、当归10g、酸枣仁15g"


@pytest.mark.parametrize("name", CLINICAL)
def test_the_reference_itself_is_perfect_whether_slots_are_given_or_read(name: str) -> None:
    given_slots = Case(
        (REFERENCE,),
        {
            "disease": ("不寐",),
            "pattern": ("心脾两虚证",),
            "principle": ("补益心脾，养血安神",),
            "formula": ("归脾汤",),
        },
        (("党参", 15.0), ("黄芪", 30.0), ("当归", 10.0), ("酸枣仁", 15.0)),
    )
    cut = "_at_" in name and ("recall" not in name and "_k" in name)
    for target in (given_slots, Reference((REFERENCE,))):
        value = judged(name, target, REFERENCE)
        best = 0.0 if name.startswith(("dose", "safety")) else 1.0
        assert value == pytest.approx(best) or (cut and value is not None and value > 0)


@pytest.mark.parametrize("name", CLINICAL)
def test_the_signature_names_the_version_of_the_knowledge_base(name: str) -> None:
    metric = get_metric(name)
    assert f"kb@{version()}" in metric.signature({})
    assert metric.higher_is_better == (not name.startswith(("dose", "safety")))


@pytest.mark.parametrize("name", CLINICAL)
@pytest.mark.parametrize("answer", ["", "Rest and drink water.", "黃芪三十克，當歸十克", "黄芪、" * 300, "无"])
def test_no_answer_breaks_a_metric_or_leaves_its_bounds(name: str, answer: str) -> None:
    value = judged(name, Reference((REFERENCE,)), answer)
    assert value is not None and 0 <= value <= 1


@pytest.mark.parametrize("name", CLINICAL)
def test_a_target_of_letters_is_refused_unless_only_the_answer_is_judged(name: str) -> None:
    if name.startswith("safety_"):
        assert judged(name, Choice(frozenset("A")), "黄芪") == 0
        return
    with pytest.raises(UsageError):
        judged(name, Choice(frozenset("A")), "黄芪")


def test_an_unknown_way_to_count_forms_is_refused() -> None:
    with pytest.raises(UsageError, match="apart"):
        get_metric("herb_f1").signature({"forms": "both"})


def test_the_names_of_the_extractor_herbs_are_judged_as_its_text_is() -> None:
    target = Reference(("黄芪、党参、白术",))
    assert judged("herb_f1", target, ("黄芪", "党参")) == judged("herb_f1", target, "黄芪、党参")


def test_the_best_of_several_references_counts() -> None:
    assert judged("herb_f1", Reference(("麻黄、桂枝", "黄芪、党参")), "黄芪、党参") == 1


def test_every_metric_that_sees_a_prescription_reports_its_safety() -> None:
    sample = Sample("1", "t", {}, Reference(("附子10g、半夏9g",)))
    for name in ("herb_f1", "herb_jaccard", "dose_error", "herb_f1_at_10_min_mean"):
        (value,) = get_metric(name).score([(sample, "附子10g、半夏9g、细辛6g")], {})
        assert set(RULES) <= set(value.parts)
        assert value.parts["incompatible"] == 1 and value.parts["dose_above"] == 1
        assert value.parts["toxic_without_precaution"] == 1


@given(RANKED, st.sets(st.sampled_from("甲乙丙丁戊己庚辛"), min_size=1), st.sampled_from(CUTS))
def test_precision_with_k_below_is_never_above_the_one_with_what_was_named(
    ranked: list[str], gold: set[str], k: int
) -> None:
    fixed, recall = at_k(ranked, frozenset(gold), k, "k")
    named, again = at_k(ranked, frozenset(gold), k, "min")
    assert 0 <= fixed <= named <= 1 and recall == again <= 1
    assert fixed * k == pytest.approx(recall * len(gold))


def test_f1_of_means_is_not_the_mean_of_f1() -> None:
    rows = np.array([[1.0, 0.1, 1.0], [0.1, 1.0, 1.0]])
    combined = f1_of_means(rows.sum(axis=0, keepdims=True))
    assert combined[0] == pytest.approx(0.55)
    assert np.mean([f1(1.0, 0.1), f1(0.1, 1.0)]) == pytest.approx(0.1818, abs=1e-3)
    assert f1_of_means(np.zeros((2, 3))).tolist() == [0, 0]


@pytest.mark.parametrize("match", [match_formula, match_pattern, match_principle])
@given(one=st.text(max_size=20), other=st.text(max_size=20))
def test_no_text_breaks_a_match(match: Any, one: str, other: str) -> None:
    assert 0 <= match(one, other) <= 1
