"""Files of this project that lie outside its package: workflow, studies, models, templates.

They are found in a checkout and in an installation, and are named as in a checkout,
`config/models.yaml`, on every machine and in every folder.
"""

import os
from collections.abc import Iterator
from pathlib import Path

import needlework

PACKAGE = Path(needlework.__file__).parent
INSIDE = PACKAGE / "project"
"""Where a wheel has them; setup.py puts them there."""
CHECKOUT = PACKAGE.parents[1]


def root() -> Path:
    """The folder with the files of the project: that of the installation, else the checkout."""
    return INSIDE if INSIDE.is_dir() else CHECKOUT


def find(name: str | os.PathLike[str]) -> Path:
    """The path as it is, where it exists from the working directory on; else the packaged one.

    What is neither here nor packaged is given back as it is, for others to say so.
    """
    path, packaged = Path(name), root() / name
    return packaged if not path.exists() and packaged.exists() else path


def beside(path: Path) -> Path | None:
    """The packaged file of `config/` that has the name of this one; None where it is this one."""
    packaged = root() / "config" / path.name
    is_same = packaged.is_file() and path.exists() and path.samefile(packaged)
    return packaged if packaged.is_file() and not is_same else None


def inputs() -> list[str]:
    """The files that every study of the working directory is run with: its own, then the packaged.

    In a checkout these are the same and told once.
    """
    own = list(_inputs(Path()))
    packaged = [] if Path.cwd().samefile(root()) else list(_inputs(root()))
    return [str(path) for path in (*own, *packaged)]


def _inputs(folder: Path) -> Iterator[Path]:
    """Workflow and configuration, as far as they are there."""
    yield from (
        path for name in ("Snakefile", "pyproject.toml") if (path := folder / name).is_file()
    )
    yield from (path for path in sorted((folder / "workflow").rglob("*")) if path.is_file())
    yield from sorted((folder / "config").rglob("*.yaml"))
