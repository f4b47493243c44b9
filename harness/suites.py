"""Which suites and tasks there are, where their data lies, and whether it is the right data.

Nothing in a YAML file is executed.
"""

from __future__ import annotations

import hashlib
import os
import sysconfig
from collections.abc import Iterable, Mapping
from functools import cache, lru_cache
from pathlib import Path
from typing import Any

import yaml

from harness.errors import UsageError, unknown
from harness.registry import Family, get_extractor, get_metric, metric_names
from harness.specs import CHOICE_KINDS, TEXT_KINDS, DataFile, Suite, TaskSpec, parse

_TYPES: Mapping[Family, tuple[str, ...]] = {
    "choice": CHOICE_KINDS,
    "logprob": (),
    "blanks": ("fill_blank",),
    "text": TEXT_KINDS,
    "case": TEXT_KINDS,
}
"""The types of task that a family of metrics is for. Those of log-probabilities come with `--ask`, never from a task."""

_READS = {
    "choice": CHOICE_KINDS,
    "choices": CHOICE_KINDS,
    "blanks": ("fill_blank",),
    "free_text": TEXT_KINDS,
    "herbs": TEXT_KINDS,
}
"""The types of task that an extractor of ours can read an answer for."""


class Catalogue:
    """All suites that can be seen: the bundled ones and those of `--task-path`."""

    def __init__(
        self, extra: Iterable[Path] = (), *, data_root: Path | None = None, data_path: Path | None = None
    ) -> None:
        self.data_root = data_root or default_data_root()
        self._data_path = data_path
        self.suites: dict[str, Suite] = {}
        self._folders: dict[str, Path] = {}
        self._own: set[str] = set()
        for folder in sorted(p for p in tasks_root().iterdir() if (p / "suite.yaml").is_file()):
            self._add_folder(folder)
        for path in extra:
            self._add_own(path)

    @classmethod
    def of_run(cls, manifest: Mapping[str, Any]) -> Catalogue:
        """Return the suites that a run could see, as its manifest says; raise UsageError where a task of the user's own is gone."""
        paths = [Path(path) for path in manifest.get("task_paths", [])]
        root, data = manifest.get("data_root"), manifest.get("data_path")
        return cls(paths, data_root=Path(root) if root else None, data_path=Path(data) if data else None)

    def _add_folder(self, folder: Path) -> str:
        suite: Suite = parse(Suite, folder / "suite.yaml")
        if suite.name in self.suites:
            raise UsageError(f"two suites are named '{suite.name}': {self._folders[suite.name]} and {folder}")
        self.suites[suite.name] = suite
        self._folders[suite.name] = folder
        return suite.name

    def _add_own(self, path: Path) -> None:
        folder = path.parent if path.is_file() else path
        if not folder.is_dir() or not any(folder.glob("*.yaml")):
            raise UsageError(
                f"--task-path {path}: no task YAML there. Give a task's .yaml file or a folder that holds some."
            )
        if (folder / "suite.yaml").is_file():
            self._own.add(self._add_folder(folder))
            return
        title = folder.resolve().name
        name = "".join(c if c.isascii() and c.isalnum() else "_" for c in title.lower()).strip("_") or "own"
        while name in self.suites:
            name = f"own_{name}"
        self.suites[name] = Suite(name=name, title=title, licence="not stated")
        self._folders[name] = folder
        self._own.add(name)

    @cache  # noqa: B019 - one catalogue lives as long as the process
    def tasks(self, suite: str) -> tuple[TaskSpec, ...]:
        """Return the tasks of a suite by name, each file parsed once."""
        if suite not in self.suites:
            raise unknown("suite", suite, self.suites)
        folder = self._folders[suite]
        specs = []
        for file in sorted(folder.glob("*.yaml")):
            if file.name == "suite.yaml":
                continue
            spec: TaskSpec = parse(TaskSpec, file, name=file.stem)
            for name in spec.data:
                if self.suites[suite].files and name not in self.suites[suite].files:
                    raise UsageError(
                        f"{file}: data file '{name}' is not listed in {folder / 'suite.yaml'} "
                        f"(listed: {', '.join(self.suites[suite].files)})"
                    )
            specs.append(spec.model_copy(update={"suite": suite, "folder": folder}))
        return tuple(specs)

    def all_tasks(self) -> list[TaskSpec]:
        """Return every task of every suite."""
        return [task for suite in self.suites for task in self.tasks(suite)]

    def select(self, names: Iterable[str]) -> tuple[list[TaskSpec], list[TaskSpec]]:
        """Return (tasks whose data is here, tasks whose data is missing) for names of suites, `suite/task`, or `all`."""
        chosen: dict[str, TaskSpec] = {}
        everything = False
        for name in names:
            if name == "all":
                everything = True
                found = self.all_tasks()
            elif name in self.suites:
                found = list(self.tasks(name))
            else:
                suite, _, task = name.partition("/")
                if suite not in self.suites:
                    ids = [t.id for t in self.all_tasks() if t.name == name]
                    hint = f"Perhaps you mean {', '.join(ids)}." if ids else "See `tcm-eval tasks list`."
                    raise unknown("task or suite", name, [*self.suites, "all"], hint)
                found = [t for t in self.tasks(suite) if t.name == task]
                if not found:
                    raise unknown(f"task of suite {suite}", task, [t.name for t in self.tasks(suite)])
            chosen.update({task.id: task for task in found})
        here = [task for task in chosen.values() if not self.missing(task)]
        absent = [task for task in chosen.values() if self.missing(task)]
        if not here and not everything and not absent:
            raise UsageError("no task was chosen. See `tcm-eval tasks list`.")
        return here, absent

    def bring(self, suite: str) -> str:
        """Return what brings a suite's data: a command, or the places where the files of a user's own suite have to lie."""
        if suite in self._own:
            lacking = {str(self.path_of(task, name)) for task in self.tasks(suite) for name in self.missing(task)}
            return f"put it there: {', '.join(sorted(lacking))}  (or name another folder with --data-path)"
        if any(file.url for file in self.suites[suite].files.values()):
            return f"tcm-eval data pull {suite}  (or from a folder: tcm-eval data import FOLDER)"
        return "tcm-eval data import FOLDER"

    def path_of(self, task: TaskSpec, name: str) -> Path:
        """Return where a data file of the task lies or would lie."""
        if task.suite in self._own and self._data_path is not None:
            return self._data_path / name
        inside = task.folder / "data" / name
        if inside.exists():
            return inside
        if task.suite in self._own:
            return task.folder / name
        return self.data_root / task.suite / name

    def missing(self, task: TaskSpec) -> list[str]:
        """Return the names of the task's data files that are not here."""
        return [name for name in task.data if not self.path_of(task, name).is_file()]

    def is_own(self, suite: str) -> bool:
        """Tell whether the suite came with `--task-path`."""
        return suite in self._own

    def data_files(self, task: TaskSpec) -> list[Path]:
        """Return the task's data files; raise UsageError when one is missing or has the wrong sha256."""
        paths = []
        for name in task.data:
            path = self.path_of(task, name)
            if not path.is_file():
                cure = "Put it there." if self.is_own(task.suite) else f"Bring it with: {self.bring(task.suite)}"
                raise UsageError(f"{task.id}: data file {path} is missing. {cure}")
            wanted = self.suites[task.suite].files.get(name, DataFile()).sha256
            if wanted is not None and (found := file_sha256(path)) != wanted:
                other = "state the new one in suite.yaml" if self.is_own(task.suite) else "make a task of your own"
                raise UsageError(
                    f"{task.id}: {path} has sha256 {found[:12]}…, but suite '{task.suite}' states {wanted[:12]}…: the file was "
                    f"changed or is another version. Bring the stated one back, or {other} (docs/adding-a-task.md)."
                )
            paths.append(path)
        return paths


def tasks_root() -> Path:
    """Return the folder of the bundled suites: the checkout's, or the installed one."""
    beside = Path(__file__).resolve().parent.parent / "tasks"
    installed = Path(sysconfig.get_path("data")) / "share" / "tcm-eval" / "tasks"
    for root in (beside, installed):
        if root.is_dir():
            return root
    raise UsageError(f"the bundled tasks are missing: neither {beside} nor {installed} exists. Install tcm-eval again.")


def refuse_unfit(task: TaskSpec) -> None:
    """Raise UsageError for a metric, one's option or an extractor that is unknown or not for this type of task, before a question is asked."""
    for use in task.metric_uses:
        if not _fits(use.name, task.type):
            good = [name for name in metric_names() if _fits(name, task.type)]
            raise UsageError(
                f"{task.id}: metric '{use.name}' is not for a {task.type} task. Those that are: {_few(good)}."
            )
        try:
            get_metric(use.name).check(use.options)
        except UsageError as error:
            raise UsageError(f"{task.id}: {error}") from None
    get_extractor(task.extractor)
    if task.type not in _READS.get(task.extractor, (task.type,)):
        good = [name for name, types in _READS.items() if task.type in types]
        raise UsageError(
            f"{task.id}: extractor '{task.extractor}' is not for a {task.type} task. Those that are: {_few(good)}."
        )
    if task.headline_metric not in (names := [use.name for use in task.metric_uses]):
        raise UsageError(
            f"{task.id}: the headline '{task.headline_metric}' is none of the task's metrics: {_few(names)}. Name it there too."
        )


def _fits(metric: str, type_of_task: str) -> bool:
    return any(type_of_task in _TYPES[family] for family in get_metric(metric).family)


def _few(names: list[str]) -> str:
    return ", ".join(names[:12]) + (f" ... ({len(names)} in all)" if len(names) > 12 else "")


def default_data_root() -> Path:
    """Return the folder for pulled and imported data: `TCM_EVAL_DATA`, or the user's data folder."""
    stated = os.environ.get("TCM_EVAL_DATA")
    home = os.environ.get("XDG_DATA_HOME") or str(Path.home() / ".local" / "share")
    return Path(stated) if stated else Path(home) / "tcm-eval"


def file_sha256(path: Path) -> str:
    """Return the sha256 of a file in hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@lru_cache(maxsize=1)
def shared_prompts() -> Mapping[str, Any]:
    """Return `tasks/prompts.yaml`: one prompt per question type and language, and the named system prompts."""
    loaded: dict[str, Any] = yaml.safe_load((tasks_root() / "prompts.yaml").read_text("utf-8"))
    return loaded


def system_text(name: str) -> str:
    """Return the text of a shared system prompt, or the name itself when it is plainly a text; raise UsageError for neither."""
    named: Mapping[str, Any] = shared_prompts()["systems"]
    if name in named:
        return str(named[name]["text"])
    if " " in name or len(name) > 40 or not name.isascii():
        return name
    raise unknown("system prompt", name, named, "Or give the prompt's text itself.")
