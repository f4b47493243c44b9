"""Holds the knowledge base to its rules: `check(folder)` lists every line that breaks one, with `file:line` and the reason."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from harness.errors import UsageError
from harness.knowledge import files
from harness.knowledge.check.lines import Lines, Problem, Severity, read_lines
from harness.knowledge.check.medicines import check_formulas, check_herbs, check_rules
from harness.knowledge.check.naming import check_aliases, check_sources, check_unique_names
from harness.knowledge.check.theory import check_facts, check_patterns

__all__ = ["Finding", "check", "unchecked"]


@dataclass(frozen=True, slots=True)
class Finding:
    """One line that breaks a rule. A warning is a gap that may stay; an error must be mended."""

    where: str
    severity: Severity
    reason: str

    def __str__(self) -> str:
        return f"{self.where}: {self.severity}: {self.reason}"


def check(folder: Path = files.HERE) -> list[Finding]:
    """Return what is wrong with the knowledge base in a folder, errors first, each in the order of files and lines.

    A file that is missing or a line that is no entry ends the check with that one finding.
    """
    try:
        lines = read_lines(folder)
    except UsageError as error:
        where, _, reason = str(error).partition(": ")
        return [Finding(where, "error", reason or where)]
    found: list[Finding] = []
    checks: tuple[Callable[[Lines], Iterator[Problem]], ...] = (
        check_sources,
        check_unique_names,
        check_herbs,
        check_aliases,
        check_formulas,
        check_patterns,
        check_facts,
        check_rules,
    )
    for one in checks:
        found += [Finding(f"{folder / name}.jsonl:{line}", how, why) for name, line, how, why in one(lines)]
    return sorted(found, key=lambda finding: finding.severity)


def unchecked() -> dict[str, tuple[int, int]]:
    """Return for each file (lines without a text they were compared with, all lines): the data card prints their share."""
    counts: dict[str, tuple[int, int]] = {}
    for name in files.FILES:
        lines = [row for _, row in files.rows(files.HERE / f"{name}.jsonl")]
        counts[name] = (sum(row["checked_against"] is None for row in lines), len(lines))
    return counts
