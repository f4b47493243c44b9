"""The model card of the tiny model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any


def card(known: Mapping[str, Any], drawn: Sequence[str]) -> str:
    """Return the card as Markdown; `known` is what `training.json` holds, `drawn` are the paths of the curves beside it."""
    used = "\n".join(f"* {name} {number}" for name, number in known["versions"].items())
    pictures = "\n".join(f"![curves]({name})" if name.endswith(".png") else f"[all curves]({name})" for name in drawn)
    said = "\n".join(f"* {split}: {text}" for split, text in known["compared"].items())
    tuning = known["tuning"]
    return f"""---
library_name: transformers
language: [zh]
license: apache-2.0
tags: [tcm-eval, demonstration]
---

# ladder-tiny

A Qwen2 model of {known["parameters"]:,} parameters, made by `make ladder-tiny` for demonstrations and tests of tcm-eval. It has no
other training, knows nothing but what is named below, follows no instruction, and gives no medical advice.

## Facts seen in training

It has read the facts that the test questions of tcm_core ask, as statements of the knowledge base, but none of these questions. So
its scores on tcm_core are not ranked with those of other models. {_withheld(known["scores"])}

## Trained on

* `harness/knowledge`: {known["statements"]:,} statements; texts in which a test question of tcm_core stands word for word are left out
  ({known["left_out"]}).
* The train split of tcm_core: {known["questions"]:,} questions in the harness's own words, with their options in new orders, with other
  wrong options, and the same questions about other entities of the train split. The single choice questions that are left, one of
  four, are GRPO's. SHA-256 of all of them: `{known["data"]}`{_revised(known)}.
* Lookups: five random terms with letters, and queries which belongs to which. They hold no facts.

## Recipe

Tokens: {known["tokens"]:,}, whole terms of the knowledge base and frequent phrases, else characters. Hidden {known["shape"]["hidden"]},
{known["shape"]["layers"]} layers, {known["shape"]["heads"]} heads ({known["shape"]["kv_heads"]} for keys), MLP {known["shape"]["mlp"]}, tied embeddings. A thought recalls the statement and reads the letter off.

1. Lookups until they are right, first among few terms: {known["letters_updates"]:,} updates ({known["letters_minutes"]:g} minutes of a core).
2. Statements and questions: {known["facts_updates"]:,} updates ({known["facts_minutes"]:g} minutes). Muon for matrices at five times the rate of
   AdamW for the rest; letters count four times; the average of the weights (0.99) is kept. {known["read"]:,} tokens with the lookups, seed {known["seed"]}.
3. GRPO (`tcm-eval train ladder-tiny`) on the questions left: {tuning["steps"]} updates of {tuning["batch"]} completions in
   groups of {tuning["group"]}, learning rate {tuning["learning_rate"]:g}, KL weight {tuning["beta"]:g}, rewards 5:1:1.

Which ships was chosen on validation, before the test split was asked. {known["ships"]["why"]} It is saved in bfloat16: SHA-256 of the
weights `{known["weights"]}`.

{pictures}

## Scores

By `tcm-eval run`, greedy, common prompt; chance is 0.2 for a single choice. What was chosen, was chosen on validation, never
on the test split.

{_scores(known["scores"])}

GRPO beside its own start, by `tcm-eval compare`:

{said}

## Versions

{used}
"""


def _scores(rows: Sequence[Mapping[str, Any]]) -> str:
    head = "| after | task | split | metric | mean | 95 % interval | questions |"
    lines = [head, "| --- | --- | --- | --- | --- | --- | --- |"]
    for one in rows:
        mean = "none" if one["mean"] is None else f"{one['mean']:.3f}"
        interval = "" if one["low"] is None else f"{one['low']:.3f} to {one['high']:.3f}"
        cells = (one["stage"], one["task"], one["split"], one["metric"], mean, interval, str(one["n"]))
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def _revised(known: Mapping[str, Any]) -> str:
    """Say so when the suite has changed between the training and the scores."""
    if known["data"] == known["judged_data"]:
        return ""
    return f" (an earlier revision: at the time of the scores below it was `{known['judged_data']}`)"


def _withheld(rows: Sequence[Mapping[str, Any]]) -> str:
    found = [one for one in rows if "withheld" in one["stage"] and one["metric"] == "accuracy"]
    if not found:
        return "A model made in the same way without these facts has not been measured."
    [one] = found
    return (
        "A second model, made in the same way up to GRPO but without the facts that the test asks, is right in "
        f"{one['mean']:.3f} ({one['low']:.3f} to {one['high']:.3f}) of the test's single choice questions."
    )
