"""A planted key and every command of the command line: none that may meet it, in the environment or in an answer, writes or prints it."""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.request import urlopen

import pytest

from harness.cli import parser
from harness.report.export import FORMS as EXPORTS
from harness.tables import FORMS
from tests.adapters.batching import quick_batches as quick_batches
from tests.conftest import make_suite
from tests.support.batch_server import BatchServer, serving_batches
from tests.support.chat_server import Reply, Seen, said, serving
from tests.support.judged import suite_of
from tests.support.judges import sheet
from tests.support.planted import KEY, MARK, leaks, with_key

Call = Callable[..., tuple[int, str, str]]
ROOT = Path(__file__).resolve().parents[2]

MEETS_NO_KEY = {
    "train": "makes a checkpoint and asks no provider",
    "tasks list": "reads task files",
    "tasks show": "reads task files",
    "tasks check": "reads task files",
    "data status": "reads data files",
    "data pull": "fetches public files, without a key",
    "data import": "copies data files",
    "knowledge show": "reads our own tables",
    "knowledge check": "reads our own tables",
}
"""Commands that are searched by none of the tests here, and why. Every other one is on the tour."""


@dataclass(frozen=True)
class Tour:
    """Where the commands go: a folder for all they write, a server to ask, one that takes batches, and the runs there are."""

    folder: Path
    url: str = "URL"
    batches: str = "BATCHES"
    runs: tuple[str, ...] = ("ONE", "TWO", "THREE")

    @property
    def out(self) -> str:
        return str(self.folder / "out")

    def asks(self) -> Iterator[tuple[str, ...]]:
        """Yield a run of each way to ask."""
        what = ("--tasks", "own", "--task-path", str(self.folder / "own"), "--output", self.out)
        yield ("run", "--model", "server/mock", *self._at(self.url), *what, "--name", "one", "--figures")
        yield ("run", "--model", "server/mock", *self._at(self.url), *what, "--name", "two", "--json", "--dry-run")
        yield ("run", "--model", "server/mock", *self._at(self.url), *what, "--name", "two", "--json")
        yield ("run", "--model", "openai/mock", *self._at(self.batches), *what, "--name", "three", "--batch")
        yield ("models", "test", "server/mock", *self._at(self.url))
        yield ("models", "test", "openai/mock", *self._at(self.batches))

    def judges(self) -> Iterator[tuple[str, ...]]:
        """Yield a judge of each way to ask; forced, for the server calls all that it answers as by one name."""
        yield ("judge", self.runs[0], "--force", "--judge", "server/j1", *self._at(self.url), "--dry-run")
        yield ("judge", self.runs[0], "--force", "--judge", "server/j1", *self._at(self.url), "--json")
        yield ("judge", self.runs[0], "--force", "--judge", "server/j2", *self._at(self.url), "--add", "--ladder-score")
        yield ("judge", self.runs[1], "--force", "--judge", "openai/j1", *self._at(self.batches), "--batch")

    def reads(self) -> Iterator[tuple[str, ...]]:
        """Yield every command that reads runs, or the environment, and prints or writes something."""
        one, two, _ = self.runs
        made = [str(self.folder / name) for name in ("gate.xml", "gate.md", "gate.json")]
        report = [word for pair in zip(("--junit", "--markdown", "--json"), made, strict=True) for word in pair]
        for run in self.runs:
            yield ("score", run, "--json")
        for form in FORMS:
            yield ("leaderboard", "--output", self.out, "--format", form)
            yield ("compare", one, two, "--force", "--format", form)
        yield ("leaderboard", "--output", self.out, "--site", str(self.folder / "site"))
        yield ("figures", self.out, "--output", str(self.folder / "figures"), "--format", "png,svg")
        baseline = str(self.folder / "baseline.json")
        yield ("baseline", "set", one, baseline, "--output", self.out)
        yield ("baseline", "show", baseline)
        yield ("gate", "--baseline", one, "--candidate", one, *report)
        yield (
            "gate",
            "--baseline",
            baseline,
            "--model",
            "server/mock",
            *self._at(self.url),
            *self._own,
            "--name",
            "four",
        )
        yield ("baseline", "update", two, baseline, "--output", self.out)
        for to in EXPORTS:
            yield ("export", self.out, "--to", to, "--output", str(self.folder / f"export-{to}"))
        yield ("models", "list")
        for name in ("gpt-4o", "server/mock"):
            yield ("models", "show", name)
        yield ("doctor",)
        yield ("view", "--output", self.out, "--port", "0")

    @property
    def _own(self) -> tuple[str, ...]:
        return ("--task-path", str(self.folder / "own"), "--output", self.out)

    def _at(self, url: str) -> tuple[str, ...]:
        return ("--base-url", url, "--key-env", "PLANTED_KEY")


def leaves(one: argparse.ArgumentParser, path: str = "") -> set[str]:
    """Return all commands that do something, by their words."""
    below = [action for action in one._actions if isinstance(action, argparse._SubParsersAction)]
    if not below:
        return {path}
    return {
        leaf
        for action in below
        for name, inner in action.choices.items()
        for leaf in leaves(inner, f"{path} {name}".strip())
    }


def test_every_command_is_on_the_tour_or_is_said_to_meet_no_key(tmp_path: Path) -> None:
    """Who adds a command decides here whether it can meet a key."""
    tour = Tour(tmp_path)
    words = [" ".join(each) + " " for each in (*tour.asks(), *tour.judges(), *tour.reads())]
    searched = {leaf for leaf in leaves(parser()) if any(one.startswith(f"{leaf} ") for one in words)}
    assert searched | MEETS_NO_KEY.keys() == leaves(parser())
    assert not searched & MEETS_NO_KEY.keys()
    frozen = Path(__file__).with_name("commands.txt").read_text("utf-8").splitlines()
    assert all(f"tcm-eval {leaf}" in frozen for leaf in leaves(parser()))
    batched = {leaf for leaf in leaves(parser()) if f"tcm-eval {leaf} --batch" in frozen}
    assert batched == {"run", "judge", "gate"}, "a gate asks by the same call as a run"


def spoken(seen: Seen) -> Reply:
    """Return the answer of a candidate or of a judge, with every header, and a mark where the key is to be repeated in all writings."""
    heard = f"you sent {str(dict(seen.headers)).replace(KEY, MARK)} with {MARK}"
    if "开始>>>" not in str(seen.body):
        return said(f"{heard}\n感冒\n答案：A", reasoning_content=heard)
    page = sheet(seen)
    criteria = [{**one, "reason": heard, "mark": 1} for one in page.form["criteria"]]
    return said(json.dumps({**page.form, "criteria": criteria, "meaning": 5, "reason": heard}, ensure_ascii=False))


def batched(server: BatchServer) -> Callable[[str, str], Reply]:
    """Return what a server that takes batches answers: the same; one question of a batch gets an error that repeats the key."""

    def fate(name: str, text: str) -> Reply:
        if name != "live" and "第1题" in text:
            return Reply(400, {"error": {"message": f"you sent {MARK}", "type": "invalid_request_error"}})
        headers = server.headers[-1] if server.headers else {}
        return spoken(Seen("", headers, {"messages": [{"role": "user", "content": text}]}))

    return fate


@pytest.mark.usefixtures("quick_batches")
def test_no_command_writes_or_prints_a_key_that_a_server_repeats_in_every_writing(
    tcm_eval: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("wandb")
    pytest.importorskip("mlflow")
    for name in ("PLANTED_KEY", "OPENAI_API_KEY", "ANTHROPIC_API_KEY", "GEMINI_API_KEY"):
        monkeypatch.setenv(name, KEY)
    folder = tmp_path / "all"
    make_suite(suite_of(folder / "own", 3), 8)
    heard: list[str] = []

    def called(words: tuple[str, ...], *codes: int) -> None:
        code, out, err = tcm_eval(*words) if words[0] not in APART else apart(words, folder)
        assert code in codes, (words, code, out, err)
        heard.extend((out, err))

    with (
        serving(lambda seen, _n: with_key(spoken(seen))) as live,
        serving_batches("openai", rewrites=with_key) as batches,
    ):
        batches.fate = batched(batches)
        asking = Tour(folder, live.url, batches.base)
        for words in asking.asks():
            called(words, 0, 3)
        names = ("one", "two", "three")
        runs = tuple(str(run) for name in names for run in (folder / "out" / "runs").glob(f"{name}-*"))
        tour = Tour(folder, live.url, batches.base, runs)
        for words in tour.judges():
            called(words, 0)
        for words in tour.reads():
            called(words, *((0, 1, 4) if words[0] == "gate" else (0, 3) if words[0] == "score" else (0,)))
        assert all(KEY in str(seen.headers) for seen in live.posts()) and batches.batches
    for run in runs:
        assert "[key]" in (Path(run) / "records.jsonl").read_text("utf-8"), "it was repeated, and hidden"
    assert all("[key]" in (Path(run) / "judge.jsonl").read_text("utf-8") for run in runs[:2])
    assert not leaks(folder, *heard)


APART = ("export", "view")
"""Commands that leave something behind in a process (libraries' clients, a server): they get one of their own."""


def apart(words: tuple[str, ...], folder: Path) -> tuple[int, str, str]:
    """Run a command in a process of its own, whose home is searched too; one that serves pages is asked for one and interrupted."""
    home = folder / "home"
    home.mkdir(exist_ok=True)
    env = {name: value for name, value in os.environ.items() if not name.startswith(("WANDB", "MLFLOW"))}
    env |= {"HOME": str(home), "PYTHONPATH": str(ROOT), "WANDB_BASE_URL": "http://127.0.0.1:9"}
    process = subprocess.Popen(
        [sys.executable, "-m", "harness.cli", *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=env,
        cwd=home,
    )
    before = ""
    if words[0] == "view":
        assert process.stdout is not None
        before = process.stdout.readline() + process.stdout.readline()
        address = before.splitlines()[-1].split()[0]
        with urlopen(address) as page:
            before += page.read().decode() + str(page.headers)
        process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=300)
    return 0 if words[0] == "view" and process.returncode in (0, 130) else process.returncode, before + out, err
