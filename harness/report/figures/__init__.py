"""The paper's figures and better ones: bars, radar, dots with intervals, heat map, score against tokens."""

from __future__ import annotations

from harness.report.figures.draw import FORMATS, Drawn, Wanted, draw, formats, only

__all__ = ["FORMATS", "Drawn", "Wanted", "draw", "formats", "only"]
