"""What a model is shown is a function of task, style, seed and sample alone."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.errors import UsageError
from harness.prompts import Prompter, Style, as_written, permuted, reference_answer
from harness.specs import Columns, OptionColumn, TaskSpec
from harness.types import Blanks, Choice, Message, Response, Sample, Sampling

TASK = TaskSpec(
    name="t",
    suite="s",
    type="single_choice",
    data=("x",),
    columns=Columns(options=OptionColumn(form="dict", column="o")),
)
OPTIONS = {"A": "人参", "B": "当归", "C": "麦冬", "D": "鹿茸"}


def sample(n: int = 0, right: str = "A") -> Sample:
    return Sample(
        f"q{n}", "s/t", {"question": f"补气药是{n}", "options": OPTIONS}, Choice(frozenset(right)), group=f"g{n}"
    )


def messages(style: Style, examples: list[Sample] | None = None, n: int = 0) -> tuple[Message, ...]:
    request = Prompter(TASK, style, Sampling(), examples or []).job(sample(n)).next([])
    assert request is not None
    return request.messages


def test_the_chinese_and_the_english_prompt_show_the_same_question() -> None:
    [chinese], [english] = messages(Style(language="zh")), messages(Style(language="en"))
    for text in (str(chinese.content), str(english.content)):
        assert "补气药是0" in text and "A. 人参\nB. 当归\nC. 麦冬\nD. 鹿茸" in text
    assert "答案" in str(chinese.content) and "Answer: " in str(english.content)


def test_a_system_prompt_is_chosen_by_name_or_given_as_text_and_a_misspelt_name_is_refused() -> None:
    assert "<think>" in str(messages(Style(system="ladder-paper"))[0].content)
    assert messages(Style(system="你是中医。"))[0] == Message("system", "你是中医。")
    with pytest.raises(UsageError, match="Did you mean: ladder-paper"):
        messages(Style(system="lader-paper"))


def test_a_models_own_prompt_is_sent_but_the_questions_identity_stays() -> None:
    common = Prompter(TASK, Style(), Sampling())
    own = Prompter(TASK, Style(own_system="ladder-paper"), Sampling())
    assert own.fingerprint == common.fingerprint != Prompter(TASK, Style(system="ladder-paper"), Sampling()).fingerprint
    request = own.job(sample()).next([])
    assert request is not None and request.messages[0].role == "system"


def test_examples_come_before_the_question_and_never_from_its_own_group() -> None:
    pool = [sample(n, "ABCD"[n % 4]) for n in range(1, 20)] + [replace(sample(50), group="g0")]
    shown = messages(Style(shots=3), pool)
    assert [m.role for m in shown] == ["user", "assistant"] * 3 + ["user"]
    assert not any("补气药是50" in str(m.content) for m in shown)
    assert shown == messages(Style(shots=3), list(reversed(pool))), "the order of the pool does not matter"
    assert shown != messages(Style(shots=3, seed=1), pool)
    assert shown[:-1] != messages(Style(shots=3), pool, n=30)[:-1], "other questions see other examples"
    with pytest.raises(UsageError, match="30 examples asked for"):
        messages(Style(shots=30), pool)


@given(st.integers(0, 9), st.sets(st.sampled_from("ABCD"), min_size=1))
def test_a_rotation_moves_texts_and_keys_together_and_answers_come_back(variant: int, right: set[str]) -> None:
    original = sample(right="".join(right))
    turned = permuted(original, variant)
    assert isinstance(turned.target, Choice) and isinstance(original.target, Choice)
    assert {turned.options[x] for x in turned.target.letters} == {OPTIONS[x] for x in right}
    assert as_written(original, variant, turned.target.letters) == original.target.letters


def test_four_rotations_put_the_right_option_at_each_place_once() -> None:
    places = {"".join(permuted(sample(), v).target.letters) for v in range(4)}  # type: ignore[union-attr]
    assert places == set("ABCD")


def test_a_field_that_the_sample_lacks_is_named() -> None:
    task = TASK.model_copy(update={"prompt": {"zh": "{question} {case}"}})
    with pytest.raises(UsageError, match=r"names '\{case\}', but sample q0 has only question, options"):
        Prompter(task, Style(), Sampling()).job(sample()).next([])


def test_braces_in_a_question_are_text() -> None:
    odd = Sample("q", "s/t", {"question": "{letters} {0} {x.__class__}", "options": OPTIONS}, Choice(frozenset("A")))
    request = Prompter(TASK, Style(), Sampling()).job(odd).next([])
    assert request is not None and "{letters} {0} {x.__class__}" in str(request.messages[0].content)


def test_repeats_differ_in_their_seed_and_so_in_their_key() -> None:
    prompter = Prompter(TASK, Style(), Sampling(seed=3))
    first, second = (prompter.job(sample(), repeat).next([]) for repeat in (0, 1))
    assert first is not None and second is not None
    assert (first.sampling.seed, second.sampling.seed) == (3, 4)
    assert first.key("me") != second.key("me") and first.key("me") != first.key("you")


DIALOGUE = TaskSpec(name="t", suite="s", type="dialogue", data=("x",), columns=Columns(turns="turns"))
TALK = [
    {"role": "user", "content": "我咳嗽"},
    {"role": "assistant", "content": "多久了？"},
    {"role": "user", "content": "三天"},
]


def talk() -> Sample:
    return Sample("d", "s/t", {"question": "请诊断", "turns": TALK}, Choice(frozenset("A")))


def test_a_given_history_keeps_the_reference_turns_and_roles_alternate() -> None:
    request = Prompter(DIALOGUE, Style(), Sampling()).job(talk()).next([])
    assert request is not None
    assert [(m.role, m.content) for m in request.messages] == [
        ("user", "我咳嗽"),
        ("assistant", "多久了？"),
        ("user", "三天\n\n请诊断"),
    ]


def test_with_its_own_history_the_model_meets_the_scripted_patient() -> None:
    task = DIALOGUE.model_copy(update={"history": "own"})
    job = Prompter(task, Style(), Sampling()).job(talk())
    first = job.next([])
    assert first is not None and [m.content for m in first.messages] == ["我咳嗽"]
    second = job.next([Response("有痰吗？")])
    assert second is not None and [m.content for m in second.messages] == ["我咳嗽", "有痰吗？", "三天\n\n请诊断"]
    assert job.next([Response("有痰吗？"), Response("风寒")]) is None


def test_the_key_as_an_answer_reads_as_a_model_would_write_it() -> None:
    assert reference_answer(sample(right="CA")) == "答案：AC"
    blanks = Sample("b", "s/t", {"question": "____"}, Blanks((("肝", "足厥阴"), ("肾",))))
    assert reference_answer(blanks) == "答案：肝；肾"
