"""Runs -> Weights & Biases runs in offline mode: folders that `wandb sync` uploads when and where the user wants."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from harness.errors import UsageError
from harness.report.export.staging import Written, cannot_write, new_folder, plain_name
from harness.report.export.tables import disciplines, estimates
from harness.report.export.trackers import PROJECT, copy_files, digest, numbers, settings
from harness.report.results import Run
from harness.tables import printable

Row = dict[str, Any]

DONE = "complete"
"""Its presence says that a folder holds a whole export; it names the version of wandb that wrote it."""

PATIENCE = 20.0
"""So many seconds wandb's own process may take to write after the run was ended."""

LAST = ("tcm_eval/run", "tcm_eval/folder")
"""What is told last, in a record each, so that one of them surely stands undivided in the file: wandb does not say when its disk is full."""


def write_wandb(runs: Sequence[Run], folder: Path) -> Written:
    """Write an offline run for each run into a folder of its own below `folder`; nothing is sent and no key is read.

    What `wandb sync` uploads lies in that folder, named by its full path: it must not be moved before. A run that is there already with
    the same numbers is left as it is. Raises UsageError without wandb, StorageError when the disk is full.
    """
    wandb = _wandb()
    files: list[Path] = []
    for run in runs:
        place = folder / f"{run.folder.name}-{digest(run)}"
        if not (place / DONE).exists():
            _write(wandb, run, place)
        files += sorted((place / "wandb").glob("offline-run-*"))
    return Written(files)


def _write(wandb: Any, run: Run, place: Path) -> None:
    """Write one run whole, or leave nothing of it; what lies there without the mark of its end is of a killed process."""
    with new_folder(place):
        files = copy_files(run, place / "files")
        with _alone(place):
            _log(wandb, run, place, files)
        if not _told_all(place):
            raise cannot_write(place, "wandb's own process could not write the run to its end, as with a full disk")
        (place / DONE).write_text(f"{wandb.__version__}\n", "utf-8")


def _log(wandb: Any, run: Run, place: Path, files: Sequence[Path]) -> None:
    quiet = wandb.Settings(
        mode="offline",
        disable_git=True,
        disable_code=True,
        save_code=False,
        x_disable_meta=True,
        x_disable_stats=True,
        x_disable_machine_info=True,
        x_save_requirements=False,
        console="off",
        silent=True,
    )
    tracked = wandb.init(
        project=PROJECT,
        id=digest(run),
        name=plain_name(run),
        dir=str(place),
        config=settings(run),
        job_type="evaluation",
        reinit="create_new",
        settings=quiet,
    )
    for name, rows in (("estimates", list(estimates(run))), ("disciplines", list(disciplines(run)))):
        if rows:
            tracked.log({name: _table(wandb, rows)})
    tracked.summary.update(numbers(run))
    artifact = wandb.Artifact(f"run-{digest(run)}", type="evaluation", description=printable(run.folder.name))
    for file in files:
        artifact.add_file(str(file), name=file.name, policy="immutable")
    tracked.log_artifact(artifact)
    for mark in LAST:
        tracked.summary.update({mark: run.folder.name})
    tracked.finish()


def _told_all(place: Path) -> bool:
    """Wait until wandb's own process has written the end of the run, and tell whether it did."""
    until = time.monotonic() + PATIENCE
    while time.monotonic() < until:
        for written in place.glob("wandb/offline-run-*/*.wandb"):
            if any(mark.encode() in written.read_bytes() for mark in LAST):
                return True
        time.sleep(0.1)
    return False


def _table(wandb: Any, rows: Sequence[Row]) -> Any:
    columns = list(dict.fromkeys(name for row in rows for name in row))
    data = [[_cell(row.get(name)) for name in columns] for row in rows]
    return wandb.Table(columns=columns, data=data, allow_mixed_types=True)


def _cell(value: Any) -> Any:
    return printable(value) if isinstance(value, str) else value


@contextlib.contextmanager
def _alone(place: Path) -> Iterator[None]:
    """Keep wandb to the export's folder: without this it writes below the user's home and reports its own errors home."""
    mine = {
        "WANDB_MODE": "offline",
        "WANDB_ERROR_REPORTING": "false",
        "WANDB_DATA_DIR": str(place / "data"),
        "WANDB_CACHE_DIR": str(place / "cache"),
        "WANDB_CONFIG_DIR": str(place / "config"),
    }
    before = {name: os.environ.get(name) for name in mine}
    os.environ.update(mine)
    try:
        yield
    finally:
        _restore(before)


def _restore(before: Mapping[str, str | None]) -> None:
    for name, value in before.items():
        if value is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = value


def _wandb() -> Any:
    try:
        import wandb
    except ImportError:
        raise UsageError("an export to Weights & Biases needs wandb: pip install 'tcm-eval[wandb]'") from None
    return wandb
