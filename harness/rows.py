"""jsonl, json, csv, tsv, xlsx, parquet -> rows with their place, so that a faulty one can be named."""

from __future__ import annotations

import csv
import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from itertools import count
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import orjson

from harness.errors import UsageError

Row = tuple[str, Mapping[str, Any]]
"""Where a row stands (`file:line`), and its columns."""


def rows(path: Path) -> Iterator[Row]:
    """Yield (`file:line`, columns) of every row; raise UsageError naming the line of a malformed one."""
    reader = _READERS.get(path.suffix.lower())
    if reader is None:
        raise UsageError(f"{path}: cannot read '{path.suffix}' files. Allowed: {', '.join(sorted(_READERS))}.")
    try:
        yield from reader(path)
    except UnicodeDecodeError as error:
        raise UsageError(
            f"{path}: not UTF-8 ({error.reason} at byte {error.start}). Save the file as UTF-8 (Excel: 'CSV UTF-8'), "
            f"or, if it is GBK: iconv -f GB18030 -t UTF-8 {path.name} > utf8{path.suffix}"
        ) from None
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror or error}") from None


def _jsonl(path: Path) -> Iterator[Row]:
    with path.open("rb") as file:
        for number, line in enumerate(file, 1):
            if not line.strip():
                continue
            try:
                row = orjson.loads(line.removeprefix(b"\xef\xbb\xbf") if number == 1 else line)
            except orjson.JSONDecodeError as error:
                raise UsageError(f"{path}:{number}: malformed row: {error}") from None
            yield f"{path}:{number}", _mapping(row, f"{path}:{number}")


def _json(path: Path) -> Iterator[Row]:
    try:
        loaded = json.loads(path.read_text("utf-8-sig"))
    except json.JSONDecodeError as error:
        raise UsageError(f"{path}:{error.lineno}: malformed JSON: {error.msg}") from None
    if isinstance(loaded, dict):
        lists = [value for value in loaded.values() if isinstance(value, list)]
        loaded = (
            lists[0]
            if len(lists) == 1
            else [{"id": key, **_mapping(v, f"{path}[{key!r}]")} for key, v in loaded.items()]
        )
    if not isinstance(loaded, list):
        raise UsageError(f"{path}: expected a list of items, found {type(loaded).__name__}")
    for number, row in enumerate(loaded, 1):
        yield f"{path}: item {number}", _mapping(row, f"{path}: item {number}")


def _mapping(row: Any, where: str) -> Mapping[str, Any]:
    if not isinstance(row, dict):
        raise UsageError(f"{where}: malformed row: expected named columns, found {type(row).__name__}")
    return row


def _separated(delimiter: str) -> Callable[[Path], Iterator[Row]]:
    def read(path: Path) -> Iterator[Row]:
        with path.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.reader(file, delimiter=delimiter)
            try:
                header = next(reader, None)
                if not header:
                    raise UsageError(f"{path}: empty; expected a first line with column names")
                _once(header, f"{path}:1")
                for cells in reader:
                    if not any(cells):
                        continue
                    if len(cells) != len(header):
                        raise UsageError(
                            f"{path}:{reader.line_num}: malformed row: {len(cells)} cells, "
                            f"the header names {len(header)} columns"
                        )
                    yield f"{path}:{reader.line_num}", dict(zip(header, cells, strict=True))
            except csv.Error as error:
                raise UsageError(f"{path}:{reader.line_num}: malformed row: {error}") from None

    return read


def _once(header: list[str], where: str) -> None:
    """Raise UsageError where a column's name stands twice: the first of them would be lost."""
    twice = [name for name, n in Counter(filter(None, header)).items() if n > 1]
    if twice:
        raise UsageError(f"{where}: two columns are named '{twice[0]}'. Give each a name of its own.")


def _xlsx(path: Path) -> Iterator[Row]:
    openpyxl = _need("openpyxl", path)
    try:
        book = openpyxl.load_workbook(path, read_only=True, data_only=True)
    except (BadZipFile, KeyError, ValueError) as error:
        raise UsageError(f"{path} is not an xlsx file: {error}") from None
    try:
        lines = book.worksheets[0].iter_rows(values_only=True)
        header = [str(cell) if cell is not None else "" for cell in next(lines, ())]
        if not any(header):
            raise UsageError(f"{path}: empty; expected a first row with column names")
        _once(header, f"{path}:1")
        for number, cells in enumerate(lines, 2):
            if any(cell is not None for cell in cells):
                yield f"{path}:{number}", {h: c for h, c in zip(header, cells, strict=False) if h}
    finally:
        book.close()


def _parquet(path: Path) -> Iterator[Row]:
    parquet = _need("pyarrow.parquet", path)
    try:
        file = parquet.ParquetFile(path)
    except Exception as error:  # noqa: BLE001 - pyarrow's own errors have no common base that is cheap to import
        raise UsageError(f"{path} is not a parquet file: {error}") from None
    numbers = count(1)
    for batch in file.iter_batches(batch_size=1024):
        for row in batch.to_pylist():
            yield f"{path}: row {next(numbers)}", row


def _need(module: str, path: Path) -> Any:
    import importlib

    try:
        return importlib.import_module(module)
    except ImportError:
        raise UsageError(f"{path}: reading this needs an extra package: pip install 'tcm-eval[data]'") from None


_READERS: dict[str, Callable[[Path], Iterator[Row]]] = {
    ".jsonl": _jsonl,
    ".json": _json,
    ".csv": _separated(","),
    ".tsv": _separated("\t"),
    ".xlsx": _xlsx,
    ".parquet": _parquet,
}
