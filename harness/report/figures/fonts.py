"""Which fonts a figure is set in: DejaVu Sans, and a Chinese one behind it where the machine has one."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import Any

from harness.tables import printable

LATIN = "DejaVu Sans"
CHINESE = (
    "WenQuanYi Micro Hei",
    "Noto Sans CJK SC",
    "Noto Sans CJK JP",
    "Noto Sans SC",
    "Source Han Sans SC",
    "Source Han Sans CN",
    "WenQuanYi Zen Hei",
    "PingFang SC",
    "Hiragino Sans GB",
    "Heiti SC",
    "Microsoft YaHei",
    "SimHei",
    "Arial Unicode MS",
    "Droid Sans Fallback",
)
"""Families with Chinese glyphs; the first one that is installed is taken."""

_FILES = ("wqy-", "notosanscjk", "notosanssc", "sourcehansans", "pingfang", "msyh", "simhei", "droidsansfallback")
NO_FONT = (
    "no Chinese font is installed, so labels are in English and Chinese letters in names show as '?'. "
    "Install one: apt-get install fonts-wqy-microhei (Debian, Ubuntu), or Noto Sans CJK SC"
)


@lru_cache(maxsize=1)
def chinese() -> str | None:
    """Return the name of an installed family with Chinese glyphs, None when there is none."""
    from matplotlib import font_manager

    known = _known(font_manager)
    if known is None:
        # Matplotlib lists fonts once and keeps the list: a font installed since then is not on it.
        for file in font_manager.findSystemFonts():
            if Path(file).name.lower().startswith(_FILES):
                font_manager.fontManager.addfont(file)
        known = _known(font_manager)
    return known


def _known(font_manager: Any) -> str | None:
    there = {font.name for font in font_manager.fontManager.ttflist if Path(font.fname).exists()}
    return next((name for name in CHINESE if name in there), None)


def families() -> list[str]:
    """Return the font families in the order in which a glyph is looked for."""
    found = chinese()
    return [LATIN] if found is None else [LATIN, found]


def has_chinese(text: str) -> bool:
    """Tell whether a text has a Chinese character."""
    return any("\u2e80" <= c <= "\u9fff" or "\uf900" <= c <= "\ufaff" or ord(c) >= 0x20000 for c in text)


def drawer() -> Callable[[str], str]:
    """Return a function that makes any text safe to draw: one line, no control characters, '?' for glyphs that no font has."""
    from matplotlib import font_manager

    there: set[int] = set()
    for family in families():
        path = font_manager.findfont(font_manager.FontProperties(family=family))
        there |= set(font_manager.get_font(path).get_charmap())

    def drawable(text: str) -> str:
        return "".join(c if ord(c) in there else "?" for c in printable(text))

    return drawable
