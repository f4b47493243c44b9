"""Keeps the libraries below us from talking over the run's own lines, and from reporting that it runs."""

from __future__ import annotations

import os
import warnings

RENAMED = r".*gradient_checkpointing.* is deprecated and will be removed in v6.*"
"""TRL 1.16 still reads the old name of the argument, so the old name must be given; the user cannot mend it."""


def quiet() -> None:
    """Switch off telemetry, progress bars of single files, and one warning that is between two libraries."""
    os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
    warnings.filterwarnings("ignore", message=RENAMED, category=FutureWarning)
    from transformers.utils import logging

    logging.disable_progress_bar()
