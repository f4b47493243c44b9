"""Vega, the library that draws the site's charts so that they answer the pointer; taken from a Python package, never from a network."""

from __future__ import annotations

from functools import lru_cache
from importlib import import_module

NAME = "vega.js"

LICENCE = "vega.LICENSE.txt"
"""The full texts of its licences; they ask to be given on with it."""

NOTICE = f"""/*! Vega, Vega-Lite, Vega-Embed, Vega-Tooltip and Vega-Interpreter (https://vega.github.io), as bundled by vl-convert.
Copyright (c) 2015-2026, University of Washington Interactive Data Lab. SPDX-License-Identifier: BSD-3-Clause
They hold D3 modules, Copyright Mike Bostock (ISC). The full texts: {LICENCE} */
"""


@lru_cache(maxsize=1)
def script() -> bytes | None:
    """Return Vega as one script that needs no network, None where the package `vl-convert-python` is not installed."""
    try:
        package = import_module("vl_convert")
    except ImportError:
        return None
    bundle: str = package.javascript_bundle("window.vegaEmbed = vegaEmbed;")
    # The bundle is written as a module. Modules do not load from file://, and as a plain script its names would meet the page's.
    return f'{NOTICE}(() => {{"use strict";\n{bundle}\n}})();\n'.encode()
