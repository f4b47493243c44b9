"""Finished runs -> a static site: leaderboard, a page a run, every sample, and two runs side by side."""

from __future__ import annotations

from harness.report.site.build import Built, write
from harness.report.site.serve import open_server, serve

__all__ = ["Built", "open_server", "serve", "write"]
