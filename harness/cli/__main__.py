"""`python -m harness.cli`: the same as `tcm-eval`."""

from __future__ import annotations

import sys

from harness.cli import main

sys.exit(main())
