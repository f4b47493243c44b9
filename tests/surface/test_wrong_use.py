"""Wrong uses of every command: what is wrong, what was allowed, the nearest name, exit code 2, and nothing done."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import pytest

from harness.cli import parser
from harness.cli.hints import HINTS, hint
from tests.support.sides import Call, replayed

WRONG: Sequence[tuple[str, str]] = (
    ("run --modle guess --tasks own", "unknown option --modle. Did you mean --model?"),
    (
        "run --model vllm/x --tasks own --serve",
        "unknown option --serve. Here it is --model-arg serve=true, with --model vllm/",
    ),
    ("gate --baseline RUN --model vllm/x --serve", "unknown option --serve. Here it is --model-arg serve=true"),
    ("run --model guess --tasks own --num_fewshot 5", "unknown option --num_fewshot. Here it is --shots K."),
    ("run --model guess --tasks own --batch_size 8", "--batch_size. Here it is --concurrency N where a server answers"),
    ("run --model guess --tasks own --model_args a=1", "--model_args. Here it is --model-arg KEY=VALUE, once for each"),
    ("run --model guess --tasks own --api-key=sk-1", "unknown option --api-key. Here it is --key-env VARIABLE"),
    ("compare RUN RUN --num_fewshot 5", "unknown option --num_fewshot.\n"),
    ("run --model guess --tasks own --ask leter", "unknown value 'leter'. Did you mean letter?"),
    ("run --model guess --tasks own --language de", "Choose one of: zh, en"),
    ("run --model guess --tasks own --seed 1.5", "'1.5' is no whole number"),
    ("run --model guess --tasks own --encoder-layer 2", "--encoder-layer 2 without --encoder"),
    ("run --model guess --tasks tcm_core --data-path SUITE", "--task-path lies: name these tasks, too"),
    ("run --model guess --tasks tcm_core --output FILE", "is a file. Name a folder"),
    ("score nothing", "unknown run 'nothing'"),
    ("score RESULTS", "is no run folder: it has no manifest.json. Name one of its runs: some-"),
    ("score FILE", "is no run folder"),
    ("score RUN --encoder-layer 2", "without --encoder"),
    ("judge nothing --judge echo/first", "unknown run 'nothing'"),
    ("judge RESULTS --judge echo/first", "Name one of its runs: some-"),
    ("leaderboard --output RESULTS --site SITE --format csv", "--format does not go with --site"),
    ("leaderboard --output RESULTS --site SITE --metric accuracy", "--metric does not go with --site"),
    ("leaderboard --output RESULTS --format latec", "Did you mean latex?"),
    ("view --port 99999", "'99999' is no port"),
    ("view --output FILE", "is a file. Name a folder"),
    ("figures RUN --width colum", "Did you mean column?"),
    ("figures RUN --output FILE", "is a file. Name a folder"),
    ("figures nothing", "unknown run 'nothing'"),
    ("export RUN --to cvs", "Did you mean csv?"),
    ("export RUN --to csv --output FILE", "is a file. Name a folder"),
    ("export nothing --to csv", "unknown run 'nothing'"),
    ("compare RUN nothing", "unknown run 'nothing'"),
    ("compare RUN FILE", "A baseline file is made with: tcm-eval baseline set RUN FILE"),
    ("gate --baseline RUN --candidate RUN --limit 3", "--limit says how --model is asked, but --candidate"),
    ("gate --baseline RUN --candidate RUN --dry-run", "--dry-run says how --model is asked"),
    ("gate --baseline RUN --candidate RUN --tasks own", "--tasks says how --model is asked"),
    ("gate --baseline RUN --model guess --name a --name b", "2 --name for one --model"),
    ("gate --baseline RUN --candidate RUN --config none.yaml", "none.yaml cannot be read: No such file or directory"),
    ("baseline st RUN", "unknown value 'st'. Did you mean set?"),
    ("baseline show RUN", "is a folder, and no baseline file"),
    ("tasks list --data-path SUITE", "name these tasks, too"),
    ("models lst", "Did you mean list?"),
    ("tasks list --data-root FILE", "is a file. Name a folder"),
    ("train ladder-tiny --output FILE", "is a file. Name a folder"),
    ("--versio", "unknown option --versio. Did you mean --version?"),
    ("comapre a b", "Did you mean compare?"),
)


def test_every_hint_names_an_option_of_run() -> None:
    [commands] = [action for action in parser()._actions if isinstance(action.choices, dict)]
    known = commands.choices["run"]._option_string_actions  # type: ignore[index]
    for option, said in HINTS.items():
        assert option not in known, "what is an option here needs no hint"
        assert hint(option.replace("-", "_").replace("__", "--", 1), known) == f" Here it is {said}."


@pytest.fixture
def named(tcm_eval: Call, suite: Path, tmp_path: Path) -> dict[str, Path]:
    """Give what the commands above speak of."""
    run = replayed(tcm_eval, tmp_path, suite, "some", {})
    file = tmp_path / "file.txt"
    file.write_text("no JSON")
    return {"RUN": run, "RESULTS": run.parent.parent, "FILE": file, "SUITE": suite, "SITE": tmp_path / "site"}


@pytest.mark.parametrize(("command", "said"), WRONG)
def test_a_wrong_use_is_told_apart_named_and_answered(
    command: str, said: str, named: dict[str, Path], tcm_eval: Call, capsys: pytest.CaptureFixture[str]
) -> None:
    before = sorted(named["RESULTS"].rglob("*"))
    try:
        code, out, err = tcm_eval(*(named.get(word, word) for word in command.split()))
    except SystemExit as ended:  # what the parser itself refuses
        code, (out, err) = int(str(ended.code)), capsys.readouterr()
    assert (code, out) == (2, ""), err
    assert said in err
    assert sorted(named["RESULTS"].rglob("*")) == before and not named["SITE"].exists()


def test_a_gates_dry_run_asks_nothing(tcm_eval: Call, suite: Path, tmp_path: Path) -> None:
    old = replayed(tcm_eval, tmp_path, suite, "old", {})
    runs = sorted(old.parent.iterdir())
    how = ("--model", "guess", "--task-path", suite, "--output", old.parent.parent, "--dry-run")
    code, out, _ = tcm_eval("gate", "--baseline", old, *how)
    assert code == 0 and out.startswith("guess: 30 requests; at most ")
    assert sorted(old.parent.iterdir()) == runs


def test_a_run_is_named_by_its_model_in_every_command_that_takes_one(
    tcm_eval: Call, suite: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = replayed(tcm_eval, tmp_path, suite, "some", {})
    monkeypatch.chdir(tmp_path)
    code, out, _ = tcm_eval("score", "some", "--json")
    assert code == 0 and Path(json.loads(out)["run"]).resolve() == run.resolve()
    assert tcm_eval("export", "some", "--to", "csv", "--output", "out")[0] == 0
    assert (tmp_path / "out" / "scores.csv").is_file()


def test_numbers_that_may_not_be_compared_are_named_a_task_at_a_time(tcm_eval: Call, tmp_path: Path) -> None:
    guess = ("run", "--model", "guess", "--tasks", "tcm_core/fill_blank", "--output", tmp_path, "--quiet")
    assert tcm_eval(*guess, "--limit", 3, "--name", "three")[0] == 0
    assert tcm_eval(*guess, "--limit", 4, "--name", "four")[0] == 0
    code, _, said = tcm_eval("compare", "three", "four", "--output", tmp_path)
    assert code == 2 and "tcm_core/fill_blank exact_match and 3 more: limit 3@0 -> 4@0" in said
