"""Small checkpoints made on the spot: random weights, a tokenizer of its own, a chat template. They know nothing and say so fast."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

SPECIAL = ("<|endoftext|>", "<|im_start|>", "<|im_end|>", "<s>")
TAGS = ("<think>", "</think>")
CHATML = (
    "{% for m in messages %}<|im_start|>{{ m['role'] }}\n{{ m['content'] }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
THINKING = CHATML.replace("assistant\n{% endif %}", "assistant\n<think>\n{% endif %}")
"""As CHATML, but the template opens the reasoning, like those of DeepSeek-R1 and Qwen3-Thinking."""

CORPUS = (
    "人参性味甘微苦，归脾、肺、心经，大补元气，复脉固脱。",
    "当归补血活血，调经止痛，润肠通便。答案：A。",
    "患者头痛，项背强，恶风，无汗，脉浮紧，证属风寒束表，治宜辛温解表，方用麻黄汤。",
    "下列哪味药属于补气药？A. 黄芪 B. 当归 C. 麦冬 D. 鹿茸",
    "The root of ginseng tonifies the original qi. The answer is B. system user assistant",
)


def make_tokenizer(template: str | None = CHATML, *, adds_bos: bool = False, tags: bool = False) -> Any:
    """Return a byte-level BPE tokenizer of about 500 tokens.

    `adds_bos`: it puts `<s>` before a text by itself. `tags`: the reasoning tags are special tokens of it.
    """
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
    from transformers import PreTrainedTokenizerFast

    inner = Tokenizer(models.BPE())
    inner.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    inner.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=500,
        special_tokens=[*SPECIAL, *(TAGS if tags else ())],
        initial_alphabet=alphabet,
        show_progress=False,
    )
    inner.train_from_iterator(CORPUS, trainer)
    if adds_bos:
        inner.post_processor = processors.TemplateProcessing(
            single="<s> $A", special_tokens=[("<s>", inner.token_to_id("<s>"))]
        )
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=inner, eos_token="<|im_end|>", pad_token="<|endoftext|>", bos_token="<s>"
    )
    tokenizer.chat_template = template
    return tokenizer


def make_checkpoint(
    folder: Path,
    *,
    seed: int = 0,
    template: str | None = CHATML,
    adds_bos: bool = False,
    tags: bool = False,
    generation: dict[str, Any] | None = None,
    **config: Any,
) -> Path:
    """Write a Qwen2 of 64 x 2 with random weights into `folder`, and return the folder.

    `generation` becomes its generation_config.json; `config` replaces fields of the configuration. The weights are drawn wide, so that
    its answers have some variety and two tokens are seldom as good as tied.
    """
    import torch
    from transformers import Qwen2Config, Qwen2ForCausalLM

    tokenizer = make_tokenizer(template, adds_bos=adds_bos, tags=tags)
    ids = {token: tokenizer.convert_tokens_to_ids(token) for token in SPECIAL}
    fields: dict[str, Any] = {
        "vocab_size": len(tokenizer),
        "hidden_size": 64,
        "intermediate_size": 128,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "max_position_embeddings": 512,
        "initializer_range": 0.3,
        "tie_word_embeddings": False,
        "eos_token_id": ids["<|im_end|>"],
        "pad_token_id": ids["<|endoftext|>"],
    }
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model = Qwen2ForCausalLM(Qwen2Config(**{**fields, **config}))
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    if generation is None:
        generation = {"eos_token_id": [ids["<|im_end|>"], ids["<|endoftext|>"]], "pad_token_id": ids["<|endoftext|>"]}
    (folder / "generation_config.json").write_text(json.dumps(generation), "utf-8")
    return folder
