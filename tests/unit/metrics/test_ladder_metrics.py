from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.errors import UsageError
from harness.metrics._lexicon import Lexicon, lexicon_of
from harness.metrics.ladder import shuffled_floor, term_items
from harness.registry import Metric, get_metric
from harness.types import Blanks, Reference, Sample, Value

WEIGHTS = {"w_term": 0.4, "w_sem": 0.6}
LEXICON = Lexicon.of(
    {
        **{
            term: term
            for term in ("发热", "恶寒", "头痛", "咳嗽", "汗出", "口渴", "无汗", "不渴", "脾气虚", "气虚", "白术")
        },
        "汗": "汗出",
        "渴": "口渴",
        "口不渴": "不渴",
        "脾气虚弱": "脾气虚",
    }
)
words = st.lists(
    st.sampled_from(["发热", "恶寒", "无", "不", "未见", "、", "，", "无汗", "口渴", "证", "氣虛"]), max_size=8
)
spoken = words.map("".join)


def sample(*texts: str, identity: str = "7", group: str | None = None) -> Sample:
    return Sample(identity, "talk", {}, Reference(texts), group=group)


def score(name: str, answer: str, *texts: str, options: dict[str, Any] | None = None) -> Value:
    (value,) = get_metric(name).score([(sample(*texts), answer)], options or {})
    return value


@pytest.mark.parametrize(
    ("line", "affirmed", "denied"),
    [
        ("恶寒发热，头痛", {"恶寒", "发热", "头痛"}, set()),
        ("惡寒發熱", {"恶寒", "发热"}, set()),
        ("恶寒，无发热", {"恶寒"}, {"发热"}),
        ("未见发热、头痛，有咳嗽", {"咳嗽"}, {"发热", "头痛"}),
        ("否认发热及咳嗽；恶寒", {"恶寒"}, {"发热", "咳嗽"}),
        ("无恶寒发热，咳嗽", {"咳嗽"}, {"恶寒", "发热"}),
        ("无明显恶寒", set(), {"恶寒"}),
        ("无汗恶寒", {"恶寒"}, {"汗出"}),
        ("无汗", set(), {"汗出"}),
        ("未见汗出", set(), {"汗出"}),
        ("汗出", {"汗出"}, set()),
        ("口不渴，发热", {"发热"}, {"口渴"}),
        ("不发热头痛", {"头痛"}, {"发热"}),
        ("不发热、头痛", {"头痛"}, {"发热"}),
        ("非气虚，脾气虚弱证", {"脾气虚"}, {"气虚"}),
        ("脾气虚", {"脾气虚"}, set()),
        ("没有 发热", set(), {"发热"}),
        ("无效，发热", {"发热"}, set()),
        ("发热，不发热", {"发热"}, {"发热"}),
        ("no fever", set(), set()),
    ],
)
def test_denied_terms_are_kept_apart_from_affirmed_ones(line: str, affirmed: set[str], denied: set[str]) -> None:
    assert term_items(line, LEXICON) == {(t, False) for t in affirmed} | {(t, True) for t in denied}


def test_sweating_and_no_sweating_are_no_match() -> None:
    assert score("term_score", "恶寒发热，汗出", "恶寒发热，无汗").value == pytest.approx(2 / 3)
    assert score("term_score", "恶寒发热，不汗出", "恶寒发热，无汗").value == 1


def test_repeating_a_term_neither_helps_nor_harms() -> None:
    assert score("term_score", "脾气虚，脾气虚，脾气虚", "脾气虚弱").value == 1


def test_the_best_reference_counts_and_one_without_terms_is_left_out() -> None:
    assert score("term_score", "白术", "党参", "白术", "略").value == 1


def test_without_a_term_in_any_reference_there_is_no_term_score() -> None:
    assert score("term_score", "白术", "略").value is None
    assert score("term_score", "", "白术").value == 0


@given(one=spoken, other=spoken)
@settings(deadline=None)
def test_term_f1_is_bounded_and_symmetric_and_1_for_itself(one: str, other: str) -> None:
    forth, back = (
        score("term_score", one, other + "白术").value,
        score("term_score", other + "白术", one + "白术").value,
    )
    assert forth is not None and back is not None and 0 <= forth <= 1 and 0 <= back <= 1
    assert back == pytest.approx(score("term_score", one + "白术", other + "白术").value)
    assert score("term_score", one + "白术", one + "白术").value == 1


def test_the_list_of_the_harness_holds_what_term_score_needs() -> None:
    assert term_items("无汗，口不渴", lexicon_of({})) == {("汗出", True), ("口渴", True)}


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"w_term": 0.4},
        {"w_term": 0.4, "w_sem": 0.4},
        {"w_term": -0.5, "w_sem": 1.5},
        {"w_term": "0.4", "w_sem": 0.6},
        {"w_term": True, "w_sem": 0},
        {"w_term": float("nan"), "w_sem": 1},
    ],
)
def test_weights_that_do_not_sum_to_1_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match="sum to 1"):
        score("ladder_score", "白术", "白术", options=options)
    with pytest.raises(UsageError, match="sum to 1"):
        get_metric("ladder_score").signature(options)


@pytest.mark.parametrize("extra", [{"wsem": 1}, {"semantic": "guess"}])
def test_unknown_options_and_scorers_are_refused(extra: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match="unknown"):
        score("ladder_score", "白术", "白术", options={**WEIGHTS, **extra})


def test_without_an_encoder_ladder_score_is_unscored_and_still_shows_the_term_part() -> None:
    value = score("ladder_score", "脾气虚证，用白术", "脾气虚证", options=WEIGHTS)
    assert value.value is None
    assert value.parts == {"term": pytest.approx(2 / 3)}


def test_the_signature_states_reading_weights_lexicon_and_encoder() -> None:
    signature = get_metric("ladder_score").signature(WEIGHTS)
    assert signature.startswith("reading:own|w_term:0.4|w_sem:0.6|")
    assert "lexicon:" in signature and "model:none" in signature
    assert signature != get_metric("ladder_score").signature({"w_term": 0.5, "w_sem": 0.5})


def test_blanks_are_refused() -> None:
    for name, options in (("term_score", {}), ("ladder_score", WEIGHTS)):
        with pytest.raises(UsageError, match="reference text"):
            get_metric(name).score([(Sample("7", "talk", {}, Blanks((("寒",),))), "寒")], options)


# ------------------------------------------------------------------ the floor

TEXTS = ("脾气虚证用白术", "肾气虚证", "恶寒发热", "头痛发热", "气喘头晕")


def own_texts(group: str | None = None) -> list[tuple[Sample, str]]:
    return [(sample(text, identity=str(i), group=group), text) for i, text in enumerate(TEXTS)]


@pytest.mark.parametrize("seed", range(5))
def test_the_floor_never_judges_an_answer_by_its_own_reference(seed: int) -> None:
    met: list[tuple[str, str]] = []

    def remember(pairs: Any, _options: Any) -> list[Value]:
        met.extend((pair[0].target.texts[0], pair[1]) for pair in pairs)
        return [Value(0.0) for _ in pairs]

    metric = Metric("remember", 1, ("text",), remember, lambda _options: "")
    assert shuffled_floor(own_texts() * 2, metric, {}, seed) == 0
    assert len(met) == 10 and all(reference != answer for reference, answer in met)
    assert met[:5] == met[5:]


def test_the_floor_depends_on_the_seed_only() -> None:
    metric = get_metric("rouge_l")
    floors = [shuffled_floor(own_texts(), metric, {}, seed) for seed in (0, 0, 1, 2, 3, 4)]
    assert floors[0] == floors[1] and len(set(floors)) > 1
    assert shuffled_floor(own_texts()[::-1], metric, {}, 0) == pytest.approx(floors[0])
    assert all(floor is not None and floor < 0.5 for floor in floors)


def test_samples_of_one_group_do_not_judge_each_other() -> None:
    pairs = own_texts(group="a")
    assert shuffled_floor(pairs, get_metric("rouge_l"), {}, 0) is None
    outside = [(sample("略", identity="9"), "略")]
    assert shuffled_floor(pairs + outside, get_metric("rouge_l"), {}, 0) == 0


def test_there_is_no_floor_without_a_second_sample_or_without_a_value() -> None:
    assert shuffled_floor(own_texts()[:1], get_metric("rouge_l"), {}, 0) is None
    assert shuffled_floor(own_texts(), get_metric("bertscore"), {}, 0) is None
