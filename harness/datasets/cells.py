"""One value out of a row, and a value as text."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from harness.errors import UsageError


def pick(row: Mapping[str, Any], path: str, where: str) -> Any:
    """Return the value at a dotted path; raise UsageError naming the columns there are."""
    if path in row:
        return row[path]
    value: Any = row
    for part in path.split("."):
        if not isinstance(value, Mapping) or part not in value:
            raise UsageError(f"{where}: no column '{path}'. The row has: {', '.join(map(str, row))}.")
        value = value[part]
    return value


def text_of(value: Any) -> str:
    """Return a value as text a prompt can show; mappings become `key：value` lines."""
    if value is None:
        return ""
    if isinstance(value, Mapping):
        return "\n".join(f"{key}：{text_of(inner)}" for key, inner in value.items())
    if isinstance(value, list):
        return "、".join(text_of(inner) for inner in value)
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value)


def listed(row: Mapping[str, Any], path: str | None, where: str) -> tuple[str, ...]:
    """Return a column's texts: a list's, or its one; none where the task names no column or the row leaves it empty."""
    value = pick(row, path, where) if path else None
    texts = (text_of(one).strip() for one in (value if isinstance(value, list) else [value]))
    return tuple(text for text in texts if text)
