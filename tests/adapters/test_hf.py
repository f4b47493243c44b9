"""What a local model answers: the same as plain `generate`, whatever the batch, and nothing of the model's own settings."""

from __future__ import annotations

import asyncio
import json
import random
import subprocess
import sys
from collections import Counter
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import pytest

from harness.engine import Batched, Limits, Todo, run
from harness.types import Choice, Failure, Job, Message, Record, Request, Response, Sample, Sampling
from model_adapters import hf, server
from model_adapters.hf._decode import Choose, numbers
from tests.adapters.tiny import CHATML, CORPUS, THINKING, make_checkpoint

QUESTIONS = [*CORPUS, "麻黄", "答：", "患者头痛，恶风，无汗。" * 6, "ginseng or 当归?", "A"]


def ask(text: str, **sampling: Any) -> Request:
    return Request((Message("system", "你是中医。"), Message("user", text)), Sampling(**{"max_tokens": 20, **sampling}))


def answers(model: hf.Hf, requests: Sequence[Request]) -> list[Response]:
    """Ask in batches as large as the model takes."""
    found: list[Response | Failure] = []
    for start in range(0, len(requests), model.max_batch):
        found += model.generate_batch(requests[start : start + model.max_batch])
    assert all(isinstance(one, Response) for one in found), found
    return [one for one in found if isinstance(one, Response)]


@lru_cache(maxsize=4)
def plain(folder: Path) -> tuple[Any, Any]:
    from transformers import AutoModelForCausalLM, AutoTokenizer

    return AutoModelForCausalLM.from_pretrained(folder, dtype="float32"), AutoTokenizer.from_pretrained(folder)


def plain_generate(folder: Path, request: Request, **settings: Any) -> tuple[str, list[int]]:
    """The textbook way: one prompt, transformers' own template call, `generate`."""
    model, tokenizer = plain(folder)
    messages = [{"role": m.role, "content": m.content} for m in request.messages]
    inputs = tokenizer.apply_chat_template(messages, add_generation_prompt=True, return_tensors="pt", return_dict=True)
    settings = {"do_sample": False, "max_new_tokens": request.sampling.max_tokens, **settings}
    new = model.generate(**inputs, **settings)[0, inputs["input_ids"].shape[1] :]
    return tokenizer.decode(new, skip_special_tokens=True), new.tolist()


@pytest.mark.parametrize("batch", [1, 3, 8])
def test_greedy_texts_are_those_of_plain_generate_one_by_one_for_any_batch_size_and_order(
    checkpoint: Path, batch: int
) -> None:
    requests = [ask(q, max_tokens=40) for q in QUESTIONS]
    wanted = {r.messages: plain_generate(checkpoint, r) for r in requests}
    random.Random(batch).shuffle(requests)
    for request, response in zip(requests, answers(hf.build(str(checkpoint), batch=batch), requests), strict=True):
        text, tokens = wanted[request.messages]
        assert response.text == text
        assert response.tokens_out == len(tokens)
    assert len({text for text, _ in wanted.values()}) == len(QUESTIONS)


def test_greedy_texts_are_those_of_a_real_transformers_server(served_model: tuple[str, Path]) -> None:
    url, folder = served_model
    there = server.build(str(folder), base_url=url)
    requests = [ask(q) for q in QUESTIONS]

    async def all_of_them() -> list[Response]:
        try:
            return [await there.generate(r) for r in requests]
        finally:
            await there.aclose()

    theirs = asyncio.run(all_of_them())
    ours = answers(hf.build(str(folder), batch=4), requests)
    assert [r.text for r in ours] == [r.text for r in theirs]
    assert [(r.tokens_in, r.tokens_out) for r in ours] == [(r.tokens_in, r.tokens_out) for r in theirs]
    assert all(set(r.not_accepted) == {"top_k", "repetition_penalty"} for r in theirs)
    assert not any(r.reasoning for r in theirs)


def test_a_sampled_answer_is_a_function_of_its_request_and_seed_not_of_its_batch(checkpoint: Path) -> None:
    drawn = [ask(q, temperature=1.5, top_p=0.95, seed=seed) for q in QUESTIONS[:5] for seed in (0, 1)]
    mixed = [*drawn, *(ask(q) for q in QUESTIONS)]
    alone = {r: one.text for r, one in zip(mixed, answers(hf.build(str(checkpoint), batch=1), mixed), strict=True)}
    random.Random(5).shuffle(mixed)
    together = answers(hf.build(str(checkpoint), batch=7), mixed)
    assert [one.text for one in together] == [alone[r] for r in mixed]
    assert len({alone[r] for r in drawn}) == len(drawn)  # another seed, another text


def test_without_a_seed_every_sampled_answer_is_drawn_anew(checkpoint: Path) -> None:
    model = hf.build(str(checkpoint))
    texts = {one.text for one in answers(model, [ask("麻黄", temperature=2.0, seed=None)] * 6)}
    assert len(texts) == 6


@pytest.mark.parametrize(
    ("temperature", "top_p", "top_k"), [(0.7, 0.8, 0), (1.3, 1.0, 5), (1.0, 0.9, 12), (2.0, 1.0, 0)]
)
def test_tokens_are_drawn_with_the_chances_that_transformers_gives_them(
    temperature: float, top_p: float, top_k: int
) -> None:
    import torch
    from transformers import LogitsProcessorList, TemperatureLogitsWarper, TopKLogitsWarper, TopPLogitsWarper

    draws, words = 4000, 40
    scores = torch.randn(1, words, generator=torch.Generator().manual_seed(3)) * 2
    theirs = LogitsProcessorList([TemperatureLogitsWarper(temperature)])
    theirs += [TopKLogitsWarper(top_k)] if top_k else []
    theirs += [TopPLogitsWarper(top_p)] if top_p < 1 else []
    chance = theirs(torch.zeros(1, 1, dtype=torch.long), scores.clone()).softmax(-1)[0]
    samplings = [Sampling(temperature=temperature, top_p=top_p, top_k=top_k)] * draws
    choose = Choose(samplings, [[n] for n in range(draws)], "cpu")
    taken = Counter(choose(torch.zeros(draws, 1, dtype=torch.long), scores.repeat(draws, 1)).argmax(-1).tolist())
    for word in range(words):
        p = float(chance[word])
        assert abs(taken[word] / draws - p) <= 4.5 * (p * (1 - p) / draws) ** 0.5, word  # never where p is 0


def test_a_repetition_penalty_is_that_of_transformers_and_does_not_count_the_padding(checkpoint: Path) -> None:
    requests = [ask(q, repetition_penalty=1.4) for q in QUESTIONS]
    wanted = [plain_generate(checkpoint, r, repetition_penalty=1.4)[0] for r in requests]
    assert [one.text for one in answers(hf.build(str(checkpoint), batch=8), requests)] == wanted
    assert wanted != [plain_generate(checkpoint, r)[0] for r in requests]


def test_padding_that_is_a_token_of_the_answer_is_not_penalised_for_standing_before_the_prompt() -> None:
    import torch

    choose = Choose([Sampling(repetition_penalty=2.0)] * 2, [[5, 6], [1, 2, 3, 4]], "cpu")
    ids = torch.tensor([[0, 0, 5, 6], [1, 2, 3, 4]])
    first, _ = choose(ids, torch.ones(2, 8)).tolist()
    assert first == [1, 1, 1, 1, 1, 0.5, 0.5, 1]
    after, _ = choose(torch.cat([ids, torch.tensor([[7], [7]])], 1), -torch.ones(2, 8)).tolist()
    assert after == [-1, -1, -1, -1, -1, -2, -2, -2]


def test_random_numbers_stay_the_same_from_one_process_and_one_release_to_the_next() -> None:
    drawn = [numbers(Sampling(seed=seed), [1, 2, 3]).random() for seed in (0, 1)]
    assert drawn == [0.44257028817141775, 0.8679836813348383]


def test_every_row_of_a_batch_has_its_own_budget_and_ends_for_its_own_reason(checkpoint: Path) -> None:
    whole = plain_generate(checkpoint, ask(CORPUS[0], max_tokens=40))[0]
    stop = whole[9:11]
    requests = [
        ask(CORPUS[0], max_tokens=3),
        ask(CORPUS[0], max_tokens=40, stop=("不会有的", stop)),
        *(ask(q, max_tokens=300) for q in QUESTIONS),
    ]
    short, stopped, *long = answers(hf.build(str(checkpoint), batch=16), requests)
    assert (short.tokens_out, short.stop) == (3, "length")
    assert (stopped.text, stopped.stop) == (whole[: whole.index(stop)], "stop")
    assert stopped.tokens_out < 40
    end = plain(checkpoint)[0].generation_config.eos_token_id
    for question, one in zip(QUESTIONS, long, strict=True):
        tokens = plain_generate(checkpoint, ask(question, max_tokens=300))[1]
        assert one.stop == ("stop" if tokens[-1] in end else "length")
        assert one.tokens_out == len(tokens)
    assert {one.stop for one in long} == {"stop", "length"}


def test_the_models_own_generation_settings_change_nothing_but_where_answers_end(
    checkpoint: Path, tmp_path: Path
) -> None:
    own = json.loads((checkpoint / "generation_config.json").read_text())
    planted: dict[str, Any] = {
        "do_sample": True,
        "temperature": 2.0,
        "repetition_penalty": 5.0,
        "max_length": 3,
        "min_new_tokens": 30,
    }
    planted |= {"no_repeat_ngram_size": 1, "suppress_tokens": [300, 301, 302], "top_k": 1, "max_time": 0.001}
    other = make_checkpoint(tmp_path / "planted", generation={**own, **planted})
    requests = [ask(q, max_tokens=60) for q in QUESTIONS]
    clean, dirty = hf.build(str(checkpoint)), hf.build(str(other))
    assert [one.text for one in answers(clean, requests)] == [one.text for one in answers(dirty, requests)]
    assert dirty.identity["stop_ids"] == "0,2"  # both, though the tokenizer knows one


def test_no_prompt_begins_twice(tmp_path: Path) -> None:
    folder = make_checkpoint(tmp_path / "bos", template="<s>" + CHATML, adds_bos=True)
    _, tokenizer = plain(folder)
    assert tokenizer("麻黄")["input_ids"][0] == tokenizer.bos_token_id  # the tokenizer would add one
    (response,) = answers(hf.build(str(folder)), [request := ask("麻黄")])
    bare = [{"role": m.role, "content": m.content} for m in request.messages]
    ids = tokenizer.apply_chat_template(bare, add_generation_prompt=True)["input_ids"]
    assert ids.count(tokenizer.bos_token_id) == 1
    assert response.tokens_in == len(ids)
    assert response.text == plain_generate(folder, request)[0]


def test_a_reasoning_tag_that_the_template_opened_is_given_back_to_the_answer(tmp_path: Path) -> None:
    folder = make_checkpoint(tmp_path / "thinking", template=THINKING)
    (response,) = answers(hf.build(str(folder)), [ask("麻黄")])
    assert response.text.startswith("<think>")
    assert response.text.removeprefix("<think>") == plain_generate(folder, ask("麻黄"))[0]


def test_reasoning_tags_stay_readable_though_they_are_special_tokens(tmp_path: Path) -> None:
    folder = make_checkpoint(tmp_path / "tags", tags=True)
    model = hf.build(str(folder))
    _, tokenizer = plain(folder)
    ids = tokenizer.encode("<think>麻黄</think>答案：A<|im_end|><|endoftext|>")
    assert tokenizer.decode(ids, skip_special_tokens=True) == "麻黄答案：A"
    assert model._checkpoint.decode(ids) == "<think>麻黄</think>答案：A"


def test_a_templates_date_is_always_the_same_day_and_says_so(tmp_path: Path) -> None:
    folder = make_checkpoint(tmp_path / "dated", template="今天{{ strftime_now('%Y-%m-%d') }}\n" + CHATML)
    model = hf.build(str(folder))
    assert model._checkpoint.render([{"role": "user", "content": "?"}]).startswith("今天2025-01-01\n")
    assert model.identity["template_date"] == "2025-01-01"


# ------------------------------------------------------------------ who answers


def test_the_identity_tells_all_that_shapes_an_answer_and_no_path(checkpoint: Path) -> None:
    one, two = hf.build(str(checkpoint)).identity, hf.build(str(checkpoint), dtype="bfloat16").identity
    assert {k for k in one if one[k] != two[k]} == {"dtype"}
    assert one["dtype"] == "float32"
    assert one["device"] == "cpu"
    assert "torch " in one["engine"]
    assert "transformers " in one["engine"]
    assert str(checkpoint.parent) not in str(one)


def test_the_identity_changes_with_one_weight_at_the_same_path(checkpoint: Path, tmp_path: Path) -> None:
    from safetensors.torch import load_file, save_file

    folder = tmp_path / "same"
    folder.mkdir()
    for file in checkpoint.iterdir():
        (folder / file.name).write_bytes(file.read_bytes())
    before = hf.build(str(folder)).identity
    size = (folder / "model.safetensors").stat().st_size
    weights = load_file(folder / "model.safetensors")
    weights["model.layers.1.mlp.up_proj.weight"][7, 7] += 1e-3
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    assert (folder / "model.safetensors").stat().st_size == size
    after = hf.build(str(folder)).identity
    assert {k for k in after if after[k] != before[k]} == {"weights"}


def test_a_large_files_hash_is_remembered_until_the_file_changes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from model_adapters.hf import _fingerprint

    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(_fingerprint, "REMEMBER_FROM", 10)
    file = tmp_path / "model.safetensors"
    file.write_bytes(b"a" * 100)
    first = _fingerprint.digest([file])
    (remembered,) = json.loads((tmp_path / "cache/tcm-eval/weights.json").read_text()).items()
    assert remembered[0].startswith(str(file.resolve()))
    assert _fingerprint.digest([file]) == first
    file.write_bytes(b"b" * 100)
    assert _fingerprint.digest([file]) != first
    (tmp_path / "cache/tcm-eval/weights.json").write_text("no JSON")
    file.write_bytes(b"a" * 100)
    assert _fingerprint.digest([file]) == first


def test_texts_are_the_same_in_one_go_and_after_a_resume(checkpoint: Path) -> None:
    requests = {f"q{n}": ask(q, temperature=t, seed=n) for n, q in enumerate(QUESTIONS) for t in (0.9 * (n % 2),)}

    def answered(names: Sequence[str]) -> dict[str, str]:
        model = hf.build(str(checkpoint), batch=3)  # a new process loads it anew
        records: list[Record] = []

        def job(name: str) -> Job:
            sample = Sample(name, "t", {}, Choice(frozenset("A")))
            return Job(sample, lambda done: None if done else requests[name])

        todo = (Todo(job(name)) for name in names)
        asyncio.run(run(Batched(model), todo, Limits(in_flight=24), lambda r, _: records.append(r), "id"))
        return {r.sample: r.outcome.text for r in records if isinstance(r.outcome, Response)}

    names = list(requests)
    whole = answered(names)
    assert whole == {**answered(names[:4]), **answered(names[4:])}
    assert len(whole) == len(QUESTIONS)


def test_the_adapter_imports_nothing_heavy_before_it_is_asked_to_load() -> None:
    code = "import sys, model_adapters.hf; print([m for m in ('torch', 'transformers', 'numpy') if m in sys.modules])"
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert said.stdout.strip() == "[]"
