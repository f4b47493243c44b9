"""Files of an export, written beside their place and moved there when all of them are whole."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import mkdtemp

from harness.report.results import Run
from harness.store import StorageError
from harness.tables import printable


@dataclass(frozen=True, slots=True)
class Written:
    """What an export wrote, in order, and notes on what it could not tell."""

    files: Sequence[Path]
    notes: Sequence[str] = ()


@dataclass(slots=True)
class Stage:
    """A folder to write into; after `staged` it is gone and `files` are in their place."""

    folder: Path
    files: list[Path] = field(default_factory=list)


@contextlib.contextmanager
def staged(target: Path) -> Iterator[Stage]:
    """Give an empty folder whose files take their place in `target` when all went well, and are removed when not.

    Files of other names in `target` stay. Raises StorageError when the disk is full or the place cannot be written.
    """
    new, stage = not target.exists(), None
    with storage(target):
        try:
            target.mkdir(parents=True, exist_ok=True)
            stage = Stage(Path(mkdtemp(prefix=".export-", dir=target)))
            yield stage
            for path in sorted(p for p in stage.folder.rglob("*") if p.is_file() and not p.is_symlink()):
                place = target / path.relative_to(stage.folder)
                place.parent.mkdir(parents=True, exist_ok=True)
                path.replace(place)
                stage.files.append(place)
        finally:
            if stage is not None:
                shutil.rmtree(stage.folder, ignore_errors=True)
            if new:
                with contextlib.suppress(OSError):
                    target.rmdir()  # only when it is empty


@contextlib.contextmanager
def new_folder(place: Path) -> Iterator[None]:
    """Make a folder anew and keep it only when all went well; for libraries whose files cannot be moved once written.

    Raises StorageError when the disk is full or the place cannot be written.
    """
    missing = [path for path in (place, *place.parents) if not path.exists()]
    with storage(place):
        try:
            if place.exists():
                shutil.rmtree(place)
            place.mkdir(parents=True)
            yield
        except BaseException:  # Ctrl-C too: whatever ends it, no half folder is left; it goes on upwards
            shutil.rmtree(place, ignore_errors=True)
            with contextlib.suppress(OSError):
                for path in missing[1:]:
                    path.rmdir()  # only when it is empty
            raise


@contextlib.contextmanager
def storage(target: Path) -> Iterator[None]:
    """Turn an OSError into a StorageError that says where, and that nothing was lost."""
    try:
        yield
    except OSError as error:
        raise cannot_write(target, error.strerror or str(error)) from None


def cannot_write(target: Path, why: str) -> StorageError:
    """Return the error of an export that could not be written."""
    return StorageError(
        f"cannot write the export to {target}: {why}. What was there before is unchanged: "
        "free the disk or fix the permission, then run the same command again, or name another folder with --output."
    )


def plain_name(run: Run) -> str:
    """Return the subject's name on one line, without anything that cannot be seen."""
    return " ".join(printable(run.name).split()) or run.folder.name
