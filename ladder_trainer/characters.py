"""A tokenizer of single characters, made from the training texts: the vocabulary of a tiny model."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

PAD, START, END = "<|endoftext|>", "<|im_start|>", "<|im_end|>"
TAGS = ("<think>", "</think>", "<answer>", "</answer>")
ALWAYS = "ABCDEFGHIJ0123456789.,:;?!、。，：；？！\n 答案userasistntym"

CHAT = (
    "{% for message in messages %}<|im_start|>{{ message['role'] }}\n{{ message['content'] }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)


def character_tokenizer(texts: Iterable[str], words: Iterable[str] = (), *, positions: int | None = None) -> Any:
    """Return a tokenizer whose tokens are the characters of `texts`, the four tags, and `words` as wholes.

    It is of the kind that transformers loads beside a Qwen2 model whatever its files say: bytes, merged to characters, and
    above them added tokens, of which the longest at a place is taken. A character of no text is several bytes. `positions` is
    the longest text in tokens, None for no limit.
    """
    from tokenizers import AddedToken
    from transformers import Qwen2Tokenizer

    written = _byte_letters()
    letters = sorted({letter for text in (ALWAYS, *texts) for letter in text})
    vocabulary: dict[str, int] = {name: number for number, name in enumerate((PAD, START, END))}
    for one in written.values():
        vocabulary.setdefault(one, len(vocabulary))
    merges: dict[tuple[str, str], None] = {}
    for letter in letters:
        coded = "".join(written[byte] for byte in letter.encode())
        for end in range(2, len(coded) + 1):
            merges[coded[: end - 1], coded[end - 1]] = None
            vocabulary.setdefault(coded[:end], len(vocabulary))
    made = Qwen2Tokenizer(
        vocab=vocabulary,
        merges=list(merges),
        unk_token=None,
        eos_token=END,
        pad_token=PAD,
        padding_side="left",
        clean_up_tokenization_spaces=False,
        model_max_length=positions,
    )
    whole = [*TAGS, *sorted(word for word in set(words) - set(TAGS) if len(word) > 1)]
    made.add_tokens([AddedToken(START, special=True, normalized=False)])
    made.add_tokens([AddedToken(word, special=False, normalized=False) for word in whole])
    made.chat_template = CHAT
    return made


def _byte_letters() -> dict[int, str]:
    """Return byte -> the printable character that byte-level tokenizers write for it.

    **Source:** Radford et al. 2019, the byte-level vocabulary of GPT-2: printable bytes stand for themselves, the others for
    the characters from 256 on, in order.
    """
    shown = (*range(33, 127), *range(161, 173), *range(174, 256))
    hidden = [byte for byte in range(256) if byte not in shown]
    return {**{byte: chr(byte) for byte in shown}, **{byte: chr(256 + n) for n, byte in enumerate(hidden)}}
