"""The schema of tasks is closed, and every error says what was allowed."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from harness.errors import UsageError
from harness.pipeline import RunSpec, run
from harness.preflight import check
from harness.report.listing import checked
from harness.suites import Catalogue, refuse_unfit
from tests.conftest import TASK, make_suite


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("metrcs: [accuracy]", r"unknown key 'metrcs'. Did you mean 'metrics'"),
        ("sampling: { max_token: 5 }", r"unknown key 'sampling.max_token'. Did you mean 'max_tokens'"),
        ("type: single_choise", r"type: Input should be 'single_choice'"),
        ("sampling: { temperature: -1 }", r"sampling.temperature"),
        ("metrics: [accuracy, accuracy]", r"a metric is named twice"),
        ("version: !!python/object/apply:os.system ['true']", r"is not YAML"),
    ],
)
def test_a_wrong_key_or_value_is_refused_with_what_was_allowed(tmp_path: Path, line: str, message: str) -> None:
    folder = make_suite(
        tmp_path / "own",
        5,
        (TASK.replace("type: single_choice\n", "") if line.startswith("type") else TASK) + line + "\n",
    )
    with pytest.raises(UsageError, match=message):
        Catalogue([folder]).tasks("own")


def test_a_choice_task_without_options_is_refused(tmp_path: Path) -> None:
    folder = make_suite(tmp_path / "own", 5, "type: single_choice\ndata: [choice.jsonl]\n")
    with pytest.raises(UsageError, match=r"needs columns\.options"):
        Catalogue([folder]).tasks("own")


def test_names_are_found_or_the_nearest_are_named(suite: Path) -> None:
    catalogue = Catalogue([suite])
    here, absent = catalogue.select(["own/choice"])
    assert [t.id for t in here] == ["own/choice"] and not absent
    with pytest.raises(UsageError, match="Did you mean: mtcmb"):
        catalogue.select(["mtcbm"])
    with pytest.raises(UsageError, match="Did you mean: choice"):
        catalogue.select(["own/choices"])
    with pytest.raises(UsageError, match="Perhaps you mean own/choice"):
        catalogue.select(["choice"])


def test_all_means_every_task_and_names_those_without_data(suite: Path) -> None:
    here, absent = Catalogue([suite]).select(["all"])
    assert "own/choice" in {t.id for t in here}
    assert "mtcmb/ed_a" in {t.id for t in absent}, "nothing was pulled into the test's data folder"


def test_a_file_with_another_sha256_is_refused(tmp_path: Path) -> None:
    folder = make_suite(tmp_path / "mine", 5)
    stated = "a" * 64
    (folder / "suite.yaml").write_text(
        f"name: mine\ntitle: t\nlicence: CC0\nfiles:\n  choice.jsonl: {{ sha256: {stated} }}\n"
    )
    catalogue = Catalogue([folder])
    with pytest.raises(UsageError, match=r"choice.jsonl has sha256 .* but suite 'mine' states aaaaaaaaaaaa"):
        catalogue.data_files(catalogue.tasks("mine")[0])


def test_bundled_suites_all_parse_and_name_known_metrics_and_extractors() -> None:
    from harness.registry import get_extractor, get_metric

    for task in Catalogue().all_tasks():
        refuse_unfit(task)
        assert get_extractor(task.extractor).name == task.extractor
        assert [get_metric(use.name).name for use in task.metric_uses] == [use.name for use in task.metric_uses]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (
            "metrics: [accuracy, bleu4]",
            "metric 'bleu4' is not for a single_choice task. Those that are: accuracy, option",
        ),
        ("metrics: [accuracy, accuracy_letter]", "metric 'accuracy_letter' is not for a single_choice task"),
        (
            "metrics: [{name: accuracy, options: {strict: true}}]",
            "mine/choice: unknown option of metric accuracy 'strict'. This metric has no options: leave it out.",
        ),
        (
            "extract: free_text",
            "extractor 'free_text' is not for a single_choice task. Those that are: choice, choices.",
        ),
        ("headline: option_f1", "headline 'option_f1' is none of the task's metrics: accuracy. Name it there too."),
    ],
)
def test_what_cannot_score_a_task_is_refused_before_anything_is_asked(tmp_path: Path, line: str, message: str) -> None:
    folder = make_suite(tmp_path / "mine", 5, f"{TASK}{line}\n")
    spec = RunSpec(model="guess", tasks=("mine",), task_paths=(folder,), output=tmp_path / "results")
    with pytest.raises(UsageError, match=re.escape(message)):
        run(spec)
    assert not (tmp_path / "results").exists()
    with pytest.raises(UsageError, match=re.escape(message)):
        check(Catalogue([folder]), Catalogue([folder]).tasks("mine")[0])


def test_folders_named_in_chinese_are_suites_of_their_own(tmp_path: Path) -> None:
    yaml = "type: free_text\ndata: [items.jsonl]\ncolumns: {question: q}\n"
    for name in ("我的题", "另一套", "第三套"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "task.yaml").write_text(yaml, "utf-8")
    catalogue = Catalogue([tmp_path / name for name in ("我的题", "另一套", "第三套")])
    titles = {name: suite.title for name, suite in catalogue.suites.items() if name.endswith("own")}
    assert titles == {"own": "我的题", "own_own": "另一套", "own_own_own": "第三套"}


def test_missing_data_of_an_own_task_is_wanted_where_it_was_looked_for(tmp_path: Path) -> None:
    (tmp_path / "exam").mkdir()
    (tmp_path / "exam" / "task.yaml").write_text("type: free_text\ndata: [items.jsonl]\ncolumns: {question: q}\n")
    catalogue = Catalogue([tmp_path / "exam"])
    here, absent = catalogue.select(["exam"])
    assert not here
    assert catalogue.bring("exam").startswith(f"put it there: {tmp_path / 'exam' / 'items.jsonl'}")
    text, good = checked(catalogue, here, absent)
    assert not good
    assert "data is absent; put it there" in text
