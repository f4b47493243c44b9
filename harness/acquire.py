"""Brings suites' data into the data folder: pulled from their public homes, or imported from a folder, checked by sha256."""

from __future__ import annotations

import shutil
import tempfile
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.errors import HarnessError, UsageError
from harness.specs import DataFile
from harness.store import explain, read_json, write_json
from harness.suites import Catalogue, file_sha256

PIECE = 1 << 20
SEEN = "sha256.json"
"""Where the first pull of a file without a stated sha256 is noted, so that a later one must be the same."""


class DownloadError(HarnessError):
    """A public home could not be reached or gave something else than stated."""

    exit_code = 3


@dataclass(frozen=True, slots=True)
class Status:
    """One data file of a suite: `state` is present, absent, changed or bundled."""

    suite: str
    name: str
    state: str
    path: Path


def status(catalogue: Catalogue) -> Iterator[Status]:
    """Yield the state of every data file of every suite."""
    for suite in catalogue.suites:
        for name, path, stated in _files(catalogue, suite):
            if not path.is_file():
                state = "absent"
            elif stated.sha256 and file_sha256(path) != stated.sha256:
                state = "changed"
            else:
                state = "bundled" if path.parent.name == "data" and path.parent.parent.name == suite else "present"
            yield Status(suite, name, state, path)


def _files(catalogue: Catalogue, suite: str) -> Iterator[tuple[str, Path, DataFile]]:
    stated = catalogue.suites[suite].files
    tasks = {name: task for task in catalogue.tasks(suite) for name in task.data}
    for name, task in tasks.items():
        yield name, catalogue.path_of(task, name), stated.get(name, DataFile())


def pull(catalogue: Catalogue, suite: str) -> list[Path]:
    """Download a suite's missing files from their public home; return the files that came.

    Raises UsageError for a suite without a home and for a file that is here but changed, DownloadError when a file does not
    come or has another sha256 (it is then not kept).
    """
    if suite not in catalogue.suites:
        catalogue.tasks(suite)
    brought = []
    listed = list(_files(catalogue, suite))
    if not any(stated.url for _, _, stated in listed):
        raise UsageError(
            f"suite '{suite}' has no public home to pull from. Its files: {', '.join(name for name, _, _ in listed)}."
        )
    for name, path, stated in listed:
        if not stated.url or _is_here(path, stated):
            continue
        with explain(path), tempfile.TemporaryDirectory(dir=_made(path.parent)) as folder:
            part = Path(folder) / name
            _download(stated.url, part)
            _check(suite, name, part, stated)
            part.replace(path)
        brought.append(path)
    return brought


def _made(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _download(url: str, to: Path) -> None:
    if not url.startswith("https://") and not url.startswith("http://127.0.0.1"):
        raise UsageError(f"{url}: data is pulled over https only")
    request = urllib.request.Request(url, headers={"User-Agent": "tcm-eval"})  # noqa: S310 - the scheme was checked above
    try:
        with urllib.request.urlopen(request, timeout=60) as reply, to.open("wb") as file:  # noqa: S310 - as above
            shutil.copyfileobj(reply, file, PIECE)
    except (urllib.error.URLError, TimeoutError, ConnectionError) as error:
        reason = getattr(error, "reason", error)
        raise DownloadError(
            f"{url} did not come: {reason}. Without a network, copy the files by hand and use: tcm-eval data import FOLDER"
        ) from None


def _check(suite: str, name: str, part: Path, stated: DataFile) -> None:
    found = file_sha256(part)
    wanted = stated.sha256
    note = part.parent.parent / SEEN
    if wanted is None:
        seen: dict[str, Any] = read_json(note) if note.exists() else {"schema": 1}
        wanted = seen.setdefault(name, found)
        write_json(note, seen)
    if found != wanted:
        raise DownloadError(f"{suite}/{name}: sha256 {found[:12]}…, expected {wanted[:12]}…. The file was not kept.")


def import_folder(catalogue: Catalogue, folder: Path) -> list[Path]:
    """Copy every file below `folder` that a suite states into the data folder, known by its sha256; return the new files.

    A file with a stated name but another sha256 is refused by UsageError, and so is a folder in which no suite knows a file. Files
    whose suite states no sha256 are taken by name when they lie in a folder of the suite's name.
    """
    if not folder.is_dir():
        raise UsageError(f"data import: {folder} is no folder")
    known = [(suite, *one) for suite in catalogue.suites for one in _files(catalogue, suite)]
    brought: list[Path] = []
    matched, other = False, []
    for file in sorted(p for p in folder.rglob("*") if p.is_file()):
        targets = _targets(known, file)
        matched = matched or bool(targets)
        if not targets and any(file.name == name for _, name, _, _ in known):
            other.append(file)
        for path, stated in targets:
            if not _is_here(path, stated):
                with explain(path), tempfile.TemporaryDirectory(dir=_made(path.parent)) as part:
                    Path(shutil.copyfile(file, Path(part) / path.name)).replace(path)
                brought.append(path)
    if not matched:
        named = f" {other[0]} has a known name, but is changed or another version." if other else ""
        raise UsageError(
            f"data import: no file in {folder} is one that a suite states.{named} Which are wanted: tcm-eval data status"
        )
    return brought


def _targets(known: list[tuple[str, str, Path, DataFile]], file: Path) -> list[tuple[Path, DataFile]]:
    """Return where a file belongs; raise UsageError when it lies in its suite's folder and is not what the suite states."""
    digest = file_sha256(file)
    if same := [(path, stated) for _, _, path, stated in known if stated.sha256 == digest]:
        return same
    for suite, name, path, stated in known:
        if (file.parent.name, file.name) != (suite, name):
            continue
        if stated.sha256 is None:
            return [(path, stated)]
        raise UsageError(
            f"{file}: sha256 {digest[:12]}…, but suite '{suite}' states {stated.sha256[:12]}… for {name}: "
            "it was changed or is another version."
        )
    return []


def _is_here(path: Path, stated: DataFile) -> bool:
    """Tell whether a data file need not be brought; raise UsageError for a changed one, which is not overwritten."""
    if not path.is_file():
        return False
    if stated.sha256 is not None and file_sha256(path) != stated.sha256:
        raise UsageError(f"{path} was changed or is another version. Move it away, then say the same again.")
    return True
