"""The gate: what it looks at, what it concludes, and that words and exit code are one value."""

from __future__ import annotations

import json
import re
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

from harness.baseline import load, set_baseline
from harness.errors import UsageError
from harness.gate import (
    Changed,
    GateSpec,
    Outcome,
    Verdict,
    as_json,
    as_junit,
    as_markdown,
    as_text,
    counterpart,
    decide,
    judge,
    read_spec,
    refuse_early,
    write_reports,
)
from tests.support.sides import ID, Call, bleu, column, one_task, replayed, side, task_scores

SPEC = GateSpec()


def row(n: int, right: int) -> list[float]:
    return [1.0] * right + [0.0] * (n - right)


def spec_of(tmp_path: Path, text: str) -> GateSpec:
    file = tmp_path / "gate.yaml"
    file.write_text(text, "utf-8")
    return read_spec(file)


def outcome_of(spec: GateSpec, before: list[float], after: list[float], policy: str | None = None) -> Outcome:
    return decide(one_task("old", before), one_task("new", after), spec, policy)  # type: ignore[arg-type]


# ------------------------------------------------------------------ the verdict


def test_the_same_answers_pass_worse_ones_regress_and_few_answers_are_inconclusive() -> None:
    assert outcome_of(SPEC, row(400, 300), row(400, 300)).verdict is Verdict.PASS
    assert outcome_of(SPEC, row(400, 300), row(400, 240)).verdict is Verdict.REGRESSION
    assert outcome_of(SPEC, row(12, 9), row(12, 8)).verdict is Verdict.INCONCLUSIVE


def test_a_drop_within_the_margin_passes_though_it_is_certain(tmp_path: Path) -> None:
    outcome = outcome_of(spec_of(tmp_path, "margins: {default: 0.1}"), row(2000, 1500), row(2000, 1440))
    assert outcome.verdict is Verdict.PASS
    assert "worse, but by less than that" in as_text(outcome)


def test_a_better_candidate_is_said_to_be_better() -> None:
    outcome = outcome_of(SPEC, row(400, 200), row(400, 260))
    assert outcome.verdict is Verdict.PASS
    assert "it is better" in as_text(outcome)


@pytest.mark.parametrize(
    ("verdict", "policy", "words", "code"),
    [
        (Verdict.PASS, None, "pass", 0),
        (Verdict.PASS, "fail", "pass", 0),
        (Verdict.REGRESSION, "pass", "regression", 1),
        (Verdict.INVALID, "pass", "run invalid or incomplete", 3),
        (Verdict.INCONCLUSIVE, None, "inconclusive", 4),
        (Verdict.INCONCLUSIVE, "pass", "inconclusive, let pass", 0),
        (Verdict.INCONCLUSIVE, "fail", "inconclusive, counted as a failure", 1),
    ],
)
def test_words_and_exit_code_come_from_one_value(verdict: Verdict, policy: str | None, words: str, code: int) -> None:
    final = verdict.under(policy)  # type: ignore[arg-type]
    assert (final.words, final.exit_code) == (words, code)


def test_every_output_states_the_verdict_that_the_exit_code_has() -> None:
    rows = [(row(400, 300), row(400, 300)), (row(400, 300), row(400, 200)), (row(12, 9), row(12, 8))]
    for before, after in rows:
        for policy in (None, "pass", "fail"):
            outcome = outcome_of(SPEC, before, after, policy)
            said = f"Gate: {outcome.verdict.words} (exit code {outcome.verdict.exit_code})"
            assert as_text(outcome).startswith(said)
            assert said in as_markdown(outcome, []).replace("\\", "")
            assert json.loads(as_json(outcome, []))["exit_code"] == outcome.verdict.exit_code
            suite = ET.fromstring(as_junit(outcome, []))
            red = bool(suite.findall("testcase/failure") or suite.findall("testcase/error"))
            assert red == bool(outcome.verdict.exit_code)


def test_all_required_tasks_must_pass_and_the_worst_one_decides(tmp_path: Path) -> None:
    def both(name: str, one: list[float], two: list[float]) -> object:
        return side(
            name,
            task_scores("own/one", column("own/one", "accuracy", one)),
            task_scores("own/two", column("own/two", "accuracy", two)),
        )

    base = both("old", row(400, 300), row(400, 300))
    new = both("new", row(400, 300), row(400, 200))
    assert decide(base, new, SPEC, None).verdict is Verdict.REGRESSION  # type: ignore[arg-type]
    only_one = spec_of(tmp_path, "required: [own/one]")
    outcome = decide(base, new, only_one, None)  # type: ignore[arg-type]
    assert outcome.verdict is Verdict.PASS
    assert "not required, regression: own/two" in as_text(outcome)
    assert decide(base, new, spec_of(tmp_path, "required: [own]"), None).verdict is Verdict.REGRESSION  # type: ignore[arg-type]


def test_a_regression_outweighs_inconclusive_and_a_broken_run_outweighs_both() -> None:
    def three(name: str, one: list[float], two: list[float], failed: int) -> object:
        values: list[float | None] = [*row(400, 300)]
        for place in range(failed):
            values[place] = None
        return side(
            name,
            task_scores("own/one", column("own/one", "accuracy", one)),
            task_scores("own/two", column("own/two", "accuracy", two)),
            task_scores(
                "own/three", column("own/three", "accuracy", values, status=dict.fromkeys(range(failed), "failed"))
            ),
        )

    base = three("old", row(12, 9), row(400, 300), 0)
    assert decide(base, three("new", row(12, 8), row(400, 200), 0), SPEC, None).verdict is Verdict.REGRESSION  # type: ignore[arg-type]
    assert decide(base, three("new", row(12, 8), row(400, 200), 1), SPEC, "pass").verdict is Verdict.INVALID  # type: ignore[arg-type]


def test_an_inconclusive_check_says_how_many_answers_would_do() -> None:
    outcome = outcome_of(SPEC, row(40, 28), row(40, 27))
    (check,) = outcome.checks
    assert check.verdict is Verdict.INCONCLUSIVE
    assert check.needed is not None
    assert check.needed > 40
    assert f"about {check.needed:,} answers instead of 40" in as_text(outcome)


def test_a_corpus_metric_can_be_gated() -> None:
    good, bad = ["补气健脾燥湿化痰"] * 80, ["补气", "燥湿化痰"] * 40
    assert decide(bleu("old", good), bleu("new", good), SPEC, None).verdict is Verdict.PASS
    assert decide(bleu("old", good), bleu("new", bad), SPEC, None).verdict is Verdict.REGRESSION


# ------------------------------------------------------------------ gate.yaml


def test_margins_go_from_task_over_metric_to_default(tmp_path: Path) -> None:
    spec = spec_of(
        tmp_path,
        "margins: {default: 0.05, accuracy: 0.03}\ntasks:\n  own/a: {margins: {accuracy: 0.01}}\n  own/b: {margins: {default: 0.2}}\n",
    )
    assert spec.margin("own/a", "accuracy", headline=True) == 0.01
    assert spec.margin("own/c", "accuracy", headline=True) == 0.03
    assert spec.margin("own/c", "char_f1", headline=True) == 0.05
    assert spec.margin("own/b", "char_f1", headline=True) == 0.2
    assert spec.margin("own/c", "char_f1", headline=False) is None, "only headline metrics are gated unasked"


def test_a_second_metric_with_a_margin_is_gated_too(tmp_path: Path) -> None:
    def two(name: str, f1: list[float]) -> object:
        return side(
            name,
            task_scores("own/a", column("own/a", "accuracy", row(400, 300)), column("own/a", "option_f1", f1)),
        )

    old, new = two("old", row(400, 300)), two("new", row(400, 200))
    assert decide(old, new, SPEC, None).verdict is Verdict.PASS  # type: ignore[arg-type]
    spec = spec_of(tmp_path, "margins: {default: 0.05, option_f1: 0.05}")
    assert decide(old, new, spec, None).verdict is Verdict.REGRESSION  # type: ignore[arg-type]


def test_a_headline_metric_without_a_margin_is_an_error_and_not_a_free_pass(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no margin for accuracy, the headline metric of own/choice"):
        outcome_of(spec_of(tmp_path, "margins: {}"), row(9, 8), row(9, 8))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("margin: {default: 0.1}", "unknown key 'margin'. Did you mean 'margins'?"),
        ("margins: {accuracy: 0}", "margins.accuracy"),
        ("margins: {accuracy: -0.02}", "margins.accuracy"),
        ("margins: {accuracy: .nan}", "margins.accuracy"),
        ("alpha: 0.7", "alpha"),
        ("max_share: {unparsd: 0.1}", "Did you mean 'unparsed'?"),
        ("max_share: {unparsed: 12}", "max_share.unparsed"),
        ("margins: {accuracy: 0.1, accuracy: 0.9}", "gate.yaml:1: 'accuracy' is stated twice"),
        ("alpha: 0.05\nalpha: 0.4", "gate.yaml:2: 'alpha' is stated twice"),
        ("- a list", "expected keys and values"),
        ("margins: [", "is not YAML"),
        ("tasks: {own/choice: {margin: {accuracy: 1}}}", "Did you mean 'margins'?"),
    ],
)
def test_gate_yaml_is_a_closed_schema(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(UsageError) as refused:
        spec_of(tmp_path, text)
    assert said in str(refused.value)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("required: [own/choise]", "Did you mean: own/choice?"),
        ("required: []", "requires no task"),
        ("margins: {default: 0.1, acuracy: 0.1}", "Did you mean: accuracy?"),
        ("floors: {acuracy: 0.1}", "Did you mean: accuracy?"),
        ("tasks: {own/choise: {}}", "Did you mean: own/choice?"),
        ("tasks: {own/choice: {floors: {acuracy: 0.5}}}", "Did you mean: accuracy?"),
    ],
)
def test_names_that_the_baseline_does_not_have_are_refused(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(UsageError) as refused:
        outcome_of(spec_of(tmp_path, text), row(9, 8), row(9, 8))
    assert said in str(refused.value)


def test_an_absent_or_unreadable_config_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="cannot be read"):
        read_spec(tmp_path / "none.yaml")
    assert read_spec(None) == GateSpec()


def test_a_floor_is_read_off_the_measured_mean(tmp_path: Path) -> None:
    spec = spec_of(tmp_path, "floors: {accuracy: 0.75}")
    assert outcome_of(spec, row(400, 300), row(400, 300)).verdict is Verdict.PASS
    below = outcome_of(spec, row(400, 300), row(400, 299))
    assert below.verdict is Verdict.REGRESSION
    assert "measured 0.748, and the bar is 0.750" in as_text(below)
    own = spec_of(tmp_path, "floors: {accuracy: 0.75}\ntasks: {own/choice: {floors: {accuracy: 0.5}}}")
    assert outcome_of(own, row(400, 300), row(400, 299)).verdict is Verdict.PASS


def test_too_many_spoilt_answers_are_a_regression_and_too_many_failed_ones_an_incomplete_run(tmp_path: Path) -> None:
    old = one_task("old", row(100, 60))
    bars = "max_share: {unparsed: 0.02, truncated: 0.02, refused: 0.02, failed: 0.02, unscored: 0.02}"
    spec = spec_of(tmp_path, bars)
    for status, worse in (
        ("unparsed", Verdict.REGRESSION),
        ("truncated", Verdict.REGRESSION),
        ("refused", Verdict.REGRESSION),
        ("failed", Verdict.INVALID),
        ("unscored", Verdict.INVALID),
    ):
        for count, expected in ((2, {Verdict.PASS, Verdict.INCONCLUSIVE}), (3, {worse})):
            values: list[float | None] = [*row(100, 60)]
            for place in range(99, 99 - count, -1):
                values[place] = None if status in ("failed", "unscored") else 0.0
            new = one_task("new", values, status=dict.fromkeys(range(99, 99 - count, -1), status))  # type: ignore[arg-type]
            outcome = decide(old, new, spec, None)
            assert outcome.verdict in expected, (status, count)
            assert (f"3 of 100 answers of the candidate are {status}" in as_text(outcome)) == (count == 3)


def test_one_failed_call_is_enough_for_an_incomplete_run_unless_the_file_allows_it(tmp_path: Path) -> None:
    old = one_task("old", row(400, 300))
    new = one_task("new", [None, *row(399, 299)], status={0: "failed"})
    outcome = decide(old, new, SPEC, None)
    assert outcome.verdict is Verdict.INVALID
    assert outcome.verdict.exit_code == 3
    allowed = decide(old, new, spec_of(tmp_path, "max_share: {failed: 0.01}"), None)
    assert allowed.verdict is Verdict.PASS
    assert "1 left out, failed in the candidate: s0" in as_text(allowed)
    reverse = decide(new, old, SPEC, None)
    assert reverse.verdict is Verdict.INVALID
    assert "of the baseline are failed" in as_text(reverse)


# ------------------------------------------------------------------ runs that do not fit


def test_a_required_task_that_the_candidate_lacks_makes_the_run_incomplete() -> None:
    outcome = decide(one_task("old", [1, 0]), one_task("new", [1, 0], task="own/other"), SPEC, "pass")
    assert outcome.verdict is Verdict.INVALID
    assert "own/choice is required, but new (new-run) was not asked it" in as_text(outcome)


def test_a_candidate_all_of_whose_calls_failed_is_incomplete_and_not_misuse() -> None:
    new = one_task("new", [None, None], status={0: "failed", 1: "failed"})
    outcome = decide(one_task("old", [1, 0]), new, SPEC, None)
    assert outcome.verdict is Verdict.INVALID
    assert "no scored answer in common" in as_text(outcome)


def test_equal_ids_with_other_samples_are_an_invalid_run() -> None:
    new = side("new", task_scores("own/choice", column("own/choice", "accuracy", row(400, 300)), first=1))
    outcome = decide(one_task("old", row(400, 300)), new, SPEC, None)
    assert outcome.verdict is Verdict.INVALID
    assert "1 asked of the candidate only" in as_text(outcome)


def test_a_task_that_was_asked_otherwise_is_refused_if_required_and_left_out_if_not(tmp_path: Path) -> None:
    other = ID.replace("bbbbbb", "cccccc")

    def two(name: str, comparison_id: str) -> object:
        return side(
            name,
            task_scores("own/one", column("own/one", "accuracy", row(400, 300))),
            task_scores("own/two", column("own/two", "accuracy", row(400, 300), comparison_id=comparison_id)),
        )

    with pytest.raises(UsageError, match=r"own/two accuracy: prompt bbbbbb -> cccccc"):
        decide(two("old", ID), two("new", other), SPEC, None)  # type: ignore[arg-type]
    outcome = decide(two("old", ID), two("new", other), spec_of(tmp_path, "required: [own/one]"), None)  # type: ignore[arg-type]
    assert outcome.verdict is Verdict.PASS
    assert "own/two: not compared" in as_text(outcome)


def test_a_run_that_could_not_be_gated_is_refused_before_it_is_asked() -> None:
    asked = {"own/choice": {"accuracy": ID.format(task="own/choice", metric="accuracy").replace("temp:0", "temp:1")}}
    with pytest.raises(UsageError, match="temp 0 -> 1"):
        refuse_early(one_task("old", [1, 0]), SPEC, asked)


def test_of_a_model_with_two_prompts_the_run_prompted_as_the_baseline_is_taken() -> None:
    common, own = {"model": "m"}, {"model": "m", "own_prompt": "你是中医"}
    runs = [(Path("common"), {"subject": {"identity": common}}), (Path("own"), {"subject": {"identity": own}})]
    base = one_task("old", [1])
    assert counterpart(base, runs) == Path("common")
    object.__setattr__(base, "identity", own)
    assert counterpart(base, runs) == Path("own")


# ------------------------------------------------------------------ reports

EVIL = "\x1b[31m<script>alert(1)</script> | `` [a](http://x.y) @all \x00\x08\ufffe =1+1 \u202e\nsecond line"


def evil_outcome() -> tuple[Outcome, list[Changed]]:
    outcome = decide(one_task(EVIL, row(400, 300)), one_task(EVIL, row(400, 200)), SPEC, None)
    return outcome, [Changed("own/choice", "accuracy", EVIL, 1.0, 0.0, EVIL, EVIL, "`" * 3 + EVIL)]


def test_junit_is_well_formed_whatever_the_texts_hold(tmp_path: Path) -> None:
    outcome, changed = evil_outcome()
    write_reports(outcome, changed, junit=tmp_path / "g.xml", markdown=tmp_path / "g.md", json=tmp_path / "g.json")
    text = (tmp_path / "g.xml").read_text("utf-8")
    suite = ET.fromstring(text)
    assert suite.get("failures") == "2"
    assert suite.get("tests") == "2"
    assert "<script>" not in text
    assert not any(c in text for c in "\x00\x08\x1b\ufffe\u202e")
    assert "alert(1)" in (suite.findtext("testcase/system-out") or ""), "the text is shown, and does nothing"


def test_markdown_shows_hostile_texts_letter_by_letter() -> None:
    text = as_markdown(*evil_outcome())
    assert not any(c in text for c in "\x00\x08\x1b\u202e")
    for line in text.splitlines():
        if line.startswith(("- question", "- baseline", "- candidate")):
            fence = line.split(": ", 1)[1].split(" ")[0]
            assert set(fence) == {"`"}
            assert line.endswith(f" {fence}")
            assert fence not in line.split(": ", 1)[1][len(fence) : -len(fence)], "nothing inside ends the code span"
        else:
            assert "<script>" not in line
            assert "[a](" not in line
    table = [line for line in text.splitlines() if line.startswith("|")]
    assert len({line.replace("\\|", "").count("|") for line in table}) == 1


def test_the_terminal_gets_no_escape_sequences_and_json_none_unescaped() -> None:
    outcome, changed = evil_outcome()
    assert not any(c in as_text(outcome) for c in "\x00\x08\x1b\u202e")
    raw = as_json(outcome, changed)
    assert not any(c in raw for c in "\x00\x08\x1b")
    assert json.loads(raw)["changed"][0]["question"] == EVIL


def test_a_long_answer_is_cut_in_reports_and_whole_in_json() -> None:
    outcome, _ = evil_outcome()
    changed = [Changed("own/choice", "accuracy", "s", 1.0, 0.0, "题" * 5000, "答" * 5000, "x")]
    assert len(as_markdown(outcome, changed)) < 4000
    assert json.loads(as_json(outcome, changed))["changed"][0]["baseline"] == "答" * 5000


def test_skipped_failed_and_broken_checks_are_told_apart_in_junit(tmp_path: Path) -> None:
    inconclusive = outcome_of(SPEC, row(12, 9), row(12, 8))
    assert ET.fromstring(as_junit(inconclusive, [])).get("failures") == "2"
    let_pass = outcome_of(SPEC, row(12, 9), row(12, 8), "pass")
    suite = ET.fromstring(as_junit(let_pass, []))
    assert (suite.get("failures"), suite.get("skipped")) == ("0", "1")
    broken = decide(one_task("old", [1, 0]), one_task("new", [1, 0], task="own/other"), SPEC, None)
    assert ET.fromstring(as_junit(broken, [])).get("errors") == "2"


# ------------------------------------------------------------------ real runs of stored answers


def test_the_answers_that_lost_most_are_shown_with_question_and_both_answers(
    tcm_eval: Call, suite: Path, tmp_path: Path
) -> None:
    old = replayed(tcm_eval, tmp_path, suite, "old", {})
    lost: dict[int, str | None] = {place: "答案：E" for place in range(0, 40, 2) if place % 5 != 4}
    new = replayed(tcm_eval, tmp_path, suite, "new", {**lost, 20: "我不知道<b>"})
    outcome, changed = judge(load(old), new, SPEC)
    assert outcome.verdict is Verdict.REGRESSION
    assert len(changed) == 5
    assert changed[0].question == "第0题：人参属于"
    assert (changed[0].baseline, changed[0].candidate) == ("A", "E")
    assert (changed[0].before, changed[0].after) == (1.0, 0.0)
    file = tmp_path / "b.json"
    set_baseline(old, file)
    assert judge(load(file), new, SPEC)[1] == changed, "short answers are in the baseline file"
    only = replayed(tcm_eval, tmp_path, suite, "only", {20: "我不知道<b>"})
    shown = judge(load(old), only, SPEC)[1]
    assert shown[0].candidate == "(unparsed) 我不知道<b>"
    assert judge(load(only), old, SPEC)[1] == []


def test_questions_that_are_gone_do_not_change_the_verdict(tcm_eval: Call, suite: Path, tmp_path: Path) -> None:
    old = replayed(tcm_eval, tmp_path, suite, "old", {})
    new = replayed(tcm_eval, tmp_path, suite, "new", dict.fromkeys(range(0, 40, 2), "不知道"))
    before = judge(load(old), new, SPEC)[0]
    (suite / "choice.jsonl").unlink()
    outcome, changed = judge(load(old), new, SPEC)
    assert outcome.verdict is before.verdict
    assert changed[0].question == "(the question is not here)"


def test_an_unfinished_or_damaged_candidate_is_an_outcome_with_reports(
    tcm_eval: Call, suite: Path, tmp_path: Path
) -> None:
    old = load(replayed(tcm_eval, tmp_path, suite, "old", {}))
    new = replayed(tcm_eval, tmp_path, suite, "new", {1: "不知道"})
    scores = (new / "scores.jsonl").read_bytes()
    (new / "scores.jsonl").write_bytes(scores.replace(b'"value":1.0', b'"value":NaN', 1))
    outcome, changed = judge(old, new, SPEC, "pass")
    assert (outcome.verdict, changed) == (Verdict.INVALID, [])
    assert "damaged" in as_text(outcome)
    (new / "summary.json").unlink()
    outcome, _ = judge(old, new, SPEC)
    assert outcome.verdict.exit_code == 3
    assert "unfinished" in as_text(outcome)
    assert ET.fromstring(as_junit(outcome, [])).get("errors") == "2"


def test_the_sizes_in_the_documentation_are_those_of_the_power_analysis() -> None:
    from harness.stats import paired_sd, required_n_for_gate

    page = (Path(__file__).resolve().parents[2] / "docs" / "gate.md").read_text("utf-8")
    rows = re.findall(r"^\| (\d+) % \| ([\d,]+ \| [\d,]+ \| [\d,]+ \| [\d,]+ \| [\d,]+) \|$", page, re.M)
    assert len(rows) == 4
    for changed, sizes in rows:
        expected = [required_n_for_gate(m, paired_sd(int(changed) / 100)) for m in (0.01, 0.02, 0.03, 0.05, 0.1)]
        assert [int(size.replace(",", "")) for size in sizes.split(" | ")] == expected
