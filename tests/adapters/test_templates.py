"""The templates of models that bring none: what each model's authors write before and after a question, character by character."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.models import entries

MESSAGES = [
    {"role": "system", "content": "规则"},
    {"role": "user", "content": "问一"},
    {"role": "assistant", "content": "答一"},
    {"role": "user", "content": "问二"},
]


def rendered(alias: str, messages: list[dict[str, str]]) -> str:
    """Return what the alias's template makes of the messages, with the begin and end marks of LLaMA."""
    jinja2 = pytest.importorskip("jinja2.sandbox")
    [way] = entries()[alias].ways
    source = Path(way.settings["chat_template"]).read_text("utf-8")
    environment = jinja2.ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True)
    text: str = environment.from_string(source).render(
        messages=messages, bos_token="<s>", eos_token="</s>", add_generation_prompt=True
    )
    return text


@pytest.mark.parametrize(
    ("alias", "one", "several"),
    [
        ("huatuo", "<问>：问一\n<答>：", "<问>：规则\n问一\n<答>：答一\n<问>：问二\n<答>："),
        (
            "bentsao",
            "下面是一个问题，运用医学知识来正确回答提问.\n问一\n### 回答：\n",
            "下面是一个问题，运用医学知识来正确回答提问.\n规则\n问一\n### 回答：\n答一\n"
            "下面是一个问题，运用医学知识来正确回答提问.\n问二\n### 回答：\n",
        ),
        (
            "zhongjing",
            "<s><human>:问一\n<bot>:",
            "<s>规则\n<human>:问一\n<bot>:答一</s>\n<s><human>:问二\n<bot>:",
        ),
    ],
)
def test_a_question_is_worded_as_the_models_authors_word_it(alias: str, one: str, several: str) -> None:
    assert rendered(alias, MESSAGES[1:2]) == one
    assert rendered(alias, MESSAGES) == several
