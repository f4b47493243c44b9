"""Files that survive `kill -9`: append-only JSON lines with one writer, and JSON written atomically.

A record is one `write(2)`: a killed process loses nothing already written and leaves at most one torn line, which the next
writer cuts off. (Power loss is another matter: lines are synced to disk when the file is closed.)
"""

from __future__ import annotations

from harness.store.index import Answers, Index
from harness.store.lines import (
    SCHEMA,
    decode_record,
    decode_score,
    encode_record,
    encode_score,
    read,
    read_lines,
    read_scores,
)
from harness.store.writing import (
    StorageError,
    Writer,
    explain,
    file_name,
    read_json,
    set_aside,
    write_json,
    write_lines,
)

__all__ = [
    "SCHEMA",
    "Answers",
    "Index",
    "StorageError",
    "Writer",
    "decode_record",
    "decode_score",
    "encode_record",
    "encode_score",
    "explain",
    "file_name",
    "read",
    "read_json",
    "read_lines",
    "read_scores",
    "set_aside",
    "write_json",
    "write_lines",
]
