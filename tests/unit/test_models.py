"""What `--model` means: aliases, keys that stay with their host, local checkpoints, prices."""

from __future__ import annotations

import asyncio
import re
from dataclasses import replace
from pathlib import Path

import pytest
from pydantic import ValidationError

from harness.errors import UsageError
from harness.models import Price, Subject, Way, checkpoint, entries, known_price, obstacle, resolve, shipped
from harness.registry import adapter_names
from harness.types import Model


def test_every_alias_is_whole() -> None:
    for alias, entry in entries().items():
        assert entry.title and (entry.ways or entry.published_only), alias
        for way in entry.ways:
            assert way.provider in adapter_names(), alias
            template = way.settings.get("chat_template")
            assert template is None or Path(template).is_file(), alias
            if way.provider == "server":
                assert str(way.settings["base_url"]).startswith("https://") and way.settings["key_env"], alias
        if entry.price:
            assert entry.price.date and entry.price.source.startswith("https://"), alias


def test_the_papers_fourteen_models_are_there_and_guesses_are_marked() -> None:
    paper = [
        "gpt-4o-mini",
        "gpt-4o",
        "gemini-2.0-flash",
        "gemini-2.5-pro",
        "deepseek",
        "grok-3",
        "tongyi-qwen",
        "kimi",
        "claude-3",
    ]
    paper += ["bentsao", "huatuo", "zhongjing", "bencao", "ladder-base"]
    assert len(paper) == 14 and set(paper) <= set(entries())
    assert not any(entries()[name].confirmed for name in ("deepseek", "tongyi-qwen", "kimi", "claude-3"))
    with pytest.raises(UsageError, match="only its published numbers"):
        resolve("bencao", {})


def test_a_key_of_an_alias_never_goes_to_an_address_that_the_user_states(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XAI_API_KEY", "sk-planted")
    [own] = resolve("grok-4.6", {})
    assert own.settings["key_env"] == "XAI_API_KEY"
    [other] = resolve("grok-4.6", {"base_url": "http://127.0.0.1:1/v1"})
    assert "key_env" not in other.settings and other.model == "grok-4.6" and other.price is None
    [named] = resolve("grok-4.6", {"base_url": "http://127.0.0.1:1/v1", "key_env": "MINE"})
    assert named.settings["key_env"] == "MINE"


RETIRED = sorted(alias for alias, entry in entries().items() if entry.retired)


@pytest.mark.parametrize("alias", RETIRED)
def test_a_retired_model_is_refused_and_asked_where_somebody_still_has_it(alias: str) -> None:
    """A retired name may be answered by another model: a run would measure something else under the old name."""
    end = entries()[alias].retired
    assert end is not None and end.source.startswith("https://")
    for only_possible in (True, False):  # nor is its cost estimated
        with pytest.raises(UsageError, match=f"(?s)took .* down on {end.day}.*--model {end.instead}.*--base-url"):
            resolve(alias, {}, only_possible=only_possible)
    [there] = resolve(alias, {"base_url": "https://127.0.0.1:1/v1"})
    assert there.provider == "server" and there.price is None


def test_what_takes_a_models_place_is_an_alias_that_can_be_asked() -> None:
    for alias, entry in entries().items():
        for end in filter(None, (entry.ends, entry.retired)):
            assert re.fullmatch(r"20\d\d-\d\d-\d\d", end.day), alias
            assert not entries()[end.instead].retired and not entries()[end.instead].ends, alias
        assert not (entry.ends and entry.retired), alias


def test_the_newest_local_checkpoint_comes_first_and_without_any_the_ways_out_are_named(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("TCM_EVAL_DATA", str(tmp_path))
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "none"))
    with pytest.raises(UsageError) as refused:
        resolve("ladder-base", {})
    told = str(refused.value).partition("Ways out:")[2]
    for way_out in (
        "--base-url http://127.0.0.1:8000/v1",
        "tcm-eval train ladder-base-paper | ladder-base-authors",
        str(checkpoint("ladder-base")),
        "fetch its weights (some 14 GB, if two bytes a parameter), which an alias never does unasked: "
        "hf download ashuai81/Qwen2.5-7B-CTM",
        "--model hf/FOLDER",
        "tcm-eval models list",
    ):
        assert way_out in told, way_out
    made = tmp_path / "checkpoints" / "run-1"
    made.mkdir(parents=True)
    checkpoint("ladder-base").parent.mkdir()
    checkpoint("ladder-base").symlink_to(made)
    common, own = resolve("ladder-base", {})
    assert common.model == str(made) and own.own_system == "ladder-paper" and common.provider in ("hf", "vllm")


def test_a_missing_key_is_named_as_a_way_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DASHSCOPE_API_KEY", raising=False)
    with pytest.raises(UsageError, match=r"(?s)DASHSCOPE_API_KEY is not set.*export DASHSCOPE_API_KEY"):
        resolve("qwen3.8-max", {})
    assert obstacle(entries()["guess"].ways[0]) == ""


def test_prices_are_per_million_tokens_and_found_for_plain_names_too() -> None:
    price = known_price("openai", "gpt-4o")
    assert isinstance(price, Price) and price.of(1_000_000, 100_000) == pytest.approx(3.5)
    assert known_price("openai", "no-such") is None


def test_a_price_is_that_of_its_own_address_only(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same weights on one's own machine cost nothing, and a gateway has prices of its own."""
    home = entries()["glm-5.2"].ways[0].settings["base_url"]
    [there] = resolve("server/glm-5.2", {"base_url": f"{home}/"})
    [here] = resolve("server/glm-5.2", {"base_url": "http://127.0.0.1:8000/v1"})
    [gateway] = resolve("openai/gpt-4o", {"base_url": "https://gateway.example/v1"})
    assert there.price == entries()["glm-5.2"].price and here.price is None and gateway.price is None
    monkeypatch.setenv("TCM_EVAL_BASE_URL", home)
    assert resolve("server/glm-5.2", {})[0].price == there.price


@pytest.mark.parametrize("named", [{"key_env": "MINE"}, {"key_file": "/home/me/key"}])
def test_a_key_that_the_user_names_stands_for_the_usual_variable(
    monkeypatch: pytest.MonkeyPatch, named: dict[str, str]
) -> None:
    for name in ("OPENAI_API_KEY", "XAI_API_KEY"):
        monkeypatch.delenv(name, raising=False)
    for alias in ("gpt-4o", "grok-4.6"):
        with pytest.raises(UsageError, match="--key-env"):
            resolve(alias, {})
        [subject] = resolve(alias, named)
        assert named.items() <= subject.settings.items() and subject.price == entries()[alias].price


def test_a_folder_inside_an_installed_package_is_found_and_an_absent_one_named() -> None:
    assert (shipped("ladder_trainer/recipes") / "ladder-tiny.yaml").is_file()
    with pytest.raises(UsageError, match="'ladder_trainer' holds no folder nowhere"):
        shipped("ladder_trainer/nowhere")
    with pytest.raises(UsageError, match="'no_such_package'"):
        shipped("no_such_package/recipes")


PROVIDERS_WITH_A_KEY = ("openai", "anthropic", "google", "server")


@pytest.mark.parametrize("alias", sorted(entries()))
def test_every_alias_resolves_up_to_the_door(alias: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """With its key there, a model behind an API is built and asks nothing yet; without, the error names what is missing."""
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "none"))
    entry = entries()[alias]
    if entry.published_only or entry.retired:
        return
    keys = {n.strip()[4:] for way in entry.ways for n in way.needs.split(",") if n.strip().startswith("env:")}
    keys |= {str(way.settings["key_env"]) for way in entry.ways if "key_env" in way.settings}
    for key in keys:
        monkeypatch.delenv(key, raising=False)
    ships = any(way.model.startswith("package:") for way in entry.ways)
    if not keys and alias != "guess" and not ships:
        with pytest.raises(UsageError, match="Ways out"):
            resolve(alias, {})
        return
    if keys:
        with pytest.raises(UsageError, match=f"environment variable {min(keys)} is not set"):
            resolve(alias, {})
    for key in keys:
        monkeypatch.setenv(key, "sk-planted")
    [subject] = resolve(alias, {})
    if ships:
        assert subject.provider == "hf" and Path(subject.model).is_dir()
        return
    assert subject.provider in (*PROVIDERS_WITH_A_KEY, "echo")
    settings = {**subject.settings, "check": False} if subject.provider == "server" else subject.settings
    model = replace(subject, settings=settings).build()
    assert model.identity["model"] == subject.model and "sk-planted" not in str(model.identity)
    if isinstance(model, Model):
        asyncio.run(model.aclose())


def test_no_price_stands_without_its_source_and_its_date() -> None:
    whole = {"input": 1.0, "output": 2.0, "currency": "USD", "date": "2026-05", "source": "https://example.org"}
    for name in whole:
        with pytest.raises(ValidationError, match=name):
            Price.model_validate({key: value for key, value in whole.items() if key != name})
    for alias, entry in entries().items():
        if entry.price:
            assert re.fullmatch(r"20\d\d-\d\d(-\d\d)?", entry.price.date), alias
            assert 0 < entry.price.input < entry.price.output < 1000 and entry.price.currency == "USD", alias


def test_a_setting_of_another_kind_than_its_provider_declares_is_one_message() -> None:
    for provider, name, value, expected in (
        ("anthropic", "thinking", "much", "a whole number"),
        ("anthropic", "thinking", 0.5, "a whole number"),
        ("openai", "connect_timeout", "soon", "a number"),
        ("server", "check", 1, "true or false"),
        ("server", "key_file", True, "a text"),
        ("hf", "batch", True, "a whole number"),
    ):
        with pytest.raises(UsageError, match=f"--model-arg {name}={value}: provider {provider} expects {expected}"):
            Subject("m", provider, "m", {name: value}).build()
    with pytest.raises(UsageError, match="5 is no JSON object"):
        Subject("m", "server", "m", {"body": 5, "base_url": "http://127.0.0.1:1/v1"}).build()


def test_all_that_is_missing_for_a_way_is_told_at_once(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path))
    monkeypatch.delenv("NO_SUCH_KEY", raising=False)
    needs = "package:no_torch, package:no_transformers, hub:a/b, env:NO_SUCH_KEY"
    assert obstacle(Way(provider="hf", model="a/b", needs=needs)) == (
        "packages 'no_torch' and 'no_transformers' are not installed (pip install 'tcm-eval[hf]'); "
        "a/b is not in the local model cache (fetch it once with: hf download a/b); environment variable NO_SUCH_KEY is not set"
    )


def test_a_model_is_in_the_hubs_cache_once_a_snapshot_of_it_is(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("HF_HUB_CACHE", raising=False)
    monkeypatch.delenv("HF_HOME", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    way = Way(provider="hf", model="a/b", needs="hub:a/b")
    snapshot = tmp_path / "huggingface" / "hub" / "models--a--b" / "snapshots" / "1234"
    snapshot.mkdir(parents=True)
    assert "hf download a/b" in obstacle(way), "what a broken download leaves"
    (snapshot / "config.json").write_text("{}")
    assert obstacle(way) == ""


def test_a_checkpoint_that_no_recipe_makes_is_put_where_it_is_looked_for(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("TCM_EVAL_DATA", str(tmp_path))
    with pytest.raises(UsageError, match=f"(?s)at {checkpoint('zhongjing')}. Merge the authors' LoRA") as refused:
        resolve("zhongjing", {})
    assert "tcm-eval train" not in str(refused.value)
