"""A tokenizer of single characters, made from the training texts: the vocabulary of a tiny model."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

PAD, START, END, UNKNOWN = "<|endoftext|>", "<|im_start|>", "<|im_end|>", "<unk>"
TAGS = ("<think>", "</think>", "<answer>", "</answer>")
ALWAYS = "ABCDEFGHIJ0123456789.,:;?!、。，：；？！\n 答案userasistntym"

CHAT = (
    "{% for message in messages %}<|im_start|>{{ message['role'] }}\n{{ message['content'] }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)


def character_tokenizer(texts: Iterable[str], words: Iterable[str] = ()) -> Any:
    """Return a tokenizer whose tokens are the characters of `texts`, the four tags, and `words` as wholes."""
    from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    letters = sorted({letter for text in (ALWAYS, *texts) for letter in text})
    whole = [*TAGS, *sorted(set(words) - set(TAGS))]
    vocabulary = {
        token: number for number, token in enumerate(dict.fromkeys((PAD, START, END, UNKNOWN, *whole, *letters)))
    }
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token=UNKNOWN))
    tokenizer.pre_tokenizer = pre_tokenizers.Split(Regex(r"[\s\S]"), "isolated")
    tokenizer.decoder = decoders.Fuse()
    tokenizer.add_tokens([AddedToken(word, normalized=False, special=False) for word in whole])
    made = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        eos_token=END,
        pad_token=PAD,
        unk_token=UNKNOWN,
        additional_special_tokens=[START],
        padding_side="left",
        clean_up_tokenization_spaces=False,
    )
    made.chat_template = CHAT
    return made
