"""Finished runs -> other tools' formats, and DataFrames for notebooks. A format is one function; what an older export wrote stays until the new one is whole."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Literal

from harness.errors import UsageError
from harness.report.export.cards import write_lm_eval, write_model_index
from harness.report.export.inspect_log import write_logs
from harness.report.export.mlflow_run import write_mlflow
from harness.report.export.staging import Written, staged
from harness.report.export.tables import Frames, frames, write_csv, write_parquet
from harness.report.export.trackers import check_lines
from harness.report.export.wandb_run import write_wandb
from harness.report.results import Run
from harness.report.site.build import Reopen

To = Literal["csv", "parquet", "lm-eval", "model-index", "inspect", "wandb", "mlflow"]
FORMS: tuple[To, ...] = ("csv", "parquet", "lm-eval", "model-index", "inspect", "wandb", "mlflow")

__all__ = ["FORMS", "Frames", "To", "Written", "export", "frames"]


def export(runs: Sequence[Run], to: To, folder: Path, reopen: Reopen) -> Written:
    """Write the runs in one format into a folder and return the files, and notes on what could not be told.

    `reopen` finds a run's questions again, for formats that show them. Raises UsageError for a damaged run, for two of one folder
    name and where a library is missing, StorageError when the disk is full; then nothing that was there has changed.
    """
    _check(runs)
    plain: Mapping[To, Callable[[Sequence[Run], Path], None]] = {
        "csv": write_csv,
        "parquet": write_parquet,
        "lm-eval": write_lm_eval,
        "model-index": write_model_index,
    }
    if to in ("wandb", "mlflow"):
        check_lines(runs)
        return write_mlflow(runs, folder) if to == "mlflow" else write_wandb(runs, folder)
    notes: list[str] = []
    with staged(folder) as stage:
        if to == "inspect":
            notes = [note for run in runs for note in write_logs(run, stage.folder, reopen)]
        else:
            plain[to](runs, stage.folder)
    return Written(stage.files, notes)


def _check(runs: Sequence[Run]) -> None:
    places: dict[str, Path] = {}
    for run in runs:
        other = places.setdefault(run.folder.name, run.folder)
        if other is not run.folder:
            raise UsageError(
                f"two runs have the same folder name: {other} and {run.folder}. Export them one by one, each to a folder of its own."
            )
