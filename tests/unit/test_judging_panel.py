"""Who judges: one model or several, not the candidate itself; what it costs, and what is never paid for twice."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from harness.errors import IncompleteError, UsageError
from harness.judge import is_same
from harness.judging import estimate, judge
from harness.limits import Limits
from harness.models import entries
from harness.pipeline import RunSpec, run
from harness.plan import Selection
from tests.conftest import make_suite
from tests.support.chat_server import Reply, Seen, said, serving
from tests.support.judged import ANSWERS, TALK, answered, judges, suite_of, values
from tests.support.judges import by_words, judging, sheet, verdict
from tests.support.protocols import PROTOCOLS

SHARES = {"d0": 1.0, "d1": 0.5, "d2": 0.25, "d3": 0.0, "d4": 0.25, "d5": 0.75}


# ------------------------------------------------------------------ several judges


def test_two_judges_are_averaged_and_their_agreement_is_told(tmp_path: Path) -> None:
    """Marks of four criteria on two answers. j1: 2 2 0 0, 2 0 0 0; j2: 2 0 0 0, 2 2 0 0, so six of eight marks are equal.

    Alpha: within units 2 * 4 * 2 = 16 over 16 marks is 1 observed. Six marks of 2 and ten of 0: 2 * 6 * 10 * 4 = 480 over 16 * 15
    is 2 expected. 1 - 1/2.
    """
    done = answered(tmp_path, ["一", "二"])

    def two(seen: Seen, _number: int) -> Reply:
        page = sheet(seen)
        more = (seen.body["model"] == "j1") == (page.answer == "一")
        return said(verdict(page, (2, 2, 0, 0) if more else (2, 0, 0, 0), 8 if more else 4))

    with serving(two, ["j1", "j2"]) as server:
        judged = judge(judges(done, server.url, "j1", "j2"))
    assert values(done.folder, "judge_rubric") == {"d0": 0.375, "d1": 0.375}
    assert values(done.folder, "judge_semantic") == pytest.approx({"d0": 0.6, "d1": 0.6})
    found = judged.done.summary["judging"]["tasks"]["own/talk"]
    assert found["agreement"]["criteria"] == {"alpha": pytest.approx(0.5), "equal": 0.75, "units": 8}
    assert found["agreement"]["meaning"]["equal"] == 0 and found["by_all"] == 2


def test_where_only_some_judges_answer_their_mean_stands_and_is_counted(tmp_path: Path) -> None:
    done = answered(tmp_path, ["感冒", "感冒，银翘散"])

    def two(seen: Seen, _number: int) -> Reply:
        page = sheet(seen)
        if seen.body["model"] == "j2":
            return said("不好说") if "第0例" in page.blocks["题目"] else said(verdict(page, (0, 0, 0, 0), 0))
        return said(by_words(page))

    with serving(two, ["j1", "j2"]) as server:
        judged = judge(judges(done, server.url, "j1", "j2"))
    assert values(done.folder, "judge_rubric") == {"d0": 0.25, "d1": 0.25}, "d0: j1 alone; d1: the mean of 0.5 and 0"
    found = judged.done.summary["judging"]["tasks"]["own/talk"]
    assert (found["by_all"], found["by_some"], found["by_none"]) == (1, 1, 0)
    assert judged.complete, "the reply came and could not be read: there is nothing left to ask"


def test_a_judge_is_added_to_a_panel_without_asking_the_others(tmp_path: Path) -> None:
    done = answered(tmp_path)
    with serving(judging(by_words), ["j1"]) as server, serving(judging(by_words), ["j2"]) as other:
        judge(judges(done, server.url, "j1"))
        both = judge(judges(done, other.url, "j2", add=True)).done.summary["judging"]
        assert len(server.posts()) == len(other.posts()) == 6
        assert [one["name"] for one in both["judges"]] == ["server/j1", "server/j2"]
        alone = judge(judges(done, other.url, "j2")).done.summary["judging"]
        assert [one["name"] for one in alone["judges"]] == ["server/j2"], (
            "without --add the command names the whole panel"
        )
    words = tmp_path / "words.yaml"
    words.write_text("system: 评阅\nquestion: '{answer} {example}'\nreminder: '{example}'\n", "utf-8")
    with pytest.raises(UsageError, match="asked in other words"):
        judge(judges(done, "http://127.0.0.1:9/v1", "j1", add=True, wording=words))


# ------------------------------------------------------------------ who may judge, and what


@pytest.mark.parametrize("candidate", ["mock", "MOCK"])
def test_a_model_does_not_judge_itself_unless_forced(tmp_path: Path, candidate: str) -> None:
    suite = suite_of(tmp_path / "own", 2)

    def both(seen: Seen, _number: int) -> Reply:
        asked = seen.body["messages"][-1]["content"]
        return said(by_words(sheet(seen))) if "边界码" in asked else said("感冒")

    with serving(both, ["mock", "MOCK"]) as server:
        settings = {"base_url": server.url}
        [done] = run(RunSpec(f"server/{candidate}", ("own",), settings, output=tmp_path / "out", task_paths=(suite,)))
        asked = len(server.posts())
        with pytest.raises(UsageError, match="gave these answers itself"):
            judge(judges(done, server.url, "mock"))
        assert len(server.posts()) == asked
        assert judge(judges(done, server.url, "mock", force=True)).complete


def test_a_judge_under_two_names_is_counted_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    own = tmp_path / "registry.yaml"
    own.write_text("alias-of-j1: { ways: [{ provider: server, model: j1 }] }\n", "utf-8")
    monkeypatch.setenv("TCM_EVAL_REGISTRY", str(own))
    entries.cache_clear()
    done = answered(tmp_path)
    with serving(judging(by_words)) as server:
        for names in (("server/j1", "server/j1"), ("server/j1", "alias-of-j1")):
            with pytest.raises(UsageError, match="server/j1 is named as a judge twice"):
                judge(replace(judges(done, server.url), judges=names))
        assert not server.posts()
        judge(judges(done, server.url))
        with pytest.raises(UsageError, match="alias-of-j1 is the judge server/j1 by another name"):
            judge(replace(judges(done, server.url), judges=("alias-of-j1",), add=True))
    entries.cache_clear()


def test_the_same_weights_in_another_folder_are_the_same_model() -> None:
    one = {"provider": "hf", "model": "first", "weights": "aa"}
    assert is_same(one, {"provider": "hf", "model": "copy-of-first", "weights": "aa"})
    assert not is_same(one, {"provider": "hf", "model": "first", "weights": "bb"}), "two checkpoints of one name"
    assert is_same(one, {"provider": "server", "model": "somebody/First"}), "where weights cannot tell, the name does"
    assert not is_same(one, {"provider": "server", "model": "second"})


def test_a_model_asked_by_the_version_that_answered_is_no_judge_of_its_own(tmp_path: Path) -> None:
    """The run asked for gpt-x and was answered by gpt-x-2026-08-06: that is refused before anything is asked."""
    done = answered(tmp_path, [{"response": one, "model_version": "gpt-x-2026-08-06"} for one in ANSWERS])
    with serving(judging(by_words), ["GPT-x-2026-08-06"]) as server:
        for ask in (estimate, judge):
            with pytest.raises(UsageError, match="gave these answers itself"):
                ask(judges(done, server.url, "GPT-x-2026-08-06"))
        assert not server.posts()


def test_a_judge_whose_replies_come_from_the_version_that_answered_is_stopped(tmp_path: Path) -> None:
    """An alias of a dated model tells who it is with its first reply; then nobody goes on paying it."""
    done = answered(tmp_path, [{"response": one, "model_version": "gpt-x-2026-08-06"} for one in ANSWERS])
    asked = {"limits": Limits(in_flight=1)}
    with serving(judging(by_words, "gpt-x-2026-08-06"), ["gpt-x"]) as server:
        for _again in range(2):
            with pytest.raises(UsageError, match=r"server/gpt-x.* gave these answers itself"):
                judge(judges(done, server.url, "gpt-x", **asked))
            assert len(server.posts()) == 1, "what is known from its reply is not paid for again"
        assert judge(judges(done, server.url, "gpt-x", force=True)).complete
    (tmp_path / "b").mkdir()
    other = answered(tmp_path / "b")
    with serving(judging(by_words, "gpt-x-2026-08-06"), ["gpt-x"]) as server:
        assert judge(judges(other, server.url, "gpt-x")).complete, "of a run that tells no versions nothing is known"


def test_a_judge_of_the_candidates_family_is_pointed_out(tmp_path: Path) -> None:
    suite = suite_of(tmp_path / "own", 1)
    with serving(lambda _s, _n: said("感冒"), ["qwen2.5-7b"]) as server:
        settings = {"base_url": server.url}
        [done] = run(RunSpec("server/qwen2.5-7b", ("own",), settings, output=tmp_path / "out", task_paths=(suite,)))
    with serving(judging(by_words, "judge-2026"), ["qwen-max", "j1"]) as server:
        notes = judge(judges(done, server.url, "qwen-max", "j1")).notes
    assert len(notes) == 1 and "server/qwen-max seems to be of the candidate's family (qwen)" in notes[0]


def test_a_run_without_texts_and_an_unfinished_run_cannot_be_judged(tmp_path: Path) -> None:
    [choices] = run(RunSpec("guess", ("own",), output=tmp_path / "a", task_paths=(make_suite(tmp_path / "own", 8),)))
    with pytest.raises(UsageError, match="none of its tasks has answers that are texts"):
        judge(judges(choices, "http://127.0.0.1:9/v1"))
    with pytest.raises(UsageError, match="is no run folder"):
        judge(replace(judges(choices, "http://127.0.0.1:9/v1"), run=tmp_path))
    (tmp_path / "b").mkdir()
    done = answered(tmp_path / "b")
    (done.folder / "summary.json").unlink()
    with pytest.raises(IncompleteError, match="unfinished"):
        judge(judges(done, "http://127.0.0.1:9/v1"))


def test_openais_own_sdk_judges_too_and_what_it_does_not_take_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PLANTED_KEY", "sk-planted-77")
    done = answered(tmp_path)
    protocol = PROTOCOLS[0]
    with serving(lambda seen, _n: protocol.answer(by_words(sheet(seen)))) as server:
        spec = replace(
            judges(done, server.url),
            judges=("openai/judge-1",),
            settings={"base_url": server.url, "key_env": "PLANTED_KEY"},
        )
        judged = judge(spec)
        assert server.posts()[0].body["temperature"] == 0
    assert judged.complete and values(done.folder, "judge_rubric") == SHARES
    assert judged.done.summary["judging"]["judges"][0]["not_accepted"] == ["repetition_penalty", "top_k"]
    assert not any(b"sk-planted-77" in path.read_bytes() for path in done.folder.iterdir())


def test_with_every_turn_scored_each_turns_meaning_is_judged_and_no_rubric(tmp_path: Path) -> None:
    suite = suite_of(tmp_path / "own", 1, TALK + "history: own\nscore_turns: every\n")
    row = json.loads((suite / "talk.jsonl").read_text("utf-8"))
    row["turns"] = [
        {"role": "user", "content": "咳嗽"},
        {"role": "assistant", "content": "几天了？"},
        {"role": "user", "content": "三天"},
    ]
    (suite / "talk.jsonl").write_text(json.dumps(row, ensure_ascii=False) + "\n", "utf-8")
    done = answered(tmp_path, ["几天了"], suite=suite)

    def rule(seen: Seen, _number: int) -> Reply:
        page = sheet(seen)
        return said(verdict(page, [0] * len(page.criteria), 10 if "几天了" in page.blocks["参考答案"] else 0))

    with serving(rule) as server:
        summary = judge(judges(done, server.url)).done.summary
        assert len(server.posts()) == 2
    assert set(summary["tasks"]["own/talk"]) == {"rouge_l", "judge_semantic"}
    assert summary["tasks"]["own/talk"]["judge_semantic"]["mean"] == 0.5


# ------------------------------------------------------------------ money


def test_a_budget_is_for_all_judges_together_and_the_same_call_goes_on(tmp_path: Path) -> None:
    done = answered(tmp_path)

    def costly(seen: Seen, _number: int) -> Reply:
        reply = said(by_words(sheet(seen)))
        reply.body["usage"] = {"prompt_tokens": 2_000, "completion_tokens": 500}
        return reply

    with serving(costly, ["j1", "j2"]) as server:
        limits = Limits(in_flight=1, max_total_tokens=8_000)
        first = judge(judges(done, server.url, "j1", "j2", limits=limits, max_tokens=500))
        assert len(server.posts()) == 3 and not first.complete, "3 times 2,500 tokens; the fourth might exceed 8,000"
        assert len(first.notes) == 2 and all("--max-total-tokens" in note for note in first.notes)
        again = judge(judges(done, server.url, "j1", "j2", limits=limits, max_tokens=500))
        assert not again.complete and "7,500 of them earlier" in again.notes[0] and "other judges" in again.notes[1]
        assert len(server.posts()) == 3, "what was used before counts"
        assert judge(judges(done, server.url, "j1", "j2", max_tokens=500)).complete and len(server.posts()) == 12
        with pytest.raises(UsageError, match="no price of server/j1 is known"):
            judge(judges(done, server.url, limits=Limits(max_cost=1.0)))


def test_the_estimate_asks_nothing_and_writes_nothing(tmp_path: Path) -> None:
    done = answered(tmp_path)
    before = sorted(path.name for path in done.folder.iterdir())
    told = estimate(judges(done, "http://127.0.0.1:9/v1", price=(1.0, 2.0)))
    assert "server/j1: 6 answers to judge; at most 12 requests" in told and "cost at most" in told
    assert sorted(path.name for path in done.folder.iterdir()) == before


def test_a_larger_run_adopts_what_was_said_about_a_smaller_one(tmp_path: Path) -> None:
    suite = suite_of(tmp_path / "own")
    small = answered(tmp_path, ANSWERS, suite=suite, selection=Selection(limit=2))
    large = answered(tmp_path, ANSWERS, suite=suite)
    assert small.folder != large.folder
    with serving(judging(by_words)) as server:
        judge(judges(small, server.url))
        judged = judge(judges(large, server.url))
        assert len(server.posts()) == 6
        used = judged.done.summary["judging"]["judges"][0]["usage"]
        assert (used["calls"], used["adopted"]) == (4, 2) and values(large.folder, "judge_rubric") == SHARES
        judge(judges(large, server.url, fresh=True))
        assert len(server.posts()) == 12 and (large.folder / "judge.jsonl.old-1").is_file()


def test_equal_answers_are_asked_about_once(tmp_path: Path) -> None:
    done = answered(tmp_path, ["感冒"], selection=Selection(repeats=1))
    rows = [json.dumps({"id": "d0", "response": "感冒", "repeat": n}, ensure_ascii=False) for n in range(3)]
    (tmp_path / "answers.jsonl").write_text("\n".join(rows) + "\n", "utf-8")
    spec = RunSpec(
        f"replay/{tmp_path / 'answers.jsonl'}", ("own",), output=tmp_path / "out", task_paths=(tmp_path / "own",)
    )
    [done] = run(replace(spec, selection=Selection(repeats=3)))
    with serving(judging(by_words)) as server:
        judged = judge(judges(done, server.url))
        assert len(server.posts()) == 1
    assert judged.done.summary["tasks"]["own/talk"]["judge_rubric"]["n"] == 3
