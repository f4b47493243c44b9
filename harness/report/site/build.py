"""Results folder -> a folder of static files. Written beside its place and then renamed: a reader sees a whole site or the old one."""

from __future__ import annotations

import contextlib
import hashlib
import re
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib.resources import files
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

from harness.errors import HarnessError, UsageError
from harness.plan import Plan
from harness.registry import get_metric
from harness.report.alike import boards
from harness.report.results import Published, Run, Unfinished, load, notes_on
from harness.report.site import charts
from harness.report.site.samples import OUTCOMES, entries, in_full, in_list
from harness.report.site.shards import INDEX_ROWS, Rows, Texts, put
from harness.store import SCHEMA, Index, StorageError, read_json, write_json
from harness.types import DISCIPLINES, STATUSES

MARK = "tcm-eval-site.json"
"""Its presence says that a folder is a site which may be replaced by a newer one."""

ASSETS = files("harness.report.site") / "assets"

PRIVATE = ("data_root", "data_path", "task_paths")
"""What a manifest says about the machine it was written on is not for others."""

Reopen = Callable[[Path, Mapping[str, Any]], Plan]


@dataclass(frozen=True, slots=True)
class Built:
    """What was written: the folder, how many runs and samples, and what was left out and why."""

    folder: Path
    runs: int
    samples: int
    notes: Sequence[str]


def write(output: Path, target: Path, published: Sequence[Published], reopen: Reopen) -> Built:
    """Write the site of a results folder to `target`, replacing an older site there.

    Raises UsageError when `target` holds something else, when there is no finished run or a file is damaged, and StorageError when
    the disk is full; then nothing at `target` has changed. Texts are streamed: memory holds one shard.
    """
    runs, left = load(output)
    if not runs:
        listed = "".join(f"\n  {one.folder.name}: {one.reason}" for one in left)
        raise UsageError(f"no finished run in {output / 'runs'}, so there is nothing to show:{listed}")
    _may_replace(target)
    with _beside(target) as folder:
        _copy_assets(folder)
        names = {id(run): _safe(run.folder.name) for run in runs}
        notes, samples = notes_on(runs, left), 0
        rows = []
        for run in runs:
            found = _write_run(folder, names[id(run)], run, reopen)
            if found["gone"]:
                notes.append(f"{run.folder}: shown without questions: {found['gone']}")
            samples += found["rows"]
            rows.append({"id": names[id(run)], **_board_row(run), **found})
        lively = charts.script()
        if lively is None:
            notes.append("charts are still: pip install 'tcm-eval[site]' makes them answer the pointer")
        else:
            (folder / charts.NAME).write_bytes(lively)
            (folder / charts.LICENCE).write_bytes((ASSETS / charts.LICENCE).read_bytes())
        put(
            folder,
            "index",
            {**_index(rows, published, left), "alike": _alike(runs, names), "charts": lively is not None},
        )
        write_json(folder / MARK, {"schema": SCHEMA, "runs": [row["id"] for row in rows], "samples": samples})
    return Built(target, len(runs), samples, notes)


def _may_replace(target: Path) -> None:
    if target.is_dir() and (not any(target.iterdir()) or (target / MARK).is_file()):
        return
    if target.exists() or target.is_symlink():
        raise UsageError(
            f"{target} is there already and is no site of tcm-eval: nothing was overwritten. Name another folder."
        )


@contextlib.contextmanager
def _beside(target: Path) -> Iterator[Path]:
    """Give a new folder beside `target` that takes its place when all went well and is removed when not."""
    folder = None
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        folder = Path(mkdtemp(prefix=f".{target.name}.", dir=target.parent))
        folder.chmod(0o755)
        yield folder
        old = folder.with_name(f"{folder.name}.old")
        if target.exists():
            target.rename(old)
        try:
            folder.rename(target)
        except OSError:
            if old.exists():
                old.rename(target)
            raise
        shutil.rmtree(old, ignore_errors=True)
    except OSError as error:
        raise StorageError(
            f"cannot write the site {target}: {error.strerror or error}. What was there before is unchanged: "
            "free the disk or fix the permission, then run the same command again, or name another folder."
        ) from None
    finally:
        if folder is not None:
            shutil.rmtree(folder, ignore_errors=True)


def _copy_assets(folder: Path) -> None:
    for asset in ASSETS.iterdir():
        if asset.name.endswith((".html", ".css", ".js", ".svg")):
            (folder / asset.name).write_bytes(asset.read_bytes())


def _safe(name: str) -> str:
    """Return a run's name as it stands in links and paths; a folder that was renamed to something odd gets a hash."""
    if re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}", name):
        return name
    return "run-" + hashlib.sha256(name.encode("utf-8", "replace")).hexdigest()[:12]


def _write_run(folder: Path, name: str, run: Run, reopen: Reopen) -> dict[str, Any]:
    """Write one run's samples and page; return what the list of runs says about them."""
    plan, gone = None, ""
    try:
        plan = reopen(run.folder, run.manifest)
    except HarnessError as error:
        gone = _without_path(str(error), run.folder)
    texts, rows = Texts(folder, name), Rows(folder, name)
    tasks, tallies = list(run.manifest["tasks"]), [0] * len(OUTCOMES)
    unsafe = 0
    with Index(run.folder / "records.jsonl") as index:
        for entry in entries(run.folder, run.manifest, plan, index):
            full = in_full(entry)
            row = in_list(entry, full, tasks, DISCIPLINES)
            texts.add(full)
            rows.add(row)
            tallies[row[3]] += 1
            unsafe += row[7] > 0
    texts.flush()
    rows.flush()
    sessions = run.folder / "sessions.json"
    page = {
        "manifest": {key: value for key, value in run.manifest.items() if key not in PRIVATE},
        "summary": dict(run.summary),
        "sessions": read_json(sessions)["sessions"] if sessions.exists() else [],
        "starts": texts.starts,
        "shards": rows.shards,
    }
    put(folder, f"{name}/run", page)
    return {"rows": rows.count, "outcomes": tallies, "unsafe": unsafe, "gone": gone}


def _without_path(reason: str, folder: Path) -> str:
    return reason.replace(str(folder), folder.name).replace(str(folder.parent), "runs")


def _board_row(run: Run) -> dict[str, Any]:
    summary, manifest = run.summary, run.manifest
    return {
        "name": run.name,
        "created": manifest.get("created", ""),
        "complete": summary["complete"],
        "trained_on": list(summary["subject"].get("trained_on", [])),
        "not_accepted": list(summary.get("not_accepted", [])),
        "identity": dict(summary["subject"]["identity"]),
        "tasks": summary["tasks"],
        "suites": summary.get("suites", {}),
        "usage": summary.get("usage", {}),
        "types": {task: info["type"] for task, info in manifest["tasks"].items()},
        "titles": {task: info.get("title", "") for task, info in manifest["tasks"].items()},
        "headlines": {task: info["headline"] for task, info in manifest["tasks"].items()},
    }


def _alike(runs: Sequence[Run], names: Mapping[int, str]) -> dict[str, list[dict[str, Any]]]:
    """Return for each suite the groups of runs that share a board, as the terminal's leaderboard has them."""
    return {
        suite: [{"way": way, "runs": [names[id(run)] for run in group]} for way, group in groups]
        for suite, groups in boards(runs).items()
    }


def _index(rows: list[dict[str, Any]], published: Sequence[Published], left: Sequence[Unfinished]) -> dict[str, Any]:
    metrics = {metric for row in rows for found in row["tasks"].values() for metric in found}
    return {
        "schema": SCHEMA,
        "runs": rows,
        "published": [asdict(one) for one in published],
        "left": [{"run": one.folder.name, "reason": _without_path(one.reason, one.folder)} for one in left],
        "disciplines": DISCIPLINES,
        "statuses": STATUSES,
        "outcomes": OUTCOMES,
        "index_rows": INDEX_ROWS,
        "lower_is_better": sorted(name for name in metrics if not get_metric(name).higher_is_better),
    }
