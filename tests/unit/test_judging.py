"""Judging a run: what is asked and what is not, what becomes of bad replies, how several judges add up, and what it does to numbers."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from harness.errors import UsageError
from harness.judging import judge
from harness.pipeline import RunSpec, run, score
from harness.store import read, read_lines, read_scores
from harness.types import Response
from tests.support.chat_server import Reply, Seen, said, serving
from tests.support.judged import ANSWERS, answered, judges, values
from tests.support.judges import by_words, judging, sheet

SHARES = {"d0": 1.0, "d1": 0.5, "d2": 0.25, "d3": 0.0, "d4": 0.25, "d5": 0.75}


def test_verdicts_become_metrics_with_an_interval_and_records_stay_as_they_are(tmp_path: Path) -> None:
    done = answered(tmp_path)
    before = (done.folder / "records.jsonl").read_bytes()
    with serving(judging(by_words)) as server:
        judged = judge(judges(done, server.url))
    assert judged.complete and judged.done.complete
    assert values(done.folder, "judge_rubric") == SHARES
    row = judged.done.summary["tasks"]["own/talk"]["judge_rubric"]
    assert row["mean"] == pytest.approx(2.75 / 6) and row["low"] < row["mean"] < row["high"] and row["n"] == 6
    assert values(done.folder, "judge_semantic") == {"d0": 1.0, "d1": 0.5, "d2": 0.2, "d3": 0.0, "d4": 0.2, "d5": 0.8}
    assert (done.folder / "records.jsonl").read_bytes() == before
    part = next(
        s.parts for s in read_scores(done.folder / "scores.jsonl") if (s.metric, s.sample) == ("judge_rubric", "d1")
    )
    assert part == {"judges": 1, "judge_injection": 0, "judge server/j1": 0.5, "k1": 2, "k2": 2, "k3": 0, "k4": 0}


def test_the_signature_names_judges_wording_and_scales(tmp_path: Path) -> None:
    done = answered(tmp_path)
    with serving(judging(by_words), ["j1", "j2"]) as server:
        one = judge(judges(done, server.url, "j1")).done.summary["tasks"]["own/talk"]["judge_rubric"]["comparison_id"]
        two = judge(judges(done, server.url, "j1", "j2")).done.summary["tasks"]["own/talk"]["judge_rubric"][
            "comparison_id"
        ]
        turned = judge(judges(done, server.url, "j2", "j1")).done.summary["tasks"]["own/talk"]["judge_rubric"]
        assert len(server.posts()) == 12, "each judge is asked about each answer once, however often it is named"
    said_of = one.partition("|metric:")[2]
    assert said_of.startswith("judge_rubric@1(judges:1[server/j1#") and "=mock-2026,temp:0,max:4096]" in said_of
    assert "|prompt:" in said_of and "|marks:0-2|meaning:0-10" in said_of
    assert "judges:2[server/j1#" in two and "; server/j2#" in two and turned["comparison_id"] == two


def test_the_judges_tokens_are_counted_apart_from_the_candidates(tmp_path: Path) -> None:
    done = answered(tmp_path)
    with serving(judging(by_words)) as server:
        after = judge(judges(done, server.url, price=(1.0, 10.0))).done.summary
    assert after["usage"] == done.summary["usage"]
    [one] = after["judging"]["judges"]
    used = {"calls": 6, "adopted": 0, "tokens_in": 42, "tokens_out": 18, "cost": pytest.approx((42 + 180) / 1e6)}
    assert {name: one["usage"][name] for name in used} == used
    assert one["versions"] == ["mock-2026"] and one["verdicts"] == 6


def test_scoring_again_and_judging_again_ask_nothing(tmp_path: Path) -> None:
    done = answered(tmp_path)
    with serving(judging(by_words)) as server:
        first = judge(judges(done, server.url)).done
        assert judge(judges(done, server.url)).done.summary == first.summary
        assert len(server.posts()) == 6
    (done.folder / "scores.jsonl").unlink()
    assert score(done.folder).summary == first.summary
    [again] = run(
        RunSpec(
            f"replay/{tmp_path / 'answers.jsonl'}", ("own",), output=tmp_path / "out", task_paths=(tmp_path / "own",)
        )
    )
    assert again.summary == first.summary, "the run's own command keeps what judges said"


def test_a_line_of_judge_jsonl_holds_the_raw_reply_and_what_was_read_in_it(tmp_path: Path) -> None:
    done = answered(tmp_path, ANSWERS[1:2])
    with serving(judging(by_words)) as server:
        judge(judges(done, server.url))
    [(_, _, row)] = read_lines(done.folder / "judge.jsonl")
    assert row["role"] == "judge:server/j1" and row["response"]["model_version"] == "mock-2026"
    assert json.loads(row["response"]["text"])["criteria"][0]["mark"] == 2 and row["response"]["tokens_in"] == 7
    assert row["verdict"]["criteria"]["k1"] == {"mark": 2, "reason": "理由"} and row["verdict"]["meaning"] == 5
    assert len(row["prompt"]) == 6 and (row["task"], row["sample"], row["turn"]) == ("own/talk", "d0", 0)


# ------------------------------------------------------------------ bad replies


def test_one_reminder_and_then_a_reply_that_cannot_be_read_is_unscored_never_zero(tmp_path: Path) -> None:
    done = answered(tmp_path)

    def moody(seen: Seen, _number: int) -> Reply:
        page = sheet(seen)
        reminded = len(seen.body["messages"]) > 2
        if "第0例" in page.blocks["题目"] or ("第1例" in page.blocks["题目"] and not reminded):
            return said("我认为这个回答很好，给 9 分。")
        return said(by_words(page))

    with serving(moody) as server:
        judged = judge(judges(done, server.url))
        assert len(server.posts()) == 8, "six questions, and a reminder for two of them"
        assert not judged.done.complete and not judge(judges(done, server.url)).complete
        assert len(server.posts()) == 8, "the same command does not ask a third time"
        judge(judges(done, server.url, again=True))
        assert len(server.posts()) == 10, "asked anew on request: a question and a reminder"
    assert values(done.folder, "judge_rubric") == {**SHARES, "d0": None}
    row = judged.done.summary["tasks"]["own/talk"]["judge_rubric"]
    assert row["counts"]["unscored"] == 1 and row["n"] == 5 and row["mean"] == pytest.approx(1.75 / 5)
    [one] = judged.done.summary["judging"]["judges"]
    assert (one["verdicts"], one["reminded"], one["unread"], one["missing"]) == (5, 2, 1, 0)


def test_a_failed_call_is_missing_and_asked_again_by_the_same_command(tmp_path: Path) -> None:
    done = answered(tmp_path)
    broken = True

    def sometimes(seen: Seen, _number: int) -> Reply:
        page = sheet(seen)
        if broken and "第3例" in page.blocks["题目"]:
            return Reply(400, {"error": {"message": "no"}})
        return said(by_words(page))

    with serving(sometimes) as server:
        first = judge(judges(done, server.url))
        assert not first.complete and values(done.folder, "judge_rubric") == {**SHARES, "d3": None}
        assert first.done.summary["judging"]["judges"][0]["missing"] == 1
        broken = False
        second = judge(judges(done, server.url))
        assert second.complete and len(server.posts()) == 7 and values(done.folder, "judge_rubric") == SHARES


def test_a_filtered_reply_is_not_reminded(tmp_path: Path) -> None:
    done = answered(tmp_path, ANSWERS[:2])
    with serving(lambda _seen, _n: said("", "content_filter")) as server:
        judged = judge(judges(done, server.url))
        assert len(server.posts()) == 2 and judged.done.summary["judging"]["judges"][0]["refused"] == 2
    assert judged.done.summary["tasks"]["own/talk"]["judge_rubric"]["mean"] is None


def test_what_is_no_answer_is_not_shown_to_a_judge(tmp_path: Path) -> None:
    texts = [
        "感冒",
        {"response": "", "stop": "refusal"},
        {"response": "  "},
        {"response": "<think>感冒", "stop": "length"},
    ]
    done = answered(tmp_path, texts)
    with serving(judging(by_words)) as server:
        judge(judges(done, server.url))
        assert len(server.posts()) == 1
    assert values(done.folder, "judge_rubric") == {"d0": 0.25, "d1": 0.0, "d2": 0.0, "d3": 0.0}, "no answer counts 0"


def test_an_answer_cut_by_the_token_limit_is_judged_as_far_as_it_goes(tmp_path: Path) -> None:
    done = answered(tmp_path, [{"response": "感冒，风热犯表，银", "stop": "length"}])
    with serving(judging(by_words)) as server:
        row = judge(judges(done, server.url)).done.summary["tasks"]["own/talk"]["judge_rubric"]
    assert row["mean"] == 0.5 and row["counts"]["truncated"] == 1


# ------------------------------------------------------------------ Ladder-Score


def test_ladder_score_takes_the_judges_mark_of_meaning_only_when_asked(tmp_path: Path) -> None:
    done = answered(tmp_path)
    with serving(judging(by_words)) as server:
        assert "ladder_score" not in judge(judges(done, server.url)).done.summary["tasks"]["own/talk"]
        asked = judge(judges(done, server.url, ladder=True)).done.summary["tasks"]["own/talk"]["ladder_score"]
        assert len(server.posts()) == 6
    assert "sem:judge_semantic@1[judges:1[server/j1#" in asked["comparison_id"]
    scores = [s for s in read_scores(done.folder / "scores.jsonl") if s.metric == "ladder_score"]
    meaning = values(done.folder, "judge_semantic")
    assert len(scores) == 6
    for one in scores:
        assert one.parts["sem"] == meaning[one.sample]
        assert one.value == pytest.approx(0.5 * one.parts["term"] + 0.5 * one.parts["sem"])


# ------------------------------------------------------------------ what is left on disk


def test_a_torn_last_line_is_cut_off_and_asked_again(tmp_path: Path) -> None:
    done = answered(tmp_path)
    with serving(judging(by_words)) as server:
        whole = judge(judges(done, server.url)).done.summary
        path = done.folder / "judge.jsonl"
        path.write_bytes(path.read_bytes()[:-30])
        assert judge(judges(done, server.url)).done.summary["tasks"] == whole["tasks"]
        assert len(server.posts()) == 7
    assert all(isinstance(record.outcome, Response) for record in read(path))


def test_another_wording_is_another_question_and_another_signature(tmp_path: Path) -> None:
    done = answered(tmp_path)
    words = tmp_path / "words.yaml"
    words.write_text(
        "system: 评阅\nquestion: |\n  {dialogue}\n  {criteria}\n  {answer}\n  {example}\nreminder: '{example}'\n",
        "utf-8",
    )
    with serving(judging(by_words)) as server:
        ours = judge(judges(done, server.url)).done.summary
        own = judge(judges(done, server.url, wording=words)).done.summary
        assert len(server.posts()) == 12
        shown = server.posts()[-1].body["messages"]
    assert shown[0]["content"] == "评阅" and "参考答案" not in shown[1]["content"]
    ids = [one["tasks"]["own/talk"]["judge_rubric"]["comparison_id"] for one in (ours, own)]
    assert ids[0] != ids[1] and ours["judging"]["prompt"] != own["judging"]["prompt"]
    words.unlink()
    assert score(done.folder).summary == own, "the wording stands in the manifest"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("system: x\nquestion: '{answer}'\nreminder: r\n", "question has no {example}"),
        ("system: x\nquestion: '{answer} {exampel}'\nreminder: r\n", "Did you mean: example"),
        ("system: x\nquestion: '{answer} {example}'\n", "reminder: Field required"),
        ("system: x\nquestoin: y\n", "Field required"),
        ("- x\n", "the file"),
        ("a: [\n", "cannot be read"),
    ],
)
def test_a_wording_that_is_not_whole_is_refused(tmp_path: Path, text: str, message: str) -> None:
    words = tmp_path / "words.yaml"
    words.write_text(text, "utf-8")
    with pytest.raises(UsageError, match=message):
        judge(judges(answered(tmp_path), "http://127.0.0.1:9/v1", wording=words))


async def test_judging_works_where_an_event_loop_is_running_already(tmp_path: Path) -> None:
    done = answered(tmp_path)
    with serving(judging(by_words)) as server:
        assert judge(judges(done, server.url)).complete
    assert values(done.folder, "judge_rubric") == SHARES
