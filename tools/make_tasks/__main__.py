"""`python -m tools.make_tasks [--drop-lost] [--target FOLDER]`: write the suite's data and the checksums in its suite.yaml."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from harness.errors import UsageError
from tools.make_tasks.build import make
from tools.make_tasks.checks import known_facts, leaks, require_facts
from tools.make_tasks.write import write
from tools.make_tasks.written import hand_written, read

TARGET = Path(__file__).resolve().parents[2] / "tasks" / "tcm_core"


def main(arguments: list[str] | None = None) -> int:
    """Return 0, or 2 with a message when the knowledge base no longer backs an item or the split leaks."""
    parser = argparse.ArgumentParser(prog="make tasks", description=__doc__)
    parser.add_argument("--drop-lost", action="store_true", help="go on although items lost their facts")
    parser.add_argument("--target", type=Path, default=TARGET)
    given = parser.parse_args(arguments)
    try:
        before = [item for path in sorted((given.target / "data").glob("*.jsonl")) for item in read(path)]
        if not given.drop_lost:
            require_facts(before, known_facts())
        files = {**make(), **hand_written(given.target)}
        found = list(leaks([item for items in files.values() for item in items]))
        if found:
            raise UsageError("the split leaks: " + "; ".join(found[:10]))
        write(given.target, files)
    except UsageError as error:
        sys.stderr.write(f"make tasks: {error}\n")
        return 2
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
