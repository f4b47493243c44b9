"""`python -m tools.make_tasks`: write tasks/tcm_core/data and the checksums in its suite.yaml."""

from __future__ import annotations

import sys
from pathlib import Path

from harness.errors import UsageError
from tools.make_tasks.build import make
from tools.make_tasks.write import write

TARGET = Path(__file__).resolve().parents[2] / "tasks" / "tcm_core"


def main() -> int:
    """Return 0, or 2 with a message when the knowledge base no longer backs an item."""
    try:
        write(TARGET, make())
    except UsageError as error:
        sys.stderr.write(f"make tasks: {error}\n")
        return 2
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
