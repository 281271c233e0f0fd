"""The page's own sources: the parts it is put together from, and a digest of them.

The workflow asks for the digest at every start, so nothing heavy is imported here.
"""

import hashlib
from pathlib import Path

FOLDER = Path(__file__).parent
SHELL, STYLES = "explorer.html", "explorer.css"
SCRIPTS = (
    "data.js",
    "route.js",
    "elements.js",
    "plot.js",
    "pictures.js",
    "tables.js",
    "cells.js",
    "samples.js",
    "filters.js",
    "list.js",
    "sample.js",
    "missing.js",
    "app.js",
)


def fingerprint() -> str:
    """Sixteen hexadecimal digits over the page's own sources: a change renders it again."""
    total = hashlib.sha256()
    for name in (SHELL, STYLES, *SCRIPTS):
        total.update((FOLDER / name).read_bytes() + b"\0")
    return total.hexdigest()[:16]
