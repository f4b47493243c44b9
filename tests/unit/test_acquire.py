"""Data comes from a folder by its sha256, whole or not at all, and nothing that is there is overwritten."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from harness.acquire import import_folder, pull, status
from harness.errors import UsageError
from harness.store import StorageError
from harness.suites import Catalogue

ITEMS = '{"question": "补气药是", "options": {"A": "人参", "B": "当归"}, "answer": "A"}\n'


def catalogue_of(tmp_path: Path, sha256: str | None) -> tuple[Catalogue, Path]:
    """Return a catalogue with one suite `mine` of one file, and where that file belongs."""
    suite, here = tmp_path / "mine", tmp_path / "here"
    suite.mkdir()
    here.mkdir()
    stated = f"sha256: {sha256}" if sha256 else "size: 1"
    url = "url: https://example.invalid/items.jsonl"
    (suite / "suite.yaml").write_text(
        f"name: mine\ntitle: t\nlicence: CC0\nfiles:\n  items.jsonl:\n    {stated}\n    {url}\n"
    )
    (suite / "choice.yaml").write_text(
        "type: single_choice\ndata: [items.jsonl]\n"
        "columns: { question: question, options: { form: dict, column: options } }\n"
    )
    return Catalogue([suite], data_path=here), here / "items.jsonl"


def digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def download(tmp_path: Path, text: str, *, folder: str = "download", name: str = "items.jsonl") -> Path:
    (tmp_path / folder).mkdir(parents=True)
    (tmp_path / folder / name).write_text(text)
    return tmp_path / folder.split("/")[0]


def test_a_file_is_known_by_its_content_whatever_it_and_its_folder_are_called(tmp_path: Path) -> None:
    catalogue, place = catalogue_of(tmp_path, digest(ITEMS))
    folder = download(tmp_path, ITEMS, folder="download/main/data", name="renamed.txt")
    assert import_folder(catalogue, folder) == [place]
    assert place.read_text() == ITEMS
    assert import_folder(catalogue, folder) == [], "the second time there is nothing to bring"
    assert [one.state for one in status(catalogue) if one.suite == "mine"] == ["present"]


def test_a_file_without_a_stated_sha256_is_taken_by_name_from_a_folder_of_the_suites_name(tmp_path: Path) -> None:
    catalogue, place = catalogue_of(tmp_path, None)
    folder = download(tmp_path, ITEMS, folder="download/mine")
    assert import_folder(catalogue, folder) == [place]


@pytest.mark.parametrize(
    ("folder", "name", "message"),
    [
        ("download/mine", "items.jsonl", "but suite 'mine' states .* for items.jsonl: it was changed or is another"),
        ("download/main", "items.jsonl", "items.jsonl has a known name, but is changed or another version"),
        ("download/main", "other.txt", "no file in .* is one that a suite states. Which are wanted: tcm-eval data"),
    ],
)
def test_a_folder_without_a_stated_file_is_refused_and_the_message_says_why(
    tmp_path: Path, folder: str, name: str, message: str
) -> None:
    catalogue, place = catalogue_of(tmp_path, digest(ITEMS))
    with pytest.raises(UsageError, match=message):
        import_folder(catalogue, download(tmp_path, "{}", folder=folder, name=name))
    assert not place.exists()


def test_a_changed_file_in_the_data_folder_is_neither_overwritten_nor_passed_over(tmp_path: Path) -> None:
    catalogue, place = catalogue_of(tmp_path, digest(ITEMS))
    place.write_text("mine\n")
    with pytest.raises(UsageError, match=r"was changed or is another version\. Move it away"):
        import_folder(catalogue, download(tmp_path, ITEMS))
    with pytest.raises(UsageError, match="was changed or is another version"):
        pull(catalogue, "mine")
    assert place.read_text() == "mine\n"


def test_a_copy_that_breaks_off_leaves_no_half_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    catalogue, place = catalogue_of(tmp_path, digest(ITEMS))
    folder = download(tmp_path, ITEMS)

    def full(source: Path, target: Path) -> Path:
        Path(target).write_text(Path(source).read_text()[:5])
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched, pytest.raises(StorageError, match="No space left"):
        patched.setattr("shutil.copyfile", full)
        import_folder(catalogue, folder)
    assert not place.exists() and not list(place.parent.iterdir())
    assert import_folder(catalogue, folder) == [place]
