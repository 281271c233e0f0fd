"""Files of this project that lie outside its package: templates, tables, published numbers.

They are found in a checkout and in an installation.
"""

import sysconfig
from pathlib import Path

CHECKOUT = Path(__file__).parents[2]
INSTALLED = Path(sysconfig.get_path("data"), "share", "needlework")
"""Where `[tool.setuptools.data-files]` of pyproject.toml puts them."""


def folder(name: str) -> Path:
    """A folder of the project, as `reports/templates`: the checkout's, else the installed one."""
    return CHECKOUT / name if (CHECKOUT / name).is_dir() else INSTALLED / name
