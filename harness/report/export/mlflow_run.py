"""Runs -> an MLflow store on this machine: a SQLite file and a folder of artifacts, read by `mlflow ui` and MLflow's client."""

from __future__ import annotations

import contextlib
import logging
import os
import re
import shutil
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from urllib.parse import unquote, urlparse

from harness.errors import UsageError
from harness.report.export.staging import Written, cannot_write, plain_name, storage
from harness.report.export.tables import disciplines, estimates
from harness.report.export.trackers import PROJECT, copy_files, digest, flat, numbers, settings
from harness.report.results import Run
from harness.tables import code_markdown, printable

DATABASE, ARTIFACTS = "mlflow.db", "mlartifacts"
BATCH = 100
"""MLflow takes so many parameters at a time."""

LONGEST, LONGEST_NAME = 6000, 250
"""MLflow takes values and names of so many characters."""


def write_mlflow(runs: Sequence[Run], folder: Path) -> Written:
    """Write a run of MLflow's for each run into the store of a folder, made where there is none; nothing is sent.

    A run that is there already with the same numbers is left as it is. Raises UsageError without MLflow, StorageError when the disk is
    full; what was in the store stays.
    """
    with storage(folder):
        new, missing = not (folder / DATABASE).exists(), not folder.exists()
        folder.mkdir(parents=True, exist_ok=True)
        whole: list[Run] = []
        try:
            _write_all(_mlflow(), runs, folder, whole)
        except BaseException:  # Ctrl-C too: whatever ends it, no half store is left; it goes on upwards
            if new and not whole:
                (folder / DATABASE).unlink(missing_ok=True)
            for place in (folder / ARTIFACTS, *([folder] if missing else [])):
                with contextlib.suppress(OSError):
                    place.rmdir()  # only when it is empty
            raise
    return Written([folder / DATABASE, folder / ARTIFACTS])


def _write_all(mlflow: Any, runs: Sequence[Run], folder: Path, whole: list[Run]) -> None:
    """Write the runs that are not there yet, and note each in `whole` once it is."""
    from sqlalchemy.exc import SQLAlchemyError

    try:
        client = mlflow.MlflowClient(tracking_uri=f"sqlite:///{(folder / DATABASE).resolve()}")
        experiment = _experiment(client, folder)
        for run in runs:
            if not _there(client, experiment, digest(run)):
                _write(mlflow, client, experiment, run)
            whole.append(run)
    except (SQLAlchemyError, mlflow.MlflowException) as error:
        raise cannot_write(folder, printable(str(error))[:300]) from None


def _experiment(client: Any, folder: Path) -> str:
    known = client.get_experiment_by_name(PROJECT)
    if known is not None:
        return str(known.experiment_id)
    return str(client.create_experiment(PROJECT, artifact_location=(folder / ARTIFACTS).resolve().as_uri()))


def _there(client: Any, experiment: str, key: str) -> bool:
    wanted = f"tags.`tcm_eval.digest` = '{key}' and attributes.status = 'FINISHED'"
    return bool(client.search_runs([experiment], wanted, max_results=1))


def _write(mlflow: Any, client: Any, experiment: str, run: Run) -> None:
    """Write one run whole; what is written of it before an error is marked as deleted, and its files are removed."""
    started = int(datetime.fromisoformat(run.manifest["created"]).timestamp() * 1000)
    spent = int(run.summary.get("usage", {}).get("wall_seconds", 0.0) * 1000)
    made = client.create_run(experiment, start_time=started, run_name=plain_name(run))
    try:
        _log(mlflow.entities, client, made.info.run_id, run, started)
        client.set_terminated(made.info.run_id, "FINISHED", end_time=started + spent)
    except BaseException:  # Ctrl-C too: whatever ends it, no half run is left; it goes on upwards
        # On a full disk even this may fail, with an error of SQLAlchemy's or MLflow's own; then the run stays as one that never finished.
        with contextlib.suppress(Exception):
            client.delete_run(made.info.run_id)
        shutil.rmtree(Path(unquote(urlparse(made.info.artifact_uri).path)).parent, ignore_errors=True)
        raise


def _log(entities: Any, client: Any, run_id: str, run: Run, time: int) -> None:
    tags = {"tcm_eval.run": run.folder.name, "tcm_eval.digest": digest(run), "mlflow.note.content": _note(run)}
    client.log_batch(run_id, tags=[entities.RunTag(name, value) for name, value in tags.items()])
    told = [entities.Param(_named(name), value[:LONGEST]) for name, value in flat(settings(run)).items()]
    for at in range(0, len(told), BATCH):
        client.log_batch(run_id, params=told[at : at + BATCH])
    metrics = [entities.Metric(_named(name), value, time, 0) for name, value in numbers(run).items()]
    for at in range(0, len(metrics), BATCH):
        client.log_batch(run_id, metrics=metrics[at : at + BATCH])
    for name, rows in (("estimates", list(estimates(run))), ("disciplines", list(disciplines(run)))):
        columns = list(dict.fromkeys(name for row in rows for name in row))
        client.log_dict(
            run_id, {"columns": columns, "data": [[r.get(c) for c in columns] for r in rows]}, f"{name}.json"
        )
    with TemporaryDirectory() as folder:
        for file in copy_files(run, Path(folder)):
            client.log_artifact(run_id, str(file), "run")


def _note(run: Run) -> str:
    return f"tcm-eval run {code_markdown(run.folder.name)}"


def _named(name: str) -> str:
    """Return a name with only the characters that MLflow takes."""
    return re.sub(r"[^\w\-. :/]", "_", name)[:LONGEST_NAME]


def _mlflow() -> Any:
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    try:
        import alembic  # noqa: F401 - MLflow's SQLite store needs it
        import mlflow
        import mlflow.entities
        import sqlalchemy  # noqa: F401 - likewise
    except ImportError as error:
        raise UsageError(f"an export to MLflow needs {error.name}: pip install 'tcm-eval[mlflow]'") from None
    for name in ("mlflow", "alembic"):
        logging.getLogger(name).setLevel(logging.WARNING)
    return mlflow
