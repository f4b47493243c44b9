"""Rows -> `Sample`, one at a time, by a task's column map."""

from __future__ import annotations

from harness.datasets.cells import pick, text_of
from harness.datasets.options import LETTERS
from harness.datasets.streaming import census, chosen, stream
from harness.datasets.targets import count_blanks

__all__ = ["LETTERS", "census", "chosen", "count_blanks", "pick", "stream", "text_of"]
